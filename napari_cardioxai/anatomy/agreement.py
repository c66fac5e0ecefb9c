"""How well two sets of labels of the same heart agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.volumes import LV, MYO, RV, frame_volume_ml
from napari_cardioxai.errors import LabelError
from napari_cardioxai.scans.geometry import Geometry


@dataclass(frozen=True)
class Agreement:
    """One structure in two label sets.

    Attributes
    ----------
    structure
        1 LV cavity, 2 myocardium, 3 RV cavity.
    dice
        Over all voxels of all frames.
    volume_ml, true_volume_ml
        Of both sets, mean over the frames; None without spacing.
    worst_slice, worst_dice
        Slice (from 0) with the lowest Dice of those where either set has the
        structure.
    """

    structure: int
    dice: float
    volume_ml: float | None
    true_volume_ml: float | None
    worst_slice: int
    worst_dice: float


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient 2|A and B| / (|A| + |B|) of two masks; 1 when both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * int((predicted & truth).sum()) / total


def agreement(labels: Labels, truth: Labels) -> list[Agreement]:
    """Compare labels with true ones on the same grid, structure by structure.

    Frames in which the truth holds nothing were not contoured and do not count;
    neither do structures that the truth never has.

    Raises
    ------
    LabelError
        When the grids differ, or the truth is empty.
    """
    if labels.data.shape != truth.data.shape:
        raise LabelError(
            f"labels of shape {labels.data.shape} cannot be compared with {truth.data.shape} "
            "(t, z, y, x); give the scan that both belong to."
        )
    contoured = truth.data.any((1, 2, 3))
    if not contoured.any():
        raise LabelError("the true labels hold no structure; there is nothing to compare with.")
    found, true = labels.data[contoured], truth.data[contoured]
    rows = []
    for structure in (LV, MYO, RV):
        a, b = found == structure, true == structure
        if not b.any():
            continue
        slices = [z for z in range(a.shape[1]) if a[:, z].any() or b[:, z].any()]
        each = {z: dice(a[:, z], b[:, z]) for z in slices}
        worst = min(each, key=lambda z: each[z])
        ml = [_mean_ml(m, truth.geometry) for m in (a, b)]
        rows.append(Agreement(structure, dice(a, b), ml[0], ml[1], worst, each[worst]))
    return rows


def _mean_ml(mask: NDArray[np.bool_], geometry: Geometry) -> float | None:
    """Volume of a mask (t, z, y, x), mean over its frames, in mL; None without spacing."""
    if geometry.spacing_mm is None:
        return None
    return float(np.mean([frame_volume_ml(frame, geometry, True) for frame in mask]))
