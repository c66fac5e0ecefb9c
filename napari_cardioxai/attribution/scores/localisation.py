"""Whether a map points at the structure where the evidence is known to lie.

All take one number a voxel (`evidence.evidence_of`) and a mask on the same
grid, with any number of axes. A box is a mask as well (`box_mask`): its corners
count as structure, so that a perfect map of a round structure does not reach 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.attribution.scores.evidence import checked_mask, ranked
from napari_cardioxai.errors import AttributionError

TOLERANCE_MM = 15.0
"""How far beside the structure the peak of a map may lie (Zhang et al. 2018 take 15 pixels)."""

_FAR_MM = 1e6  # between places that are not in one space, such as two frames


def pointing_game(
    evidence: NDArray,
    mask: NDArray,
    *,
    tolerance_mm: float = TOLERANCE_MM,
    spacing_mm: Sequence[float | None] | None = None,
) -> float:
    """Whether the highest voxel lies in the structure or near it.

    Parameters
    ----------
    evidence, mask
        Shape (*spatial).
    tolerance_mm
        Distance between voxel centres up to which it counts as a hit.
    spacing_mm
        One entry a spatial axis; along an axis with None, such as time, there
        is no tolerance. Not given: 1 mm everywhere.

    Returns
    -------
    1 for a hit and 0 for a miss; where several voxels are highest, the part of
    them that hits.

    References
    ----------
    Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.1.
    """
    evidence = np.asarray(evidence, np.float64)
    inside = checked_mask(mask, evidence.shape)
    steps = (1.0,) * evidence.ndim if spacing_mm is None else tuple(spacing_mm)
    sampling = [_FAR_MM if step is None else step for step in steps]
    away_mm = ndimage.distance_transform_edt(~inside, sampling=sampling)
    peaks = evidence == evidence.max()
    return float((away_mm[peaks] <= tolerance_mm + 1e-9).mean())


def energy_inside(evidence: NDArray, mask: NDArray) -> float:
    """Part of what speaks for the target that lies in the structure.

    sum over the mask of A⁺ / sum of A⁺, 0 to 1; NaN for a map that is nowhere
    above zero.

    References
    ----------
    Arras et al. 2022 (CLEVR-XAI), "relevance mass accuracy".
    """
    evidence = np.asarray(evidence, np.float64)
    inside = checked_mask(mask, evidence.shape)
    positive = np.maximum(evidence, 0)
    total = positive.sum()
    return float(positive[inside].sum() / total) if total > 0 else float("nan")


def iou_at(
    evidence: NDArray,
    mask: NDArray,
    *,
    top_percent: float | None = None,
    rng: np.random.Generator,
) -> float:
    """Overlap of the K highest voxels with the structure: intersection over union.

    Parameters
    ----------
    evidence, mask
        Shape (*spatial).
    top_percent
        K in percent of all voxels; None: as many voxels as the structure has.
    rng
        Decides between voxels that are alike.
    """
    evidence = np.asarray(evidence, np.float64)
    inside = checked_mask(mask, evidence.shape)
    if top_percent is not None and not 0 < top_percent <= 100:
        raise AttributionError(
            f"the top of a map is above 0 and up to 100 percent, not {top_percent:g}."
        )
    wanted = int(inside.sum())
    if top_percent is not None:
        wanted = max(1, round(top_percent / 100 * evidence.size))
    top = np.zeros(evidence.size, bool)
    top[ranked(evidence, rng)[:wanted]] = True
    both = np.count_nonzero(top & inside.ravel())
    return float(both / (wanted + int(inside.sum()) - both))


def auprc(evidence: NDArray, mask: NDArray) -> float:
    """Area under precision and recall as average precision; a random map gets the structure's share.

    Parameters
    ----------
    evidence, mask
        Shape (*spatial).

    References
    ----------
    Davis and Goadrich 2006; computed by scikit-learn.
    """
    from sklearn.metrics import average_precision_score

    evidence = np.asarray(evidence, np.float64)
    inside = checked_mask(mask, evidence.shape)
    return float(average_precision_score(inside.ravel(), evidence.ravel()))


def box_mask(shape: Sequence[int], low: Sequence[int], high: Sequence[int]) -> NDArray[np.bool_]:
    """A box as a mask: voxels from `low` up to and without `high`.

    Parameters
    ----------
    shape
        Of the mask.
    low, high
        One index an axis.

    Raises
    ------
    AttributionError
        When the box is empty or reaches beyond the grid.
    """
    corners = tuple(zip(low, high, shape, strict=True))
    if any(not 0 <= a < b <= length for a, b, length in corners):
        raise AttributionError(
            f"the box from {tuple(low)} to {tuple(high)} does not lie in a grid of {tuple(shape)}."
        )
    mask = np.zeros(tuple(shape), bool)
    mask[tuple(slice(a, b) for a, b, _ in corners)] = True
    return mask
