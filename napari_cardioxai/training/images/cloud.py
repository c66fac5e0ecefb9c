"""Learn where the training images of a classifier lie, so that strangers are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.bundles.embedding_cloud import EmbeddingCloud, summary_of
from napari_cardioxai.bundles.training_cloud import distances_from
from napari_cardioxai.training.evaluation.out_of_distribution import fit_training_cloud

MOST_DIRECTIONS = 32
FEWEST_IMAGES = 20
_IMAGES_PER_DIRECTION = 8


def fit_embedding_cloud(
    train: NDArray, val: NDArray | None = None, *, seed: int = 0
) -> EmbeddingCloud | None:
    """Where training images lie by their embeddings.

    The network has fitted the training images, so that unseen ones of the same
    kind lie farther out. The distances that others are compared with are
    therefore those of the validation images where there are enough.

    Parameters
    ----------
    train, val
        Embeddings, shape (n, d).
    seed
        As for `fit_training_cloud`.

    Returns
    -------
    None with fewer than 20 training images or without embeddings.
    """
    if len(train) < FEWEST_IMAGES or train.shape[1] < 2 or not train.std(0).any():
        return None
    values = np.asarray(train, np.float64)
    offset = values.mean(0)
    count = min(MOST_DIRECTIONS, values.shape[1] - 1, len(values) // _IMAGES_PER_DIRECTION)
    _, _, directions = np.linalg.svd(values - offset, full_matrices=False)
    basis = directions[:count]
    cloud = fit_training_cloud(summary_of(values, offset, basis), seed=seed)
    if val is not None and len(val) >= FEWEST_IMAGES:
        unseen = distances_from(summary_of(val, offset, basis), cloud.mean, cloud.precision)
        cloud = replace(cloud, distances=np.sort(unseen))
    return EmbeddingCloud(offset, basis, cloud)
