"""Where a cohort lies among all latents: what a plausible change is, and how far one may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.errors import BundleError, CohortError

EXPLAINED = 0.95
_MOST_AXES = 64
_PARTS = 5
_FEWEST = 20
BEYOND_PERCENT = 99.0


@dataclass(frozen=True)
class LatentCloud:
    """A cohort's latents of the whole cycle: a plane with most of the variance, and the rest.

    Attributes
    ----------
    mean
        Shape (T * latent,).
    axes, variances
        Principal axes with 95 % of the variance, at most 64, shape (k, T *
        latent), and the variance along each, shape (k,).
    rest
        Variance along any one direction beside them.
    within, beside
        Distances of the cohort's subjects in the plane (Mahalanobis, in standard
        deviations) and from it (root mean square, in its typical value), each
        from a cloud made without them, ascending, shape (n,).
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: NDArray[np.float32]
    within: NDArray[np.float32]
    beside: NDArray[np.float32]

    @property
    def limits(self) -> tuple[float, float]:
        """Distances within and beside that 99 % of the cohort do not exceed."""
        return (
            float(np.percentile(self.within, BEYOND_PERCENT)),
            float(np.percentile(self.beside, BEYOND_PERCENT)),
        )

    def distances(self, latent: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances in the plane and from it, as `within` and `beside`, shape (n,) each."""
        offset = _flat(latent) - self.mean
        score = offset @ self.axes.T
        left = np.sum(offset**2, 1) - np.sum(score**2, 1)
        free = len(self.mean) - len(self.axes)
        return (
            np.sqrt(np.sum(score**2 / self.variances, 1)),
            np.sqrt(np.maximum(left, 0) / (free * float(self.rest[0]))),
        )

    def length(self, change: NDArray) -> NDArray[np.float64]:
        """Mahalanobis length of changes of the latent, (n, ...) to (n,)."""
        flat = _flat(change)
        score = flat @ self.axes.T
        left = np.maximum(np.sum(flat**2, 1) - np.sum(score**2, 1), 0)
        return np.sqrt(np.sum(score**2 / self.variances, 1) + left / float(self.rest[0]))

    def is_near(self, latent: NDArray) -> NDArray[np.bool_]:
        """Whether hearts lie no farther from the cohort than 99 % of its own do, shape (n,)."""
        within, beside = self.distances(latent)
        most_within, most_beside = self.limits
        return (within <= most_within) & (beside <= most_beside)

    def spread(self, gradients: Tensor) -> Tensor:
        """Covariance of the cohort times vectors, (..., T * latent).

        The smallest change, in the cohort's own standard deviations, that a
        linear condition asks for lies along the covariance times its gradient.
        """
        axes = torch.as_tensor(self.axes, dtype=gradients.dtype, device=gradients.device)
        more = torch.as_tensor(self.variances - self.rest, dtype=axes.dtype, device=axes.device)
        return ((gradients @ axes.T) * more) @ axes + float(self.rest[0]) * gradients

    def as_arrays(self) -> dict[str, NDArray]:
        """Arrays by name, for `safetensors`."""
        return {f"cloud.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], *, where: Path) -> LatentCloud:
        """Inverse of `as_arrays`.

        Raises
        ------
        BundleError
            When an array is missing.
        """
        names = [f.name for f in fields(cls)]
        if missing := [name for name in names if f"cloud.{name}" not in arrays]:
            raise BundleError(f"{where} lacks the array {missing[0]!r} of the cohort.")
        return cls(**{name: arrays[f"cloud.{name}"] for name in names})


def fit_cloud(latent: NDArray, *, rng: np.random.Generator) -> LatentCloud:
    """Learn where a cohort lies.

    Parameters
    ----------
    latent
        Means of the encoder, shape (n, T, latent), n at least 20.
    rng
        Deals subjects into five parts; distances of each come from the other four.

    Raises
    ------
    CohortError
        When there are fewer.
    """
    table = _flat(latent)
    if len(table) < _FEWEST:
        raise CohortError(
            f"{len(table)} subjects are too few to tell which hearts are plausible; "
            f"{_FEWEST} or more are needed."
        )
    part = rng.permutation(len(table)) % _PARTS
    within, beside = np.empty(len(table)), np.empty(len(table))
    for k in range(_PARTS):
        others = _fitted(table[part != k])
        within[part == k], beside[part == k] = others.distances(table[part == k])
    whole = _fitted(table)
    # A subject lies nearer to a plane that it helped to make: the rest is what others leave over.
    typical = float(np.median(beside)) or 1.0
    return LatentCloud(
        whole.mean,
        whole.axes,
        whole.variances,
        whole.rest * np.float32(typical**2),
        np.sort(within).astype(np.float32),
        np.sort(beside / typical).astype(np.float32),
    )


def _fitted(table: NDArray[np.float64]) -> LatentCloud:
    mean = table.mean(0)
    offset = table - mean
    values, vectors = principal_axes(offset)
    explained = np.cumsum(values) / values.sum()
    count = int(np.searchsorted(explained, EXPLAINED)) + 1
    count = max(1, min(count, _MOST_AXES, len(table) // 4, table.shape[1] - 1))
    axes = vectors[:count]
    rest = values[count:].sum() / (table.shape[1] - count)
    return LatentCloud(
        mean.astype(np.float32),
        axes.astype(np.float32),
        values[:count].astype(np.float32),
        np.array([max(rest, 1e-12 * values[0])], np.float32),
        np.empty(0, np.float32),
        np.empty(0, np.float32),
    )


def principal_axes(
    offset: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances, falling, shape (k,), and unit axes (k, d) of centred rows (n, d).

    By way of the smaller of covariance and Gram matrix: a cycle has more
    latents than most cohorts have subjects.
    """
    n, d = offset.shape
    small = offset @ offset.T if n < d else offset.T @ offset
    values, vectors = np.linalg.eigh(small / (n - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    keep = values > 1e-10 * values[0]
    values, vectors = values[keep], vectors[:, keep]
    if n < d:
        vectors = offset.T @ vectors / np.sqrt(values * (n - 1))
    return values, vectors.T


def _flat(latent: NDArray) -> NDArray[np.float64]:
    return np.asarray(latent, np.float64).reshape(len(latent), -1)
