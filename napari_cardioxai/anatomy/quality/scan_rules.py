"""Rules about the acquired images and their grid."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from napari_cardioxai.anatomy.quality.facts import Facts, NotApplicableError
from napari_cardioxai.anatomy.quality.rule import Reading, numbered
from napari_cardioxai.scans.scan import Scan

VOXEL_MM3 = (5.0, 60.0)  # ours, wide on purpose
GAP_RATIO = 1.5  # ours; of the median distance between slices


def missing_frames(facts: Facts) -> list[Reading]:
    """Images that the source lacks."""
    missing = facts.need_scan().missing
    if not missing:
        return [Reading(0, "No image of the scan is missing", True)]
    return [
        Reading(1, f"The image of slice {z + 1}, frame {t + 1} is missing", False, z, t)
        for t, z in missing
    ]


def duplicate_frames(facts: Facts) -> list[Reading]:
    """Frames with the same image in a slice."""
    scan = facts.need_scan()
    if not scan.is_cine:
        raise NotApplicableError("There is one frame only.")
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for z, frames in _same_images(facts, scan, within=1):
        same[frames].append(z)
    readings = []
    for frames, slices in same.items():
        where = f"slice {slices[0] + 1}" if len(slices) == 1 else f"slices {numbered(slices)}"
        text = f"Frames {numbered(list(frames))} show the same image in {where}"
        readings.append(Reading(len(frames) - 1, text, False, slices[0], frames[1]))
    return readings or [Reading(0, "No two frames of a slice show the same image", True)]


def duplicate_slices(facts: Facts) -> list[Reading]:
    """Slices with the same image in a frame."""
    scan = facts.need_scan()
    if scan.data.shape[1] == 1:
        raise NotApplicableError("There is one slice only.")
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for t, slices in _same_images(facts, scan, within=0):
        same[slices].append(t)
    readings = []
    for slices, frames in same.items():
        where = f"frame {frames[0] + 1}" if len(frames) == 1 else f"frames {numbered(frames)}"
        text = f"Slices {numbered(list(slices))} show the same image in {where}"
        readings.append(Reading(len(slices) - 1, text, False, slices[1], frames[0]))
    return readings or [Reading(0, "No two slices of a frame show the same image", True)]


def _same_images(facts: Facts, scan: Scan, *, within: int) -> list[tuple[int, tuple[int, ...]]]:
    """(fixed index, indices of identical images) along the other of the axes (t, z).

    Missing images and those of one value only are left out.
    """
    groups: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for place, checksum in facts.image_checksums.items():
        groups[place[within], checksum].append(place)
    found = []
    for (fixed, _), places in groups.items():
        if len(places) > 1:
            first, *others = (np.asarray(scan.data[place]) for place in places)
            if first.min() < first.max() and all(np.array_equal(first, i) for i in others):
                found.append((fixed, tuple(place[1 - within] for place in places)))
    return found


def voxel_volume(facts: Facts) -> list[Reading]:
    """Volume of one voxel in mm3."""
    volume = facts.labels.geometry.voxel_volume_mm3
    if volume is None:
        raise NotApplicableError("The pixel size is unknown.")
    least, most = VOXEL_MM3
    text = f"A voxel has {volume:.3g} mm³, usual are {least:.0f} to {most:.0f}"
    bound = least if volume < least else most
    return [Reading(volume, text, least <= volume <= most, threshold=bound)]


def slice_spacing(facts: Facts) -> list[Reading]:
    """Largest distance between slices, as a multiple of the median."""
    facts.need_slices(3)
    positions = facts.labels.geometry.slice_positions_mm
    if facts.labels.geometry.spacing_mm is None:
        raise NotApplicableError("The positions of the slices are unknown.")
    if positions is None:
        return [Reading(1.0, "All slices are equally far apart", True)]
    gaps = np.abs(np.diff(positions))
    ratios = gaps / np.median(gaps)
    return [
        Reading(
            ratio,
            f"Slices {z + 1} and {z + 2} are {gap:.1f} mm apart, {ratio:.1f} times the usual",
            ratio <= GAP_RATIO,
            z,
        )
        for z, (gap, ratio) in enumerate(zip(gaps, ratios, strict=True))
    ]
