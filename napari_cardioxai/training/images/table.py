"""The table of image classifiers: each on images that it never saw, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from napari_cardioxai.bundles.image_classifier import ImageClassifier, ImageDecisions
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.manifest import CLASS, SPLIT, Manifest
from napari_cardioxai.cohorts.picture_splits import GROUP, SPLITS
from napari_cardioxai.cohorts.pictures import class_indices, load_images
from napari_cardioxai.cohorts.projection import (
    TSNE,
    Faith,
    Projection,
    Purity,
    neighbour_purity,
    project,
    trustworthiness,
)
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.depth import depth_of
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.evaluation import json_form
from napari_cardioxai.training.evaluation.figures import markdown_table
from napari_cardioxai.training.evaluation.intervals import Interval, wilson_interval
from napari_cardioxai.training.images.bundle import subjects_of
from napari_cardioxai.training.images.evaluation import (
    ClassCalibration,
    ImageComparison,
    ImageFigures,
    compare_images,
    judge_class_calibration,
    judge_images,
)

EVERYTHING = "all"
"""Stands for a split where all images are judged."""
FOLDS = " folds"
"""Ends the name of a split where each image was left out once."""
MOST_PROJECTED = 2000
_PIXELS_PROJECTED = 64  # a side; finer ones say the same about neighbours and cost much more


@dataclass(frozen=True)
class Picture:
    """Test images on a plane.

    Attributes
    ----------
    what
        "raw pixels" or "embedding".
    projection
        t-SNE.
    labels
        Index of each point's true class.
    faith
        How far neighbours in the plane are neighbours in truth.
    purity, purity_in_plane
        How far neighbours are of one class, among the features and in the plane.
    """

    what: str
    projection: Projection
    labels: NDArray[np.int64]
    faith: Faith
    purity: Purity
    purity_in_plane: Purity

    def as_json(self) -> dict[str, Any]:
        """Plain types, without the points."""
        return {
            "settings": dict(self.projection.settings),
            "trustworthiness": json_form(self.faith),
            "neighbour_purity": json_form(self.purity),
            "neighbour_purity_in_plane": json_form(self.purity_in_plane),
        }


@dataclass(frozen=True)
class JudgedModel:
    """One classifier on the images that its split kept away from it.

    Attributes
    ----------
    name, network
        Of the bundle and of its architecture.
    split
        Column of the manifest, or `EVERYTHING`.
    size_mb, parameters, depth
        Weights in millions of bytes; how many; convolutions and linear layers
        on the longest way.
    figures, uncalibrated
        With the model's temperature; calibration without it.
    temperature
        Of the model's card.
    with_twin, without_twin
        Accuracy on images that are linked to a training image, and on those
        that are not; None where groups are unknown.
    strange
        Share of images beyond all that the model knows; None where it does not.
    subjects, labels, probability
        Of each image.
    pictures
        Projections of raw pixels and of embeddings.
    """

    name: str
    network: str
    split: str
    input_size: tuple[int, ...]
    size_mb: float
    parameters: int
    depth: int
    figures: ImageFigures
    uncalibrated: ClassCalibration
    temperature: float
    with_twin: Interval | None
    without_twin: Interval | None
    strange: float | None
    subjects: list[str] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    probability: NDArray[np.float64] = field(repr=False)
    pictures: tuple[Picture, ...] = field(repr=False)

    @property
    def decisions(self) -> NDArray[np.int64]:
        """Index of the class that is said."""
        return self.probability.argmax(1)

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "network": self.network,
            "split": self.split,
            "input_size": list(self.input_size),
            "size_mb": round(self.size_mb, 3),
            "parameters": self.parameters,
            "depth": self.depth,
            **self.figures.as_json(),
            "roc": {one.name: json_form(one.curve) for one in self.figures.classes},
            "reliability_of_decision": json_form(self.figures.calibration.of_decision),
            "temperature": self.temperature,
            "calibration_without_temperature": {
                "brier": self.uncalibrated.brier,
                "nll": self.uncalibrated.nll,
                "ece_of_decision": self.uncalibrated.of_decision.expected_calibration_error,
            },
            "accuracy_with_near_duplicate_in_training": json_form(self.with_twin),
            "accuracy_without_near_duplicate_in_training": json_form(self.without_twin),
            "farther_than_all_known_percent": (
                None if self.strange is None else round(100 * self.strange, 2)
            ),
            "projections": {picture.what: picture.as_json() for picture in self.pictures},
        }


@dataclass(frozen=True)
class ImageEvaluation:
    """Classifiers side by side.

    Attributes
    ----------
    data, classes
        Name of the manifest or folder; classes in the order of the logits.
    models
        Each with its split.
    comparisons
        By split: every pair of models that was judged on it.
    failed
        Every image that cannot be read, and the reason.
    notes
        Sentences that must be read before the numbers.
    """

    data: str
    classes: tuple[str, ...]
    models: tuple[JudgedModel, ...]
    comparisons: Mapping[str, tuple[ImageComparison, ...]]
    failed: Mapping[str, str]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The content of `evaluation.json`, plain types only."""
        return {
            "data": self.data,
            "classes": list(self.classes),
            "splits": {
                name: {"about": about_split(name), "images": count}
                for name, count in self.counts.items()
            },
            "models": {model.name: model.as_json() for model in self.models},
            "comparisons": {
                split: [json_form(pair) for pair in pairs]
                for split, pairs in self.comparisons.items()
            },
            "failed": dict(self.failed),
            "notes": list(self.notes),
        }

    @property
    def counts(self) -> dict[str, int]:
        """Images judged by split."""
        return {model.split: len(model.labels) for model in self.models}

    def as_markdown(self) -> str:
        """The table of the models, and that of their comparisons."""
        parts = [markdown_table(list(HEADER), [table_row(model) for model in self.models])]
        pairs = [
            [
                about_split(split),
                f"{pair.first} against {pair.second}",
                f"{pair.mcnemar.only_first} / {pair.mcnemar.only_second}",
                _p(pair.p_holm),
            ]
            for split, found in self.comparisons.items()
            for pair in found
        ]
        if pairs:
            header = [
                "split",
                "first against second",
                "right only: first / second",
                "p (McNemar, Holm)",
            ]
            parts.append(markdown_table(header, pairs))
        return "\n\n".join(parts) + "\n"

    def predictions(self) -> pd.DataFrame:
        """One row for every model and image: truth, decision and all probabilities."""
        tables = []
        for model in self.models:
            table = pd.DataFrame(model.probability, columns=[f"p({c})" for c in self.classes])
            table.insert(0, "model", model.name)
            table.insert(1, "split", model.split)
            table.insert(2, "subject", model.subjects)
            table.insert(3, CLASS, [self.classes[k] for k in model.labels])
            table.insert(4, "decision", [self.classes[k] for k in model.decisions])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


HEADER = (
    *("model", "network", "held out", "images", "MB", "parameters (10⁶)", "depth"),
    *("accuracy %", "balanced accuracy %", "macro F1", "AUC, mean of classes", "ECE"),
    "accuracy % with / without near-duplicate in training",
)


def table_row(model: JudgedModel) -> list[str]:
    """What a model's row of the table says, in the order of `HEADER`."""
    areas = [one.auc.value for one in model.figures.classes if one.auc is not None]
    twins = (
        f"{100 * model.with_twin.value:.1f} / {100 * model.without_twin.value:.1f}"
        if model.with_twin is not None and model.without_twin is not None
        else ""
    )
    return [
        model.name,
        model.network,
        about_split(model.split),
        str(len(model.labels)),
        f"{model.size_mb:.1f}",
        f"{model.parameters / 1e6:.1f}",
        str(model.depth),
        percent(model.figures.accuracy),
        percent(model.figures.balanced_accuracy),
        f"{model.figures.macro_f1.value:.3f}",
        f"{np.mean(areas):.3f}" if areas else "",
        f"{model.figures.calibration.of_decision.expected_calibration_error:.3f}",
        twins,
    ]


def about_split(name: str) -> str:
    """How a split keeps images apart, in words."""
    if name.endswith(FOLDS):
        return f"cross-validated, {name}"
    return "every image" if name == EVERYTHING else SPLITS.get(name, f"column {name}")


def percent(interval: Interval) -> str:
    """ "93.5 (91.0 to 95.2)"."""
    return f"{100 * interval.value:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def evaluate_images(
    models: Sequence[ImageClassifier],
    manifest: Manifest,
    *,
    split: str | None = None,
    with_projections: bool = True,
    on_progress: Progress = silent,
) -> ImageEvaluation:
    """Judge classifiers on the test images of the split that each was trained by.

    Parameters
    ----------
    models
        Of the same classes.
    manifest
        Columns `scan` and `class`, and the columns of the splits; without any
        of them every image is judged.
    split
        Judge all models by this column instead.
    with_projections
        Draw test images on a plane, by pixels and by embedding.

    Raises
    ------
    CohortError
        When models differ in their classes, a class is one that they do not
        know, or no image is left to judge.
    Cancelled
        From within `on_progress`.
    """
    classes = _common_classes(models)
    reader = _Reader(manifest, classes, on_progress)
    judged, notes = [], []
    for number, model in enumerate(models):
        on_progress(number, len(models), f"judging {model.card.name}")
        column, doubts = _split_of(model, manifest, split)
        notes += doubts
        judged.append(_judge(model, column, reader, with_projections=with_projections))
    comparisons = {}
    for column in dict.fromkeys(model.split for model in judged):
        same = [model for model in judged if model.split == column]
        if pairs := _compared(same):
            comparisons[column] = pairs
    return ImageEvaluation(
        manifest.path.name if manifest.path.is_file() else manifest.path.parent.name,
        classes,
        tuple(judged),
        comparisons,
        reader.failed,
        tuple(notes),
    )


def _common_classes(models: Sequence[ImageClassifier]) -> tuple[str, ...]:
    if not models:
        raise CohortError("there is no model to evaluate.")
    first = models[0].card
    for model in models[1:]:
        if model.card.classes != first.classes:
            raise CohortError(
                f"{model.card.name} knows {', '.join(model.card.classes)}, {first.name} knows "
                f"{', '.join(first.classes)}; models of the same classes can be compared."
            )
    names = [model.card.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CohortError(f"{twice[0]} is given twice.")
    return first.classes


def _split_of(
    model: ImageClassifier, manifest: Manifest, asked: str | None
) -> tuple[str, list[str]]:
    """Column to judge a model by, and what makes that doubtful."""
    own, name = model.card.split_column, model.card.name
    if asked is not None:
        if asked != EVERYTHING and asked not in manifest.table:
            raise CohortError(f"{manifest.path.name} has no column {asked!r}.")
        column = asked
    elif own and own in manifest.table:
        return own, []
    else:
        column = SPLIT if SPLIT in manifest.table else EVERYTHING
    if own and column not in (own, EVERYTHING):
        doubt = f"{name} was trained by the column {own!r} and is judged by {column!r}"
        return column, [f"{doubt}: it has seen some of these images."]
    return column, []


class _Reader:
    """Images of the splits, read once for each kind of input."""

    def __init__(self, manifest: Manifest, classes: tuple[str, ...], on_progress: Progress) -> None:
        self.manifest, self.classes, self.on_progress = manifest, classes, on_progress
        self.failed: dict[str, str] = {}
        self._read: dict[tuple[str, InputSpec], tuple[NDArray, list[str], NDArray[np.int64]]] = {}

    def test(self, split: str, spec: InputSpec) -> tuple[NDArray, list[str], NDArray[np.int64]]:
        """Images, subjects and labels of a split's test set."""
        if (split, spec) not in self._read:
            everyone = list(self.manifest.subjects)
            chosen = everyone if split == EVERYTHING else subjects_of(self.manifest, split)["test"]
            images = load_images(self.manifest, chosen, spec, on_progress=self.on_progress)
            labels, _ = class_indices(self.manifest, images.subjects, self.classes)
            if not len(labels):
                why = next(iter(images.failed.values()), "none is held out for a test.")
                raise CohortError(
                    f"{self.manifest.path.name} has no image to judge by {split!r}: {why}"
                )
            self.failed |= images.failed
            self._read[split, spec] = images.data, images.subjects, labels
        return self._read[split, spec]

    def has_twin(self, split: str, subjects: Sequence[str]) -> NDArray[np.bool_] | None:
        """Whether images are linked to one that is trained on; None where groups are unknown."""
        table = self.manifest.table
        if split == EVERYTHING or GROUP not in table:
            return None
        learnt = table[GROUP][(table[split] == "train").to_numpy()]
        return table[GROUP].reindex(list(subjects)).isin(set(learnt)).to_numpy()


def _judge(
    model: ImageClassifier, split: str, reader: _Reader, *, with_projections: bool
) -> JudgedModel:
    images, subjects, labels = reader.test(split, model.spec)
    said = model.decide(images, on_progress=reader.on_progress)
    right = said.decision == labels
    twin = reader.has_twin(split, subjects)
    weights = list(model.network.state_dict().values())
    strange = None
    if model.cloud is not None:
        strange = float((model.cloud.strangeness(said.embedding).percentile >= 100).mean())
    pictures = _pictures(images, said, labels, reader) if with_projections else ()
    return JudgedModel(
        name=model.card.name,
        network=model.card.network,
        split=split,
        input_size=model.spec.size,
        size_mb=sum(w.numel() * w.element_size() for w in weights) / 1e6,
        parameters=sum(w.numel() for w in model.network.parameters()),
        depth=depth_of(model.network, model.tensor(np.zeros(model.spec.size, np.float32))),
        figures=judge_images(labels, said.probability, reader.classes),
        uncalibrated=judge_class_calibration(labels, softmax(said.logits, axis=1)),
        temperature=model.card.temperature,
        with_twin=None if twin is None else _share(right[twin]),
        without_twin=None if twin is None else _share(right[~twin]),
        strange=strange,
        subjects=subjects,
        labels=labels,
        probability=said.probability,
        pictures=pictures,
    )


def _share(right: NDArray[np.bool_]) -> Interval | None:
    return wilson_interval(int(right.sum()), len(right)) if len(right) else None


def _pictures(
    images: NDArray, said: ImageDecisions, labels: NDArray[np.int64], reader: _Reader
) -> tuple[Picture, ...]:
    """Projections; none where there are too few images or only one class."""
    counts = np.bincount(labels)
    if len(labels) < 2 * len(counts) or (counts > 0).sum() < 2:
        return ()
    rows = np.arange(len(labels))
    if len(rows) > MOST_PROJECTED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_PROJECTED, replace=False))
    made = []
    for what, features in (
        ("raw pixels", _thumbnails(images[rows])),
        ("embedding", said.embedding[rows]),
    ):
        if features.shape[1] < 2 or not np.ptp(features, axis=0).any():
            continue
        projection = project(features, method=TSNE, on_progress=reader.on_progress)
        names = [reader.classes[k] for k in labels[rows]]
        made.append(
            Picture(
                what,
                projection,
                labels[rows],
                trustworthiness(features, projection.points),
                neighbour_purity(features, names),
                neighbour_purity(projection.points, names),
            )
        )
    return tuple(made)


def _thumbnails(images: NDArray) -> NDArray[np.float32]:
    """Pixels of each image in a row, larger images averaged to at most 64 a side."""
    values = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    sides = tuple(min(side, _PIXELS_PROJECTED) for side in values.shape[2:])
    pool = torch.nn.AdaptiveAvgPool2d if len(sides) == 2 else torch.nn.AdaptiveAvgPool3d
    return pool(sides)(values).flatten(1).numpy()


def _compared(models: Sequence[JudgedModel]) -> tuple[ImageComparison, ...]:
    """Pairs on the images that all of them could read."""
    if len(models) < 2:
        return ()
    common = sorted(set.intersection(*(set(model.subjects) for model in models)))
    rows = {model.name: [model.subjects.index(subject) for subject in common] for model in models}
    labels = models[0].labels[rows[models[0].name]]
    return compare_images(
        labels, {model.name: model.decisions[rows[model.name]] for model in models}
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
