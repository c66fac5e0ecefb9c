"""One line through the heart over the whole cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

Point = tuple[float, float]


@dataclass(frozen=True)
class MMode:
    """What a line sees: distance downwards, time to the right.

    Attributes
    ----------
    values
        Intensities or labels, shape (distance, t).
    distance_mm
        Distance of each row from the start of the line, shape (distance,).
    time_ms
        Time of each column, shape (t,); None when unknown.
    """

    values: np.ndarray
    distance_mm: np.ndarray
    time_ms: np.ndarray | None


def mmode(
    data: np.ndarray,
    *,
    slice_index: int,
    start: Point,
    end: Point,
    geometry: Geometry,
    frame_times_ms: np.ndarray | None = None,
    step_mm: float | None = None,
) -> MMode:
    """Intensities along a line, linear between pixels, in every frame.

    Parameters
    ----------
    data
        Shape (t, z, y, x); a lazy array is read in one slice only.
    slice_index
        Which slice, from 0.
    start, end
        (y, x) in pixels of that slice, fractions allowed.
    geometry
        Grid of `data`.
    frame_times_ms
        Time of each frame, shape (t,), or None.
    step_mm
        Distance between samples; the smaller pixel size by default. It is
        rounded so that the last sample lies on `end`.

    Returns
    -------
    Values are float32; NaN outside of the picture.

    Raises
    ------
    MeasurementError
        When the pixel size is unknown, the line has no length or the slice does not exist.

    See Also
    --------
    label_mmode
    """
    picture, where, distance = _line(data, slice_index, start, end, geometry, step_mm)
    sampled = _per_frame(
        picture,
        lambda frame: map_coordinates(
            frame.astype(np.float32), where, order=1, mode="constant", cval=np.nan
        ),
    )
    return MMode(sampled, distance, _times(frame_times_ms, len(data)))


def label_mmode(
    data: np.ndarray,
    *,
    slice_index: int,
    start: Point,
    end: Point,
    geometry: Geometry,
    frame_times_ms: np.ndarray | None = None,
    step_mm: float | None = None,
) -> MMode:
    """Labels along a line, that of the nearest pixel, in every frame.

    Parameters and errors are those of `mmode`; values keep their type and are
    0 outside of the picture.

    See Also
    --------
    mmode
    """
    picture, where, distance = _line(data, slice_index, start, end, geometry, step_mm)
    sampled = _per_frame(
        picture,
        lambda frame: map_coordinates(frame, where, order=0, mode="constant", cval=0),
    )
    return MMode(sampled, distance, _times(frame_times_ms, len(data)))


def _line(
    data: np.ndarray,
    slice_index: int,
    start: Point,
    end: Point,
    geometry: Geometry,
    step_mm: float | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The slice over time (t, y, x), sample positions (2, n) in pixels, and distances (n,)."""
    if geometry.spacing_mm is None:
        raise MeasurementError("The pixel size is unknown, so the line has no length in mm.")
    if not 0 <= slice_index < data.shape[1]:
        raise MeasurementError(
            f"There is no slice {slice_index + 1}; the scan has {data.shape[1]} slices."
        )
    size = np.array(geometry.spacing_mm[1:])
    ends = np.array([start, end], float)
    length = float(np.linalg.norm((ends[1] - ends[0]) * size))
    if not length > 0:
        raise MeasurementError("The line has no length; draw it across the heart.")
    count = max(round(length / (step_mm or float(size.min()))), 1) + 1
    share = np.linspace(0, 1, count)
    where = ends[0][:, None] + (ends[1] - ends[0])[:, None] * share
    return np.asarray(data[:, slice_index]), where, share * length


def _per_frame(picture: np.ndarray, sample: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Sample every frame of (t, y, x), to (n, t)."""
    return np.stack([sample(frame) for frame in picture], axis=1)


def _times(frame_times_ms: np.ndarray | None, frames: int) -> np.ndarray | None:
    if frame_times_ms is None:
        return None
    times = np.asarray(frame_times_ms, float)
    if len(times) != frames:
        raise MeasurementError(f"There are {len(times)} frame times for {frames} frames.")
    return times
