"""One map from many: each method brought to one scale, weighted by how faithful it proved.

After Kennedy's summary score, whose definition is not public. What is weighted
is energy, not ranks: a mean of ranks smears a peak over the whole image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.errors import AttributionError

SMOOTHING_MM = 2.0
"""Standard deviation by which maps are blurred before they are compared: no finer than a pixel or two."""

_HIGHEST_PERCENTILE = 99.5  # becomes 1, so that a single voxel does not set the scale


@dataclass(frozen=True, eq=False)
class Summary:
    """What the methods say together.

    Attributes
    ----------
    heat
        Weighted mean of the normalised maps, 0 to 1, shape (*spatial).
    weights
        Of each method, together 1; a method with 0 was left out.
    agreement
        Kendall's W of the methods that count, over voxels where any of them
        says something: 0 none, 1 all rank the voxels alike; None for one method.
    notes
        Sentences for the reader.
    """

    heat: NDArray[np.float64]
    weights: Mapping[str, float]
    agreement: float | None
    notes: tuple[str, ...] = ()


def normalised(
    evidence: NDArray, *, spacing_mm: Sequence[float | None] | None = None
) -> NDArray[np.float64]:
    """What speaks for the target, blurred by 2 mm, on a scale from 0 to 1.

    Parameters
    ----------
    evidence
        Shape (*spatial).
    spacing_mm
        One entry a spatial axis; an axis with None is not blurred. Not given: 1 mm.

    Returns
    -------
    Shape (*spatial); zero everywhere when nothing speaks for the target.
    """
    positive = np.maximum(np.asarray(evidence, np.float64), 0)
    steps = (1.0,) * positive.ndim if spacing_mm is None else tuple(spacing_mm)
    sigma = [0.0 if step is None else SMOOTHING_MM / step for step in steps]
    smooth = ndimage.gaussian_filter(positive, sigma, mode="constant")
    scale = float(np.percentile(smooth, _HIGHEST_PERCENTILE))
    if scale <= 0:
        scale = float(smooth.max())
    return np.clip(smooth / scale, 0, 1) if scale > 0 else smooth


def kendalls_w(values: NDArray) -> float:
    """Kendall's coefficient of concordance with its correction for ties.

    W = 12 S / (m² (n³ - n) - m sum of T), where S is the sum of squared
    deviations of the rank sums and T = sum of t³ - t over the ties of a judge.

    Parameters
    ----------
    values
        What m judges say of n items, shape (m, n).

    Returns
    -------
    0 to 1; NaN when nobody tells any two items apart.

    References
    ----------
    Kendall and Babington Smith 1939; Siegel and Castellan 1988, section 9.6.
    """
    from scipy.stats import rankdata

    values = np.asarray(values, np.float64)
    judges, items = values.shape
    if judges < 2 or items < 2:
        raise AttributionError(
            f"agreement needs two maps and two places at least, not {judges} and {items}."
        )
    sums = np.zeros(items)
    ties = 0.0
    for row in values:
        sums += rankdata(row)
        counts = np.unique(row, return_counts=True)[1].astype(np.float64)
        ties += float((counts**3 - counts).sum())
    spread = float(((sums - sums.mean()) ** 2).sum())
    most = judges**2 * (float(items) ** 3 - items) - judges * ties
    return 12 * spread / most if most > 0 else float("nan")


def method_weights(
    faithfulness: Mapping[str, float], *, failed: Collection[str] = ()
) -> dict[str, float]:
    """Weights that sum to 1, in proportion to how faithful each method proved.

    Parameters
    ----------
    faithfulness
        Insertion less deletion by method, see `scores.removal`; below zero counts
        as zero and above one as one: a network that overshoots on half-changed
        images must not hand the summary to one method.
    failed
        Methods that count nothing, such as those that failed their sanity check.

    Returns
    -------
    Zero for all when none proved faithful.
    """
    raw = {
        name: 0.0 if name in failed or not np.isfinite(value) else min(1.0, max(0.0, float(value)))
        for name, value in faithfulness.items()
    }
    total = sum(raw.values())
    return {name: value / total if total > 0 else 0.0 for name, value in raw.items()}


def summarise(maps: Mapping[str, NDArray], weights: Mapping[str, float]) -> Summary:
    """Combine normalised maps.

    Parameters
    ----------
    maps
        By method, from `normalised`, all on one grid.
    weights
        By method, from `method_weights`; where all are zero, methods count
        alike, and the notes say so.

    Raises
    ------
    AttributionError
        When there is no map, or they lie on different grids.
    """
    if len({heat.shape for heat in maps.values()}) != 1:
        there = "there is no map" if not maps else "the maps lie on different grids"
        raise AttributionError(f"{there}, so that there is no summary.")
    used = {name: float(weights.get(name, 0.0)) for name in maps}
    notes = []
    if sum(used.values()) <= 0:
        used = dict.fromkeys(maps, 1 / len(maps))
        notes.append("No method proved faithful; in the summary all count alike.")
    total = sum(used.values())
    used = {name: weight / total for name, weight in used.items()}
    heat = np.sum([weight * maps[name] for name, weight in used.items()], axis=0)
    counting = np.stack([maps[name].ravel() for name, weight in used.items() if weight > 0])
    somewhere = counting[:, counting.any(0)]
    agreement = None
    if len(counting) > 1 and somewhere.shape[1] > 1:
        found = kendalls_w(somewhere)
        agreement = found if np.isfinite(found) else None
    return Summary(heat, used, agreement, tuple(notes))
