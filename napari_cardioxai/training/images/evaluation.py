"""How good a classifier of several classes is on images that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.multiple_testing import holm
from napari_cardioxai.training.evaluation.calibration import (
    TEMPERATURE_LIMITS,
    Reliability,
    Temperature,
    reliability,
)
from napari_cardioxai.training.evaluation.comparison import McNemar, mcnemar
from napari_cardioxai.training.evaluation.evaluation import json_form
from napari_cardioxai.training.evaluation.intervals import Interval, wilson_interval
from napari_cardioxai.training.evaluation.roc import RocCurve, auc, roc_curve

RESAMPLES = 2000
_COVERAGE = 95.0  # percent


@dataclass(frozen=True)
class ClassFigures:
    """One class against the others.

    Attributes
    ----------
    name, images
        Of the class, and how many images truly are of it.
    sensitivity
        With Wilson's interval.
    precision, f1
        0 for a class that is never said.
    auc, curve
        By its probability, with DeLong's interval; None where the test set has
        only one kind.
    """

    name: str
    images: int
    sensitivity: Interval
    precision: float
    f1: float
    auc: Interval | None
    curve: RocCurve | None


@dataclass(frozen=True)
class ClassCalibration:
    """Whether probabilities can be believed, those of all classes and of the decision.

    Attributes
    ----------
    brier
        Sum over the classes of the squared difference from the truth, mean over
        images; 0 to 2.
    nll
        Mean negative logarithm of the true class's probability, in nats.
    of_decision
        Probability of the decision against how often it is right.
    """

    brier: float
    nll: float
    of_decision: Reliability


@dataclass(frozen=True)
class ImageFigures:
    """Figures of one classifier on one test set.

    Attributes
    ----------
    classes
        Each against the others, in the order of the logits.
    confusion
        Rows the truth, columns the decision, as nested tuples of counts.
    accuracy
        With Wilson's 95 % interval.
    balanced_accuracy, macro_f1
        Means of the sensitivities and of F1 over the classes that are there;
        intervals from 2,000 bootstrap samples, drawn within the classes.
    calibration
        Of the probabilities.
    """

    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    calibration: ClassCalibration

    @property
    def images(self) -> int:
        """How many were judged."""
        return int(np.sum(self.confusion))

    def as_json(self) -> dict[str, Any]:
        """Plain types: the numbers without curves and bins, as a model card carries them."""
        return {
            "images": self.images,
            **{k: json_form(getattr(self, k)) for k in _OVERALL},
            "confusion": [list(row) for row in self.confusion],
            "classes": {
                one.name: {
                    k: json_form(getattr(one, k))
                    for k in ("images", "sensitivity", "precision", "f1", "auc")
                }
                for one in self.classes
            },
            "calibration": {
                "brier": self.calibration.brier,
                "nll": self.calibration.nll,
                "ece_of_decision": self.calibration.of_decision.expected_calibration_error,
            },
        }


_OVERALL = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class ImageComparison:
    """Two classifiers on the same images: McNemar's test of being right, p corrected after Holm."""

    first: str
    second: str
    mcnemar: McNemar
    p_holm: float


def judge_images(
    labels: NDArray, probability: NDArray, classes: Sequence[str], *, seed: int = 0
) -> ImageFigures:
    """Figures of probabilities against the truth.

    Parameters
    ----------
    labels
        Index of the true class, shape (n,).
    probability
        Shape (n, classes).
    classes
        Their names.
    seed
        Of the bootstrap.

    Raises
    ------
    TrainingError
        When there is nothing to judge.
    """
    from sklearn.metrics import confusion_matrix

    if not len(labels):
        raise TrainingError("there are no images to judge; hold some out.")
    truth, shares = np.asarray(labels), np.asarray(probability, float)
    said = shares.argmax(1)
    confusion = confusion_matrix(truth, said, labels=np.arange(len(classes)))
    one_each = [_of_class(k, name, confusion, truth, shares) for k, name in enumerate(classes)]
    balanced, macro = _with_intervals(confusion, np.random.default_rng(seed))
    return ImageFigures(
        classes=tuple(one_each),
        confusion=tuple(map(tuple, confusion.tolist())),
        accuracy=wilson_interval(int(np.trace(confusion)), len(truth)),
        balanced_accuracy=balanced,
        macro_f1=macro,
        calibration=judge_class_calibration(truth, shares),
    )


def _of_class(
    k: int, name: str, confusion: NDArray, truth: NDArray, shares: NDArray
) -> ClassFigures:
    right, there, called = confusion[k, k], confusion[k].sum(), confusion[:, k].sum()
    is_it = truth == k
    has_both = 0 < is_it.sum() < len(truth)
    return ClassFigures(
        name=name,
        images=int(there),
        sensitivity=wilson_interval(int(right), int(there)),
        precision=float(right / called) if called else 0.0,
        f1=float(2 * right / (there + called)) if there + called else 0.0,
        auc=auc(is_it, shares[:, k]) if has_both else None,
        curve=roc_curve(is_it, shares[:, k]) if has_both else None,
    )


def _with_intervals(confusion: NDArray, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """Balanced accuracy and macro F1; rows of the confusion are drawn anew, each of its own size."""
    present = confusion.sum(1) > 0
    drawn = np.zeros((RESAMPLES, *confusion.shape), np.int64)
    for k in np.flatnonzero(present):
        count = confusion[k].sum()
        drawn[:, k] = rng.multinomial(count, confusion[k] / count, size=RESAMPLES)

    def balanced(tables: NDArray) -> NDArray:
        right = np.diagonal(tables, axis1=-2, axis2=-1)[..., present]
        return (right / tables.sum(-1)[..., present]).mean(-1)

    def macro_f1(tables: NDArray) -> NDArray:
        right = np.diagonal(tables, axis1=-2, axis2=-1)[..., present]
        both = (tables.sum(-1) + tables.sum(-2))[..., present]
        return (2 * right / both).mean(-1)

    tail = (100 - _COVERAGE) / 2
    found = []
    for measure in (balanced, macro_f1):
        low, high = np.percentile(measure(drawn), (tail, 100 - tail))
        found.append(Interval(float(measure(confusion)), float(low), float(high)))
    return found[0], found[1]


def judge_class_calibration(labels: NDArray, probability: NDArray) -> ClassCalibration:
    """Whether probabilities (n, classes) can be believed; true classes as indices (n,)."""
    truth = np.eye(probability.shape[1])[labels]
    of_truth = probability[np.arange(len(labels)), labels]
    said = probability.argmax(1)
    return ClassCalibration(
        brier=float(((probability - truth) ** 2).sum(1).mean()),
        nll=float(-np.log(np.clip(of_truth, np.finfo(float).tiny, None)).mean()),
        of_decision=reliability((said == labels).astype(int), probability.max(1)),
    )


def fit_class_temperature(labels: NDArray, logits: NDArray) -> Temperature:
    """The temperature of largest likelihood of several classes, on images kept out of training.

    Parameters
    ----------
    labels
        Index of the true class, shape (n,).
    logits
        Shape (n, classes).

    References
    ----------
    Guo et al. 2017, ICML, section 4.2.

    See Also
    --------
    training.evaluation.calibration.fit_temperature : the same for two classes of one logit
    """
    rows = np.arange(len(labels))

    def nll(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((logsumexp(scaled, 1) - scaled[rows, labels]).mean())

    limits = np.log(TEMPERATURE_LIMITS)
    found = minimize_scalar(nll, bounds=limits, method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(found.x)), nll(0.0), float(found.fun))


def compare_images(
    labels: NDArray, decisions: Mapping[str, NDArray]
) -> tuple[ImageComparison, ...]:
    """Every pair of classifiers: do they err equally often on the same images?

    Parameters
    ----------
    labels
        Index of the true class, shape (n,).
    decisions
        Index of the class that each classifier says, shape (n,), by its name.
    """
    pairs = list(combinations(decisions, 2))
    ones = np.ones(len(labels), int)
    tests = [
        mcnemar(ones, (decisions[a] == labels).astype(int), (decisions[b] == labels).astype(int))
        for a, b in pairs
    ]
    corrected = holm([test.p_value for test in tests])
    return tuple(
        ImageComparison(a, b, test, float(p))
        for (a, b), test, p in zip(pairs, tests, corrected, strict=True)
    )
