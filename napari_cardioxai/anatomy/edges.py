"""What the cavity of the left ventricle borders on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.volumes import LV, MYO, RV


def cavity_edges(data: NDArray, *, pixel_mm: tuple[float, float] = (1.0, 1.0)) -> NDArray:
    """Length of the LV cavity's edge on each label value, shape (4, t, z).

    The edge of the picture is no edge of the cavity.

    Parameters
    ----------
    data
        Labels, shape (t, z, y, x).
    pixel_mm
        Pixel size (y, x); the lengths come in its unit.
    """
    dy, dx = pixel_mm
    cavity = data == LV
    edges = np.zeros((4, *data.shape[:2]))
    if not cavity.any():
        return edges
    shadow = cavity.any(axis=(0, 1))
    near = tuple(
        slice(max(0, n[0] - 1), n[-1] + 2)
        for n in (np.flatnonzero(shadow.any(axis=axis)) for axis in (1, 0))
    )
    cavity, around = cavity[:, :, *near], data[:, :, *near]
    ahead, behind = np.s_[..., 1:], np.s_[..., :-1]
    above, below = np.s_[..., 1:, :], np.s_[..., :-1, :]
    for here, there, length in (
        (ahead, behind, dy),
        (behind, ahead, dy),
        (above, below, dx),
        (below, above, dx),
    ):
        inside, beside = cavity[here], around[there]
        for value in (0, MYO, RV):
            edges[value] += length * np.count_nonzero(inside & (beside == value), axis=(2, 3))
    return edges
