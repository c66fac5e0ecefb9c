"""Where the training cohort lies, so that a bundle can tell a stranger."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_cardioxai.bundles.training_cloud import (
    Strangeness,
    TrainingCloud,
    checked_summaries,
    distances_from,
    latent_summary,
)
from napari_cardioxai.errors import CohortError

__all__ = ["Strangeness", "TrainingCloud", "fit_training_cloud", "latent_summary"]

_PARTS = 5


def fit_training_cloud(summaries: ArrayLike, *, seed: int = 0) -> TrainingCloud:
    """Learn where the training cohort lies.

    The covariance is shrunk towards a multiple of the identity by Ledoit and
    Wolf's optimal share, so that it can be inverted with few subjects. A
    subject lies too near to a cloud that it helped to make; the reference
    distances are therefore taken in five parts, each from the other four, so
    that percentiles of unseen subjects of the same kind are spread evenly.

    Parameters
    ----------
    summaries
        One row a training subject, shape (n, d), n at least 10.
    seed
        Deals the subjects into parts.

    Raises
    ------
    CohortError
        When there are fewer subjects, a value is not finite, or all are equal.

    References
    ----------
    Lee et al. 2018, NeurIPS (Mahalanobis distance of features); Ledoit and
    Wolf 2004, J. Multivar. Anal. 88:365 (scikit-learn's `LedoitWolf`).
    """
    from sklearn.covariance import LedoitWolf

    table = checked_summaries(summaries)
    if len(table) < 2 * _PARTS:
        raise CohortError(
            f"{len(table)} training subjects are too few to tell a stranger; "
            f"{2 * _PARTS} or more are needed."
        )
    if not table.std(0).any():
        raise CohortError("all training subjects have the same latent summary; nothing was learnt.")
    part = np.random.default_rng(seed).permutation(len(table)) % _PARTS
    distances = np.empty(len(table))
    for k in range(_PARTS):
        others = LedoitWolf().fit(table[part != k])
        distances[part == k] = distances_from(table[part == k], others.location_, others.precision_)
    whole = LedoitWolf().fit(table)
    return TrainingCloud(whole.location_, whole.precision_, np.sort(distances))
