"""T1-weighted images of labelled brains: contrast, partial volume, field and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.phantom.brain import (
    FLUID,
    LOOK,
    Brain,
    BrainSpec,
    source,
    spread_over,
)

# Structures by tissue; the range that their T1w intensity is drawn from, white matter at most 1.
# Order and distances are those of MPRAGE at 1.5 to 3 T; whatever is not named lies like grey matter.
_TISSUES: dict[str, tuple[tuple[int, ...], tuple[float, float]]] = {
    "fluid": (FLUID, (0.10, 0.28)),
    "cortex": ((3, 42, 8, 47), (0.48, 0.64)),
    "deep grey": ((11, 50, 12, 51, 26, 58, 17, 53, 18, 54), (0.52, 0.70)),
    "thalamus": ((10, 49, 28, 60, 13, 52), (0.68, 0.84)),
    "white": ((2, 41, 7, 46, 16, 85), (0.86, 1.00)),
    "lesion": ((25, 57, 77), (0.45, 0.80)),
    "vessel": ((30, 62, 31, 63), (0.25, 0.50)),
}
_OTHER = (0.45, 0.70)
_BLUR_VOXELS = (0.45, 0.75)  # sigma of partial volume
_FIELD = 0.12  # standard deviation of the logarithm of the receive field
_FIELD_KNOTS = (4, 4, 4)
_TEXTURE = 0.02
_SNR = (18.0, 45.0)  # of white matter
_WHITE = 1000  # stored value of intensity 1


def render_brain(brain: Brain, spec: BrainSpec, *, seed: int, index: int) -> NDArray[np.int16]:
    """A T1-weighted image of a brain without its skull.

    Parameters
    ----------
    brain
        As `draw_brain` made it.
    spec, seed, index
        Of the cohort; the same give the same image to the bit.

    Returns
    -------
    Shape (z, y, x), int16; 0 outside of the brain.
    """
    rng = source(LOOK, seed=seed, index=index)
    table = np.full(int(brain.labels.max()) + 1, rng.uniform(*_OTHER), np.float32)
    for structures, limits in _TISSUES.values():
        value = rng.uniform(*limits)
        for structure in structures:
            if structure < len(table):
                # Structures of one tissue differ a little.
                table[structure] = value * rng.normal(1, 0.015)
    table[0] = 0
    inside = brain.labels > 0
    # Around the brain lies fluid, which its border is mixed with.
    tissue = np.where(inside, table[brain.labels], table[24] if len(table) > 24 else 0)
    tissue = ndimage.gaussian_filter(tissue, rng.uniform(*_BLUR_VOXELS))
    texture = ndimage.gaussian_filter(rng.normal(size=spec.size).astype(np.float32), 1.5)
    tissue *= 1 + _TEXTURE * texture / texture.std()
    field = spread_over(rng.normal(0, _FIELD, _FIELD_KNOTS), spec.size)
    signal = tissue * np.exp(field)
    sigma = 1 / rng.uniform(*_SNR)
    real, imaginary = rng.normal(0, sigma, (2, *spec.size)).astype(np.float32)
    magnitude = np.hypot(signal + real, imaginary)
    return np.where(inside, np.round(_WHITE * magnitude), 0).astype(np.int16)
