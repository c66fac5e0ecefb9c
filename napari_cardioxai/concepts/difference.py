"""What a walk has changed, voxel by voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GONE = 4
"""What was heart and is background now."""


def difference_labels(moved: NDArray[np.uint8], unchanged: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where two label maps differ, and what is there now.

    Parameters
    ----------
    moved, unchanged
        Values 0 to 3, of one shape.

    Returns
    -------
    0 where both agree, else the structure of `moved`, or `GONE` where that is background.
    """
    now = np.where(moved == 0, np.uint8(GONE), moved)
    return np.where(moved == unchanged, np.uint8(0), now)
