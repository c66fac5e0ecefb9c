"""Many tests at once, and what is left of their significance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P values corrected for their number by Holm's step-down method.

    The k-th smallest of m becomes the largest of (m - j + 1) p(j) for j up to
    k, at most 1. NaN stays NaN and is not counted.

    Parameters
    ----------
    p_values
        Shape (m,).

    References
    ----------
    Holm 1979, Scand. J. Stat. 6:65.
    """
    p = np.asarray(p_values, float)
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
