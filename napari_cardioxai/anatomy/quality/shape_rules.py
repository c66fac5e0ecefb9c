"""Rules about the shape of what is labelled."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_cardioxai.anatomy.centres import centres
from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.anatomy.quality.facts import PRESENT_PIXELS, Facts, NotApplicableError
from napari_cardioxai.anatomy.quality.findings import Severity
from napari_cardioxai.anatomy.quality.rule import Reading, counted, place
from napari_cardioxai.anatomy.volumes import LV, MYO, RV

LARGEST_SHARE = 0.95  # cmr-volume-analysis
SPECK_VOXELS = 8  # cmr-volume-analysis
HOLE_PIXELS = 3  # vital counts every pixel; so few are the raggedness of a hand-drawn edge
# Ours; vital counts any. Hand-drawn basal slices reach 0.22.
EDGE_ON_BACKGROUND_INFO = 0.10
EDGE_ON_BACKGROUND_WARNING = 0.25
EDGE_ON_RV = 0.05  # ours; vital counts any. None in hand-drawn labels
DISPLACEMENT = 0.30  # of the epicardial radius, ours: true contours reach 0.21, SC-HF-I-6 0.63

# Edge neighbours within one slice: a diagonal chain of labels closes a hole.
IN_SLICE = np.zeros((3, 3, 3), bool)
IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)


def components(facts: Facts) -> list[Reading]:
    """Share of each structure that its largest piece has, in each frame."""
    facts.known()
    readings = []
    for value, t, pieces, _ in facts.pieces:
        share = pieces.max() / pieces.sum()
        text = (
            f"The largest of {len(pieces)} pieces of {STRUCTURE_NAMES[value]} in frame {t + 1} "
            f"has {share:.1%} of it"
        )
        if len(pieces) == 1:
            text = f"{STRUCTURE_NAMES[value]} is in one piece in frame {t + 1}"
        z = None if share >= LARGEST_SHARE else _slice_of_second(facts, value, t)
        readings.append(Reading(share, text, share >= LARGEST_SHARE, z, t, value))
    return readings


def specks(facts: Facts) -> list[Reading]:
    """Voxels in the smallest piece of each structure, in each frame."""
    facts.known()
    readings = []
    for value, t, pieces, slices in facts.pieces:
        least = int(np.argmin(pieces))
        count, z = int(pieces[least]), int(slices[least])
        text = f"The smallest piece of {STRUCTURE_NAMES[value]} {place(z, t)} has {counted(count, 'voxel')}"
        readings.append(Reading(count, text, count >= SPECK_VOXELS, z, t, value))
    return readings


def _slice_of_second(facts: Facts, value: int, t: int) -> int:
    """Slice that holds most of the second largest piece of a frame."""
    numbers, _ = ndimage.label(facts.data[t] == value, np.ones((3, 3, 3)))
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    second = int(np.argsort(sizes)[-2])
    return int(np.argmax(np.count_nonzero(numbers == second, axis=(1, 2))))


def holes(facts: Facts) -> list[Reading]:
    """Largest patch of background that labels enclose, in each slice."""
    facts.known()
    frames, slices = facts.shape
    data = facts.data.reshape(frames * slices, *facts.data.shape[2:])
    filled = np.flatnonzero(facts.pixels.sum(axis=0).ravel())
    # The margin joins all background around the heart into the first patch of a slice.
    numbers, _ = ndimage.label(data[filled] == 0, IN_SLICE)
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    sizes[numbers[:, 0, 0]] = 0
    largest = sizes[[numbers[k].max() for k in range(len(filled))]]
    for at, patch in zip(ndimage.find_objects(numbers), range(1, len(sizes)), strict=True):
        k = at[0].start
        largest[k] = max(largest[k], sizes[patch])
    readings = []
    for index, count in zip(filled, largest, strict=True):
        t, z = divmod(int(index), slices)
        text = f"A hole of {counted(int(count), 'pixel')} is enclosed by labels {place(z, t)}"
        if count == 0:
            text = "No background is enclosed by labels"
        # Where the valve plane cuts the ring obliquely, it may enclose the atrium.
        severity: Severity = "info" if facts.basal[t, z] else "warning"
        passed = count <= HOLE_PIXELS
        readings.append(Reading(int(count), text, passed, z, t, severity=severity))
    return readings


def lv_on_background(facts: Facts) -> list[Reading]:
    """Part of the LV cavity's edge that lies on background, where muscle is labelled."""
    facts.need(LV, MYO)
    readings = []
    for t, z, part in _edge_parts(facts, 0):
        text = f"{part:.0%} of the LV cavity's edge lies on background {place(z, t)}"
        # Near the base the valve plane or the outflow tract opens the wall for good reason.
        grave = part > EDGE_ON_BACKGROUND_WARNING and not facts.basal[t, z]
        readings.append(
            Reading(
                part,
                text,
                part <= EDGE_ON_BACKGROUND_INFO,
                z,
                t,
                LV,
                severity="warning" if grave else "info",
                threshold=EDGE_ON_BACKGROUND_WARNING if grave else EDGE_ON_BACKGROUND_INFO,
            )
        )
    return readings


def lv_on_rv(facts: Facts) -> list[Reading]:
    """Part of the LV cavity's edge that lies on the RV cavity."""
    facts.need(LV, MYO, RV)
    readings = []
    for t, z, part in _edge_parts(facts, RV):
        text = f"{part:.0%} of the LV cavity's edge lies on the RV cavity {place(z, t)}"
        readings.append(Reading(part, text, part <= EDGE_ON_RV, z, t, LV))
    return readings


def _edge_parts(facts: Facts, value: int) -> list[tuple[int, int, float]]:
    """(frame, slice, part of the LV cavity's edge on a value) where muscle is labelled too."""
    edges = facts.lv_edges
    both = (facts.pixels[LV] >= PRESENT_PIXELS) & (facts.pixels[MYO] > 0)
    if not both.any():
        raise NotApplicableError("No slice has both LV cavity and myocardium.")
    parts = edges[value, both] / edges[:, both].sum(axis=0)
    return [
        (t, z, part)
        for (t, z), part in zip(np.argwhere(both).tolist(), parts.tolist(), strict=True)
    ]


def displaced(facts: Facts) -> list[Reading]:
    """Distance between the centres of the LV cavity and of cavity with muscle, in epicardial radii."""
    facts.need(LV, MYO)
    cavity = facts.data == LV
    centre = centres(cavity, facts.pixel_mm)
    whole = centres(cavity | (facts.data == MYO), facts.pixel_mm)
    dy, dx = facts.pixel_mm
    radius = np.sqrt((facts.pixels[LV] + facts.pixels[MYO]) * dy * dx / np.pi)
    # A valve plane cuts off one side of cavity and muscle, which moves their centres apart too.
    both = (facts.pixels[[LV, MYO]] >= PRESENT_PIXELS).all(axis=0) & ~facts.basal
    if not both.any():
        raise NotApplicableError("No slice below the base has both LV cavity and myocardium.")
    readings = []
    for t, z in np.argwhere(both).tolist():
        distance = float(np.linalg.norm(centre[t, z] - whole[t, z]) / radius[t, z])
        text = (
            f"The centre of the LV cavity is {distance:.0%} of the epicardial radius away from "
            f"the centre of the whole LV {place(z, t)}"
        )
        readings.append(Reading(distance, text, distance <= DISPLACEMENT, z, t, MYO))
    return readings
