"""Measuring decoded hearts: many cycles, only what concepts are about, in true mm and mL.

A decoded cycle has neither a pixel size nor a clock of its own. It is measured
with those of the scan that it was encoded from: the pixels of the normalised
grid, the distance between the slices that were taken, and the times at which
its frames lie in the scan's heart cycle. Volumes are those of the three slices,
each standing for the distance to its neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import MYOCARDIAL_DENSITY_G_PER_ML
from napari_cardioxai.anatomy.rates import filling_rates
from napari_cardioxai.anatomy.steps import without_steps
from napari_cardioxai.anatomy.volumes import (
    LV,
    MYO,
    RV,
    ejection_fraction,
    slice_curves_ml,
    volume_curve_ml,
)
from napari_cardioxai.anatomy.walls import (
    thickening_percent,
    thickening_variance,
    wall_thickness,
)
from napari_cardioxai.cohorts.normalisation import CineTransform
from napari_cardioxai.errors import CohortError, MeasurementError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.geometry import Geometry, spacing_of


@dataclass(frozen=True)
class Biomarker:
    """A number that is measured along a walk.

    Attributes
    ----------
    key
        As `Measurements` has it.
    name, unit
        As readers write them.
    decimals
        That the measurement deserves.
    """

    key: str
    name: str
    unit: str
    decimals: int = 0

    def text(self, value: float) -> str:
        """The value with its decimals, without the unit."""
        return f"{value:.{self.decimals}f}"


BIOMARKERS: Mapping[str, Biomarker] = MappingProxyType(
    {
        one.key: one
        for one in (
            Biomarker("ef_percent", "EF", "%"),
            Biomarker("per_edv_s", "PER", "EDV/s", 1),
            Biomarker("pfr_edv_s", "PFR", "EDV/s", 1),
            Biomarker("pafr_edv_s", "APFR", "EDV/s", 1),
            Biomarker("thickening_variance_percent2", "Variance of wall thickening", "%²"),
            Biomarker("edv_ml", "EDV", "mL"),
            Biomarker("lvm_g", "LV mass", "g"),
            Biomarker("wall_ed_max_mm", "Thickest wall at ED", "mm", 1),
            Biomarker("rv_ef_percent", "RV EF", "%"),
        )
    }
)
"""Measured on every decoded heart, by the keys of `Measurements`."""


SEGMENTS = 12
"""Of the basal and mid ring (AHA 1 to 12), whose thickening is read."""


@dataclass(frozen=True)
class Ruler:
    """Grid and clock of a sequence, from the scan that it was made of.

    Attributes
    ----------
    geometry
        Of the sequence's own grid (3, y, x).
    frame_times_ms
        Of the sequence's frames, shape (T,); None when the scan has none.
    cycle_ms
        Length of the scan's heart cycle.
    """

    geometry: Geometry
    frame_times_ms: NDArray[np.float64] | None
    cycle_ms: float | None

    @classmethod
    def of(cls, labels: Labels, transform: CineTransform) -> Ruler:
        """The ruler of a sequence.

        Parameters
        ----------
        labels
            What the sequence was made from.
        transform
            How.

        Raises
        ------
        CohortError
            When the pixel size is unknown.
        """
        spacing = labels.geometry.spacing_mm
        if spacing is None:
            raise CohortError("the pixel size is unknown, so a decoded heart has no volume in mL.")
        return cls(_geometry(labels.geometry, transform), *_clock(labels, transform))

    def labels(self, cycle: NDArray[np.uint8]) -> Labels:
        """A cycle (T, 3, y, x) as labels that can be measured."""
        return Labels(
            cycle, self.geometry, frame_times_ms=self.frame_times_ms, cycle_ms=self.cycle_ms
        )


def measure_cycle(cycle: NDArray[np.uint8], ruler: Ruler) -> dict[str, float]:
    """Every one of `BIOMARKERS` of one cycle; NaN where the labels do not allow it.

    Parameters
    ----------
    cycle
        Labels, shape (T, 3, y, x).
    ruler
        What its pixels and frames stand for.
    """
    return measure_labels(ruler.labels(cycle))


def measure_labels(labels: Labels) -> dict[str, float]:
    """Every one of `BIOMARKERS` of labels on any grid; NaN where they do not allow it."""
    return measure_segments(labels)[0]


def measure_segments(labels: Labels) -> tuple[dict[str, float], NDArray[np.float64]]:
    """`BIOMARKERS`, and thickening in % of the AHA segments 1 to 12, NaN where not measurable.

    Parameters
    ----------
    labels
        On any grid.
    """
    found = dict.fromkeys(BIOMARKERS, float("nan"))
    segments = np.full(SEGMENTS, np.nan)
    slices_ml = slice_curves_ml(labels, LV)
    try:
        ejected = ejection_fraction(slices_ml.sum(1))
    except MeasurementError:
        return found, segments
    found |= {"ef_percent": ejected.percent, "edv_ml": ejected.edv_ml}
    rates = filling_rates(
        without_steps(slices_ml)[0], labels.frame_times_ms, cycle_ms=labels.cycle_ms
    )
    for key in ("per_edv_s", "pfr_edv_s", "pafr_edv_s"):
        found[key] = _number(getattr(rates, key))
    muscle = replace(labels, data=labels.data[ejected.ed_frame : ejected.ed_frame + 1])
    found["lvm_g"] = MYOCARDIAL_DENSITY_G_PER_ML * float(volume_curve_ml(muscle, MYO)[0])
    try:
        found["rv_ef_percent"] = ejection_fraction(volume_curve_ml(labels, RV)).percent
        walls, segments = _walls(labels, ejected.ed_frame, ejected.es_frame)
        found |= walls
    except MeasurementError:
        pass
    return found, segments


def measure_cycles(
    cycles: NDArray[np.uint8], rulers: Sequence[Ruler], *, on_progress: Progress = silent
) -> NDArray[np.float64]:
    """Biomarkers of many cycles, shape (n, len(BIOMARKERS)), NaN where not measurable.

    Parameters
    ----------
    cycles
        Labels, shape (n, T, 3, y, x).
    rulers
        One for each.
    on_progress
        Called per cycle; may raise `Cancelled`.
    """
    rows = np.empty((len(cycles), len(BIOMARKERS)))
    for k, (cycle, ruler) in enumerate(zip(cycles, rulers, strict=True)):
        rows[k] = list(measure_cycle(cycle, ruler).values())
        on_progress(k + 1, len(cycles), "measuring")
    return rows


def _walls(labels: Labels, ed: int, es: int) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Thickest wall and variance of thickening, NaN where it cannot be told; and the segments."""
    still = replace(labels, data=labels.data[[ed, es]], frame_times_ms=None)
    walls = wall_thickness(still, ed_frame=0)
    at_ed = walls.aha_mm[0]
    found = {"wall_ed_max_mm": float(np.nanmax(at_ed)) if np.isfinite(at_ed).any() else np.nan}
    try:
        by_slice = thickening_percent(*walls.segment_mm)
        found["thickening_variance_percent2"] = thickening_variance(by_slice, walls.rings)
    except MeasurementError:
        pass
    return found, thickening_percent(*walls.aha_mm)[:SEGMENTS]


def _geometry(scan: Geometry, transform: CineTransform) -> Geometry:
    """Of the sequence's grid: pixels of the normalisation, slices where they lie in the scan."""
    assert scan.spacing_mm is not None
    (row_row, row_col, row), (col_row, col_col, col) = transform.to_scan
    first, step = transform.slices[0], transform.slices[1] - transform.slices[0]
    to_scan = np.array(  # (x, y, z, 1) of the sequence to that of the scan
        [
            [col_col, col_row, 0, col],
            [row_col, row_row, 0, row],
            [0, 0, step, first],
            [0, 0, 0, 1.0],
        ]
    )
    pixel = transform.spec.pixel_mm
    affine = None if scan.affine is None else np.asarray(scan.affine, float) @ to_scan
    distance = abs(step) * scan.spacing_mm[0] if affine is None else spacing_of(affine)[0]
    positions = scan.slice_positions_mm
    if positions is not None:
        positions = tuple(positions[z] for z in transform.slices)
    return Geometry((distance, pixel, pixel), affine, positions)


def _clock(
    labels: Labels, transform: CineTransform
) -> tuple[NDArray[np.float64] | None, float | None]:
    """When the frames of the sequence are, from its end-diastole on, and the length of the cycle."""
    if labels.frame_times_ms is None:
        return None, labels.cycle_ms
    times = np.asarray(labels.frame_times_ms, float)
    span = times[-1] - times[0]
    covered = span + float(np.median(np.diff(times)))
    cycle = labels.cycle_ms
    if cycle is None or not span < cycle <= 1.5 * covered:
        cycle = covered
    # Frames of the cycle that follows the one recorded are there for the wrapping only.
    around = np.concatenate([times, times + cycle])
    seen = np.interp(transform.scan_frames, np.arange(2 * len(times)), around)
    return seen - seen[0], float(cycle)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
