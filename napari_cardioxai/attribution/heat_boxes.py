"""Maps ready to be looked at: cut to where they say something, with limits and thresholds known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.attribution.colours import Sign, heat_limits
from napari_cardioxai.attribution.subjects import Places

_PERCENTILES = np.arange(0, 101)
_OUTLINE: dict[Sign, float] = {"signed": 0.5, "positive": 0.7}  # where the colours are deepest


@dataclass(frozen=True, eq=False)
class HeatBox:
    """The part of a map that is not zero.

    A map of a cine is mostly nothing: a hundred pictures of which the network
    reads three slices around the ventricle. What is shown is cut to that, so
    that a threshold takes milliseconds.

    Attributes
    ----------
    data
        Shape (t, z, y, x).
    start
        Index of its first voxel in the scan.
    sign
        Of the method.
    limits
        Ends of the colour scale, for all of it.
    levels
        Percentiles 0 to 100 of the magnitude where there is any, shape (101,).
    """

    data: NDArray[np.float32]
    start: tuple[int, int, int, int]
    sign: Sign
    limits: tuple[float, float]
    levels: NDArray[np.float64]

    @classmethod
    def of(cls, heat: NDArray, places: Places, sign: Sign) -> HeatBox:
        """Cut a map.

        Parameters
        ----------
        heat
            At the places, shape (frames, slices, y, x).
        places
            In the scan.
        sign
            Of the method.
        """
        t, z = _span(places.frames), _span(places.slices)
        y, x = (_extent(np.any(heat, axis=axis)) for axis in ((0, 1, 3), (0, 1, 2)))
        box = np.zeros(
            (t.stop - t.start, z.stop - z.start, y.stop - y.start, x.stop - x.start), np.float32
        )
        rows, columns = (
            [k - part.start for k in of] for part, of in ((t, places.frames), (z, places.slices))
        )
        box[np.ix_(rows, columns)] = heat[:, :, y, x]
        size = np.abs(box)
        said = size[size > 0]
        levels = np.percentile(said, _PERCENTILES) if said.size else np.zeros(_PERCENTILES.size)
        start = (t.start, z.start, y.start, x.start)
        return cls(box, start, sign, heat_limits(box, sign), levels)

    def above(self, percentile: float) -> NDArray[np.float32]:
        """The map without what is weaker than a percentile of it; 0 is all of it."""
        if percentile <= 0:
            return self.data
        return np.where(self._strong(percentile), self.data, np.float32(0))

    def outline(self, percentile: float) -> NDArray[np.float32]:
        """The border of what `above` keeps, as wide as a pixel, in each picture for itself."""
        strong = self._strong(percentile)
        inner = np.zeros_like(strong)
        inner[..., 1:-1, 1:-1] = (
            strong[..., 1:-1, 1:-1]
            & strong[..., :-2, 1:-1]
            & strong[..., 2:, 1:-1]
            & strong[..., 1:-1, :-2]
            & strong[..., 1:-1, 2:]
        )
        top = np.float32(_OUTLINE[self.sign] * self.limits[1])
        return np.where(strong & ~inner, np.copysign(top, self.data), np.float32(0))

    def picture(self, frame: int, index: int) -> NDArray[np.float32] | None:
        """The map of a picture of the scan, (y, x) of the box; None where nothing was explained."""
        t, z = frame - self.start[0], index - self.start[1]
        inside = 0 <= t < self.data.shape[0] and 0 <= z < self.data.shape[1]
        return self.data[t, z] if inside else None

    def _strong(self, percentile: float) -> NDArray[np.bool_]:
        level = float(np.interp(percentile, _PERCENTILES, self.levels))
        return (np.abs(self.data) >= level) & (self.data != 0)


def _span(indices: tuple[int, ...]) -> slice:
    return slice(min(indices), max(indices) + 1)


def _extent(there: NDArray[np.bool_]) -> slice:
    """From the first to the last place with something; all of them where there is nothing."""
    found = np.flatnonzero(there)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, there.size)
