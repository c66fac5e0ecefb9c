"""How much of a heart survives being encoded and decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError

STRUCTURES = {1: "LV cavity", 2: "myocardium", 3: "RV cavity"}
_VALUES = 1 + len(STRUCTURES)


@dataclass(frozen=True)
class ReconstructionDice:
    """Dice of reconstructed sequences.

    Attributes
    ----------
    subjects
        Names, shape (n,).
    dice
        Over all frames and slices of a subject, shape (n, 3): LV cavity,
        myocardium, RV cavity. NaN where neither the truth nor the
        reconstruction has the structure.
    """

    subjects: tuple[str, ...]
    dice: NDArray[np.float64]

    def summary(self) -> dict[str, dict[str, float | str | None]]:
        """`mean, sd, median, worst` and `worst_subject` of each structure and of `mean of structures`.

        None where no subject has the structure.
        """
        known = ~np.isnan(self.dice)
        counts = np.maximum(known.sum(1), 1)
        means = np.where(known.any(1), np.where(known, self.dice, 0.0).sum(1) / counts, np.nan)
        columns = {name: self.dice[:, k - 1] for k, name in STRUCTURES.items()}
        return {
            name: self._spread(column)
            for name, column in {**columns, "mean of structures": means}.items()
        }

    def _spread(self, column: NDArray[np.float64]) -> dict[str, float | str | None]:
        rows = np.flatnonzero(~np.isnan(column))
        if len(rows) == 0:
            return dict.fromkeys(("mean", "sd", "median", "worst", "worst_subject"))
        values = column[rows]
        return {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "median": float(np.median(values)),
            "worst": float(values.min()),
            "worst_subject": self.subjects[rows[int(values.argmin())]],
        }


def reconstruction_dice(
    batches: Iterable[tuple[Sequence[str], NDArray[np.integer], NDArray[np.integer]]],
) -> ReconstructionDice:
    """Dice coefficient 2|A and B| / (|A| + |B|) per subject and structure.

    Pixels of all frames and slices of a subject count together. Batches are
    taken one at a time, so that no more than one need be in memory.

    Parameters
    ----------
    batches
        Names of subjects, true and reconstructed labels (0 background, 1 LV
        cavity, 2 myocardium, 3 RV cavity), both of shape (b, T, S, y, x).

    Raises
    ------
    CohortError
        When shapes differ, a value is no such label, or there is no subject.
    """
    names: list[str] = []
    scores: list[NDArray[np.float64]] = []
    for subjects, truth, reconstructed in batches:
        if truth.shape != reconstructed.shape or len(subjects) != len(truth):
            raise CohortError(
                f"{len(subjects)} subjects, truth of shape {truth.shape} and reconstruction of "
                f"shape {reconstructed.shape} do not fit together."
            )
        for name, true, made in zip(subjects, truth, reconstructed, strict=True):
            names.append(str(name))
            scores.append(_dice_of(str(name), true, made))
    if not names:
        raise CohortError("there are no reconstructed sequences to judge.")
    return ReconstructionDice(tuple(names), np.stack(scores))


def _dice_of(
    name: str, true: NDArray[np.integer], made: NDArray[np.integer]
) -> NDArray[np.float64]:
    if min(true.min(), made.min()) < 0 or max(true.max(), made.max()) >= _VALUES:
        raise CohortError(
            f"{name} has labels from {min(true.min(), made.min())} to "
            f"{max(true.max(), made.max())}; sequences hold 0 to {_VALUES - 1}."
        )
    pairs = true.astype(np.intp).ravel() * _VALUES + made.ravel()
    table = np.bincount(pairs, minlength=_VALUES**2).reshape(_VALUES, _VALUES)
    both = (table.sum(0) + table.sum(1))[1:]
    return np.divide(2.0 * np.diag(table)[1:], both, out=np.full(len(both), np.nan), where=both > 0)
