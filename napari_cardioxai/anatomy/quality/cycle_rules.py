"""Rules about volumes over the heart cycle."""

from __future__ import annotations

import numpy as np

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.anatomy.measurements import CYCLE_MISMATCH
from napari_cardioxai.anatomy.quality.facts import FRAMES_OF_A_CYCLE, Facts, NotApplicableError
from napari_cardioxai.anatomy.quality.rule import Reading
from napari_cardioxai.anatomy.volumes import LV, MYO, RV, ejection_fraction

STROKE_VOLUME_MISMATCH = 0.10  # Ruijsink et al. 2019, QC2
# Hand-drawn ACDC labels change by +15 % from ED to ES in the median, -2 to +36 % in 90 of 100.
MASS_CHANGE_INFO = 0.10
MASS_CHANGE_WARNING = 0.35
VOLUME_JUMP = 0.35  # cmr-volume-analysis, there of the median volume
CYCLE_DISAGREEMENT = 0.10  # cmr-volume-analysis
FRAME_INTERVAL_MS = 45.0  # cmrpocketguide; longer ones blur the filling waves


def frame_count(facts: Facts) -> list[Reading]:
    """Frames of the labels."""
    frames = facts.shape[0]
    if frames == 1:
        raise NotApplicableError("There is one frame, so no cycle.")
    return [Reading(frames, f"There are {frames} frames", frames >= FRAMES_OF_A_CYCLE)]


def cycle_closure(facts: Facts) -> list[Reading]:
    """Volume of the last frame against the first, as a part of the first."""
    readings = []
    for value, curve in _cycles(facts):
        change = float((curve[-1] - curve[0]) / curve[0])
        text = (
            f"The {STRUCTURE_NAMES[value]} volume of the last frame differs from the first by "
            f"{change:+.0%}"
        )
        passed = abs(change) <= CYCLE_MISMATCH
        readings.append(Reading(abs(change), text, passed, frame=len(curve) - 1, structure=value))
    return readings


def volume_jump(facts: Facts) -> list[Reading]:
    """Change from one frame to the next, as a part of the end-diastolic volume."""
    readings = []
    for value, curve in _cycles(facts):
        jumps = np.diff(curve) / curve.max()
        for t, jump in enumerate(jumps, start=1):
            text = (
                f"The {STRUCTURE_NAMES[value]} volume changes by {jump:+.0%} of the "
                f"end-diastolic volume from frame {t} to {t + 1}"
            )
            passed = abs(jump) <= VOLUME_JUMP
            readings.append(Reading(abs(jump), text, passed, frame=t, structure=value))
    return readings


def _cycles(facts: Facts) -> list[tuple[int, np.ndarray]]:
    """Curves of the cavities that are labelled throughout; the LV has to be."""
    curves = [(LV, facts.cycle(LV))]
    if facts.knows(RV) and facts.size(RV).all():
        curves.append((RV, facts.cycle(RV)))
    return curves


def stroke_volumes(facts: Facts) -> list[Reading]:
    """Difference of the stroke volumes, as a part of the left one."""
    facts.need(LV, RV)
    facts.need_slices(3)
    for value in (LV, RV):
        if np.count_nonzero(facts.size(value)) < 2:
            name = STRUCTURE_NAMES[value]
            raise NotApplicableError(f"{name} is labelled in one frame, so it has no stroke.")
    left, right = (ejection_fraction(facts.size(value)) for value in (LV, RV))
    if left.sv_ml == 0:
        raise NotApplicableError("The LV volume does not change, so there is no stroke.")
    difference = abs(left.sv_ml - right.sv_ml) / left.sv_ml
    ratio = f"{right.sv_ml / left.sv_ml:.0%}"
    text = f"The RV stroke volume is {ratio} of the LV stroke volume"
    if facts.labels.geometry.spacing_mm is not None:
        text += f" ({right.sv_ml:.0f} and {left.sv_ml:.0f} mL)"
    return [Reading(difference, text, difference <= STROKE_VOLUME_MISMATCH, frame=left.es_frame)]


def mass_over_cycle(facts: Facts) -> list[Reading]:
    """Largest change of the myocardial mass against end-diastole, as a part of it."""
    facts.need(MYO)
    mass = facts.size(MYO)
    frames = np.flatnonzero(mass)
    if len(frames) < 2:
        raise NotApplicableError("Myocardium is labelled in one frame only.")
    heart = facts.size(LV) if facts.knows(LV) else mass
    ed = int(frames[np.argmax(heart[frames])])
    readings = []
    for t in frames:
        change = float((mass[t] - mass[ed]) / mass[ed])
        grave = abs(change) > MASS_CHANGE_WARNING
        text = (
            f"The myocardial mass of frame {t + 1} differs from end-diastole, frame {ed + 1}, "
            f"by {change:+.0%}"
        )
        readings.append(
            Reading(
                abs(change),
                text,
                abs(change) <= MASS_CHANGE_INFO,
                frame=int(t),
                structure=MYO,
                severity="warning" if grave else "info",
                threshold=MASS_CHANGE_WARNING if grave else MASS_CHANGE_INFO,
            )
        )
    return readings


def frame_timing(facts: Facts) -> list[Reading]:
    """Time that the frames cover against the recorded heart cycle, as a part of it."""
    times, cycle_ms = _times(facts)
    steps = np.diff(times)
    if (steps <= 0).any():
        t = int(np.flatnonzero(steps <= 0)[0]) + 1
        text = f"Frame {t + 1} is not later than frame {t}"
        return [Reading(1.0, text, False, frame=t)]
    if not cycle_ms:
        raise NotApplicableError("The length of the heart cycle was not recorded.")
    covered = len(times) * float(np.median(steps))
    difference = abs(covered - cycle_ms) / cycle_ms
    text = f"The frames cover {covered:.0f} ms of a recorded heart cycle of {cycle_ms:.0f} ms"
    return [Reading(difference, text, difference <= CYCLE_DISAGREEMENT)]


def frame_interval(facts: Facts) -> list[Reading]:
    """Time between frames in ms."""
    times, _ = _times(facts)
    interval = float(np.median(np.diff(times)))
    text = f"The frames are {interval:.0f} ms apart"
    return [Reading(interval, text, interval <= FRAME_INTERVAL_MS)]


def _times(facts: Facts) -> tuple[np.ndarray, float | None]:
    """Frame times and cycle length in ms, those of the scan where it has some."""
    for source in (facts.scan, facts.labels):
        times = None if source is None else source.frame_times_ms
        if source is not None and times is not None and len(times) > 1:
            return np.asarray(times, float), source.cycle_ms
    raise NotApplicableError("The times of the frames are unknown.")
