"""Patients drawn from the literature's ranges.

Volumes and ejection fractions follow the class statistics of the ACDC
training set (Bernard 2018; mean and SD over 20 patients a class), timing
follows Weissler's regression of ejection time on heart rate, and the rates of
a normal heart come out near 3.7, 3.3 and 2.0 EDV/s (ejection, early, atrial)
at 60 bpm. LBBB and DIAST and everything without a named source are choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_cardioxai.phantom.heart import (
    APICAL,
    SEGMENT_RING,
    Heart,
    HeartShape,
    Papillary,
    Tilt,
)
from napari_cardioxai.phantom.lesions import LESIONS, Build, ejecting_less
from napari_cardioxai.phantom.ranges import RANGES, ClassRanges, HeartClass, Normal
from napari_cardioxai.phantom.volume_curve import MS_PER_MIN, PhantomError, VolumeCurve

# A septum that flashes and a scar may leave too little wall for the stroke volume: as often as
# needed a part of it is taken away.
_CUT, _MOST_CUTS, _TRIED_FRAMES = 0.08, 12, 40


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
    rv_edv = ranges.draw_right_edv(shape_rng, sv)
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
    build = LESIONS[kind](Build(shape, lv, rv), lesion_rng)
    return Case(kind, _fit(build), round(height, 1), round(weight, 1), build.details)


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
    es = 413 - 1.7 * rate + ranges.systole_ms.draw(rng)
    diastole = MS_PER_MIN / rate - es
    e_share = ranges.e_share.draw(rng)
    early, late = Normal(255, 13, 225, 285).draw(rng), Normal(180, 9, 160, 200).draw(rng)
    if kind is HeartClass.DILATED:  # restrictive filling: more of it early, and quickly
        e_share, early = min(e_share + 0.08, 0.85), 0.85 * early
    return VolumeCurve(
        edv_ml=edv_ml,
        esv_ml=edv_ml * (1 - ef_percent / 100),
        heart_rate_bpm=rate,
        es_time_ms=es,
        ejection_onset_ms=ranges.onset_ms.draw(rng),
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


def _fit(build: Build) -> Heart:
    """Build the heart; one that has too little wall left to contract ejects less."""
    for _ in range(_MOST_CUTS):
        heart = _tilted(build)
        if build.dyssynchrony is None or _can_beat(heart):
            return heart
        build = ejecting_less(build, _CUT)
    return _tilted(build)


def _can_beat(heart: Heart) -> bool:
    """Whether the walls can follow the volume curve all the way."""
    try:
        heart.beat(heart.lv.frame_times_ms(_TRIED_FRAMES))
    except PhantomError:
        return False
    return True


def _tilted(build: Build) -> Heart:
    """Build the heart, with as little less tilt of the valve planes as a wide heart needs."""
    shape = build.shape
    for _ in range(8):
        try:
            return Heart(shape, build.lv, build.rv, build.dyssynchrony)
        except PhantomError:
            mitral = replace(shape.mitral, degrees=0.85 * shape.mitral.degrees)
            tricuspid = replace(shape.tricuspid, degrees=0.85 * shape.tricuspid.degrees)
            shape = replace(
                shape,
                mitral=mitral,
                tricuspid=tricuspid,
                tricuspid_offset_mm=0.85 * shape.tricuspid_offset_mm,
            )
    return Heart(shape, build.lv, build.rv, build.dyssynchrony)
