"""Figures with their 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

LEVEL = 0.95
_LIMITS = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Estimate:
    """A figure and the limits of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def share(successes: int, total: int) -> Estimate:
    """A share with Wilson's interval."""
    limits = binomtest(successes, total).proportion_ci(LEVEL, method="wilson")
    return Estimate(successes / total, float(limits.low), float(limits.high))


def with_percentiles(value: float, resampled: ArrayLike) -> Estimate:
    """A figure with the percentile interval of its bootstrap."""
    low, high = np.percentile(np.asarray(resampled, float), _LIMITS)
    return Estimate(float(value), float(low), float(high))


def mean_over_subjects(
    values: NDArray[np.float64], *, rng: np.random.Generator, count: int = 1000
) -> Estimate:
    """Mean of what is known with its bootstrap interval over subjects; NaN of nothing."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(float("nan"), float("nan"), float("nan"))
    means = rng.choice(known, (count, len(known))).mean(1)
    return with_percentiles(float(known.mean()), means)
