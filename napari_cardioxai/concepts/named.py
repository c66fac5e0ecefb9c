"""Concepts by the names that readers give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Biomarker
from napari_cardioxai.errors import CohortError


@dataclass(frozen=True)
class Concept:
    """One end of a biomarker, or a column that says who has it.

    Attributes
    ----------
    name
        As readers say it; also the column of a manifest.
    biomarker
        Key of `BIOMARKERS`; None for what only a column or a list of subjects tells.
    high
        Whether the concept is the high end of its biomarker.
    """

    name: str
    biomarker: str | None = None
    high: bool = False

    @property
    def sign(self) -> int:
        """Which way the biomarker goes towards the concept: 1 up, -1 down."""
        return 1 if self.high or self.biomarker is None else -1

    @property
    def measure(self) -> Biomarker | None:
        """What its biomarker is called and measured in."""
        return None if self.biomarker is None else BIOMARKERS[self.biomarker]


CLOUGH_CONCEPTS = (
    Concept("low EF", "ef_percent"),
    Concept("low PER", "per_edv_s"),
    Concept("low PFR", "pfr_edv_s"),
    Concept("low APFR", "pafr_edv_s"),
    Concept("high LVT", "thickening_variance_percent2", high=True),
)
"""Clough et al. 2019, Table 1. Rates are per end-diastolic volume: a small heart is not a slow one."""


def concept_named(name: str, columns: Sequence[str] = ()) -> Concept:
    """A concept by its name.

    Parameters
    ----------
    name
        One of `CLOUGH_CONCEPTS`; or "low" or "high" with a key of `BIOMARKERS`;
        or a column of 0 and 1.
    columns
        Columns of the manifest at hand.

    Raises
    ------
    CohortError
        When it is none of them.
    """
    named = {concept.name.lower(): concept for concept in CLOUGH_CONCEPTS}
    if name.lower() in named:
        return named[name.lower()]
    end, _, key = name.partition(" ")
    if end in ("low", "high") and key in BIOMARKERS:
        return Concept(name, key, high=end == "high")
    if name in columns:
        return Concept(name)
    raise CohortError(
        f"there is no concept {name!r}; give one of "
        f"{', '.join(concept.name for concept in CLOUGH_CONCEPTS)}, low or high with one of "
        f"{', '.join(BIOMARKERS)}, or a column of 0 and 1."
    )
