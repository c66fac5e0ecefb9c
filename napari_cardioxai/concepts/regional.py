"""High wall-thickening variance: a concept that no single direction holds.

A wall may move badly anywhere. The direction to hearts with a high variance is
the mean of directions to every place, and these cancel: going there moves no
wall in particular. What does lie along directions is the thickening of each
segment; the way that raises the variance in one heart stretches what its own
segments differ by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import BundleError, CohortError

_RINGS, _AROUND = 2, 6
_FEWEST = 50
_FLOOR_PERCENT2 = 1.0  # variances below are one: their logarithm would be that of rounding
_LEAST = 1e-6


@dataclass(frozen=True)
class RegionalModel:
    """Thickening of the basal and mid segments, read linearly from the latents of a cycle.

    Attributes
    ----------
    weights, intercepts
        Thickening in % of the AHA segments 1 to 12 is `intercepts` + `weights`
        times the latent, shape (12, T * latent) and (12,).
    patterns
        Latent change that goes with 1 % of thickening of each segment while the
        others stay: the regression of the latent on all of them, so scaled that
        `weights` read it again, shape (T * latent, 12). What reads is not what
        writes: a decoder follows these.
    sd
        Standard deviation over the cohort of the logarithm of the variance that
        it reads: one step of a walk.
    r2
        Of each segment on held-out subjects, shape (12,).
    """

    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    patterns: NDArray[np.float32]
    sd: NDArray[np.float32]
    r2: NDArray[np.float32]

    def thickening(self, latent: NDArray) -> NDArray[np.float64]:
        """Thickening in % as read from latents (n, T, latent), shape (n, 2, 6)."""
        flat = np.asarray(latent, np.float64).reshape(len(latent), -1)
        return (flat @ self.weights.T + self.intercepts).reshape(-1, _RINGS, _AROUND)

    def log_variance(self, latent: NDArray) -> NDArray[np.float64]:
        """Logarithm of the variance of thickening as read from latents, shape (n,)."""
        return np.log(self.thickening(latent).var(2).mean(1) + _FLOOR_PERCENT2)

    def walked(self, latent: NDArray, alpha: float) -> NDArray[np.float32]:
        """Latents whose variance is exp(alpha `sd`) times as large, (n, T, latent).

        The deviation of each segment from the mean of its ring is stretched by
        the root of that, so that a heart keeps its own pattern and its mean.
        """
        thickening = self.thickening(latent)
        apart = thickening - thickening.mean(2, keepdims=True)
        stretched = (np.exp(0.5 * alpha * float(self.sd[0])) - 1) * apart
        change = stretched.reshape(len(latent), -1) @ np.asarray(self.patterns, np.float64).T
        return (np.asarray(latent) + change.reshape(np.shape(latent))).astype(np.float32)

    def as_arrays(self) -> dict[str, NDArray]:
        """Arrays by name, for `safetensors`."""
        return {
            "regional.weights": self.weights,
            "regional.intercepts": self.intercepts,
            "regional.patterns": self.patterns,
            "regional.sd": self.sd,
            "regional.r2": self.r2,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], *, where: Path) -> RegionalModel | None:
        """Inverse of `as_arrays`; None where there are none.

        Raises
        ------
        BundleError
            When only some are there.
        """
        names = ("weights", "intercepts", "patterns", "sd", "r2")
        there = [name for name in names if f"regional.{name}" in arrays]
        if not there:
            return None
        if len(there) < len(names):
            raise BundleError(f"{where} holds only a part of how walls are read from latents.")
        return cls(*(arrays[f"regional.{name}"] for name in names))


def fit_regional(
    latent: NDArray, thickening: NDArray[np.float64], *, rng: np.random.Generator
) -> RegionalModel:
    """Learn to read the thickening of twelve segments from latents, by ridge regression.

    Parameters
    ----------
    latent
        Shape (n, T, latent).
    thickening
        Of the AHA segments 1 to 12 in %, shape (n, 12), NaN where not measured.
    rng
        Sets a fifth of the subjects aside for `r2`.

    Raises
    ------
    CohortError
        When fewer than 50 subjects have all segments.
    """
    from sklearn.linear_model import RidgeCV

    known = np.flatnonzero(np.isfinite(thickening).all(1))
    if len(known) < _FEWEST:
        raise CohortError(
            f"{len(known)} subjects have all segments of the wall; {_FEWEST} or more are needed."
        )
    table = np.asarray(latent, np.float64).reshape(len(latent), -1)[known]
    # All of the latent: local motion lies beside the few axes with most of the variance.
    centre, target = table.mean(0), thickening[known]
    offset = table - centre
    machine = RidgeCV(np.mean(offset**2) * np.geomspace(1, 1e5, 16))
    aside = rng.permutation(len(known)) % 5 == 0
    guess = machine.fit(offset[~aside], target[~aside]).predict(offset[aside])
    left = np.sum((target[aside] - guess) ** 2, 0)
    r2 = 1 - left / np.sum((target[aside] - target[aside].mean(0)) ** 2, 0)
    machine.fit(offset, target)
    weights = machine.coef_
    patterns = np.linalg.lstsq(target - target.mean(0), offset, rcond=None)[0].T
    # Noise in the measured walls makes patterns too short; as long as is read again is right.
    patterns = patterns @ np.linalg.inv(weights @ patterns)
    model = RegionalModel(
        weights.astype(np.float32),
        (machine.intercept_ - weights @ centre).astype(np.float32),
        patterns.astype(np.float32),
        np.ones(1, np.float32),
        r2.astype(np.float32),
    )
    spread = max(float(model.log_variance(table).std()), _LEAST)
    return replace(model, sd=np.array([spread], np.float32))
