"""Three maps that know nothing of the network; a method that is no better explains nothing.

Random masks can beat published methods in some scores (Brima and Atemkeng
2024), and what lies in the middle or on edges is often right by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CONTROLS = ("random", "centre", "edges")
"""Names, in the order in which they are listed."""

CONTROL_TITLES = {"random": "chance", "centre": "a centre blob", "edges": "the image's edges"}
"""In words, as in "better than chance"."""

_CENTRE_WIDTH = 0.25  # of each side: the standard deviation


def random_map(shape: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform noise between 0 and 1, of the given shape."""
    return rng.random(tuple(shape))


def centre_map(shape: Sequence[int]) -> NDArray[np.float64]:
    """A Gaussian in the middle, a quarter of each side wide, 1 at its peak."""
    found = np.ones(tuple(shape))
    for axis, length in enumerate(shape):
        middle = (length - 1) / 2
        away = (np.arange(length) - middle) / max(_CENTRE_WIDTH * length, 1e-9)
        along = np.exp(-0.5 * away**2)
        found *= along.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return found


def edge_map(
    image: NDArray, *, spacing_mm: Sequence[float | None] | None = None
) -> NDArray[np.float64]:
    """Magnitude of the Sobel gradient in intensity per mm, over channels the root of squares.

    Parameters
    ----------
    image
        Shape (c, *spatial).
    spacing_mm
        One entry a spatial axis; along an axis with None, such as time, there
        are no edges. Not given: 1 mm everywhere.

    Returns
    -------
    Shape (*spatial).
    """
    values = np.asarray(image, np.float64)
    axes = values.ndim - 1
    steps = (1.0,) * axes if spacing_mm is None else tuple(spacing_mm)
    squares = np.zeros(values.shape[1:])
    lengths = sum(s is not None for s in steps)
    for channel in values:
        for axis, step in enumerate(steps):
            if step is not None and channel.shape[axis] > 1:
                # Sobel's weights sum to 2 along the axis and to 4 across each other axis.
                slope = _sobel(channel, axis, steps) / (2 * 4 ** (lengths - 1) * step)
                squares += slope**2
    return np.sqrt(squares)


def control_maps(
    image: NDArray,
    *,
    spacing_mm: Sequence[float | None] | None = None,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """All three by their names; arguments as for `edge_map`."""
    shape = np.asarray(image).shape[1:]
    return {
        "random": random_map(shape, rng),
        "centre": centre_map(shape),
        "edges": edge_map(image, spacing_mm=spacing_mm),
    }


def _sobel(channel: NDArray, axis: int, steps: Sequence[float | None]) -> NDArray:
    """Central difference along `axis`, smoothed by (1, 2, 1) along the other lengths."""
    found = ndimage.correlate1d(channel, [-1, 0, 1], axis=axis, mode="nearest")
    for other, step in enumerate(steps):
        if other != axis and step is not None:
            found = ndimage.correlate1d(found, [1, 2, 1], axis=other, mode="nearest")
    return found
