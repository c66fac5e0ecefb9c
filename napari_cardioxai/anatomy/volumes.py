"""Volumes from labels, and the ejection fraction from volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

LV, MYO, RV = 1, 2, 3


@dataclass(frozen=True)
class EjectionFraction:
    """What one heart cycle ejects.

    Attributes
    ----------
    percent
        100 * `sv_ml` / `edv_ml`.
    edv_ml, esv_ml, sv_ml
        End-diastolic, end-systolic and stroke volume in mL.
    ed_frame, es_frame
        Indices into the curve, counted from 0.
    """

    percent: float
    edv_ml: float
    esv_ml: float
    sv_ml: float
    ed_frame: int
    es_frame: int


def volume_curve_ml(labels: Labels, structure: int = LV) -> np.ndarray:
    """Volume of one structure in every frame, shape (t,), in mL.

    Each slice counts for the distance that it stands for, so unequal gaps are
    honoured; voxels are counted, their label values never summed.

    Raises
    ------
    MeasurementError
        When the pixel size is unknown.
    """
    return slice_curves_ml(labels, structure).sum(1)


def slice_curves_ml(labels: Labels, structure: int = LV) -> np.ndarray:
    """Volume of one structure in every slice of every frame, shape (t, z), in mL.

    Raises
    ------
    MeasurementError
        When the pixel size is unknown.
    """
    counts = voxel_counts(labels.data, structure)
    return counts * _slice_voxel_ml(labels.geometry, labels.data.shape[1])


def frame_volume_ml(frame: np.ndarray, geometry: Geometry, structure: int = LV) -> float:
    """Volume of one structure in one frame of shape (z, y, x), in mL.

    Raises
    ------
    MeasurementError
        When the pixel size is unknown.
    """
    return float(voxel_counts(frame, structure) @ _slice_voxel_ml(geometry, frame.shape[0]))


def voxel_counts(data: np.ndarray, structure: int) -> np.ndarray:
    """Voxels of a structure in each slice: shape (..., y, x) to shape (...)."""
    return np.count_nonzero(data == structure, axis=(-2, -1))


def ejection_fraction(volume_ml: np.ndarray) -> EjectionFraction:
    """Ejection fraction from one cardiac cycle of ventricular volume.

    Read from the measured curve, not from a smoothed one: smoothing finds
    frames, it does not make volumes. A frame with no volume at all is one
    that nobody labelled, not an empty heart, and cannot be end-systole.

    Parameters
    ----------
    volume_ml
        Blood-pool volume per frame, shape (t,), in mL.

    Raises
    ------
    MeasurementError
        When the curve is empty, not finite, has no positive maximum, or has
        fewer than two frames with a volume.

    References
    ----------
    Clough et al. 2019, section 4.
    """
    curve = np.asarray(volume_ml, float)
    if curve.size == 0:
        raise MeasurementError("There is no frame to measure.")
    if not np.isfinite(curve).all():
        frame = int(np.flatnonzero(~np.isfinite(curve))[0])
        raise MeasurementError(f"The volume of frame {frame + 1} of {len(curve)} is not a number.")
    if curve.max() <= 0:
        raise MeasurementError("The ventricle is labelled in no frame, so it has no volume.")
    if np.count_nonzero(curve > 0) < 2:
        raise MeasurementError(
            "The ventricle is labelled in one frame only; an ejection fraction needs "
            "end-diastole and end-systole."
        )
    ed = int(np.argmax(curve))
    es = int(np.argmin(np.where(curve > 0, curve, np.inf)))
    edv, esv = float(curve[ed]), float(curve[es])
    return EjectionFraction(
        percent=100.0 * (edv - esv) / edv,
        edv_ml=edv,
        esv_ml=esv,
        sv_ml=edv - esv,
        ed_frame=ed,
        es_frame=es,
    )


def _slice_voxel_ml(geometry: Geometry, slices: int) -> np.ndarray:
    """Volume that one voxel of each slice stands for, shape (z,), in mL."""
    extents = geometry.slice_extents_mm(slices)
    if extents is None or geometry.spacing_mm is None:
        raise MeasurementError(
            "The pixel size is unknown, so there are no volumes in mL; measure with the scan "
            "or with labels that carry it."
        )
    return extents * geometry.spacing_mm[1] * geometry.spacing_mm[2] / 1000.0
