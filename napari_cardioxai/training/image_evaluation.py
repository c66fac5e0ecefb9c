"""How good a classifier of several classes is on images that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import TrainingError


@dataclass(frozen=True)
class ImageFigures:
    """Figures of one classifier on one test set.

    Attributes
    ----------
    classes
        Names, in the order of everything below.
    confusion
        Rows the truth, columns the decision, as nested tuples of counts.
    accuracy, balanced_accuracy, macro_f1
        Shares; the second is the mean of the sensitivities.
    accuracy_low, accuracy_high
        Wilson's 95 % interval.
    sensitivity, precision, f1
        Of each class; precision and F1 are 0 for a class that is never said.
    auc
        Of each class against the others; None where the test set has only one kind.
    """

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    macro_f1: float
    sensitivity: tuple[float, ...]
    precision: tuple[float, ...]
    f1: tuple[float, ...]
    auc: tuple[float | None, ...]

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name."""
        return asdict(self)


def judge_images(labels: NDArray, probability: NDArray, classes: Sequence[str]) -> ImageFigures:
    """Figures of probabilities against the truth.

    Parameters
    ----------
    labels
        Index of the true class, shape (n,).
    probability
        Shape (n, classes).
    classes
        Their names.

    Raises
    ------
    TrainingError
        When there is nothing to judge.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

    from napari_cardioxai.training.evaluation.intervals import wilson_interval

    if not len(labels):
        raise TrainingError("there are no images to judge; hold some out.")
    truth, said = np.asarray(labels), np.asarray(probability).argmax(1)
    every = np.arange(len(classes))
    precision, sensitivity, f1, _ = precision_recall_fscore_support(
        truth, said, labels=every, zero_division=0.0
    )
    present = np.isin(every, truth)
    right = int((truth == said).sum())
    interval = wilson_interval(right, len(truth))
    auc = [
        float(roc_auc_score(truth == k, probability[:, k])) if 0 < (truth == k).mean() < 1 else None
        for k in every
    ]
    return ImageFigures(
        classes=tuple(classes),
        confusion=tuple(map(tuple, confusion_matrix(truth, said, labels=every).tolist())),
        accuracy=right / len(truth),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        balanced_accuracy=float(sensitivity[present].mean()),
        macro_f1=float(f1[present].mean()),
        sensitivity=tuple(map(float, sensitivity)),
        precision=tuple(map(float, precision)),
        f1=tuple(map(float, f1)),
        auc=tuple(auc),
    )
