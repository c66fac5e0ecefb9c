"""How unlike the images that a classifier was trained on another one is, by its embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.bundles.training_cloud import Strangeness, TrainingCloud
from napari_cardioxai.errors import BundleError

_OFFSET, _BASIS = "embedding_mean", "embedding_basis"
_SMALLEST = 1e-6  # of what is left over, so that its logarithm exists


@dataclass(frozen=True)
class EmbeddingCloud:
    """Where the training images lie in the space of embeddings.

    Embeddings have hundreds of features, most of them hardly used; an image is
    summarised by its place along the main directions of the training images,
    and by the logarithm of its distance from the space that those span, which
    is what something never seen goes off by.

    Attributes
    ----------
    offset, basis
        Mean embedding of the training images, shape (d,); main directions,
        shape (k, d), orthonormal.
    cloud
        Of the summaries, k + 1 numbers each.
    """

    offset: NDArray[np.float64]
    basis: NDArray[np.float64]
    cloud: TrainingCloud

    def strangeness(self, embedding: NDArray) -> Strangeness:
        """Distance of images from those of the training, by embeddings of shape (n, d)."""
        return self.cloud.strangeness(summary_of(embedding, self.offset, self.basis))

    def as_arrays(self) -> dict[str, NDArray]:
        """Arrays by name, for `safetensors`."""
        half = {_OFFSET: self.offset, _BASIS: self.basis}
        return {
            **{name: array.astype(np.float32) for name, array in half.items()},
            **self.cloud.as_arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], *, where: Path) -> EmbeddingCloud:
        """Inverse of `as_arrays`; other names are ignored.

        Raises
        ------
        BundleError
            When an array is missing or the shapes do not fit together.
        """
        if missing := [name for name in (_OFFSET, _BASIS) if name not in arrays]:
            raise BundleError(f"{where} lacks the array {missing[0]!r} of the training images.")
        offset, basis = (np.asarray(arrays[name], np.float64) for name in (_OFFSET, _BASIS))
        cloud = TrainingCloud.from_arrays(arrays, where=where)
        if basis.shape != (len(cloud.mean) - 1, *offset.shape):
            raise BundleError(f"{where}: the arrays of the training images do not fit together.")
        return cls(offset, basis, cloud)

    @staticmethod
    def is_in(arrays: Mapping[str, NDArray]) -> bool:
        """Whether a model brings one along."""
        return _OFFSET in arrays


def summary_of(embedding: NDArray, offset: NDArray, basis: NDArray) -> NDArray[np.float64]:
    """Place along the main directions and logarithm of what is left over, shape (n, k + 1)."""
    from_mean = np.asarray(embedding, np.float64) - offset
    along = from_mean @ basis.T
    left = np.linalg.norm(from_mean - along @ basis, axis=1)
    return np.column_stack([along, np.log(left + _SMALLEST)])
