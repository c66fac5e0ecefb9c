"""Whether a map that claims to share out the explained number adds up to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def completeness_percent(heat: NDArray, value: float, baseline_value: float) -> float:
    """By how many percent the sum of a map misses F(x) - F(x'); for path methods.

    Parameters
    ----------
    heat
        Any shape.
    value, baseline_value
        The explained number for the input and for the baseline.

    Returns
    -------
    100 |sum A - (F(x) - F(x'))| / |F(x) - F(x')|; NaN when both are alike.

    References
    ----------
    Sundararajan et al. 2017, proposition 1.
    """
    to_share = value - baseline_value
    if to_share == 0:
        return float("nan")
    return float(100 * abs(np.sum(heat, dtype=np.float64) - to_share) / abs(to_share))


def conservation_percent(heat: NDArray, value: float) -> float:
    """By how many percent the sum of a map misses F(x); for relevance propagation.

    References
    ----------
    Bach et al. 2015, equation 2.
    """
    return completeness_percent(heat, value, 0.0)
