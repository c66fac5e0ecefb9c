"""High wall-thickening variance: a concept that no single direction holds.

A wall may move badly anywhere. The direction to hearts with a high variance is
the mean of directions to every place, and these cancel: going there moves no
wall in particular. What does lie along directions is the thickening of each
segment; its variance, and so the way that raises it in one heart, follows by
the chain rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.concepts.biomarkers import SEGMENTS
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
    sd
        Standard deviation over the cohort of the logarithm of the variance that
        it reads: one step of a walk.
    r2
        Of each segment on held-out subjects, shape (12,).
    """

    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    sd: NDArray[np.float32]
    r2: NDArray[np.float32]

    def log_variance(self, z: Tensor) -> Tensor:
        """Logarithm of the variance of thickening, differentiable, (n, T, latent) to (n,)."""
        weights, intercepts = (
            torch.as_tensor(values, dtype=z.dtype, device=z.device)
            for values in (self.weights, self.intercepts)
        )
        thickening = (z.flatten(1) @ weights.T + intercepts).unflatten(1, (_RINGS, _AROUND))
        variance = thickening.var(2, unbiased=False).mean(1)
        return torch.log(variance + _FLOOR_PERCENT2)

    def as_arrays(self) -> dict[str, NDArray]:
        """Arrays by name, for `safetensors`."""
        return {
            "regional.weights": self.weights,
            "regional.intercepts": self.intercepts,
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
        names = ("weights", "intercepts", "sd", "r2")
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
    model = RegionalModel(
        weights.astype(np.float32),
        (machine.intercept_ - weights @ centre).astype(np.float32),
        np.ones(1, np.float32),
        r2.astype(np.float32),
    )
    with torch.inference_mode():
        spread = model.log_variance(torch.from_numpy(table)).std().numpy()
    assert weights.shape[0] == SEGMENTS
    return RegionalModel(
        model.weights, model.intercepts, np.array([max(spread, _LEAST)], np.float32), model.r2
    )
