"""Which phase of the cycle each frame of a slice is, also when some are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_cardioxai.scans.dicom.frame import Frame
from napari_cardioxai.scans.dicom.rules import COUNTERS, announced_count, usual_count

FEW_HOLES = 0.25  # share of frames that may be missing for the rest to tell where


def frames_by_phase(
    columns: Sequence[dict[float, Frame]], rule: str, notes: list[str]
) -> list[dict[int, Frame]]:
    """Frames of each slice by their index in time."""
    announced = announced_count(column.values() for column in columns)
    values = [np.array(list(column)) for column in columns]
    usual = usual_count([len(v) for v in values], announced)
    count = max(usual, announced)
    if rule in COUNTERS and all(v.min() >= 1 and v.max() <= count for v in values):
        index = [(v - 1).astype(int) for v in values]
    else:
        if rule == "InstanceNumber":
            values = _relative_numbers(values, usual)
        index = _places(values, usual=usual, announced=announced)
    found = 1 + max(int(places.max()) for places in index)
    if announced > found:
        notes.append(f"the header announces {announced} phases, {found} were found.")
    rows = []
    for z, (column, places) in enumerate(zip(columns, index, strict=True)):
        if (places < 0).any():
            notes.append(
                f"slice {z + 1} of {len(columns)} has {len(column)} phases where others have {found}; "
                f"the {int((places >= 0).sum())} that fit in time are used."
            )
        paired = zip(places, column.values(), strict=True)
        rows.append({int(row): frame for row, frame in paired if row >= 0})
    return rows


def _relative_numbers(values: list[np.ndarray], usual: int) -> list[np.ndarray]:
    """Instance numbers counted from the first frame of each slice."""
    whole = [v for v in values if len(v) == usual]
    steps = {int(step) for v in whole for step in np.diff(v)}
    if steps == {1}:  # slice after slice
        starts = {int(v.min() - 1) % usual for v in whole}
        if len(starts) == 1:
            return [np.sort((v - 1 - min(starts)) % usual) for v in values]
    elif len(steps) == 1:  # time after time
        return [(v - 1) // min(steps) for v in values]
    return [v - v.min() for v in values]


def _places(values: list[np.ndarray], *, usual: int, announced: int) -> list[np.ndarray]:
    """Index in time of each value of each slice, -1 for those left over.

    Where frames are evenly spaced each slice counts its own steps, because a
    slower heart stretches all of them; other slices are matched in time.
    """
    grids = [_own_grid(v) for v in values]
    steps = [np.median(np.diff(v)) for v in values if len(v) > 2]
    step = np.median(steps) if steps else 1.0
    grids = [
        None if g is None or not _similar(np.median(np.diff(v)) / step) else g
        for g, v in zip(grids, values, strict=True)
    ]
    even = [(v, g) for v, g in zip(values, grids, strict=True) if g is not None]
    count = usual
    if 2 * len(even) > len(values):
        start = np.median([v[0] / np.median(np.diff(v)) for v, _ in even])
        for k, (v, g) in enumerate(zip(values, grids, strict=True)):
            if g is not None and not len(v) == usual >= announced:
                late = round(v[0] / np.median(np.diff(v)) - start)
                grids[k] = g + max(0, min(late, max(usual, announced) - 1 - int(g[-1])))
        support = np.bincount(np.concatenate([g for g in grids if g is not None]))
        supported = 1 + int(np.flatnonzero(2 * support >= len(even)).max())
        if announced != usual and supported <= (1 + FEW_HOLES) * usual:
            count = supported
    reference = _reference(values, grids, count)
    return [
        np.arange(count)
        if len(v) == count
        else np.where(g < count, g, -1)
        if g is not None and len(v) <= count
        else _match(v, reference)
        for v, g in zip(values, grids, strict=True)
    ]


def _similar(ratio: float) -> bool:
    """Whether two steps may come from the same protocol at different heart rates."""
    return bool(0.67 < ratio < 1.5)


def _own_grid(values: np.ndarray) -> np.ndarray | None:
    """Steps from the first value if all lie on even steps, else None."""
    if len(values) < 4:
        return None
    step = np.median(np.diff(values))
    places = np.round((values - values[0]) / step)
    off_grid = np.abs(values - values[0] - places * step).max()
    distinct = (np.diff(places) >= 1).all()
    return places.astype(int) if off_grid < 0.25 * step and distinct else None


def _reference(values: list[np.ndarray], grids: list[np.ndarray | None], count: int) -> np.ndarray:
    """Median time of each place over the slices whose places are known."""
    table = np.full((len(values), count), np.nan)
    for row, v, g in zip(table, values, grids, strict=True):
        if len(v) == count:
            row[:] = v
        elif g is not None:
            row[g[g < count]] = v[g < count]
    known = np.flatnonzero(np.isfinite(table).any(axis=0))
    return np.interp(np.arange(count), known, np.nanmedian(table[:, known], axis=0))


def _match(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Index into `reference` for each value, both ascending; -1 for values left over.

    The matching in order that costs least in time. A slice that lacks frames
    may also be stretched by its heart rate, so its step is tried as well.
    """
    if len(values) == len(reference):
        return np.arange(len(values))
    scales = [1.0]
    if 2 < len(values) < len(reference):
        stretch = float(np.median(np.diff(reference)) / np.median(np.diff(values)))
        scales += [stretch] if _similar(stretch) else []
    matches = [_cheapest(values * scale, reference) for scale in scales]
    return min(matches, key=lambda match: match[0])[1]


def _cheapest(values: np.ndarray, reference: np.ndarray) -> tuple[float, np.ndarray]:
    """Cost and matching in order of the shorter list to some of the longer."""
    if len(values) > len(reference):
        cost, inverse = _cheapest(reference, values)
        places = np.full(len(values), -1)
        places[inverse] = np.arange(len(reference))
        return cost, places
    n, m = len(values), len(reference)
    distance = np.abs(np.subtract.outer(values, reference))
    best = np.full((n + 1, m + 1), np.inf)
    best[0] = 0.0
    for i in range(1, n + 1):
        for j in range(i, m + 1):
            best[i, j] = min(best[i, j - 1], best[i - 1, j - 1] + distance[i - 1, j - 1])
    places = np.empty(n, int)
    j = m
    for i in range(n, 0, -1):
        while best[i, j - 1] <= best[i, j] and j > i:
            j -= 1
        places[i - 1] = j - 1
        j -= 1
    return float(best[n, m]), places
