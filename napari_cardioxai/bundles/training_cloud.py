"""How unlike the training cohort a heart is, so that nobody trusts a decision on a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.errors import BundleError, CohortError


@dataclass(frozen=True)
class Strangeness:
    """How far subjects lie from the training cohort; arrays of shape (n,).

    Attributes
    ----------
    distance
        Mahalanobis distance from the cohort's mean, in standard deviations.
    percentile
        Percentage of the training subjects that lie nearer; 100 is beyond all.
    times_typical
        Distance over the median distance of training subjects: still tells
        strangers apart where `percentile` has reached 100.
    """

    distance: NDArray[np.float64]
    percentile: NDArray[np.float64]
    times_typical: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingCloud:
    """Where the training cohort lies in the space of latent summaries.

    Attributes
    ----------
    mean
        Shape (d,).
    precision
        Inverse of the shrunk covariance, shape (d, d).
    distances
        Mahalanobis distances of the training subjects, ascending, shape (n,),
        each from a cloud that was made without the subject.
    """

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    distances: NDArray[np.float64]

    def strangeness(self, summaries: ArrayLike) -> Strangeness:
        """Distance of subjects from the cohort.

        Parameters
        ----------
        summaries
            As the cloud was made of, shape (n, d).

        Raises
        ------
        CohortError
            When the shape is another or a value is not finite.
        """
        table = checked_summaries(summaries)
        if table.shape[1] != len(self.mean):
            raise CohortError(
                f"latent summaries of {table.shape[1]} numbers do not fit a cohort of "
                f"{len(self.mean)}."
            )
        distance = distances_from(table, self.mean, self.precision)
        nearer = np.searchsorted(self.distances, distance, side="left")
        return Strangeness(
            distance,
            100.0 * nearer / len(self.distances),
            distance / float(np.median(self.distances)),
        )

    def as_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays by name, for `safetensors`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], *, where: Path) -> TrainingCloud:
        """Inverse of `as_arrays`; other names are ignored.

        Raises
        ------
        BundleError
            When an array is missing or the shapes do not fit together.
        """
        names = [f.name for f in fields(cls)]
        if missing := [name for name in names if name not in arrays]:
            raise BundleError(f"{where} lacks the array {missing[0]!r} of the training cohort.")
        cloud = cls(**{name: np.asarray(arrays[name], np.float64) for name in names})
        size = len(cloud.mean) if cloud.mean.ndim == 1 else -1
        if cloud.precision.shape != (size, size) or cloud.distances.ndim != 1:
            raise BundleError(f"{where}: the arrays of the training cohort do not fit together.")
        return cloud


def latent_summary(latent: ArrayLike) -> NDArray[np.float64]:
    """Mean and standard deviation of every latent unit over the cycle.

    Parameters
    ----------
    latent
        Means of the encoder, shape (n, t, d).

    Returns
    -------
    Shape (n, 2 d): first the means, then the standard deviations.
    """
    units = np.asarray(latent, np.float64)
    if units.ndim != 3:
        raise CohortError(f"latents of shape {units.shape} are not (subjects, frames, units).")
    return np.concatenate([units.mean(1), units.std(1)], axis=1)


def checked_summaries(summaries: ArrayLike) -> NDArray[np.float64]:
    """Summaries as numbers, refused where they are not one finite row a subject."""
    table = np.asarray(summaries, np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise CohortError(
            f"latent summaries of shape {table.shape} cannot be placed; "
            "finite numbers of shape (subjects, units) are needed."
        )
    return table


def distances_from(table: NDArray, mean: NDArray, precision: NDArray) -> NDArray[np.float64]:
    """Mahalanobis distance of each row, shape (n,)."""
    offset = table - mean
    return np.sqrt(
        np.maximum(np.einsum("nd,de,ne->n", offset, precision, offset, optimize=True), 0)
    )
