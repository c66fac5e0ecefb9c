"""What a disease does to a heart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_cardioxai.phantom.heart import (
    APICAL,
    SEGMENT_RING,
    Dyssynchrony,
    HeartShape,
)
from napari_cardioxai.phantom.ranges import HeartClass, Normal
from napari_cardioxai.phantom.volume_curve import PhantomError, VolumeCurve

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
LATERAL_DELAY_MS = (100.0, 200.0)

# Beta distributions: severity of diastolic dysfunction without and with coronary disease,
# and part of its contraction that an ischaemic segment loses.
CONTROL_IMPAIRMENT = (1.0, 2.5)
CORONARY_IMPAIRMENT = (1.6, 1.6)
ISCHAEMIA = (1.5, 1.7)
UNEVENNESS = (0.04, 0.18)  # standard deviation of contraction over the segments, lowest, highest
LOST_EJECTION = 0.5  # of what the ischaemic segments would eject
THINNING = 0.4  # of the wall that loses all contraction

# Candidates for resynchronisation, see `answers`.
FLASH_SHARE = 37 / 73  # Puyol-Anton 2020
LATE_SHARE = 0.36
LATERAL_SCAR_SHARE = 0.265
OTHER_SCAR_SHARE = 0.3
WEAK_RIGHT_SHARE = 0.25
WEAK_RIGHT_EF = Normal(27, 4, 18, 34)
LARGEST_RIGHT_ML = 300.0
POSTEROLATERAL = (5, 11)


@dataclass(frozen=True)
class Build:
    """The parts of a heart before they are put together.

    Attributes
    ----------
    shape, lv, rv, dyssynchrony
        As `Heart` takes them.
    details
        What was done to it; JSON types.
    """

    shape: HeartShape
    lv: VolumeCurve
    rv: VolumeCurve
    dyssynchrony: Dyssynchrony | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def with_segments(self, name: str, change: dict[int, Any]) -> Build:
        """Other values of the regional parameter `name` in some segments (1 to 16)."""
        values = list(getattr(self.shape, name))
        for segment, value in change.items():
            values[segment - 1] = value
        changed: dict[str, Any] = {name: tuple(values)}
        return replace(self, shape=replace(self.shape, **changed))

    def noting(self, **details: Any) -> Build:
        """With more details."""
        return replace(self, details=self.details | details)


def impair_filling(curve: VolumeCurve, *, severity: float = 1.0) -> VolumeCurve:
    """The same heart with diastolic dysfunction: PFR down 40 %, PAFR up 30 %, equal EF.

    Parameters
    ----------
    severity
        Part of that change, 0 to 1.

    Raises
    ------
    PhantomError
        When diastole is too short for the slower filling.
    """
    slower = 1 - (1 - PFR_DYSFUNCTION) * severity
    late = (1 - curve.e_share) * (1 + (PAFR_DYSFUNCTION - 1) * severity)
    early = 1 - late
    return replace(
        curve,
        e_share=early,
        e_duration_ms=curve.e_duration_ms * early / (curve.e_share * slower),
    )


def no_lesion(build: Build, rng: np.random.Generator) -> Build:
    """A heart as its class's ranges have it."""
    return build


def hypertrophy(build: Build, rng: np.random.Generator) -> Build:
    """A septum 1.5 to 2.2 times as thick, above 15 mm, that thickens little."""
    factor = rng.uniform(1.6, 2.2)
    preserved = rng.uniform(0.3, 0.7)
    wall = {}
    for segment in SEPTUM:
        share = 0.55 if SEGMENT_RING[segment - 1] == APICAL else 1.0
        wall[segment] = build.shape.wall_mm[segment - 1] * (1 + (factor - 1) * share)
    wall[2], wall[8] = max(wall[2], 15.2), max(wall[8], 15.2)
    build = build.with_segments("wall_mm", wall)
    build = build.with_segments("thickening", dict.fromkeys(SEPTUM, preserved * TYPICAL_THICKENING))
    build = build.with_segments("contraction", dict.fromkeys(SEPTUM, 0.7))
    return build.noting(septal_wall_factor=factor, septal_thickening_factor=preserved)


def infarction(build: Build, rng: np.random.Generator) -> Build:
    """One to three adjacent segments of one territory: thin, still, not thickening."""
    territory = str(rng.choice(list(TERRITORIES)))
    segments = adjacent_segments(TERRITORIES[territory], int(rng.integers(1, 4)), rng)
    build = _scarred(build, segments, rng.uniform(0.6, 0.9), rng)
    return build.noting(territory=territory, infarct_segments=list(segments))


def _scarred(
    build: Build, segments: tuple[int, ...], thinning: float, rng: np.random.Generator
) -> Build:
    """Thin segments that neither move nor thicken."""
    wall = {s: build.shape.wall_mm[s - 1] * thinning for s in segments}
    build = build.with_segments("wall_mm", wall)
    build = build.with_segments("contraction", {s: rng.uniform(0, 0.1) for s in segments})
    return build.with_segments("thickening", {s: rng.uniform(-0.1, 0) for s in segments})


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


def right_load(build: Build, rng: np.random.Generator) -> Build:
    """A septum flattened by the right ventricle."""
    flattening = rng.uniform(0.08, 0.18)
    shape = replace(build.shape, septal_flattening=flattening)
    return replace(build, shape=shape).noting(septal_flattening=flattening)


def bundle_block(build: Build, rng: np.random.Generator) -> Build:
    """Septal flash of 1 to 3 mm at 60 to 120 ms, lateral delay of 100 to 200 ms."""
    motion = Dyssynchrony(
        flash_mm=float(rng.uniform(1.2, 2.6)),
        flash_peak_ms=float(rng.uniform(65, 110)),
        rebound_mm=float(rng.uniform(1.2, 2.2)),
        lateral_delay_ms=float(rng.uniform(*LATERAL_DELAY_MS)),
    )
    build = build.with_segments("contraction", dict.fromkeys(SEPTUM, 0.15))
    return replace(build, dyssynchrony=motion).noting(
        flash_mm=motion.flash_mm,
        flash_peak_ms=motion.flash_peak_ms,
        lateral_delay_ms=motion.lateral_delay_ms,
    )


def impaired_filling(build: Build, rng: np.random.Generator) -> Build:
    """Diastolic dysfunction in full, in the left ventricle."""
    return replace(build, lv=impair_filling(build.lv)).noting(
        pfr_factor=PFR_DYSFUNCTION, pafr_factor=PAFR_DYSFUNCTION
    )


def wear(build: Build, rng: np.random.Generator) -> Build:
    """Middle age without coronary disease: some slower filling, walls that move unevenly."""
    return _worn(build, rng, severity=float(rng.beta(*CONTROL_IMPAIRMENT)))


def ischaemia(build: Build, rng: np.random.Generator) -> Build:
    """Wear, and one territory that contracts less, mostly with global function compensated.

    The rest of the wall makes up for the weak part, because the volume curve
    stays that of the ejection fraction; only large and severe lesions lower it.
    """
    build = _worn(build, rng, severity=float(rng.beta(*CORONARY_IMPAIRMENT)))
    territory = str(rng.choice(list(TERRITORIES)))
    segments = adjacent_segments(TERRITORIES[territory], int(rng.integers(2, 5)), rng)
    severity = float(rng.beta(*ISCHAEMIA))
    weak = {s: build.shape.contraction[s - 1] * (1 - severity) for s in segments}
    thin = {s: build.shape.wall_mm[s - 1] * (1 - THINNING * severity) for s in segments}
    build = build.with_segments("contraction", weak).with_segments("wall_mm", thin)
    build = ejecting_less(build, LOST_EJECTION * severity * len(segments) / 16)
    return build.noting(
        territory=territory, ischaemic_segments=list(segments), ischaemia_severity=severity
    )


def _worn(build: Build, rng: np.random.Generator, *, severity: float) -> Build:
    unevenness = rng.uniform(*UNEVENNESS)
    contraction = {
        s + 1: share * float(rng.normal(1, unevenness))
        for s, share in enumerate(build.shape.contraction)
    }
    build = build.with_segments("contraction", contraction)
    while True:
        try:
            lv = impair_filling(build.lv, severity=severity)
            break
        except PhantomError:  # a short diastole has no room for more
            severity *= 0.9
    return replace(build, lv=lv).noting(filling_severity=severity)


def ejecting_less(build: Build, lost: float) -> Build:
    """Both ventricles eject the part `lost` of the stroke volume less, from the same EDV."""
    lv, rv = (
        replace(curve, esv_ml=curve.esv_ml + lost * curve.sv_ml) for curve in (build.lv, build.rv)
    )
    descent = build.shape.mitral_descent_mm * (1 - lost)
    return replace(build, lv=lv, rv=rv, shape=replace(build.shape, mitral_descent_mm=descent))


def candidacy(build: Build, rng: np.random.Generator) -> Build:
    """A weak heart whose left ventricle may be dyssynchronous or scarred, or whose right is weak.

    Flash comes with a late lateral wall (left bundle branch block); without
    flash the lateral wall may still be late. A scar lies in the posterolateral
    wall, where it hinders pacing, or in the anterior wall, where it does not.
    """
    flash, late, lateral_scar, other_scar, weak_right = rng.random(5)
    delay = float(rng.uniform(*LATERAL_DELAY_MS))
    right_ef = WEAK_RIGHT_EF.draw(rng) / 100
    if flash < FLASH_SHARE:
        build = bundle_block(build, rng)
        # What is left of the wall works hard beside a scar; the septum must not follow it.
        build = build.with_segments("contraction", dict.fromkeys(SEPTUM, 0.0))
    elif late < LATE_SHARE:
        motion = Dyssynchrony(flash_mm=0.0, rebound_mm=0.0, lateral_delay_ms=delay)
        build = replace(build, dyssynchrony=motion).noting(lateral_delay_ms=delay)
    scar: tuple[int, ...] = ()
    if lateral_scar < LATERAL_SCAR_SHARE:
        scar = (*POSTEROLATERAL, int(rng.choice((4, 6, 10, 12, 16))))
    elif other_scar < OTHER_SCAR_SHARE:
        scar = (1, 7, int(rng.choice((6, 12, 13))))
    if scar:
        build = _scarred(build, tuple(sorted(scar)), rng.uniform(0.55, 0.7), rng)
    if weak_right < WEAK_RIGHT_SHARE:
        edv = min(build.rv.sv_ml / right_ef, LARGEST_RIGHT_ML)
        build = replace(build, rv=replace(build.rv, edv_ml=edv, esv_ml=edv - build.rv.sv_ml))
    return build.noting(scar_segments=sorted(scar))


LESIONS: dict[HeartClass, Callable[[Build, np.random.Generator], Build]] = {
    HeartClass.NORMAL: no_lesion,
    HeartClass.DILATED: no_lesion,
    HeartClass.HYPERTROPHIC: hypertrophy,
    HeartClass.INFARCT: infarction,
    HeartClass.RIGHT: right_load,
    HeartClass.DYSSYNCHRONY: bundle_block,
    HeartClass.DIASTOLIC: impaired_filling,
    HeartClass.CONTROL: wear,
    HeartClass.CORONARY: ischaemia,
    HeartClass.CANDIDATE: candidacy,
}
