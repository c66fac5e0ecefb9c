"""What the statistics accept, checked once at the door."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.errors import CohortError


def checked_labels(labels: ArrayLike) -> NDArray[np.bool_]:
    """Labels 0 and 1 as booleans, shape (n,).

    Raises
    ------
    CohortError
        When there are none, or one is neither 0 nor 1.
    """
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) == 0:
        raise CohortError(f"labels must be one 0 or 1 a subject; their shape is {values.shape}.")
    odd = np.flatnonzero(~np.isin(values, (0, 1)))
    if len(odd):
        raise CohortError(
            f"the label of subject number {odd[0] + 1} is {values[odd[0]]}; labels are 0 or 1, "
            "subjects whose class is unknown must be left out."
        )
    return values.astype(bool)


def labels_and_scores(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels as booleans and one finite score a subject, both of shape (n,).

    Raises
    ------
    CohortError
        When lengths differ, a label is neither 0 nor 1, or a score is not finite.
    """
    truth, values = checked_labels(labels), np.asarray(scores, np.float64)
    if values.shape != truth.shape:
        raise CohortError(
            f"{len(truth)} labels and scores of shape {values.shape} do not belong together; "
            "give one score a subject."
        )
    odd = np.flatnonzero(~np.isfinite(values))
    if len(odd):
        raise CohortError(
            f"the score of subject number {odd[0] + 1} is {values[odd[0]]}; "
            "leave out subjects that could not be scored."
        )
    return truth, values


def two_classes(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """As `labels_and_scores`, with at least one subject of each class.

    Raises
    ------
    CohortError
        As there, and when all labels are equal.
    """
    truth, values = labels_and_scores(labels, scores)
    if truth.all() or not truth.any():
        raise CohortError(
            f"all {len(truth)} subjects have the label {int(truth[0])}; "
            "a comparison of two classes needs subjects of both."
        )
    return truth, values


def checked_probabilities(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """As `labels_and_scores`, with scores from 0 to 1.

    Raises
    ------
    CohortError
        As there, and when a score is no probability.
    """
    truth, values = labels_and_scores(labels, probabilities)
    odd = np.flatnonzero((values < 0) | (values > 1))
    if len(odd):
        raise CohortError(
            f"the probability of subject number {odd[0] + 1} is {values[odd[0]]:g}; "
            "probabilities lie between 0 and 1, logits must be converted first."
        )
    return truth, values
