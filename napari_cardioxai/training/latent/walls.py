"""Wall thickness by sector, straight from sequences: what a classifier is helped to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SECTORS = 6
_AT_ONCE = 64  # subjects


def sector_thickness(
    sequences: NDArray[np.uint8], *, sectors: int = SECTORS
) -> NDArray[np.float32]:
    """Mean wall thickness in sectors around the middle of the picture, in pixels.

    From areas: a sector of angle a that holds the areas C of cavity and W of wall
    has inner radius sqrt(2 C / a) and outer radius sqrt(2 (C + W) / a). The
    normalisation puts the cavity's centroid in the middle; the sectors are
    those of the picture, not of the heart.

    Parameters
    ----------
    sequences
        Labels 0 to 3, shape (n, t, s, y, x).
    sectors
        Of each slice.

    Returns
    -------
    Shape (n, t, s * sectors).
    """
    n, t, s, rows, columns = sequences.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    angle = np.arctan2(y - (rows - 1) / 2, x - (columns - 1) / 2)
    number = np.floor((angle + np.pi) / (2 * np.pi) * sectors).astype(int).clip(0, sectors - 1)
    member = np.eye(sectors, dtype=np.float32)[number.ravel()]
    width = 2 * np.pi / sectors
    found = np.empty((n, t, s * sectors), np.float32)
    for first in range(0, n, _AT_ONCE):
        part = np.asarray(sequences[first : first + _AT_ONCE]).reshape(-1, rows * columns)
        cavity = (part == 1).astype(np.float32) @ member
        outside = cavity + (part == 2).astype(np.float32) @ member
        thickness = np.sqrt(2 * outside / width) - np.sqrt(2 * cavity / width)
        found[first : first + _AT_ONCE] = thickness.reshape(-1, t, s * sectors)
    return found
