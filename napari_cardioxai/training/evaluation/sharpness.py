"""How sharp decoded pictures are: their power beside that of the real ones, by frequency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError

HALF_POWER = 0.5
BANDS: Mapping[str, tuple[float, float]] = {
    "coarse": (0.0, 0.1),
    "edges": (0.1, 0.25),
    "finest": (0.25, 0.5),
}
"""In cycles per pixel: shapes as a whole, walls and papillary muscles, mostly noise."""


@dataclass(frozen=True)
class Sharpness:
    """Decoded pictures against real ones.

    Attributes
    ----------
    frequency
        Of each ring of the spectrum, in cycles per pixel, shape (k,).
    kept
        Power of the decoded pictures over that of the real ones, shape (k,).
    resolved
        Highest frequency up to which half of the power is there throughout, in
        cycles per pixel.
    bands
        Share of the power kept in each of `BANDS`.
    """

    frequency: NDArray[np.float64]
    kept: NDArray[np.float64]
    resolved: float
    bands: Mapping[str, float]

    def as_json(self) -> dict[str, float]:
        """The figures, without the curve."""
        return {
            "resolved_cycles_per_pixel": round(self.resolved, 4),
            **{f"power_kept_{name}": round(share, 4) for name, share in self.bands.items()},
        }


def sharpness(made: NDArray, real: NDArray) -> Sharpness:
    """Compare the spectra of decoded and real pictures.

    Parameters
    ----------
    made, real
        Intensities in the same units, shape (..., y, x), square pictures.

    Raises
    ------
    CohortError
        When the shapes differ.
    """
    if made.shape != real.shape or made.ndim < 2 or made.shape[-1] != made.shape[-2]:
        raise CohortError(
            f"pictures of shape {made.shape} and {real.shape} cannot be compared; both must be the "
            "same square ones."
        )
    frequency, of_made = radial_power(made)
    _, of_real = radial_power(real)
    kept = of_made / np.maximum(of_real, np.finfo(float).tiny)
    lost = np.flatnonzero(kept < HALF_POWER)
    last = len(kept) - 1 if not lost.size else int(lost[0]) - 1
    shares = {}
    for name, (low, high) in BANDS.items():
        ring = (frequency > low) & (frequency <= high)
        shares[name] = float(of_made[ring].sum() / of_real[ring].sum())
    return Sharpness(frequency, kept, float(frequency[last]) if last >= 0 else 0.0, shares)


def radial_power(pictures: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power spectrum over rings of equal frequency, mean over all pictures.

    The mean of each picture is taken off and a Hann window laid over it, so that
    neither its brightness nor its edges count as detail.

    Parameters
    ----------
    pictures
        Shape (..., n, n).

    Returns
    -------
    frequency
        Of the rings, in cycles per pixel, from 1 / n to one half, shape (n // 2,).
    power
        Summed over each ring, shape (n // 2,).
    """
    side = pictures.shape[-1]
    flat = np.asarray(pictures, np.float64).reshape(-1, side, side)
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    total = np.zeros((side, side))
    for picture in flat:
        total += np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2
    axis = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(axis[:, None], axis[None, :])).astype(int)
    power = np.bincount(ring.ravel(), (total / len(flat)).ravel())[1 : side // 2 + 1]
    frequency: NDArray[np.float64] = np.arange(1, side // 2 + 1) / side
    return frequency, power.astype(np.float64)
