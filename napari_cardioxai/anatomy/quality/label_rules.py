"""Rules about which structures are labelled where."""

from __future__ import annotations

import numpy as np

from napari_cardioxai.anatomy.labels import CARDIOXAI, STRUCTURE_NAMES
from napari_cardioxai.anatomy.quality.facts import PRESENT_PIXELS, Facts, NotApplicableError
from napari_cardioxai.anatomy.quality.findings import Severity
from napari_cardioxai.anatomy.quality.rule import Reading, counted, place
from napari_cardioxai.anatomy.recognise import ENCLOSED, recognise_scheme
from napari_cardioxai.anatomy.volumes import LV, MYO, RV

SLICES_WITH_LV = 6  # ukbb_cardiac, sa_pass_quality_control
GAP_SLICES = 0  # same
CUT_OFF_AREA = (
    0.30  # of the largest; our own: one slice above the last, true apices have 0.3 to 0.4
)


def presence(facts: Facts) -> list[Reading]:
    """Each structure in each labelled frame, and muscle and RV in the slices that need them."""
    return _in_frames(facts) + _in_slices(facts)


def _in_frames(facts: Facts) -> list[Reading]:
    """Fullest slice of each structure in each frame that is expected to have it."""
    # A reader who labels two frames often draws the muscle in one of them only.
    severity: Severity = "warning" if facts.dense else "info"
    readings = []
    for t in range(facts.shape[0]):
        if facts.dense and not facts.labelled[t]:
            readings.append(Reading(0, f"Nothing is labelled in frame {t + 1}", False, frame=t))
        for value in facts.known() if facts.labelled[t] else ():
            most = int(facts.pixels[value, t].max())
            text = f"{STRUCTURE_NAMES[value]} has at most {counted(most, 'pixel')} in a slice of frame {t + 1}"
            if most == 0:
                text = f"{STRUCTURE_NAMES[value]} is not labelled in frame {t + 1}"
            readings.append(
                Reading(
                    most,
                    text,
                    most >= PRESENT_PIXELS,
                    frame=t,
                    structure=value,
                    severity=severity,
                )
            )
    return readings


def _in_slices(facts: Facts) -> list[Reading]:
    """Muscle around every LV cavity, and the RV beside the middle one."""
    known = facts.known()
    readings = []
    for t in np.flatnonzero(facts.labelled).tolist():
        slices = np.flatnonzero(facts.pixels[LV, t] >= PRESENT_PIXELS).tolist()
        expected = [(MYO, z) for z in slices]
        expected += [(RV, slices[len(slices) // 2])] if len(slices) > 2 else []
        for value, z in expected:
            count = int(facts.pixels[value, t, z])
            if value in known and count < PRESENT_PIXELS <= facts.pixels[value, t].max():
                name, where = STRUCTURE_NAMES[value], place(z, t)
                text = f"{name} has {counted(count, 'pixel')} beside the LV cavity {where}"
                readings.append(Reading(count, text, False, z, t, value))
    return readings


def slice_count(facts: Facts) -> list[Reading]:
    """Slices with LV cavity in the fullest frame."""
    facts.need(LV)
    facts.need_slices(2)
    t = facts.fullest_frame()
    count = int(np.count_nonzero(facts.pixels[LV, t] >= PRESENT_PIXELS))
    text = f"The LV cavity is labelled in {counted(count, 'slice')} of frame {t + 1}"
    return [Reading(count, text, count >= SLICES_WITH_LV, frame=t, structure=LV)]


def slice_gaps(facts: Facts) -> list[Reading]:
    """Slices without a structure between slices with it."""
    facts.need_slices(3)
    readings = []
    for value in facts.known():
        name = STRUCTURE_NAMES[value]
        for t in np.flatnonzero(facts.pixels[value].any(axis=1)).tolist():
            there = facts.pixels[value, t] >= PRESENT_PIXELS
            slices = np.flatnonzero(there)
            if not slices.size:
                continue
            empty = [int(z) for z in range(slices[0], slices[-1]) if not there[z]]
            for z in empty:
                text = f"{name} is missing {place(z, t)}, between slices that have it"
                readings.append(Reading(len(empty), text, False, z, t, value))
    return readings or [Reading(0, "No structure has a gap between its slices", True)]


def coverage(facts: Facts) -> list[Reading]:
    """LV cavity in the outermost slices of the stack at end-diastole."""
    facts.need(LV)
    facts.need_slices(3)
    t = facts.fullest_frame()
    areas = facts.pixels[LV, t]
    share = areas / areas.max()
    base = len(areas) - 1 if facts.base_is_last else 0
    readings = []
    for z in (0, len(areas) - 1):
        end = "base" if z == base else "apex"
        text = (
            f"In the outermost slice of the stack towards the {end}, slice {z + 1}, the LV cavity "
            f"has {share[z]:.0%} of its largest area in frame {t + 1}"
        )
        readings.append(Reading(share[z], text, share[z] <= CUT_OFF_AREA, z, t, LV))
    return readings


def convention(facts: Facts) -> list[Reading]:
    """Part of the LV cavity's edge that lies on muscle, as label schemes are told by."""
    facts.need(LV, MYO)
    t = facts.fullest_frame()
    edges = facts.lv_edges[:, t].sum(axis=1)
    if not edges.any():
        raise NotApplicableError("The LV cavity has no edge.")
    part = float(edges[MYO] / edges.sum())
    spacing = (1.0, *facts.pixel_mm)
    scheme, _ = recognise_scheme(facts.data[t : t + 1], spacing)
    text = f"{part:.0%} of the LV cavity's edge lies on myocardium in frame {t + 1}"
    if (scheme.lv, scheme.myo) != (CARDIOXAI.lv, CARDIOXAI.myo):
        ringed = STRUCTURE_NAMES.get(scheme.lv, "another structure")
        text += f", and it is the {ringed} that the {STRUCTURE_NAMES[scheme.myo]} encloses"
        return [Reading(part, text, False, frame=t)]
    return [Reading(part, text, part >= ENCLOSED, frame=t, severity="info")]
