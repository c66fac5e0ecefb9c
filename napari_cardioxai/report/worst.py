"""Which findings are pictured, and what of the study shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import Finding, QualityReport

MOST = 4
# Rules about a change name one frame; the other one is what it changed from.
AGAINST_LAST = ("volume_jump",)
AGAINST_FIRST = ("cycle_closure",)
AGAINST_ED = ("mass_over_cycle", "stroke_volumes")
PIECES = {"components": 1, "specks": -1}  # rank in size of the piece that a rule is about
ROOM_PX = 2.0  # between what is circled and its circle


@dataclass(frozen=True)
class Place:
    """What a picture of a finding shows.

    Attributes
    ----------
    slice
        Counted from 0.
    frames
        Counted from 0: the one concerned, behind the one that it is compared with if any.
    circle
        Row, column and radius in pixels of what is small, or None.
    """

    slice: int
    frames: tuple[int, ...]
    circle: tuple[float, float, float] | None = None


def worst_findings(report: QualityReport, *, most: int = MOST) -> list[Finding]:
    """The findings to look at first, worst first.

    Only those that no reviewer has overruled and that are about a slice or a
    frame; technical faults before unusual physiology, warnings before remarks,
    then by how many times the value is beyond its threshold. Each rule has its
    turn before one comes again.
    """
    placed = [f for f in report.open if f.slice is not None or f.frame is not None]
    ranked = sorted(
        placed, key=lambda f: (f.kind != "technical", f.severity != "warning", -_times_beyond(f))
    )
    first_of_rule = {finding.rule: finding for finding in reversed(ranked)}
    again = [f for f in ranked if first_of_rule[f.rule] is not f]
    chosen = [f for f in ranked if first_of_rule[f.rule] is f][:most]
    chosen += again[: most - len(chosen)]
    return [finding for finding in ranked if finding in chosen]


def place_of(finding: Finding, labels: Labels, *, ed_frame: int) -> Place:
    """Slice and frames that show a finding.

    A finding without a frame is shown at end-diastole, one without a slice
    where its structure changes most between the two frames that it is about.

    Parameters
    ----------
    finding
        About a slice or a frame.
    labels
        In which it was found.
    ed_frame
        Counted from 0.
    """
    frame = ed_frame if finding.frame is None else finding.frame
    frames: tuple[int, ...] = (frame,)
    before = _compared_with(finding, frame, ed_frame)
    if before is not None and before != frame:
        frames = (before, frame)
    z = finding.slice
    if z is None:
        z = _slice_that_changes(labels, frame, before, finding.structure)
    return Place(z, frames, _circle(finding, labels.data[frame], z))


def _times_beyond(finding: Finding) -> float:
    """How many times the value is above or below its threshold; 1 without numbers."""
    if finding.value is None or finding.threshold is None:
        return 1.0
    low, high = sorted((abs(finding.value), abs(finding.threshold)))
    return high / low if low > 0 else float("inf")


def _compared_with(finding: Finding, frame: int, ed_frame: int) -> int | None:
    if finding.rule in AGAINST_LAST:
        return frame - 1 if frame > 0 else None
    if finding.rule in AGAINST_FIRST:
        return 0
    return ed_frame if finding.rule in AGAINST_ED else None


def _slice_that_changes(
    labels: Labels, frame: int, before: int | None, structure: int | None
) -> int:
    """Slice whose area differs most between two frames; without a second one, of most labels."""
    data = labels.data
    mask = data > 0 if structure is None else data == structure
    areas = np.count_nonzero(mask, axis=(2, 3)).astype(float)
    if before is None:
        # A frame may be empty, which is the finding; others then tell where the heart lies.
        shown = areas[frame] if areas[frame].any() else areas.max(axis=0)
        return int(np.argmax(shown))
    return int(np.argmax(np.abs(areas[frame] - areas[before])))


def _circle(finding: Finding, volume: np.ndarray, z: int) -> tuple[float, float, float] | None:
    """Around the hole or the piece of one frame, shape (z, y, x), that a finding is about."""
    if finding.rule == "holes":
        filled = ndimage.binary_fill_holes(volume[z] > 0)
        return _around(*ndimage.label(filled & (volume[z] == 0)), rank=0)
    if finding.rule not in PIECES or finding.structure is None:
        return None
    parts, count = ndimage.label(volume == finding.structure, np.ones((3, 3, 3)))
    return _around(parts, count, rank=PIECES[finding.rule], z=z)


def _around(
    parts: np.ndarray, count: int, *, rank: int, z: int | None = None
) -> tuple[float, float, float] | None:
    """Circle around the part of that rank in size, 0 the largest, as it lies in a slice."""
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    chosen = int(np.argsort(-sizes, kind="stable")[rank if rank < count else -1]) + 1
    rows, columns = np.nonzero((parts if z is None else parts[z]) == chosen)
    if not len(rows):
        return None
    middle = 0.5 * (rows.min() + rows.max()), 0.5 * (columns.min() + columns.max())
    reach = float(np.hypot(rows - middle[0], columns - middle[1]).max())
    return float(middle[0]), float(middle[1]), reach + ROOM_PX
