"""Small networks that learn a planted reason within minutes on one core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_cardioxai.attribution.trials.tasks import SystolicMotion, Task, TrialImage
from napari_cardioxai.progress import Progress, silent

UNSEEN = 64
"""Images on which a trained network's accuracy is measured."""

_BATCH = 16
_LEARNING_RATE = 3e-3
_CHECK_EVERY = 20
_ENOUGH = 0.98  # accuracy on the images that decide when to stop
_POOL, _STOP, _UNSEEN = range(3)  # streams of random numbers


@dataclass(frozen=True, eq=False)
class Trained:
    """A network that has learnt.

    Attributes
    ----------
    network
        In evaluation mode, without gradients of its weights.
    accuracy
        On `UNSEEN` images of neither training nor stopping.
    steps
        Of the optimiser.
    """

    network: nn.Module
    accuracy: float
    steps: int


def train_on(
    task: Task,
    build: Callable[[], nn.Module],
    *,
    seed: int,
    most_steps: int,
    on_progress: Progress = silent,
) -> Trained:
    """Train a network on a task's images until it is right on nearly all others, or `most_steps`.

    Parameters
    ----------
    task, build
        Images, and the untrained network.
    seed
        Of weights and images.
    most_steps
        Of the optimiser.
    on_progress
        Called per check; may raise `Cancelled`.
    """
    pool = images_of(task, task.pool, stream=(seed, _POOL))
    stop = images_of(task, UNSEEN, stream=(seed, _STOP))
    unseen = images_of(task, UNSEEN, stream=(seed, _UNSEEN))
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from torch's own
        torch.manual_seed(seed)
        network = build()
    learns, seen, check = _what_learns(network, pool, stop)
    optimiser = torch.optim.AdamW(
        [p for p in learns.parameters() if p.requires_grad], _LEARNING_RATE, weight_decay=1e-2
    )
    rng = np.random.default_rng([seed, len(pool[1])])
    done = 0
    with torch.enable_grad():
        while done < most_steps:
            on_progress(done, most_steps, f"training, {task.name}")
            learns.train()
            for _ in range(min(_CHECK_EVERY, most_steps - done)):
                rows = torch.from_numpy(rng.choice(len(seen), _BATCH, replace=False))
                loss = functional.cross_entropy(two_logits(learns(seen[rows])), pool[1][rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                done += 1
            learns.eval()
            if _accuracy(learns, check, stop[1]) >= _ENOUGH:
                break
    network.eval().requires_grad_(False)
    return Trained(network, _accuracy(network, *unseen), done)


def images_of(task: Task, count: int, *, stream: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """`count` images of a task and their classes, with and without the reason in turn.

    Returns
    -------
    Images (count, c, *spatial) and classes (count,), int64.
    """
    classes = np.arange(count) % 2
    rng = np.random.default_rng(stream)
    images = [
        task.draw(one, bool(k)).image for one, k in zip(rng.spawn(count), classes, strict=True)
    ]
    return torch.stack(images), torch.from_numpy(classes)


def cases_of(task: Task, count: int, *, seed: int) -> list[TrialImage]:
    """`count` images with the reason, of no network's training; the first ones do not depend on `count`."""
    return [task.draw(np.random.default_rng([seed, 10**6, k]), True) for k in range(count)]


def two_logits(output: Tensor) -> Tensor:
    """Logits (b, 2); a single one is that of the second class."""
    return output if output.shape[1] == 2 else torch.cat([torch.zeros_like(output), output], 1)


def _what_learns(
    network: nn.Module, pool: tuple[Tensor, Tensor], stop: tuple[Tensor, Tensor]
) -> tuple[nn.Module, Tensor, Tensor]:
    """The part of the network that learns, and what it is given of the images."""
    if not isinstance(network, SystolicMotion):
        return network, pool[0], stop[0]
    network.eval()
    moved = []
    for images in (pool[0], stop[0]):
        with torch.no_grad():
            moved.append(torch.cat([network.moved(part) for part in images.split(4)]))
    return network.decision, moved[0], moved[1]


def _accuracy(network: nn.Module, images: Tensor, classes: Tensor) -> float:
    with torch.no_grad():
        said = [two_logits(network(part)).argmax(1) for part in images.split(_BATCH)]
    right: NDArray = (torch.cat(said) == classes).numpy()
    return float(right.mean())
