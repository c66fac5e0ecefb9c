"""How well a score separates two classes, and what a threshold on it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.training.evaluation.inputs import checked_labels, two_classes
from napari_cardioxai.training.evaluation.intervals import (
    Interval,
    mean_of_two,
    wilson_interval,
)

_THRESHOLD_NUMBERS = ("value", "youden_index", "sensitivity", "specificity")


@dataclass(frozen=True)
class RocCurve:
    """Every trade between false alarms and hits that a threshold can make.

    Attributes
    ----------
    false_positive_rate, true_positive_rate
        Shape (m,), from (0, 0) to (1, 1); points on a straight line between
        their neighbours are left out.
    thresholds
        Shape (m,): a score of at least this counts as positive; the first is infinite.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def at(self, false_positive_rate: ArrayLike) -> NDArray[np.float64]:
        """True positive rate at given false positive rates, linear between points.

        Where the curve is vertical, its upper end (Fawcett 2006, algorithm 4).
        """
        x, y = self.false_positive_rate, self.true_positive_rate
        wanted = np.asarray(false_positive_rate, float)
        before = np.clip(np.searchsorted(x, wanted, side="right") - 1, 0, len(x) - 2)
        width = x[before + 1] - x[before]
        share = np.where(width > 0, (wanted - x[before]) / np.where(width > 0, width, 1.0), 1.0)
        return y[before] + share * (y[before + 1] - y[before])


@dataclass(frozen=True)
class RocBand:
    """Pointwise confidence band of a ROC curve.

    Attributes
    ----------
    false_positive_rate
        Even steps from 0 to 1, shape (g,).
    mean, low, high
        True positive rate there, shape (g,): mean over resamples and the
        limits of the interval.
    """

    false_positive_rate: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A cut on a score, with what it achieved on the subjects it was chosen on.

    Attributes
    ----------
    value
        A score of at least this counts as positive.
    youden_index, sensitivity, specificity
        Sensitivity + specificity - 1, and the two, on the training subjects.
    chosen_on
        Names of those subjects; empty when they are no longer known, as for a
        threshold read from a model card.
    """

    value: float
    youden_index: float
    sensitivity: float
    specificity: float
    chosen_on: frozenset[str] = frozenset()

    def decide(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Which scores count as positive, same shape."""
        return np.asarray(scores, float) >= self.value

    def as_json(self) -> dict[str, float]:
        """Plain types for a model card, without the names of the training subjects."""
        return {name: getattr(self, name) for name in _THRESHOLD_NUMBERS}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, where: Path) -> Threshold:
        """Inverse of `as_json`, up to the names.

        Raises
        ------
        BundleError
            When a field is missing or no number.
        """
        try:
            value, youden, sensitivity, specificity = (
                float(values[name]) for name in _THRESHOLD_NUMBERS
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{where}: a threshold has the numbers {', '.join(_THRESHOLD_NUMBERS)}; "
                f"found are {', '.join(values) or 'none'}."
            ) from error
        return cls(value, youden, sensitivity, specificity)


@dataclass(frozen=True)
class Decisions:
    """What decisions were worth.

    Attributes
    ----------
    true_positives, false_positives, true_negatives, false_negatives
        Numbers of subjects.
    sensitivity, specificity
        With Wilson intervals; NaN where there is no subject of the class.
    balanced_accuracy
        Their mean, its interval by square-and-add (`intervals.mean_of_two`).
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    sensitivity: Interval
    specificity: Interval
    balanced_accuracy: Interval


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Receiver operating characteristic.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    scores
        Higher means more likely 1, any scale, shape (n,).

    Raises
    ------
    CohortError
        When the input does not fit together or one class is missing.

    References
    ----------
    Fawcett 2006, Pattern Recogn. Lett. 27:861, algorithm 1 (scikit-learn's).
    """
    from sklearn import metrics

    return RocCurve(*metrics.roc_curve(*two_classes(labels, scores)))


def roc_band(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
    points: int = 101,
) -> RocBand:
    """Confidence band by vertical averaging over bootstrap resamples.

    Subjects are drawn with replacement within each class, so that every
    resample has the same two class sizes. Each resample's curve is read at the
    same false positive rates; the band runs between the percentiles there. It
    holds at each rate on its own, not for the curve as a whole.

    Parameters
    ----------
    labels, scores
        As for `roc_curve`.
    rng
        Draws the resamples.
    resamples, confidence, points
        Number of resamples, coverage, and number of false positive rates.

    References
    ----------
    Fawcett 2006, section 9.1 and algorithm 4 (vertical averaging); Efron and
    Tibshirani 1993, chapter 13 (percentile interval).
    """
    truth, values = two_classes(labels, scores)
    positives, negatives = values[truth], values[~truth]
    grid = np.linspace(0.0, 1.0, points)
    heights = np.empty((resamples, points))
    for row in heights:
        row[:] = _curve_of(*(rng.choice(group, len(group)) for group in (positives, negatives))).at(
            grid
        )
    tail = 50 * (1 - confidence)
    low, high = np.percentile(heights, (tail, 100 - tail), axis=0)
    return RocBand(grid, heights.mean(0), low, high)


def delong_components(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Structural components of the area under the curve.

    For each positive the share of negatives that score less, for each negative
    the share of positives that score more, ties counted half; the mean of
    either is the area. Computed from midranks.

    Returns
    -------
    Components of the positives, shape (m,), and of the negatives, shape (n,),
    each in the order of the subjects.

    References
    ----------
    DeLong et al. 1988, Biometrics 44:837, equations 4 and 5; Sun and Xu 2014,
    IEEE Signal Process. Lett. 21:1389 (midranks).
    """
    truth, values = two_classes(labels, scores)
    positives, negatives = values[truth], values[~truth]
    ranks = rankdata(values)
    of_positives = (ranks[truth] - rankdata(positives)) / len(negatives)
    of_negatives = 1 - (ranks[~truth] - rankdata(negatives)) / len(positives)
    return of_positives, of_negatives


def auc(labels: ArrayLike, scores: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Area under the ROC curve with DeLong's interval.

    The variance is S10/m + S01/n, the sample variances of the components of m
    positives and n negatives; the interval is normal, cut at 0 and 1. Where
    the classes are separated perfectly, or one has a single subject, the
    components say nothing about the variance and the interval is of zero or
    too small a width. On normal scores with 40 positives and 80 negatives the
    interval of 95 % holds the true area in 94 % of cases.

    Parameters
    ----------
    labels, scores
        As for `roc_curve`.
    confidence
        Coverage of the interval.

    Raises
    ------
    CohortError
        As `roc_curve`.

    References
    ----------
    DeLong et al. 1988, equations 4 to 6.
    """
    components = delong_components(labels, scores)
    value = float(components[0].mean())
    variance = sum(float(c.var(ddof=1)) / len(c) for c in components if len(c) > 1)
    half = norm.ppf(0.5 + confidence / 2) * np.sqrt(variance)
    return Interval(value, float(max(0.0, value - half)), float(min(1.0, value + half)))


def youden_threshold(
    train_labels: ArrayLike, train_scores: ArrayLike, *, train_subjects: Sequence[str]
) -> Threshold:
    """The threshold of largest sensitivity + specificity - 1 on training predictions.

    It lies half-way between the lowest score called positive and the highest
    one called negative. Of equally good thresholds the one is taken whose
    sensitivity and specificity differ least. Predictions must be such as new
    subjects would get: of a forest its out-of-bag ones.

    Parameters
    ----------
    train_labels, train_scores
        As for `roc_curve`, of training subjects only.
    train_subjects
        Their names. They are kept, so that predictions that are to be judged
        at this threshold can be refused when they are of one of these subjects.

    Raises
    ------
    CohortError
        As `roc_curve`, and when names are missing.

    References
    ----------
    Youden 1950, Cancer 3:32.
    """
    truth, values = two_classes(train_labels, train_scores)
    if len(train_subjects) != len(truth):
        raise CohortError(
            f"{len(truth)} training predictions come with {len(train_subjects)} names; "
            "a threshold must know whom it was chosen on."
        )
    distinct = np.unique(values)
    cuts = np.concatenate([distinct[:1], 0.5 * (distinct[:-1] + distinct[1:])])
    # In exact arithmetic a midpoint lies above the lower neighbour; in floating point it may not.
    cuts = np.where(cuts > np.concatenate([[-np.inf], distinct[:-1]]), cuts, distinct)
    sensitivity = 1 - _share_below(cuts, values[truth])
    specificity = _share_below(cuts, values[~truth])
    youden = sensitivity + specificity - 1
    best = np.flatnonzero(np.isclose(youden, youden.max(), rtol=0, atol=1e-12))
    chosen = best[np.argmin(np.abs(sensitivity - specificity)[best])]
    return Threshold(
        float(cuts[chosen]),
        float(youden[chosen]),
        float(sensitivity[chosen]),
        float(specificity[chosen]),
        frozenset(map(str, train_subjects)),
    )


def judge_decisions(
    labels: ArrayLike, decisions: ArrayLike, *, confidence: float = 0.95
) -> Decisions:
    """Sensitivity, specificity and balanced accuracy of decisions, with intervals.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    decisions
        Boolean, shape (n,), each made at a threshold that did not know the subject.
    confidence
        Coverage of the intervals.

    Raises
    ------
    CohortError
        When the input does not fit together.
    """
    truth, decided = checked_labels(labels), checked_labels(decisions)
    if truth.shape != decided.shape:
        raise CohortError(f"{len(truth)} labels and {len(decided)} decisions do not fit.")
    hits, alarms = int((decided & truth).sum()), int((decided & ~truth).sum())
    positives = int(truth.sum())
    negatives = len(truth) - positives
    sensitivity = wilson_interval(hits, positives, confidence=confidence)
    specificity = wilson_interval(negatives - alarms, negatives, confidence=confidence)
    return Decisions(
        true_positives=hits,
        false_positives=alarms,
        true_negatives=negatives - alarms,
        false_negatives=positives - hits,
        sensitivity=sensitivity,
        specificity=specificity,
        balanced_accuracy=mean_of_two(sensitivity, specificity),
    )


def _curve_of(positives: NDArray, negatives: NDArray) -> RocCurve:
    """As `roc_curve` with every point kept, without its checks, which cost more than the curve."""
    cuts = np.unique(np.concatenate([positives, negatives]))[::-1]
    rates = [np.append(0.0, 1 - _share_below(cuts, group)) for group in (negatives, positives)]
    return RocCurve(rates[0], rates[1], np.append(np.inf, cuts))


def _share_below(cuts: NDArray, values: NDArray) -> NDArray[np.float64]:
    return np.searchsorted(np.sort(values), cuts, side="left") / len(values)
