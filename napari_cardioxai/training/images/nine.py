"""Several networks by one recipe, with how each of them learnt: the table of Brima and Atemkeng.

On the whole cohort with a GPU it is the comparison itself; on a subset and a
few epochs it proves that a network runs and learns where there is none.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cardioxai.cohorts.manifest import CLASS, Manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.depth import depth_of
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.figures import markdown_table
from napari_cardioxai.training.images.bundle import make_image_bundle, subjects_of
from napari_cardioxai.training.images.recipe import ImageRecipe, with_changes

_BELOW_GUESSING = (
    0.98  # a network that gives every class its share falls to 1 without seeing anything
)


@dataclass(frozen=True)
class Learnt:
    """One network and its training.

    Attributes
    ----------
    network
        Its name.
    parameters, size_mb, depth
        As in `image_table.JudgedModel`.
    classes, images, epochs, seconds
        To tell apart; learnt from; visits of each; of the whole training, 0
        when it was done before.
    loss_first, loss_last, accuracy_first, accuracy_last
        Mean over the first and the last epoch, on the training images as they
        are shown, moved about where the recipe does that.
    test_accuracy
        On the images held out; None without any.
    """

    network: str
    parameters: int
    size_mb: float
    depth: int
    classes: int
    images: int
    epochs: int
    seconds: float
    loss_first: float
    loss_last: float
    accuracy_first: float
    accuracy_last: float
    test_accuracy: float | None

    @property
    def has_learnt(self) -> bool:
        """Whether it ended better than guessing: the loss clearly below that of equal odds, the accuracy risen."""
        guessing = math.log(self.classes)
        return self.loss_last < _BELOW_GUESSING * guessing and (
            self.accuracy_last > self.accuracy_first
        )

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, and `has_learnt`."""
        return {**asdict(self), "has_learnt": self.has_learnt}


def train_networks(
    recipe: ImageRecipe,
    networks: Sequence[str],
    manifest: Manifest,
    output: Path,
    *,
    run_dir: Path,
    split: str,
    subset: int = 0,
    device: str = "auto",
    command: str = "",
    licence: str = "not stated",
    on_progress: Progress = silent,
) -> list[Learnt]:
    """Train networks one after the other, each into a bundle of its own.

    Parameters
    ----------
    recipe
        Everything but the network.
    networks
        Keys of `networks.classifiers.CLASSIFIERS`.
    manifest, split, device, command, licence
        As for `make_image_bundle`.
    output, run_dir
        Receive a folder for each network; what was interrupted goes on.
    subset
        Learn from so many images, of every class alike, and judge nothing; 0: all.

    Raises
    ------
    CohortError
        When there are not so many images.
    """
    chosen = subset_of(manifest, split, subset, seed=recipe.seed) if subset else manifest
    images = len(subjects_of(chosen, split)["train"])
    learnt = []
    for number, name in enumerate(networks, start=1):
        own = with_changes(recipe, {"network": name})

        def tell(done: int, total: int, what: str, name: str = name, number: int = number) -> None:
            on_progress(done, total, f"{name} ({number} of {len(networks)}): {what}")

        began = time.monotonic()
        card = make_image_bundle(
            own,
            chosen,
            output / name,
            run_dir=run_dir / name,
            split=split,
            data=manifest.path.name,
            licence=licence,
            device=device,
            command=command,
            on_progress=tell,
        )
        seconds = time.monotonic() - began
        losses, hits = _epochs(run_dir / name)
        network = own.build(len(card.classes))
        weights = list(network.state_dict().values())
        test = card.results.get("test", {}).get("accuracy", {}).get("value")
        learnt.append(
            Learnt(
                network=name,
                parameters=sum(w.numel() for w in network.parameters()),
                size_mb=sum(w.numel() * w.element_size() for w in weights) / 1e6,
                depth=depth_of(network, torch.zeros(1, own.channels, *own.size)),
                classes=len(card.classes),
                images=images,
                epochs=own.epochs,
                seconds=round(seconds, 1),
                loss_first=losses[0],
                loss_last=losses[-1],
                accuracy_first=hits[0],
                accuracy_last=hits[-1],
                test_accuracy=test,
            )
        )
    return learnt


def subset_of(manifest: Manifest, split: str, count: int, *, seed: int = 0) -> Manifest:
    """So many of the training images, of every class alike as far as numbers go; no others.

    Raises
    ------
    CohortError
        When a class has too few.
    """
    train = manifest.table.loc[subjects_of(manifest, split)["train"]]
    rng = np.random.default_rng(seed)
    kinds = sorted(set(train[CLASS]))
    kept: list[str] = []
    for number, kind in enumerate(kinds):
        wanted = count // len(kinds) + (number < count % len(kinds))
        members = train.index[train[CLASS] == kind].to_numpy()
        if not 0 < wanted <= len(members):
            raise CohortError(
                f"{wanted} images of {kind} cannot be chosen from {len(members)}; ask for another "
                "number."
            )
        kept += rng.choice(members, wanted, replace=False).tolist()
    return replace(manifest, table=manifest.table.loc[sorted(kept)])


def table_of(learnt: Sequence[Learnt]) -> str:
    """In Markdown, one row a network."""
    header = ["network", "parameters (10⁶)", "MB", "depth", "images", "epochs", "s", "loss"]
    header += ["training accuracy %", "test accuracy %", "learnt"]
    rows = [
        [
            one.network,
            f"{one.parameters / 1e6:.1f}",
            f"{one.size_mb:.0f}",
            str(one.depth),
            str(one.images),
            str(one.epochs),
            f"{one.seconds:.0f}",
            f"{one.loss_first:.3f} → {one.loss_last:.3f}",
            f"{100 * one.accuracy_first:.0f} → {100 * one.accuracy_last:.0f}",
            "" if one.test_accuracy is None else f"{100 * one.test_accuracy:.1f}",
            "yes" if one.has_learnt else "no",
        ]
        for one in learnt
    ]
    return markdown_table(header, rows)


def _epochs(run_dir: Path) -> tuple[list[float], list[float]]:
    """Loss and training accuracy of every epoch, over all that a training wrote after breaks."""
    found: dict[int, tuple[float, float]] = {}
    for file in sorted(run_dir.glob("logs/version_*/metrics.csv"), key=_version):
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row.get("loss") and row.get("accuracy"):
                    found[int(row["epoch"])] = float(row["loss"]), float(row["accuracy"])
    rows = [found[epoch] for epoch in sorted(found)]
    return [loss for loss, _ in rows], [hit for _, hit in rows]


def _version(file: Path) -> int:
    return int(file.parent.name.removeprefix("version_"))
