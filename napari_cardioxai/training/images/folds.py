"""An image recipe judged by cross-validation, where there are too few images to hold some out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.pictures import class_indices, load_images
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.depth import depth_of
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.images.evaluation import judge_class_calibration, judge_images
from napari_cardioxai.training.images.recipe import ImageRecipe
from napari_cardioxai.training.images.table import FOLDS, ImageEvaluation, JudgedModel
from napari_cardioxai.training.images.training import LabelledImages, train_image_classifier

_AT_ONCE = 8


def cross_validate_images(
    recipe: ImageRecipe,
    manifest: Manifest,
    run_dir: Path,
    *,
    folds: int,
    name: str = "cross-validated",
    device: str = "auto",
    on_progress: Progress = silent,
) -> ImageEvaluation:
    """Train a recipe anew for each part of a cohort, and judge it on the part left out.

    Every image is judged once, by a network that never saw it; the last epoch
    counts, so that nothing is chosen by what is left out.

    Parameters
    ----------
    recipe, manifest
        How, and on what: columns `scan` and `class`.
    run_dir
        Receives a folder for each fold; an interrupted run goes on from there.
    folds
        How many parts, each with its share of every class.
    name
        Of the row in the table.
    device
        A Lightning accelerator name.

    Raises
    ------
    CohortError
        When a class has fewer images than there are folds.
    Cancelled
        From within `on_progress`.
    """
    from sklearn.model_selection import StratifiedKFold

    images = load_images(manifest, list(manifest.subjects), recipe.spec, on_progress=on_progress)
    labels, classes = class_indices(manifest, images.subjects)
    fewest = int(np.bincount(labels, minlength=len(classes)).min())
    if not 2 <= folds <= fewest:
        raise CohortError(
            f"{folds} folds cannot be made where the rarest class has {fewest} images; choose 2 to "
            f"{fewest}."
        )
    probability = np.empty((len(labels), len(classes)))
    parts = StratifiedKFold(folds, shuffle=True, random_state=recipe.seed)
    network: torch.nn.Module = recipe.build(len(classes))
    for number, (train, test) in enumerate(parts.split(labels, labels), start=1):

        def tell(done: int, total: int, what: str, number: int = number) -> None:
            on_progress(done, total, f"fold {number} of {folds}: {what}")

        network = train_image_classifier(
            recipe,
            LabelledImages(images.data[train], labels[train]),
            classes=len(classes),
            run_dir=Path(run_dir) / f"fold-{number}",
            device=device,
            on_progress=tell,
        )
        probability[test] = _shares(network, recipe, images.data[test])
    figures = judge_images(labels, probability, classes)
    weights = list(network.state_dict().values())
    example = torch.zeros(1, recipe.channels, *recipe.size)
    judged = JudgedModel(
        name=name,
        network=recipe.network,
        split=f"{folds}{FOLDS}",
        input_size=recipe.size,
        size_mb=sum(w.numel() * w.element_size() for w in weights) / 1e6,
        parameters=sum(w.numel() for w in network.parameters()),
        depth=depth_of(network, example),
        figures=figures,
        uncalibrated=judge_class_calibration(labels, probability),
        temperature=1.0,
        with_twin=None,
        without_twin=None,
        strange=None,
        subjects=images.subjects,
        labels=labels,
        probability=probability,
        pictures=(),
    )
    data = manifest.path.parent.name if manifest.path.suffix == ".tsv" else manifest.path.name
    return ImageEvaluation(data, classes, (judged,), {}, images.failed, ())


def _shares(network: torch.nn.Module, recipe: ImageRecipe, images: NDArray) -> NDArray:
    """Probabilities of inputs, shape (n, classes)."""
    made = []
    with torch.inference_mode():
        for first in range(0, len(images), _AT_ONCE):
            batch = torch.from_numpy(np.ascontiguousarray(images[first : first + _AT_ONCE])).float()
            channels = [1, recipe.channels, *[1] * len(recipe.size)]
            made.append(network(batch.unsqueeze(1).repeat(channels)).softmax(1).double().numpy())
    return np.concatenate(made)
