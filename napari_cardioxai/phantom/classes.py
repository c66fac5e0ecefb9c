"""Patients drawn from the literature's ranges.

Volumes and ejection fractions follow the class statistics of the ACDC
training set (Bernard 2018; mean and SD over 20 patients a class), timing
follows Weissler's regression of ejection time on heart rate, and the rates of
a normal heart come out near 3.7, 3.3 and 2.0 EDV/s (ejection, early, atrial)
at 60 bpm. LBBB and DIAST and everything without a named source are choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from napari_cardioxai.phantom.heart import (
    APICAL,
    SEGMENT_RING,
    Dyssynchrony,
    Heart,
    HeartShape,
    Papillary,
    Tilt,
)
from napari_cardioxai.phantom.volume_curve import MS_PER_MIN, PhantomError, VolumeCurve


class HeartClass(StrEnum):
    """The kinds of heart that can be drawn."""

    NORMAL = "NOR"
    DILATED = "DCM"
    HYPERTROPHIC = "HCM"
    INFARCT = "MINF"
    RIGHT = "RV"
    DYSSYNCHRONY = "LBBB"
    DIASTOLIC = "DIAST"


@dataclass(frozen=True)
class Normal:
    """A normal distribution cut to a range."""

    mean: float
    sd: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One value; what falls outside is drawn again."""
        while True:
            value = rng.normal(self.mean, self.sd)
            if self.low <= value <= self.high:
                return float(value)


@dataclass(frozen=True)
class ClassRanges:
    """What the hearts of one class have in common.

    Attributes
    ----------
    edv_ml, ef_percent
        Left ventricle (ACDC statistics).
    rv_ef_percent, rv_edv_ml
        Right ventricle. The EDV follows from the EF, because both stroke volumes
        agree; draws that leave the range (low, high) are repeated.
    wall_mm
        Wall thickness away from any lesion; gives the class's mass.
    heart_rate_bpm
        Lowest and highest heart rate; from 60 bpm up E and A move together.
    length_factor
        Cavity length over the cube root of its volume, mm/mL^(1/3); small is spherical.
    descent_factor
        Mitral descent relative to what the ejection fraction lets expect.
    """

    edv_ml: Normal
    ef_percent: Normal
    rv_ef_percent: Normal
    rv_edv_ml: tuple[float, float]
    wall_mm: Normal
    heart_rate_bpm: tuple[float, float] = (52.0, 85.0)
    length_factor: float = 16.6
    descent_factor: float = 1.0


# EDV, EF: ACDC statistics (mean, SD) within the class rules; LBBB and DIAST are proposals.
_NORMAL = ClassRanges(
    edv_ml=Normal(130, 26, 80, 166),
    ef_percent=Normal(60, 5, 52, 73),
    rv_ef_percent=Normal(55, 8, 46, 68),
    rv_edv_ml=(85, 225),
    wall_mm=Normal(7.2, 0.8, 5.6, 9.0),
)
RANGES: dict[HeartClass, ClassRanges] = {
    HeartClass.NORMAL: _NORMAL,
    HeartClass.DILATED: ClassRanges(
        edv_ml=Normal(285, 48, 200, 380),
        ef_percent=Normal(18, 7, 10, 31),
        rv_ef_percent=Normal(32, 14, 15, 60),
        rv_edv_ml=(80, 300),
        wall_mm=Normal(8.2, 0.8, 6.5, 10.5),
        heart_rate_bpm=(60.0, 90.0),
        length_factor=15.6,
    ),
    HeartClass.HYPERTROPHIC: ClassRanges(
        edv_ml=Normal(129, 30, 85, 190),
        ef_percent=Normal(67, 7, 56, 80),
        rv_ef_percent=Normal(60, 8, 48, 74),
        rv_edv_ml=(75, 190),
        wall_mm=Normal(9.6, 0.8, 8.3, 11.2),
        descent_factor=0.75,
    ),
    HeartClass.INFARCT: ClassRanges(
        edv_ml=Normal(172, 40, 110, 260),
        ef_percent=Normal(31, 6, 18, 39.5),
        rv_ef_percent=Normal(56, 9, 40, 70),
        rv_edv_ml=(60, 190),
        wall_mm=Normal(8.2, 0.8, 6.6, 10.0),
        heart_rate_bpm=(55.0, 90.0),
        length_factor=16.2,
    ),
    HeartClass.RIGHT: ClassRanges(
        edv_ml=Normal(107, 30, 70, 160),
        ef_percent=Normal(55, 6, 45, 63),
        rv_ef_percent=Normal(31, 8, 18, 39.5),
        rv_edv_ml=(120, 300),
        wall_mm=Normal(6.9, 0.7, 5.5, 8.5),
    ),
    HeartClass.DYSSYNCHRONY: ClassRanges(
        edv_ml=Normal(250, 45, 170, 340),
        ef_percent=Normal(28, 4, 20, 35),
        rv_ef_percent=Normal(50, 8, 35, 65),
        rv_edv_ml=(80, 230),
        wall_mm=Normal(8.0, 0.7, 6.5, 9.8),
        heart_rate_bpm=(55.0, 75.0),
        length_factor=15.8,
    ),
    HeartClass.DIASTOLIC: replace(_NORMAL, heart_rate_bpm=(50.0, 62.0)),
}

# Segments 1 to 16 by coronary artery (Cerqueira 2002).
TERRITORIES: dict[str, tuple[int, ...]] = {
    "LAD": (1, 2, 7, 8, 13, 14),
    "RCA": (3, 4, 9, 10, 15),
    "LCX": (5, 6, 11, 12, 16),
}
SEPTUM = (2, 3, 8, 9, 14)
# Which segments share a border: around the ring, and with the ring below.
_AROUND = [(r + k, r + (k + 1) % 6) for r in (1, 7) for k in range(6)]
_AROUND += [(13 + k, 13 + (k + 1) % 4) for k in range(4)]
_DOWN = [(k, k + 6) for k in range(1, 7)]
_DOWN += [(7, 13), (8, 14), (9, 14), (10, 15), (11, 16), (12, 16)]
NEIGHBOURS = frozenset(frozenset(pair) for pair in _AROUND + _DOWN)

PFR_DYSFUNCTION = 0.6
PAFR_DYSFUNCTION = 1.3
TYPICAL_THICKENING = 0.38  # of a thick incompressible wall at EF 67 %


@dataclass(frozen=True)
class Case:
    """One patient.

    Attributes
    ----------
    kind
        The class.
    heart
        The beating heart.
    height_cm, weight_kg
        Body size.
    details
        What was done to the heart: infarcted segments, flash, factors; JSON types.
    """

    kind: HeartClass
    heart: Heart
    height_cm: float
    weight_kg: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variation:
    """What a cohort may change about its hearts.

    Attributes
    ----------
    heart_rate_bpm
        Range instead of the class's own.
    fused_share
        Part of the hearts that beat fast enough for E and A to be one wave.
    covered
        Part of the cycle that is acquired.
    conserve_myocardium
        Keep the wall's volume over the cycle; otherwise it grows towards
        end-systole as readers' contours do (ACDC: 17 ± 11 %).
    """

    heart_rate_bpm: tuple[float, float] | None = None
    fused_share: float = 0.0
    covered: float = 1.0
    conserve_myocardium: bool = True


def draw_case(
    kind: HeartClass, rng: np.random.Generator, *, variation: Variation | None = None
) -> Case:
    """Draw a patient of a class.

    The same generator state gives the same patient, and `NORMAL` and
    `DIASTOLIC` from the same state and heart-rate range are twins: the second
    differs in its filling rates only.

    Parameters
    ----------
    kind
        The class.
    rng
        Source of all randomness.
    variation
        What the cohort changes; nothing by default.
    """
    variation = variation or Variation()
    ranges = RANGES[kind]
    body_rng, shape_rng, time_rng, lesion_rng = rng.spawn(4)
    height = Normal(170, 9, 150, 195).draw(body_rng)
    weight = Normal(25.5, 3.5, 18, 36).draw(body_rng) * (height / 100) ** 2
    edv, ef = ranges.edv_ml.draw(shape_rng), ranges.ef_percent.draw(shape_rng)
    lv = _draw_curve(kind, ranges, variation, time_rng, edv, ef)
    sv = lv.sv_ml * Normal(1, 0.02, 0.95, 1.05).draw(shape_rng)
    rv_edv = _draw_right_edv(ranges, shape_rng, sv)
    rv = replace(
        lv,
        edv_ml=rv_edv,
        esv_ml=rv_edv - sv,
        ejection_skew=0.5,
        e_share=lv.e_share * 0.95,
        a_duration_ms=0.95 * lv.a_duration_ms,
        e_duration_ms=0.95 * lv.e_duration_ms,
    )
    shape = _draw_shape(ranges, variation, shape_rng, edv, ef)
    shape, dyssynchrony, details = _LESIONS[kind](shape, lesion_rng)
    if kind is HeartClass.DIASTOLIC:
        lv = impair_filling(lv)
        details = {"pfr_factor": PFR_DYSFUNCTION, "pafr_factor": PAFR_DYSFUNCTION}
    heart = _fit(shape, lv, rv, dyssynchrony)
    return Case(kind, heart, round(height, 1), round(weight, 1), details)


def _draw_right_edv(ranges: ClassRanges, rng: np.random.Generator, sv_ml: float) -> float:
    low, high = ranges.rv_edv_ml
    for _ in range(200):
        edv = sv_ml / (ranges.rv_ef_percent.draw(rng) / 100)
        if low <= edv <= high:
            return edv
    # A stroke volume far from the mean: the nearest end of the range that leaves an ESV.
    return float(max(np.clip(edv, low, high), 1.15 * sv_ml))


def impair_filling(curve: VolumeCurve) -> VolumeCurve:
    """The same heart with diastolic dysfunction: PFR down 40 %, PAFR up 30 %, equal EF.

    Raises
    ------
    PhantomError
        When diastole is too short for the slower filling.
    """
    late = (1 - curve.e_share) * PAFR_DYSFUNCTION
    early = 1 - late
    return replace(
        curve,
        e_share=early,
        e_duration_ms=curve.e_duration_ms * early / (curve.e_share * PFR_DYSFUNCTION),
    )


def _draw_curve(
    kind: HeartClass,
    ranges: ClassRanges,
    variation: Variation,
    rng: np.random.Generator,
    edv_ml: float,
    ef_percent: float,
) -> VolumeCurve:
    fused = bool(rng.random() < variation.fused_share)
    low, high = variation.heart_rate_bpm or ranges.heart_rate_bpm
    rate = float(rng.uniform(105, 130) if fused else rng.uniform(low, high))
    # Left-ventricular ejection time in ms, Weissler 1968, after a pre-ejection rest.
    es = 413 - 1.7 * rate + Normal(30, 10, 10, 50).draw(rng)
    diastole = MS_PER_MIN / rate - es
    e_share = Normal(0.70, 0.04, 0.62, 0.78).draw(rng)
    early, late = Normal(255, 13, 225, 285).draw(rng), Normal(180, 9, 160, 200).draw(rng)
    if kind is HeartClass.DILATED:  # restrictive filling: more of it early, and quickly
        e_share, early = min(e_share + 0.08, 0.85), 0.85 * early
    return VolumeCurve(
        edv_ml=edv_ml,
        esv_ml=edv_ml * (1 - ef_percent / 100),
        heart_rate_bpm=rate,
        es_time_ms=es,
        ejection_onset_ms=Normal(14, 5, 4, 26).draw(rng),
        e_share=e_share,
        e_duration_ms=min(early, 0.57 * diastole),
        a_duration_ms=min(late, 0.38 * diastole),
        ejection_skew=Normal(0.45, 0.03, 0.38, 0.52).draw(rng),
        e_skew=Normal(0.45, 0.03, 0.38, 0.52).draw(rng),
        a_skew=Normal(0.5, 0.03, 0.42, 0.58).draw(rng),
        fused=fused,
        covered=variation.covered,
    )


def _draw_shape(
    ranges: ClassRanges,
    variation: Variation,
    rng: np.random.Generator,
    edv_ml: float,
    ef_percent: float,
) -> HeartShape:
    wall = ranges.wall_mm.draw(rng)
    apex_wall = 0.8 * wall
    length = ranges.length_factor * edv_ml ** (1 / 3) * Normal(1, 0.03, 0.94, 1.06).draw(rng)
    # Mitral descent in mm: 10 to 16 in normal hearts, and falling with EF.
    descent = ranges.descent_factor * (2 + 0.19 * ef_percent + rng.normal(0, 1))
    change = 0.0 if variation.conserve_myocardium else Normal(0.17, 0.08, 0, 0.35).draw(rng)
    by_ring = (1.04, 1.0, 0.9)
    return HeartShape(
        long_axis_mm=length + apex_wall,
        apex_wall_mm=apex_wall,
        cylinder_share=0.34,
        mitral_descent_mm=float(np.clip(descent, 3, 17)),
        mitral=Tilt(Normal(16, 1.5, 13, 19).draw(rng), Normal(-160, 25, -210, -110).draw(rng)),
        tricuspid=Tilt(Normal(13, 2, 9, 17).draw(rng), Normal(85, 15, 55, 115).draw(rng)),
        tricuspid_offset_mm=float(rng.uniform(-4, 4)),
        wall_mm=tuple(wall * by_ring[r] * rng.normal(1, 0.04) for r in SEGMENT_RING),
        contraction=tuple(float(rng.normal(1 + 0.05 * (r == APICAL), 0.05)) for r in SEGMENT_RING),
        harmonics=tuple(
            (order, abs(rng.normal(0, size)), float(rng.uniform(-180, 180)))
            for order, size in ((2, 0.025), (3, 0.012), (4, 0.006))
        ),
        myocardial_change=change,
        rv_insertion_deg=float(rng.uniform(64, 72)),
        rv_apex_share=float(rng.uniform(0.12, 0.22)),
        rv_roundness=float(rng.uniform(0.55, 0.75)),
        rv_skew=float(rng.uniform(-0.15, 0.2)),
        twist_deg=float(rng.uniform(6, 14)) * ef_percent / 60,
        papillaries=_draw_papillaries(rng),
    )


def _draw_papillaries(rng: np.random.Generator) -> tuple[Papillary, ...]:
    """Antero-lateral and postero-medial, each of one or two heads."""
    found = []
    for centre in (145.0, -120.0):
        heads = int(rng.integers(1, 3))
        for head in range(heads):
            offset = 0.0 if heads == 1 else 22.0 * (head - 0.5)
            radius = rng.uniform(3.8, 5.5) if heads == 1 else rng.uniform(2.6, 4.0)
            found.append(
                Papillary(
                    angle_deg=centre + offset + float(rng.normal(0, 8)),
                    radius_mm=float(radius),
                    first=float(rng.uniform(0.25, 0.35)),
                    last=float(rng.uniform(0.6, 0.72)),
                )
            )
    return tuple(found)


_Lesion = tuple[HeartShape, Dyssynchrony | None, dict[str, Any]]


def _with_segments(shape: HeartShape, name: str, change: dict[int, Any]) -> HeartShape:
    """The shape with other values of the regional parameter `name` in some segments (1 to 16)."""
    values = list(getattr(shape, name))
    for segment, value in change.items():
        values[segment - 1] = value
    changed: dict[str, Any] = {name: tuple(values)}
    return replace(shape, **changed)


def _no_lesion(shape: HeartShape, rng: np.random.Generator) -> _Lesion:
    return shape, None, {}


def _hypertrophy(shape: HeartShape, rng: np.random.Generator) -> _Lesion:
    """A septum 1.5 to 2.2 times as thick, above 15 mm, that thickens little."""
    factor = rng.uniform(1.6, 2.2)
    preserved = rng.uniform(0.3, 0.7)
    wall = {}
    for segment in SEPTUM:
        share = 0.55 if SEGMENT_RING[segment - 1] == APICAL else 1.0
        wall[segment] = shape.wall_mm[segment - 1] * (1 + (factor - 1) * share)
    wall[2], wall[8] = max(wall[2], 15.2), max(wall[8], 15.2)
    shape = _with_segments(shape, "wall_mm", wall)
    shape = _with_segments(
        shape, "thickening", dict.fromkeys(SEPTUM, preserved * TYPICAL_THICKENING)
    )
    shape = _with_segments(shape, "contraction", dict.fromkeys(SEPTUM, 0.7))
    return shape, None, {"septal_wall_factor": factor, "septal_thickening_factor": preserved}


def _infarction(shape: HeartShape, rng: np.random.Generator) -> _Lesion:
    """One to three adjacent segments of one territory: thin, still, not thickening."""
    territory = str(rng.choice(list(TERRITORIES)))
    segments = adjacent_segments(TERRITORIES[territory], int(rng.integers(1, 4)), rng)
    thinning = rng.uniform(0.6, 0.9)
    wall = {s: shape.wall_mm[s - 1] * thinning for s in segments}
    shape = _with_segments(shape, "wall_mm", wall)
    shape = _with_segments(shape, "contraction", {s: rng.uniform(0, 0.1) for s in segments})
    shape = _with_segments(shape, "thickening", {s: rng.uniform(-0.1, 0) for s in segments})
    return shape, None, {"territory": territory, "infarct_segments": list(segments)}


def adjacent_segments(
    territory: tuple[int, ...], count: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """Draw `count` segments of a territory that hang together, sorted."""
    chosen = {int(rng.choice(territory))}
    while len(chosen) < count:
        border = [
            s
            for s in territory
            if s not in chosen and any(frozenset((s, c)) in NEIGHBOURS for c in chosen)
        ]
        chosen.add(int(rng.choice(border)))
    return tuple(sorted(chosen))


def _right_load(shape: HeartShape, rng: np.random.Generator) -> _Lesion:
    flattening = rng.uniform(0.08, 0.18)
    return replace(shape, septal_flattening=flattening), None, {"septal_flattening": flattening}


def _bundle_block(shape: HeartShape, rng: np.random.Generator) -> _Lesion:
    """Septal flash of 1 to 3 mm at 60 to 120 ms, lateral delay of 100 to 200 ms."""
    motion = Dyssynchrony(
        flash_mm=float(rng.uniform(1.2, 2.6)),
        flash_peak_ms=float(rng.uniform(65, 110)),
        rebound_mm=float(rng.uniform(1.2, 2.2)),
        lateral_delay_ms=float(rng.uniform(100, 200)),
    )
    shape = _with_segments(shape, "contraction", dict.fromkeys(SEPTUM, 0.15))
    return (
        shape,
        motion,
        {
            "flash_mm": motion.flash_mm,
            "flash_peak_ms": motion.flash_peak_ms,
            "lateral_delay_ms": motion.lateral_delay_ms,
        },
    )


_LESIONS: dict[HeartClass, Callable[[HeartShape, np.random.Generator], _Lesion]] = {
    HeartClass.NORMAL: _no_lesion,
    HeartClass.DILATED: _no_lesion,
    HeartClass.HYPERTROPHIC: _hypertrophy,
    HeartClass.INFARCT: _infarction,
    HeartClass.RIGHT: _right_load,
    HeartClass.DYSSYNCHRONY: _bundle_block,
    HeartClass.DIASTOLIC: _no_lesion,
}


def _fit(
    shape: HeartShape, lv: VolumeCurve, rv: VolumeCurve, dyssynchrony: Dyssynchrony | None
) -> Heart:
    """Build the heart, with as little less tilt of the valve planes as a wide heart needs."""
    for _ in range(8):
        try:
            return Heart(shape, lv, rv, dyssynchrony)
        except PhantomError:
            mitral = replace(shape.mitral, degrees=0.85 * shape.mitral.degrees)
            tricuspid = replace(shape.tricuspid, degrees=0.85 * shape.tricuspid.degrees)
            shape = replace(
                shape,
                mitral=mitral,
                tricuspid=tricuspid,
                tricuspid_offset_mm=0.85 * shape.tricuspid_offset_mm,
            )
    return Heart(shape, lv, rv, dyssynchrony)
