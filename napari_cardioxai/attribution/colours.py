"""Colours of heat maps, the same in the window and in files, and the limits that they run between."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sign = Literal["signed", "positive"]

_HIGHEST_PERCENTILE = 99.5  # a single voxel does not set the scale
_COLOURS = 255  # odd, so that zero has one of its own

# (place on the scale, red, green, blue, opacity), each 0 to 1. What says nothing is clear, so that
# the scan shows; blue against orange is told apart by colour-blind readers.
STOPS: dict[Sign, tuple[tuple[float, float, float, float, float], ...]] = {
    "signed": (
        (0.0, 0.72, 0.90, 1.0, 1.0),
        (0.25, 0.16, 0.50, 1.0, 0.9),
        (0.5, 0.30, 0.30, 0.45, 0.0),
        (0.75, 1.0, 0.42, 0.0, 0.9),
        (1.0, 1.0, 0.93, 0.45, 1.0),
    ),
    "positive": (
        (0.0, 0.25, 0.0, 0.35, 0.0),
        (0.35, 0.66, 0.10, 0.56, 0.8),
        (0.7, 1.0, 0.42, 0.10, 0.95),
        (1.0, 1.0, 0.93, 0.45, 1.0),
    ),
}
"""Diverging for maps with two signs, its middle at zero; sequential for the others."""


def heat_limits(heat: NDArray, sign: Sign) -> tuple[float, float]:
    """The ends of the scale for a whole map, all frames and slices: about zero, or from zero.

    Parameters
    ----------
    heat
        Any shape; zeros are what was not explained, and do not count.
    sign
        Of the method.

    Returns
    -------
    (-top, top) or (0, top); top is 1 for a map of zeros.
    """
    size = np.abs(heat)
    said = size[size > 0]
    top = float(np.percentile(said, _HIGHEST_PERCENTILE)) if said.size else 1.0
    return (-top if sign == "signed" else 0.0, top)


@cache
def colour_table(sign: Sign) -> NDArray[np.float32]:
    """Colours with their opacity from one end of the scale to the other, shape (255, 4)."""
    at, *channels = np.array(STOPS[sign]).T
    places = np.linspace(0, 1, _COLOURS)
    return np.stack([np.interp(places, at, c) for c in channels], axis=-1).astype(np.float32)


def coloured(heat: NDArray, sign: Sign, limits: tuple[float, float]) -> NDArray[np.float32]:
    """Colours of a map with their opacity, (*shape) to (*shape, 4)."""
    place = (np.asarray(heat, np.float32) - limits[0]) / (limits[1] - limits[0])
    index = np.rint(np.clip(place, 0, 1) * (_COLOURS - 1)).astype(np.uint8)
    return colour_table(sign)[index]


def overlaid(
    picture: NDArray,
    heat: NDArray,
    sign: Sign,
    *,
    window: tuple[float, float] | None = None,
    limits: tuple[float, float] | None = None,
    opacity: float = 0.75,
) -> NDArray[np.uint8]:
    """A grey picture with a map on it.

    Parameters
    ----------
    picture, heat
        Shape (y, x) each.
    sign
        Of the method.
    window
        Intensities of black and white; None: percentiles of the picture.
    limits
        Of the map; None: those of this picture of it.
    opacity
        Of the strongest colour.

    Returns
    -------
    Shape (y, x, 3).
    """
    values = np.asarray(picture, np.float32)
    low, high = np.percentile(values, (0.5, 99.5)) if window is None else window
    grey = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)
    colours = coloured(heat, sign, limits or heat_limits(heat, sign))
    share = opacity * colours[..., 3:]
    return np.rint(255 * ((1 - share) * grey[..., None] + share * colours[..., :3])).astype(
        np.uint8
    )
