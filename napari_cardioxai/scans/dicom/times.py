"""When each frame was taken, from keys that are times, or as the header lets it be worked out."""

from __future__ import annotations

import numpy as np

from napari_cardioxai.scans.dicom.frame import Frame
from napari_cardioxai.scans.dicom.rules import AFTER_R_WAVE, CLOCKS, LONGEST_TRIGGER_MS

CYCLE_MS = (300.0, 2500.0)  # 200 down to 24 beats a minute
FRAME_STEP_MS = (5.0, 200.0)


def frame_times(
    grid: list[list[Frame | None]], rule: str, cycle_ms: float | None, notes: list[str]
) -> np.ndarray | None:
    """Time of each frame in ms, shape (t,), or None; what was assumed is added to `notes`."""
    for key in AFTER_R_WAVE:
        times = _median_times(grid, key)
        if times is not None and times[0] >= 0 and times[-1] <= LONGEST_TRIGGER_MS:
            return times
    percent = _median_times(grid, "NominalPercentageOfCardiacPhase")
    if cycle_ms is not None and percent is not None and percent[-1] <= 100:
        return percent / 100 * cycle_ms
    if rule in CLOCKS:
        times = _median_times(grid, rule, from_first=True)
        if times is not None and times[-1] <= LONGEST_TRIGGER_MS:
            return times
    count = len(grid)
    step = plausible(
        np.array([f.resolution_ms for row in grid for f in row if f is not None]), FRAME_STEP_MS
    )
    if step is not None and CYCLE_MS[0] <= step * count <= CYCLE_MS[1]:
        notes.append(
            f"frames have no times; they are taken to be {step:.1f} ms apart as announced."
        )
        return step * np.arange(count)
    if cycle_ms is not None:
        notes.append(
            f"frames have no times; they are spread evenly over the cycle of {cycle_ms:.0f} ms."
        )
        return cycle_ms / count * np.arange(count)
    notes.append("the time between frames is unknown.")
    return None


def _median_times(
    grid: list[list[Frame | None]], key: str, *, from_first: bool = False
) -> np.ndarray | None:
    """Median of a key over slices, shape (t,); None unless it is there and increases in all."""
    times = np.array([[np.nan if f is None else f.keys.get(key, np.nan) for f in r] for r in grid])
    present = np.array([[f is not None for f in row] for row in grid])
    if not np.isfinite(times[present]).all():
        return None
    if from_first:
        times = times - np.nanmin(times, axis=0)
    if any((np.diff(column[np.isfinite(column)]) <= 0).any() for column in times.T):
        return None
    known = np.flatnonzero(present.any(axis=1))
    medians = _continued(known, np.nanmedian(times[known], axis=1), len(grid))
    return medians if (np.diff(medians) > 0).all() else None


def _continued(known: np.ndarray, times: np.ndarray, count: int) -> np.ndarray:
    """Times of all `count` frames from those at the indices `known`, in even steps where not."""
    index = np.arange(count)
    filled = np.interp(index, known, times)
    step = np.median(np.diff(times) / np.diff(known)) if len(known) > 1 else 0.0
    before, after = index < known[0], index > known[-1]
    filled[before] = times[0] - step * (known[0] - index[before])
    filled[after] = times[-1] + step * (index[after] - known[-1])
    return filled


def plausible(values: np.ndarray, limits: tuple[float, float]) -> float | None:
    """Median of the values within limits, or None."""
    inside = values[(values >= limits[0]) & (values <= limits[1])]
    return float(np.median(inside)) if len(inside) else None
