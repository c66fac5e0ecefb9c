"""Whether two models differ by more than chance on the same subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, chi2, norm

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.inputs import checked_labels
from napari_cardioxai.training.evaluation.intervals import Interval
from napari_cardioxai.training.evaluation.roc import delong_components

EXACT_BELOW = 25  # discordant subjects; the usual limit for the chi-squared approximation
_NO_VARIANCE = 1e-12  # what rounding leaves of a standard error of 0


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two models' decisions.

    Attributes
    ----------
    only_first, only_second
        Subjects that only the first, or only the second model decided rightly.
    p_value
        Two-sided, of the hypothesis that the models err equally often.
    method
        "exact" (binomial) or "chi-squared" (with continuity correction).
    statistic
        Chi-squared with one degree of freedom; None for the exact test.
    """

    only_first: int
    only_second: int
    p_value: float
    method: str
    statistic: float | None


@dataclass(frozen=True)
class AucDifference:
    """DeLong's test of two areas under the curve on the same subjects.

    Attributes
    ----------
    first, second
        The two areas.
    difference
        First minus second, with its interval.
    z, p_value
        Standardised difference and two-sided p; both NaN when the areas differ
        and their components leave no variance, where the test is not defined.
    """

    first: float
    second: float
    difference: Interval
    z: float
    p_value: float


def mcnemar(labels: ArrayLike, first_decisions: ArrayLike, second_decisions: ArrayLike) -> McNemar:
    """McNemar's test: do two models err equally often on the same subjects?

    Only subjects that one model decides rightly and the other wrongly count, b
    of one kind and c of the other. Below 25 of them p is exact, from the
    binomial distribution with b + c trials of probability 1/2; otherwise
    (|b - c| - 1)² / (b + c) is compared with chi-squared of one degree of freedom.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    first_decisions, second_decisions
        Boolean, shape (n,), of the same subjects in the same order.

    Raises
    ------
    CohortError
        When lengths differ or a value is neither 0 nor 1.

    References
    ----------
    McNemar 1947, Psychometrika 12:153; Edwards 1948, Psychometrika 13:185
    (continuity correction).
    """
    truth = checked_labels(labels)
    rights = []
    for decisions in (first_decisions, second_decisions):
        decided = checked_labels(decisions)
        if decided.shape != truth.shape:
            raise CohortError(f"{len(truth)} labels and {len(decided)} decisions do not fit.")
        rights.append(decided == truth)
    b, c = int((rights[0] & ~rights[1]).sum()), int((rights[1] & ~rights[0]).sum())
    if b + c < EXACT_BELOW:
        p_value = float(binomtest(b, b + c).pvalue) if b + c else 1.0
        return McNemar(b, c, p_value, "exact", None)
    statistic = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    return McNemar(b, c, float(chi2.sf(statistic, 1)), "chi-squared", statistic)


def delong_test(
    labels: ArrayLike,
    first_scores: ArrayLike,
    second_scores: ArrayLike,
    *,
    confidence: float = 0.95,
) -> AucDifference:
    """DeLong's test of two correlated areas under the ROC curve.

    The difference of the two models' structural components, subject by
    subject, has the difference of the areas as its mean; the variance is
    S10/m + S01/n of these differences over m positives and n negatives.

    Parameters
    ----------
    labels
        0 or 1, shape (n,), at least two of each.
    first_scores, second_scores
        Shape (n,), of the same subjects in the same order.
    confidence
        Coverage of the interval of the difference.

    Raises
    ------
    CohortError
        When the input does not fit together or a class has fewer than two subjects.

    References
    ----------
    DeLong et al. 1988, Biometrics 44:837, equations 6 and 7.
    """
    first = delong_components(labels, first_scores)
    second = delong_components(labels, second_scores)
    if min(len(component) for component in first) < 2:
        raise CohortError("DeLong's test needs at least two subjects of each class.")
    paired = [a - b for a, b in zip(first, second, strict=True)]
    difference = float(first[0].mean() - second[0].mean())
    error = float(np.sqrt(sum(d.var(ddof=1) / len(d) for d in paired)))
    half = float(norm.ppf(0.5 + confidence / 2)) * error
    if error > _NO_VARIANCE:
        z = difference / error
    elif abs(difference) <= _NO_VARIANCE:
        z = 0.0
    else:
        z = float("nan")
    return AucDifference(
        float(first[0].mean()),
        float(second[0].mean()),
        Interval(difference, difference - half, difference + half),
        z,
        float(2 * norm.sf(abs(z))),
    )
