"""Where structures lie in each picture of a cine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def centres(
    mask: NDArray[np.bool_], pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.float64]:
    """Centroid (y, x) of each picture.

    Parameters
    ----------
    mask
        Shape (t, z, h, w).
    pixel_mm
        Height and width of a pixel; in pixels without it.

    Returns
    -------
    Shape (t, z, 2); NaN where the mask is empty.
    """
    rows = np.count_nonzero(mask, axis=3)
    columns = np.count_nonzero(mask, axis=2)
    total = rows.sum(axis=2)
    with np.errstate(invalid="ignore"):
        y = rows @ np.arange(rows.shape[2]) / total * pixel_mm[0]
        x = columns @ np.arange(columns.shape[2]) / total * pixel_mm[1]
    return np.stack([y, x], axis=-1)
