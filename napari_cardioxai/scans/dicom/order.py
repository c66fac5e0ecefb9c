"""Pictures of one acquisition put in order: slices by position, frames by time.

Slices are ordered along the normal (row x column) by ImagePositionPatient
alone; SliceLocation and slice thickness are wrong too often. Frames are ordered
slice by slice, because trigger times differ between breath-holds, by the first
key that can be trusted in all slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cardioxai.scans.dicom.frame import Frame
from napari_cardioxai.scans.dicom.phases import frames_by_phase
from napari_cardioxai.scans.dicom.rules import (
    COUNTERS,
    FILE_NAME,
    announced_count,
    choose_rule,
    is_trusted,
    usual_count,
    values_of,
)
from napari_cardioxai.scans.dicom.times import CYCLE_MS, frame_times, plausible
from napari_cardioxai.scans.listing import natural_key

CINE_FRAMES = 5  # frames from which a slice is no doubled still
NAMED_FRAMES = 5  # missing frames that are named one by one


@dataclass(frozen=True)
class Ordering:
    """Frames of an acquisition by time and slice.

    Attributes
    ----------
    grid
        grid[t][z], None where a frame is missing.
    rule
        The key that ordered the frames, "" when there was nothing to order.
    frame_times_ms
        Median over slices, shape (t,), or None.
    cycle_ms
        Median heart cycle, or None.
    notes
        Sentences about what was found.
    """

    grid: list[list[Frame | None]]
    rule: str
    frame_times_ms: np.ndarray | None
    cycle_ms: float | None
    notes: tuple[str, ...]


def order_frames(slices: Sequence[list[Frame]]) -> Ordering:
    """Order the frames of slices that are in order already."""
    notes: list[str] = []
    slices = _without_copies(slices, notes)
    slices = [
        _last_acquisition(frames, slices, place=f"slice {z + 1} of {len(slices)}", notes=notes)
        for z, frames in enumerate(slices)
    ]
    cycle_ms = plausible(np.array([f.cycle_ms for frames in slices for f in frames]), CYCLE_MS)
    if max(map(len, slices)) == 1:
        return Ordering([[frames[0] for frames in slices]], "", None, cycle_ms, tuple(notes))
    rule = choose_rule(slices)
    if rule == FILE_NAME:
        notes.append(
            "no header key tells its frames apart, so they are in the order of file names."
        )
    columns = [_by_value(frames, rule) for frames in slices]
    notes += _doubled_notes(slices, columns)
    rows = frames_by_phase(columns, rule, notes)
    count = 1 + max(row for column in rows for row in column)
    grid: list[list[Frame | None]] = [[None] * len(slices) for _ in range(count)]
    for z, column in enumerate(rows):
        for row, frame in column.items():
            grid[row][z] = frame
    notes += _missing_notes(grid)
    times = frame_times(grid, rule, cycle_ms, notes)
    if rule in COUNTERS and is_trusted("TriggerTime", slices) and times is None:
        notes.append(f"the order by {rule} contradicts TriggerTime.")
    return Ordering(grid, rule, times, cycle_ms, tuple(notes))


# Doubled frames --------------------------------------------------------------


def _last_acquisition(
    frames: list[Frame], slices: Sequence[list[Frame]], *, place: str, notes: list[str]
) -> list[Frame]:
    """Of a slice that was acquired more than once, the last time."""
    announced = announced_count(slices)
    usual = usual_count([len(other) for other in slices], announced)
    last = frames
    if usual == 1:
        last = [max(frames, key=_age)]
    for parts in (_parts(frames, "AcquisitionNumber"), _parts(frames, "AcquisitionTime")):
        count = len(parts[-1]) if parts else 0
        if last is frames and 1 < count <= len(frames) / 1.5 and count in (usual, announced):
            last = parts[-1]
    restarts = _restarts(frames)
    if last is frames and len(restarts) > 1 and len({len(part) for part in restarts}) == 1:
        last = restarts[-1] if len(restarts[-1]) >= CINE_FRAMES else frames
    if len(last) < len(frames):
        notes.append(f"{place} was acquired more than once; the last time is used.")
    return last


def _age(frame: Frame) -> tuple[float, ...]:
    return tuple(
        frame.keys.get(k, 0.0) for k in ("AcquisitionTime", "InstanceNumber", "ContentTime")
    )


def _parts(frames: list[Frame], key: str) -> list[list[Frame]]:
    """Frames by the value of a key, ascending."""
    values = values_of(frames, key)
    return [[frames[k] for k in np.flatnonzero(values == v)] for v in np.unique(values)]


def _restarts(frames: list[Frame]) -> list[list[Frame]]:
    """Frames in the order of their numbers, cut where the trigger time starts again."""
    frames = sorted(frames, key=lambda f: f.keys.get("InstanceNumber", 0.0))
    cuts = np.flatnonzero(np.diff(values_of(frames, "TriggerTime")) < 0) + 1
    return [[frames[k] for k in part] for part in np.split(np.arange(len(frames)), cuts)]


def _without_copies(slices: Sequence[list[Frame]], notes: list[str]) -> list[list[Frame]]:
    """Drop files that are there twice under different names."""
    without: list[list[Frame]] = []
    copies: list[Frame] = []
    for frames in slices:
        kept: dict[tuple, Frame] = {}
        for frame in sorted(frames, key=lambda f: f.is_cut):
            same = (frame.uid or frame.path, frame.number, *sorted(frame.keys.items()))
            if kept.setdefault(same, frame) is not frame:
                copies.append(frame)
        without.append(list(kept.values()))
    if copies:
        notes.append(
            f"{_count(len(copies), 'frame is', 'frames are')} there twice, such as "
            f"{copies[0].path.name}; one of each is used."
        )
    return without


def _by_value(frames: list[Frame], rule: str) -> dict[float, Frame]:
    """Frames by the value that orders them; of doubled ones the latest."""
    if rule == FILE_NAME:
        named = sorted(frames, key=lambda f: (natural_key(f.path), f.number))
        return {float(k): f for k, f in enumerate(named)}
    latest = sorted(
        frames,
        key=lambda f: (
            not f.is_cut,
            f.keys.get("InstanceNumber", 0),
            f.keys.get("ContentTime", 0),
            f.path.name,
        ),
    )
    columns = {f.keys[rule]: f for f in latest}
    return dict(sorted(columns.items()))


def _doubled_notes(
    slices: Sequence[list[Frame]], columns: Sequence[dict[float, Frame]]
) -> list[str]:
    notes = []
    for z, (frames, column) in enumerate(zip(slices, columns, strict=True)):
        extra = len(frames) - len(column)
        if extra:
            used = {id(f) for f in column.values()}
            name = next(f.path.name for f in frames if id(f) not in used)
            notes.append(
                f"slice {z + 1} of {len(slices)} has {_count(extra, 'doubled frame', 'doubled frames')}, "
                f"such as {name}: the later of each pair is used."
            )
    return notes


# Missing frames --------------------------------------------------------------


def _missing_notes(grid: list[list[Frame | None]]) -> list[str]:
    """Name missing frames, counted from one as the sliders' readers do."""
    count, slices = len(grid), len(grid[0])
    places = [(t, z) for z in range(slices) for t in range(count) if grid[t][z] is None]
    if not places:
        return []
    found = f"{count * slices - len(places)} of {count * slices} frames found"
    if len(places) <= NAMED_FRAMES:
        named = "; ".join(f"slice {z + 1} of {slices}, phase {t + 1} of {count}" for t, z in places)
        verb = "is" if len(places) == 1 else "are"
        return [f"{named} {verb} missing and left empty: {found}."]
    per_slice = Counter(z for _, z in places)
    named = ", ".join(f"{missing} in slice {z + 1}" for z, missing in per_slice.items())
    return [f"{len(places)} frames are missing and left empty ({named}): {found}."]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
