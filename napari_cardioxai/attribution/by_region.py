"""Where in the regions of an atlas a map is strong: over the cycle, and at its peak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class PhaseCurves:
    """What of a map lies in which structure, frame by frame.

    Attributes
    ----------
    frames
        Of the scan, shape (n,).
    percent
        Part of the evidence of all frames, by structure, shape (n,) each;
        together 100 over all frames and structures, with what lies elsewhere.
    """

    frames: tuple[int, ...]
    percent: Mapping[str, NDArray[np.float64]]


def phase_curves(
    evidence: NDArray,
    structures: NDArray,
    names: Mapping[int, str],
    *,
    frames: tuple[int, ...],
    elsewhere: str = "elsewhere",
) -> PhaseCurves:
    """How the evidence of a map is spread over phases and structures.

    Parameters
    ----------
    evidence
        What counts, nowhere below zero, shape (n, slices, y, x).
    structures
        On the same grid; values without a name lie elsewhere.
    names
        By value.
    frames
        Which frames of the scan the first axis stands for.
    elsewhere
        Name of the curve of everything else.
    """
    total = float(evidence.sum()) or 1.0
    percent = {
        name: 100 * np.where(structures == value, evidence, 0).sum((1, 2, 3), dtype=float) / total
        for value, name in names.items()
    }
    everything = 100 * evidence.sum((1, 2, 3), dtype=float) / total
    percent[elsewhere] = np.maximum(everything - sum(percent.values()), 0.0)
    return PhaseCurves(frames, percent)


def region_peaks(
    heat: NDArray, regions: NDArray, names: Mapping[int, str]
) -> dict[int, tuple[int, ...]]:
    """The voxel of each region where a map is highest; regions without a voxel are absent.

    Parameters
    ----------
    heat, regions
        On one grid, any number of axes.
    names
        By value.
    """
    there = [value for value in names if (regions == value).any()]
    places = ndimage.maximum_position(heat, regions, there) if there else []
    return {value: tuple(int(k) for k in place) for value, place in zip(there, places, strict=True)}
