"""Which header key tells the frames of a slice apart, and whether it can be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from napari_cardioxai.scans.dicom.frame import Frame

ORDER_RULES = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "NominalCardiacTriggerDelayTime",
    "ActualCardiacTriggerDelayTime",
    "DimensionIndexValues",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
FILE_NAME = "file name"
AFTER_R_WAVE = ("TriggerTime", "NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime")
CLOCKS = ("AcquisitionTime", "ContentTime")
COUNTERS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "DimensionIndexValues",
    "InstanceNumber",
)
LONGEST_TRIGGER_MS = 3000.0  # beyond it the tag holds a dynamic's begin or an inversion time
EVEN_STEP = 0.3  # relative deviation of a step that still counts as even
FEW_DOUBLED = 0.25  # share of frames that may be there twice for the rest to be believed


def choose_rule(slices: Sequence[list[Frame]]) -> str:
    """The first key that can be trusted in all slices, or `FILE_NAME`."""
    return next((rule for rule in ORDER_RULES if is_trusted(rule, slices)), FILE_NAME)


def values_of(frames: Sequence[Frame], rule: str) -> np.ndarray:
    """The key's value in each frame, nan where missing."""
    return np.array([f.keys.get(rule, np.nan) for f in frames])


def announced_count(slices: Iterable[Iterable[Frame]]) -> int:
    """Number of phases that the headers agree on, or 0."""
    numbers = {f.planned for frames in slices for f in frames}
    return int(min(numbers)) if len(numbers) == 1 and min(numbers) > 1 else 0


def usual_count(counts: Sequence[int], announced: int) -> int:
    """Frames in a slice: the announced number if a slice has it, else the most common one."""
    if announced in counts:
        return announced
    times = Counter(counts)
    return max(times, key=lambda count: (times[count], count))


def is_trusted(rule: str, slices: Sequence[list[Frame]]) -> bool:
    """Whether a key is there for every frame, plausible, and tells the frames of a slice apart."""
    usual = usual_count([len(frames) for frames in slices], announced_count(slices))
    excess = 0
    for frames in slices:
        values = values_of(frames, rule)
        if not np.isfinite(values).all():
            return False
        if rule in AFTER_R_WAVE and (values.min() < 0 or values.max() > LONGEST_TRIGGER_MS):
            return False
        if rule in CLOCKS and not _is_steady_clock(frames, rule):
            return False
        distinct = np.unique(values)
        doubled = len(values) - len(distinct)
        if len(frames) > 1 and len(distinct) == 1:
            return False
        allowed = max(len(values) - usual, 0)
        if doubled <= FEW_DOUBLED * len(values) and _is_even(distinct):
            allowed = doubled
        excess += max(doubled - allowed, 0)
    # One frame doubled and another of its slice missing leaves the count as it should be.
    return excess <= 0.01 * sum(map(len, slices))


def _is_even(values: np.ndarray) -> bool:
    """Whether sorted values are about one step apart."""
    steps = np.diff(values)
    return len(steps) > 1 and bool((np.abs(steps / np.median(steps) - 1) <= EVEN_STEP).all())


def _is_steady_clock(frames: Sequence[Frame], rule: str) -> bool:
    """Whether clock times look like those of frames, not of files being written.

    Some scanners write a slice's frames out of order within milliseconds. Times
    are believed when they are evenly spaced, or agree with InstanceNumber.
    """
    if len(frames) < 2:
        return True
    clock, numbers = values_of(frames, rule), values_of(frames, "InstanceNumber")
    if np.isfinite(numbers).all():
        in_order = clock[np.argsort(numbers, kind="stable")]
        if (np.diff(in_order) >= 0).all():
            return True
    steps = np.diff(np.unique(clock))
    even = np.abs(steps / np.median(steps) - 1) <= EVEN_STEP if len(steps) else np.array([False])
    return bool(even.mean() >= 0.9)
