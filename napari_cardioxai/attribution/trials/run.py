"""Trials on disk: networks are trained once, images are measured in groups, and all of it can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from napari_cardioxai.attribution.trials.measure import (
    GroupMaps,
    Measured,
    maps_of_group,
    measure_group,
)
from napari_cardioxai.attribution.trials.tasks import Task
from napari_cardioxai.attribution.trials.training import Trained, cases_of, train_on
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent

GROUP = 5
"""Images that share passes of a network."""

SETTINGS = "settings.json"
EXAMPLE = "example.npz"
_WEIGHTS = "weights.safetensors"
_TRAINED = "trained.json"
_CASES_SEED = 20


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes
    ----------
    task, architecture
        Names.
    networks, cases
        How many, trained from seeds 0, 1, ...; the images are the same for all.
    most_steps
        Of each training.
    side
        Of volumes.
    """

    task: str
    architecture: str
    networks: int = 3
    cases: int = 50
    most_steps: int = 300
    side: int = 32

    def __post_init__(self) -> None:
        if min(self.networks, self.cases, self.most_steps) < 1:
            raise AttributionError("a trial needs at least one network, one case and one step.")

    def alike(self) -> dict[str, Any]:
        """What must not change between two runs into one folder."""
        kept = asdict(self)
        del kept["networks"], kept["cases"]
        return kept


def run_trials(
    plan: Plan,
    task: Task,
    folder: Path,
    *,
    methods: Sequence[str] | None = None,
    part: tuple[int, int] = (1, 1),
    on_progress: Progress = silent,
) -> list[Measured]:
    """Train what is not trained yet, measure what is not measured yet.

    Groups of images go round the networks, so that results of an interrupted
    run are those of fewer images, not of fewer networks.

    Parameters
    ----------
    plan, task
        What is tried.
    folder
        Of the results; what it holds already is kept.
    methods
        Names in the registry; None: all.
    part
        Which of how many parts of the groups to measure, counted from 1: several
        processes can share one folder once the networks are trained.
    on_progress
        Called between passes; may raise `Cancelled`, and no finished group is lost.

    Returns
    -------
    All that has been measured in the folder.

    Raises
    ------
    AttributionError
        When the folder holds results of other settings.
    OutputError
        When it cannot be written to.
    """
    _claim(plan, folder)
    seeds = range(plan.networks)
    trained = {seed: _network(plan, task, folder, seed, on_progress) for seed in seeds}
    images = cases_of(task, plan.cases, seed=_CASES_SEED)
    todo = [
        (first, seed)
        for k, (first, seed) in enumerate(
            (first, seed) for first in range(0, plan.cases, GROUP) for seed in seeds
        )
        if k % part[1] == part[0] - 1
    ]
    for done, (first, seed) in enumerate(todo):
        path = _group_path(plan, folder, seed, first)
        if path.is_file():
            continue

        step = _told(on_progress, done, len(todo))
        group = images[first : first + GROUP]
        maps = maps_of_group(task, trained[seed].network, group, methods=methods, on_progress=step)
        rows = measure_group(
            task,
            trained[seed].network,
            group,
            maps,
            name=plan.architecture,
            seed=seed,
            first=first,
            on_progress=step,
        )
        if first == 0:
            _write_example(path.parent / EXAMPLE, group[0].image, group[0].truth, maps)
        _write_json(path, {"rows": [row.as_json() for row in rows], "invalid": maps.invalid})
    return list(measured_in(folder))


def measured_in(folder: Path) -> Iterator[Measured]:
    """Every row that was measured in a folder."""
    for path in sorted(folder.glob("*/cases-*.json")):
        for row in json.loads(path.read_text("utf-8"))["rows"]:
            yield Measured(**row)


def invalid_in(folder: Path) -> dict[str, str]:
    """Methods that did not fit the networks of a folder, with the reason."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*/cases-*.json")):
        found |= json.loads(path.read_text("utf-8"))["invalid"]
    return found


def accuracies_in(folder: Path) -> dict[str, float]:
    """Accuracy of each trained network of a folder on images that it never saw."""
    return {
        path.parent.name: json.loads(path.read_text("utf-8"))["accuracy"]
        for path in sorted(folder.glob(f"*/{_TRAINED}"))
    }


def _told(on_progress: Progress, group: int, groups: int) -> Progress:
    """Progress within a group, as progress over the groups."""

    def report(done: int, total: int, what: str) -> None:
        on_progress(group, groups, what)

    return report


def _claim(plan: Plan, folder: Path) -> None:
    path = folder / SETTINGS
    if not path.is_file():
        _write_json(path, plan.alike())
    elif json.loads(path.read_text("utf-8")) != plan.alike():
        raise AttributionError(
            f"{folder} holds results of other settings; name another folder, or the same settings."
        )


def _network(plan: Plan, task: Task, folder: Path, seed: int, on_progress: Progress) -> Trained:
    """From disk, or trained and put there."""
    home = folder / f"{plan.architecture}-{seed}"
    build = task.build[plan.architecture]
    if (home / _TRAINED).is_file():
        said = json.loads((home / _TRAINED).read_text("utf-8"))
        network = build()
        network.load_state_dict(load_file(home / _WEIGHTS), strict=False)
        return Trained(network.eval().requires_grad_(False), said["accuracy"], said["steps"])
    found = train_on(task, build, seed=seed, most_steps=plan.most_steps, on_progress=on_progress)
    home.mkdir(parents=True, exist_ok=True)
    learnt = {
        name: value.contiguous()
        for name, value in found.network.state_dict().items()
        if not name.startswith("heart.")  # shipped already
    }
    with replacing(home / _WEIGHTS) as beside:
        save_file(learnt, beside)
    _write_json(home / _TRAINED, {"accuracy": found.accuracy, "steps": found.steps})
    return found


def _group_path(plan: Plan, folder: Path, seed: int, first: int) -> Path:
    return folder / f"{plan.architecture}-{seed}" / f"cases-{first:03d}.json"


def _write_example(path: Path, image: torch.Tensor, truth: np.ndarray, maps: GroupMaps) -> None:
    held: dict[str, Any] = {"image": image.numpy(), "truth": truth}
    held |= {f"heat:{name}": heat[0].numpy() for name, heat in maps.heats.items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **held)


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, indent=1, allow_nan=False), "utf-8")
