"""What threatens a model before it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.cohorts.properties import SHARES, property_name
from napari_cardioxai.cohorts.shortcuts import TOGETHER, Shortcut

FEWEST_SHARE = 0.15  # of the rarer value; below, a label or concept is imbalanced


@dataclass(frozen=True)
class CohortWarning:
    """Something to think about before a model is trained.

    Attributes
    ----------
    kind
        "imbalance", "shortcut", "structures" or "subjects".
    severity
        "warning", or "info" where it may be chance or is of small weight.
    sentence
        What, how much, and what it means.
    column
        Which column or property; "" where it is none.
    """

    kind: Literal["imbalance", "shortcut", "structures", "subjects"]
    severity: Literal["info", "warning"]
    sentence: str
    column: str = ""


@dataclass(frozen=True)
class Concept:
    """How often a concept is there.

    Attributes
    ----------
    name
        Its column.
    present, absent, unknown
        Subjects with 1, 0 and a blank cell.
    by_label
        Part of the known subjects that have it, of those with label 0 and 1;
        None where nobody is known.
    """

    name: str
    present: int
    absent: int
    unknown: int
    by_label: tuple[float | None, float | None] = (None, None)


def find_threats(
    label: str,
    target: NDArray[np.float64] | None,
    concepts: Sequence[Concept],
    properties: pd.DataFrame,
    shortcuts: Sequence[Shortcut],
    failed: Mapping[str, str],
) -> tuple[CohortWarning, ...]:
    """Every warning about a cohort, the grave ones first.

    Parameters
    ----------
    label, target
        Column of what is to be learnt, and its values, NaN where blank, shape
        (subjects,); None where there is none.
    concepts
        As counted.
    properties
        One row a subject, columns of `properties.NAMES`.
    shortcuts
        As found.
    failed
        Subjects that could not be read, with the reason.
    """
    warnings = (
        *_of_subjects(failed, len(properties)),
        *_of_imbalance(label, target, concepts),
        *_of_structures(properties),
        *_of_shortcuts(shortcuts, label),
    )
    return tuple(sorted(warnings, key=lambda warning: warning.severity != "warning"))


def counted(values: NDArray[np.float64]) -> dict[str, int]:
    """How many are 0, 1 and blank."""
    return {
        "0": int(np.count_nonzero(values == 0)),
        "1": int(np.count_nonzero(values == 1)),
        "blank": int(np.count_nonzero(np.isnan(values))),
    }


def _of_subjects(failed: Mapping[str, str], count: int) -> list[CohortWarning]:
    if not failed:
        return []
    first = next(iter(failed))
    text = (
        f"{len(failed)} of {count} subjects could not be read, the first {first}: {failed[first]}"
    )
    return [CohortWarning("subjects", "warning", text)]


def _of_imbalance(
    label: str, target: NDArray[np.float64] | None, concepts: Sequence[Concept]
) -> list[CohortWarning]:
    found = []
    counts = [] if target is None else [(label, counted(target))]
    counts += [(c.name, {"1": c.present, "0": c.absent}) for c in concepts]
    for name, values in counts:
        known = values["0"] + values["1"]
        if not known:
            continue
        rarer = "1" if values["1"] <= values["0"] else "0"
        share = values[rarer] / known
        if share >= FEWEST_SHARE:
            continue
        is_label = name == label
        what = "label" if is_label else "concept"
        which = {"1": "positive", "0": "negative"}[rarer]
        if values[rarer] == 0:
            text = f"No subject is {which} for the {what} {name!r}, so it cannot be learnt."
        else:
            text = (
                f"{values[rarer]} of {known} subjects ({share:.0%}) are {which} for the {what} "
                f"{name!r}: weigh the classes, and judge by AUC and balanced accuracy."
            )
        severity: Literal["info", "warning"] = (
            "warning" if is_label or values[rarer] == 0 else "info"
        )
        found.append(CohortWarning("imbalance", severity, text, name))
    return found


def _of_structures(properties: pd.DataFrame) -> list[CohortWarning]:
    """Structures that some subjects have and others have not."""
    found = []
    for name in SHARES.values():
        if name not in properties:
            continue
        shares = properties[name].dropna()
        lacking = shares.index[shares == 0]
        if 0 < len(lacking) < len(shares):
            title = property_name(name)
            text = (
                f"{title} is labelled nowhere in {len(lacking)} of {len(shares)} subjects, "
                f"the first {lacking[0]}: a model would learn who labelled them."
            )
            found.append(CohortWarning("structures", "warning", text, name))
    return found


def _of_shortcuts(shortcuts: Sequence[Shortcut], label: str) -> list[CohortWarning]:
    found = []
    for shortcut in shortcuts:
        if not shortcut.threatens:
            continue
        said = property_name(shortcut.name)
        said = said[:1].upper() + said[1:]
        if shortcut.name == TOGETHER:
            said = "What is not anatomy, taken together,"
        chance = (
            "a model may decide by it instead of by the heart."
            if shortcut.is_certain
            else f"with {shortcut.subjects} subjects that may be chance."
        )
        text = f"{said} tells {label!r} with an AUC of {shortcut.auc:.2f}: {chance}"
        severity: Literal["info", "warning"] = "warning" if shortcut.is_certain else "info"
        found.append(CohortWarning("shortcut", severity, text, shortcut.name))
    return found
