"""Values beside those of healthy hearts: to be looked at, never a fault, never a diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.anatomy.quality.facts import PRESENT_PIXELS, Facts, NotApplicableError
from napari_cardioxai.anatomy.quality.label_rules import SLICES_WITH_LV
from napari_cardioxai.anatomy.quality.rule import Reading, counted
from napari_cardioxai.anatomy.volumes import LV, RV, EjectionFraction, ejection_fraction

NORMAL_95 = 1.96  # standard deviations on either side that hold 95 % of a normal distribution
EF_REDUCED = 40.0
EF_PRESERVED = 50.0

PETERSEN = "Petersen 2017, papillary muscles counted as cavity"
HUDSMITH = "Hudsmith 2005, papillary muscles counted as muscle"


@dataclass(frozen=True)
class ReferenceRange:
    """95 % of healthy adults, for one quantity.

    Attributes
    ----------
    name, unit
        For the sentence.
    structure
        LV or RV.
    quantity
        Reads it off an `EjectionFraction`.
    men, women
        (mean, standard deviation) as published.
    source
        Paper and papillary convention; volumes of one convention are not those of the other.
    """

    name: str
    unit: str
    structure: int
    quantity: Callable[[EjectionFraction], float]
    men: tuple[float, float]
    women: tuple[float, float]
    source: str

    @property
    def limits(self) -> tuple[float, float]:
        """Lower limit of the lower sex to upper limit of the higher, as the sex is not known."""
        both = (self.men, self.women)
        return (
            min(mean - NORMAL_95 * sd for mean, sd in both),
            max(mean + NORMAL_95 * sd for mean, sd in both),
        )

    def read(self, facts: Facts) -> list[Reading]:
        """The value beside its limits."""
        value = self.quantity(_ejection(facts, self.structure))
        low, high = self.limits
        text = (
            f"{self.name} is {value:.0f} {self.unit}, healthy adults have {low:.0f} to "
            f"{high:.0f} {self.unit} ({self.source})"
        )
        if self is LV_EF:
            text = f"{self.name} is {value:.0f} %, {ef_class(value)}; " + text.split(", ", 1)[1]
        bound = low if value < low else high
        passed = low <= value <= high
        return [Reading(value, text, passed, structure=self.structure, threshold=bound)]


def ef_class(percent: float) -> str:
    """Name of a left-ventricular ejection fraction; the bins leave no gap.

    Reduced up to 40 %, mildly reduced above 40 and below 50 %, preserved from
    50 % on.
    """
    if percent <= EF_REDUCED:
        return "reduced"
    return "mildly reduced" if percent < EF_PRESERVED else "preserved"


LV_EF = ReferenceRange(
    "LV ejection fraction", "%", LV, lambda e: e.percent, (58, 5), (61, 5), PETERSEN
)
LV_EDV = ReferenceRange(
    "LV end-diastolic volume", "mL", LV, lambda e: e.edv_ml, (160, 29), (135, 26), HUDSMITH
)
LV_ESV = ReferenceRange(
    "LV end-systolic volume", "mL", LV, lambda e: e.esv_ml, (50, 16), (42, 12), HUDSMITH
)
RV_EDV = ReferenceRange(
    "RV end-diastolic volume", "mL", RV, lambda e: e.edv_ml, (190, 33), (148, 35), HUDSMITH
)
RV_ESV = ReferenceRange(
    "RV end-systolic volume", "mL", RV, lambda e: e.esv_ml, (78, 20), (56, 18), HUDSMITH
)
REFERENCE_RANGES = {
    "lv_ef_reference": LV_EF,
    "lv_edv_reference": LV_EDV,
    "lv_esv_reference": LV_ESV,
    "rv_edv_reference": RV_EDV,
    "rv_esv_reference": RV_ESV,
}


def _ejection(facts: Facts, structure: int) -> EjectionFraction:
    """Volumes of a cavity, if its labels cover the heart in millimetres and over time."""
    facts.need(structure)
    if facts.labels.geometry.spacing_mm is None:
        raise NotApplicableError("The pixel size is unknown.")
    curve, name = facts.size(structure), STRUCTURE_NAMES[structure]
    if np.count_nonzero(curve) < 2:
        raise NotApplicableError(f"{name} is labelled in one frame, so its volumes have no phase.")
    fullest = facts.pixels[structure, int(np.argmax(curve))]
    slices = int(np.count_nonzero(fullest >= PRESENT_PIXELS))
    if slices < SLICES_WITH_LV:
        raise NotApplicableError(
            f"{name} is labelled in {counted(slices, 'slice')}, which is no whole ventricle."
        )
    return ejection_fraction(curve)
