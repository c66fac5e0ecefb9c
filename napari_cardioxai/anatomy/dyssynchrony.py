"""Whether the parts of the left ventricle contract together."""

from __future__ import annotations

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import APICAL, NO_RING, Rings, SegmentReference
from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.errors import MeasurementError

HARMONICS = 4  # of the heart rate: the time of a minimum needs no sharper curve
STILL = 0.10  # of its largest volume: a segment that changes less has no time of contraction
FEWEST_SEGMENTS = 4
MIN_FRAMES = 8
PHASES = 720
SIX_START, FOUR_START = 120.0, 135.0  # degrees from the septum where segment 1 and 13 begin


def regional_volumes_ml(labels: Labels, *, reference: SegmentReference, rings: Rings) -> np.ndarray:
    """Volume of the cavity inside of each AHA segment 1 to 16 over time.

    Each slice is divided by rays from its centroid in that frame.

    Parameters
    ----------
    labels
        With a known pixel size.
    reference, rings
        Of the end-diastolic frame.

    Returns
    -------
    Shape (t, 16), in mL.

    Raises
    ------
    MeasurementError
        When the pixel size is unknown.
    """
    spacing = labels.geometry.spacing_mm
    extents = labels.geometry.slice_extents_mm(labels.data.shape[1])
    if spacing is None or extents is None:
        raise MeasurementError("The pixel size is unknown, so regions have no volume in mL.")
    frames = len(labels.data)
    volumes = np.zeros((frames, 16))
    for index in np.flatnonzero(rings.ring != NO_RING):
        t, y, x = np.nonzero(_around_heart(labels.data[:, index]) == LV)
        count = np.maximum(np.bincount(t, minlength=frames), 1)
        down = y - (np.bincount(t, y, frames) / count)[t]
        right = x - (np.bincount(t, x, frames) / count)[t]
        direction = np.arctan2(down * spacing[1], right * spacing[2])
        angle = np.rad2deg(reference.turn * (direction - reference.septum_rad[index]))
        ring = rings.ring[index]
        start, size = (FOUR_START, 90.0) if ring == APICAL else (SIX_START, 60.0)
        segment = ((start - angle) % 360.0 // size).astype(int) + 6 * ring
        pixels = np.bincount(16 * t + segment, minlength=16 * frames).reshape(frames, 16)
        volumes += pixels * (spacing[1] * spacing[2] * extents[index] / 1000.0)
    return volumes


def _around_heart(labels: np.ndarray) -> np.ndarray:
    """The part of one slice (t, y, x) where anything is ever labelled."""
    ever = labels.max(axis=0)
    rows, columns = np.flatnonzero(ever.any(axis=1)), np.flatnonzero(ever.any(axis=0))
    return labels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def dyssynchrony_index(regional: np.ndarray) -> float:
    """Systolic dyssynchrony index: how far apart the segments reach their smallest volume.

    The standard deviation over segments of the time to minimum regional volume,
    in % of the heart cycle. Segments that hardly move are left out.

    Parameters
    ----------
    regional
        Volumes of one whole cycle in even steps, shape (t, segments).

    Raises
    ------
    MeasurementError
        When there are fewer than 8 frames, or fewer than 4 segments that move.

    References
    ----------
    Kapetanakis et al. 2005, Circulation 112:992.
    """
    if len(regional) < MIN_FRAMES:
        raise MeasurementError(f"The dyssynchrony index needs {MIN_FRAMES} frames or more.")
    largest = regional.max(axis=0)
    moving = (largest > 0) & (np.ptp(regional, axis=0) >= STILL * largest)
    if np.count_nonzero(moving) < FEWEST_SEGMENTS:
        raise MeasurementError(f"Fewer than {FEWEST_SEGMENTS} segments change their volume.")
    spectrum = np.fft.rfft(regional[:, moving], axis=0)[: HARMONICS + 1]
    smooth = np.fft.irfft(spectrum, PHASES, axis=0)
    phase = np.argmin(smooth, axis=0) / PHASES
    # Times around a circle: relative to their mean direction.
    mean = np.angle(np.exp(2j * np.pi * phase).mean()) / (2 * np.pi)
    apart = (phase - mean + 0.5) % 1.0 - 0.5
    return float(100.0 * np.std(apart, ddof=1))
