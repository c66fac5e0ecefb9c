"""From an image recipe to a bundle: read, train, judge, write."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from torch import nn

from napari_cardioxai.bundles.card import ImageClassifierCard
from napari_cardioxai.bundles.image_classifier import ImageClassifier, save_image_classifier
from napari_cardioxai.cohorts.manifest import SPLIT, Manifest
from napari_cardioxai.cohorts.pictures import class_indices, load_images
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.image_classifier import LabelledImages, train_image_classifier
from napari_cardioxai.training.image_evaluation import ImageFigures, judge_images
from napari_cardioxai.training.image_recipe import ImageRecipe

_LIMITS = (
    "Knows images like those that it was trained on, and their classes only.",
    "Research use only; not a medical device.",
)


def make_image_bundle(
    recipe: ImageRecipe,
    manifest: Manifest,
    folder: Path,
    *,
    run_dir: Path,
    split: str = SPLIT,
    data: str = "not stated",
    licence: str = "not stated",
    start: Callable[[nn.Module], object] | None = None,
    device: str = "auto",
    command: str = "",
    on_progress: Progress = silent,
    callbacks: tuple[lightning.Callback, ...] = (),
) -> ImageClassifierCard:
    """Train on a manifest's training images, judge on its test images and write the bundle.

    Parameters
    ----------
    recipe, manifest
        How, and on what: columns `scan`, `class` and the split.
    folder
        Bundle to write.
    run_dir
        Checkpoints; an interrupted training goes on from there.
    split
        Column of train, val and test, such as `split` or `split_random`.
    data, licence
        For the card.
    start, device, on_progress, callbacks
        As for `train_image_classifier`.
    command
        As typed, for the card.

    Raises
    ------
    CohortError
        When there is no such column, nothing to train on, or an image of the
        test cannot be read.
    """
    parts = {}
    failed: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for part, subjects in _subjects(manifest, split).items():
        images = load_images(manifest, subjects, recipe.spec, on_progress=on_progress)
        labels, names = class_indices(manifest, images.subjects)
        parts[part] = LabelledImages(images.data, labels)
        failed |= images.failed
    if "train" not in parts or not len(parts["train"].labels):
        raise CohortError(f"{manifest.path.name} has no images to train on in {split!r}.")
    network = train_image_classifier(
        recipe,
        parts["train"],
        parts.get("val"),
        classes=len(names),
        run_dir=run_dir,
        start=start,
        device=device,
        on_progress=on_progress,
        callbacks=callbacks,
    )
    counts = ", ".join(f"{len(p.labels)} {part}" for part, p in parts.items())
    settings: dict[str, Any] = {
        "architecture": recipe.network,
        "network_params": recipe.params_for(len(names)),
        "spec": recipe.spec,
        "classes": names,
        "title": f"{recipe.network} for {', '.join(names)}",
        "data": data,
        "licence": licence,
        "split": f"Column {split!r}: {counts}; {len(failed)} images could not be read.",
        "command": command,
        "limits": _LIMITS,
        "recipe": recipe.as_json(),
        "seed": recipe.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-cardioxai", "torch", "monai", "lightning")},
        },
    }
    card = save_image_classifier(folder, network, **settings)
    figures: dict[str, Any] = {
        part: judge_bundle(ImageClassifier(card, network, "cpu"), parts[part]).as_json()
        for part in ("val", "test")
        if part in parts and len(parts[part].labels)
    }
    return save_image_classifier(folder, network, **settings, results=figures)


def judge_bundle(
    model: ImageClassifier, images: LabelledImages, *, on_progress: Progress = silent
) -> ImageFigures:
    """Figures of a model on labelled images."""
    said = model.decide(np.asarray(images.images), on_progress=on_progress)
    return judge_images(images.labels, said.probability, model.card.classes)


def _subjects(manifest: Manifest, split: str) -> dict[str, list[str]]:
    """Subjects of train, val and test, without those that have none."""
    if split not in manifest.table:
        raise CohortError(f"{manifest.path.name} has no column {split!r}.")
    by_column = replace(manifest, table=manifest.table.assign(**{SPLIT: manifest.table[split]}))
    found = {part: by_column.split(part) for part in ("train", "val", "test")}
    return {part: subjects for part, subjects in found.items() if subjects}
