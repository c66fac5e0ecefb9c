"""What a cohort asks of its readers: a label, named concepts, and which split a subject is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cardioxai.phantom.classes import Case
from napari_cardioxai.phantom.lesions import POSTEROLATERAL
from napari_cardioxai.phantom.ranges import HeartClass

# Shares of the splits; `concept` is held out to find concept directions with.
SPLITS = {"train": 0.5, "val": 0.1, "test": 0.2, "concept": 0.2}

# Cohort A: about the lowest fifth (of wall thickening the highest) by the analytic truth of 2,500
# of its subjects. Rates are per EDV, so that a small heart is not a slow one.
LOW_EF_PERCENT = 54.5
LOW_PER_EDV_S = 3.5
LOW_PFR_EDV_S = 2.45
LOW_PAFR_EDV_S = 1.8
HIGH_THICKENING_VARIANCE_PERCENT2 = 33.0

# Cohort B.
FLASH_MM = 1.0
LATE_MS = 100.0
WEAK_RIGHT_EF_PERCENT = 40.0
RESPONSE_SLOPE = 8.0

Truth = Mapping[str, Any]
Rule = Callable[[Case, Truth, np.random.Generator], tuple[bool, dict[str, bool | None]]]


@dataclass(frozen=True)
class Answer:
    """What the manifest says about one subject of a labelled cohort.

    Attributes
    ----------
    split
        A name of `SPLITS`.
    label
        The decision to be made.
    concepts
        By name; None where it cannot be said.
    """

    split: str
    label: bool
    concepts: dict[str, bool | None]


def draw_answer(labelling: str, case: Case, truth: Truth, rng: np.random.Generator) -> Answer:
    """Label, concepts and split of one subject.

    Parameters
    ----------
    labelling
        A name of `LABELLINGS`.
    case, truth
        The patient and its analytic truth.
    rng
        Decides the split, and the label where it is a matter of chance.
    """
    split = str(rng.choice(list(SPLITS), p=list(SPLITS.values())))
    label, concepts = LABELLINGS[labelling].rule(case, truth, rng)
    return Answer(split, label, concepts)


def coronary_disease(
    case: Case, truth: Truth, rng: np.random.Generator
) -> tuple[bool, dict[str, bool | None]]:
    """Whether a coronary lesion was put into the heart, and Clough's five concepts.

    The label is the class itself: nothing is drawn here, so all that can be
    known about it lies in the heart.

    References
    ----------
    Clough et al. 2019, Table 1.
    """
    return case.kind is HeartClass.CORONARY, {
        "low EF": _below(truth["ef_percent"], LOW_EF_PERCENT),
        "low PER": _below(truth["per_edv_s"], LOW_PER_EDV_S),
        "low PFR": _below(truth["pfr_edv_s"], LOW_PFR_EDV_S),
        "low APFR": _below(truth["pafr_edv_s"], LOW_PAFR_EDV_S),
        "high LVT": bool(truth["thickening_variance_percent2"] > HIGH_THICKENING_VARIANCE_PERCENT2),
    }


def _below(value: float | None, limit: float) -> bool | None:
    return None if value is None else bool(value < limit)


def resynchronisation_response(
    case: Case, truth: Truth, rng: np.random.Generator
) -> tuple[bool, dict[str, bool | None]]:
    """Whether a candidate responds to resynchronisation, and what decides it.

    Flash and a late lateral wall are what pacing corrects and count one point
    each; a weak right ventricle takes one away and a posterolateral scar,
    where the lead should go, two. The probability of response is the logistic
    function of `RESPONSE_SLOPE` (score - 1/2), so that 0.98 respond who have a
    point left and 0.02 of the others: with the shares of `lesions`, 27 of 37
    with flash and a fifth of those without.

    References
    ----------
    Flash: Puyol-Anton et al. 2020 (27 of 37 respond); PMID 24916203 (21 % respond
    without). Lateral delay: PMC3961510. Scar: Bleeker et al. 2006, Circulation
    113:969 (response 14 % with, 81 % without). Right ventricle: Alpendurada
    et al. 2011, JCMR 13:68 (18 % respond below an ejection fraction of 30 %).
    """
    concepts = {
        "septal flash": truth["septal_flash_mm"] >= FLASH_MM,
        "late lateral wall": truth["lateral_delay_ms"] >= LATE_MS,
        "posterolateral scar": set(POSTEROLATERAL) <= set(case.details["scar_segments"]),
        "weak right ventricle": truth["rv_ef_percent"] < WEAK_RIGHT_EF_PERCENT,
    }
    flash, late, scar, weak = concepts.values()
    score = int(flash) + int(late) - 2 * int(scar) - int(weak)
    probability = 1 / (1 + np.exp(-RESPONSE_SLOPE * (score - 0.5)))
    return bool(rng.random() < probability), {name: bool(yes) for name, yes in concepts.items()}


@dataclass(frozen=True)
class Labelling:
    """A question that a cohort can ask.

    Attributes
    ----------
    rule
        Label and concepts of a patient, from the patient, the analytic truth
        and, where the label is a matter of chance, random numbers.
    classes
        The classes of heart that it can be asked of.
    """

    rule: Rule
    classes: tuple[HeartClass, ...]


LABELLINGS: dict[str, Labelling] = {
    "coronary": Labelling(coronary_disease, (HeartClass.CONTROL, HeartClass.CORONARY)),
    "response": Labelling(resynchronisation_response, (HeartClass.CANDIDATE,)),
}
