"""Figures with their confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Interval:
    """An estimate and the limits of its confidence interval, in the same unit."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def wilson_interval(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval.

    With p = successes / total and z the normal quantile, the limits are
    (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n). NaN, from 0 to 1,
    when `total` is 0.

    References
    ----------
    Wilson 1927, J. Am. Stat. Assoc. 22:209.
    """
    if total == 0:
        return Interval(float("nan"), 0.0, 1.0)
    limits = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return Interval(successes / total, float(limits.low), float(limits.high))


def mean_of_two(first: Interval, second: Interval) -> Interval:
    """Mean of two independent estimates, its interval from theirs by square-and-add.

    The lower limit is m - sqrt((p1 - l1)² + (p2 - l2)²) / 2, the upper one
    likewise: Newcombe's method for two proportions, carried over from their
    difference to their mean. It keeps the asymmetry of the two intervals.

    References
    ----------
    Newcombe 1998, Stat. Med. 17:873, method 10; Zou and Donner 2008,
    Stat. Med. 27:1693, equations 8 and 9.
    """
    mean = 0.5 * (first.value + second.value)
    below = 0.5 * np.hypot(first.value - first.low, second.value - second.low)
    above = 0.5 * np.hypot(first.high - first.value, second.high - second.value)
    return Interval(mean, float(mean - below), float(mean + above))
