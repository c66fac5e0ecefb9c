"""What the hearts of each class have in common: numbers from the literature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np


class HeartClass(StrEnum):
    """The kinds of heart that can be drawn."""

    NORMAL = "NOR"
    DILATED = "DCM"
    HYPERTROPHIC = "HCM"
    INFARCT = "MINF"
    RIGHT = "RV"
    DYSSYNCHRONY = "LBBB"
    DIASTOLIC = "DIAST"
    CONTROL = "CTRL"
    CORONARY = "CAD"
    CANDIDATE = "CRT"


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
    onset_ms
        Start of ejection after the R wave.
    systole_ms
        What end-systole comes later than the ejection time by Weissler's regression.
    e_share
        Part of the stroke volume that early filling brings.
    """

    edv_ml: Normal
    ef_percent: Normal
    rv_ef_percent: Normal
    rv_edv_ml: tuple[float, float]
    wall_mm: Normal
    heart_rate_bpm: tuple[float, float] = (52.0, 85.0)
    length_factor: float = 16.6
    descent_factor: float = 1.0
    onset_ms: Normal = Normal(14, 5, 4, 26)
    systole_ms: Normal = Normal(30, 10, 10, 50)
    e_share: Normal = Normal(0.70, 0.04, 0.62, 0.78)

    def draw_right_edv(self, rng: np.random.Generator, sv_ml: float) -> float:
        """End-diastolic volume in mL of a right ventricle that ejects `sv_ml`."""
        low, high = self.rv_edv_ml
        for _ in range(200):
            edv = sv_ml / (self.rv_ef_percent.draw(rng) / 100)
            if low <= edv <= high:
                return edv
        # A stroke volume far from the mean: the nearest end of the range that leaves an ESV.
        return float(max(np.clip(edv, low, high), 1.15 * sv_ml))


# EDV, EF: ACDC statistics (mean, SD) within the class rules; LBBB and DIAST are proposals.
_NORMAL = ClassRanges(
    edv_ml=Normal(130, 26, 80, 166),
    ef_percent=Normal(60, 5, 52, 73),
    rv_ef_percent=Normal(55, 8, 46, 68),
    rv_edv_ml=(85, 225),
    wall_mm=Normal(7.2, 0.8, 5.6, 9.0),
)
# People in their sixties as a population study sees them, with or without coronary disease:
# volumes and EF of UK Biobank (Petersen 2017: EF 58 to 61 ± 5 %), timing that differs more
# between people than in young volunteers.
_MIDDLE_AGED = ClassRanges(
    edv_ml=Normal(138, 28, 85, 205),
    ef_percent=Normal(59, 5, 47, 72),
    rv_ef_percent=Normal(56, 6, 45, 68),
    rv_edv_ml=(80, 230),
    wall_mm=Normal(7.4, 0.9, 5.6, 9.8),
    heart_rate_bpm=(50.0, 70.0),
    onset_ms=Normal(36, 18, 4, 85),
    e_share=Normal(0.70, 0.05, 0.58, 0.80),
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
    HeartClass.CONTROL: _MIDDLE_AGED,
    HeartClass.CORONARY: _MIDDLE_AGED,
    HeartClass.CANDIDATE: ClassRanges(
        edv_ml=Normal(250, 40, 175, 330),
        ef_percent=Normal(27, 4, 18, 35),
        rv_ef_percent=Normal(53, 5, 45, 63),
        rv_edv_ml=(75, 230),
        wall_mm=Normal(8.0, 0.7, 6.5, 9.8),
        heart_rate_bpm=(55.0, 75.0),
        length_factor=15.8,
    ),
}
