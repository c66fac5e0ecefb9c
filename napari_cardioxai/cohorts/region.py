"""Where in the picture the heart is, before anything is labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_FEWEST_FRAMES = 6
_BLUR = 0.05  # of the picture's side
_PRIOR = 0.22  # standard deviation of the heart's place around the middle, of the side


def heart_centre(data: NDArray) -> tuple[float, float]:
    """Row and column around which most of the picture moves.

    The temporal standard deviation of every slice, scaled to the slice's own
    maximum, averaged over slices, blurred, and weighted towards the middle of
    the picture, where scans are planned to have the heart. Without a cycle to
    look at, the middle itself.

    Parameters
    ----------
    data
        Intensities, shape (t, z, y, x).
    """
    frames, _, height, width = data.shape
    middle = ((height - 1) / 2, (width - 1) / 2)
    if frames < _FEWEST_FRAMES:
        return middle
    motion = np.zeros((height, width))
    for z in range(data.shape[1]):
        moving = np.asarray(data[:, z], np.float32).std(0)
        motion += moving / max(float(moving.max()), np.finfo(np.float32).tiny)
    side = max(height, width)
    motion = ndimage.gaussian_filter(motion, _BLUR * side)
    yy, xx = np.ogrid[:height, :width]
    away = (yy - middle[0]) ** 2 + (xx - middle[1]) ** 2
    motion *= np.exp(-away / (2 * (_PRIOR * side) ** 2))
    motion[motion < 0.5 * motion.max()] = 0
    if not motion.any():
        return middle
    y, x = ndimage.center_of_mass(motion)
    return float(y), float(x)


def square_around(
    centre: tuple[float, float], side: tuple[int, int], shape: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of a box of a given size around a centre, moved to fit into the picture.

    Parameters
    ----------
    centre
        Row and column.
    side
        Rows and columns of the box; cut to the picture where it is smaller.
    shape
        Rows and columns of the picture.
    """
    spans = []
    for middle, length, limit in zip(centre, side, shape, strict=True):
        length = min(length, limit)
        start = min(max(0, round(middle - (length - 1) / 2)), limit - length)
        spans.append(slice(start, start + length))
    return spans[0], spans[1]
