"""A second opinion on a segmentation: would the network say the same of the mirrored heart?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.agreement import dice
from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES

DOUBTFUL = 0.8
"""Predicted Dice under which a reader is asked to look closely."""
_SLICES_NAMED = 3


@dataclass(frozen=True)
class SecondOpinion:
    """How far a network agrees with itself, and what that has meant so far.

    Attributes
    ----------
    agreement
        Mean Dice between the labels and those of the mirrored views, by structure.
    predicted_dice
        The Dice with a reader that such agreement went along with, for the
        structures where that was checked on readers' contours.
    doubtful_slices
        Slices (from 0) where the views agree least, under `DOUBTFUL`, worst first.
    """

    agreement: dict[int, float]
    predicted_dice: dict[int, float]
    doubtful_slices: tuple[int, ...]

    @classmethod
    def between(
        cls,
        labels: NDArray[np.uint8],
        views: Sequence[NDArray[np.uint8]],
        *,
        calibration: Mapping[int, tuple[float, float]],
    ) -> SecondOpinion:
        """Compare labels (t, z, y, x) with those of other views.

        Parameters
        ----------
        calibration
            By structure: intercept and slope of the true Dice over the agreement.
        """
        present = [int(k) for k in np.unique(labels[labels > 0])]
        agreement = {
            k: float(np.mean([dice(labels == k, view == k) for view in views])) for k in present
        }
        predicted = {
            k: float(np.clip(calibration[k][0] + calibration[k][1] * value, 0, 1))
            for k, value in agreement.items()
            if k in calibration
        }
        return cls(agreement, predicted, _doubtful(labels, views))

    @property
    def note(self) -> str:
        """The opinion in a sentence, with where to look first if it is a doubtful one."""
        checked = self.predicted_dice
        unchecked = {k: v for k, v in self.agreement.items() if k not in checked}
        parts = []
        if checked:
            parts.append(f"expected Dice with a reader {_listed(checked)}")
        if unchecked:
            parts.append(f"agreement of the views {_listed(unchecked)}")
        sentence = f"Second opinion, from mirrored views: {'; '.join(parts) or 'nothing found'}"
        low = [STRUCTURE_NAMES[k] for k, v in {**self.agreement, **checked}.items() if v < DOUBTFUL]
        if low:
            sentence += f"; check {' and '.join(low)}"
            if self.doubtful_slices:
                worst = ", ".join(str(z + 1) for z in self.doubtful_slices[:_SLICES_NAMED])
                sentence += f", first in slice {worst}"
        return f"{sentence}."


def _listed(values: Mapping[int, float]) -> str:
    return ", ".join(f"{STRUCTURE_NAMES[k]} {value:.2f}" for k, value in values.items())


def _doubtful(labels: NDArray[np.uint8], views: Sequence[NDArray[np.uint8]]) -> tuple[int, ...]:
    """Slices whose labelled pixels differ most between views."""
    scores = {}
    for z in range(labels.shape[1]):
        mine = labels[:, z]
        parts = []
        for view in views:
            both = np.count_nonzero(mine) + np.count_nonzero(view[:, z])
            same = np.count_nonzero((mine == view[:, z]) & (mine > 0))
            parts.append(2 * same / both if both else 1.0)
        scores[z] = float(np.mean(parts))
    return tuple(sorted((z for z in scores if scores[z] < DOUBTFUL), key=lambda z: scores[z]))
