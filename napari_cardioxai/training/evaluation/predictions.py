"""What a model said about subjects that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.calibration import Temperature
from napari_cardioxai.training.evaluation.inputs import checked_probabilities
from napari_cardioxai.training.evaluation.roc import Threshold


@dataclass(frozen=True)
class FoldPredictions:
    """One model's predictions on the test subjects of one fold, or of a single split.

    Attributes
    ----------
    subjects
        Names of the test subjects.
    labels, probabilities
        0 or 1, and the probability of 1, each of shape (n,).
    threshold
        Chosen on this fold's training predictions (`roc.youden_threshold`).
    temperature
        Fitted on this fold's validation subjects; None when there were none.

    Raises
    ------
    CohortError
        When the arrays do not fit together, or the threshold was chosen on one
        of the test subjects.
    """

    subjects: tuple[str, ...]
    labels: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    threshold: Threshold
    temperature: Temperature | None = None

    def __post_init__(self) -> None:
        labels, probabilities = checked_probabilities(self.labels, self.probabilities)
        if len(self.subjects) != len(labels):
            raise CohortError(
                f"{len(labels)} predictions come with {len(self.subjects)} names of subjects."
            )
        if seen := sorted(self.threshold.chosen_on.intersection(self.subjects)):
            raise CohortError(
                f"the threshold was chosen on {seen[0]}, which is to be judged at it; "
                "choose it on training subjects only."
            )
        object.__setattr__(self, "subjects", tuple(map(str, self.subjects)))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "probabilities", probabilities)


@dataclass(frozen=True)
class PooledPredictions:
    """Every test subject of a model once, sorted by name; arrays of shape (n,).

    Attributes
    ----------
    subjects, fold, labels, probabilities, decisions
        Name, number of the fold (from 0), label, probability, and the decision
        at the threshold of the fold.
    calibrated
        Probability after the fold's temperature; None when a fold has none.
    """

    subjects: tuple[str, ...]
    fold: NDArray[np.int64]
    labels: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    decisions: NDArray[np.bool_]
    calibrated: NDArray[np.float64] | None


def pool(folds: Sequence[FoldPredictions]) -> PooledPredictions:
    """Put the test subjects of all folds together, sorted by name.

    Raises
    ------
    CohortError
        When there is no fold, or a subject is a test subject twice.
    """
    if not folds:
        raise CohortError("there are no predictions to evaluate.")
    names = np.concatenate([np.asarray(fold.subjects, str) for fold in folds])
    order = np.argsort(names, kind="stable")
    names = names[order]
    twice = np.flatnonzero(names[1:] == names[:-1])
    if len(twice):
        raise CohortError(
            f"{names[twice[0]]} is predicted twice; every subject is judged on in one fold only."
        )
    temperatures = [fold.temperature for fold in folds]
    calibrated = [
        temperature.calibrated(fold.probabilities)
        for fold, temperature in zip(folds, temperatures, strict=True)
        if temperature is not None
    ]
    return PooledPredictions(
        subjects=tuple(names.tolist()),
        fold=np.repeat(np.arange(len(folds)), [len(fold.subjects) for fold in folds])[order],
        labels=np.concatenate([fold.labels for fold in folds])[order],
        probabilities=np.concatenate([fold.probabilities for fold in folds])[order],
        decisions=np.concatenate([fold.threshold.decide(fold.probabilities) for fold in folds])[
            order
        ],
        calibrated=np.concatenate(calibrated)[order] if len(calibrated) == len(folds) else None,
    )
