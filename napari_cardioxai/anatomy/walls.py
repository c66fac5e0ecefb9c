"""How thick the left-ventricular wall is, and how it thickens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import (
    APICAL,
    BASAL,
    NO_RING,
    Rings,
    SegmentReference,
    aha_segments,
    find_reference,
    find_rings,
    in_plane_mm,
    six_segments,
)
from napari_cardioxai.anatomy.wall_contours import RAYS, WallContours, wall_contours
from napari_cardioxai.errors import MeasurementError

# A basal wall cut by the valve plane, of the outer radius and of the thickness of the slice below.
CUT, SHAVED = 0.8, 0.8

ThicknessMethod = Callable[[WallContours], np.ndarray]


@dataclass(frozen=True)
class WallThickness:
    """Thickness of the wall in some frames.

    Attributes
    ----------
    frames
        The frames that were measured, counted from 0.
    ray_mm
        Thickness on each ray in the order of the segments, shape (f, z, rays),
        in mm; NaN where there is no wall.
    segment_mm
        Mean of the segments 1 to 6 of every slice, shape (f, z, 6): anterior,
        anteroseptal, inferoseptal, inferior, inferolateral, anterolateral.
    aha_mm
        Mean of the AHA segments 1 to 17, shape (f, 17); 17 is NaN.
    reference, rings
        Where the septum and the thirds of the ventricle were found.
    """

    frames: tuple[int, ...]
    ray_mm: np.ndarray
    segment_mm: np.ndarray
    aha_mm: np.ndarray
    reference: SegmentReference
    rings: Rings

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        borrowed = self.reference.borrowed & (self.rings.ring != NO_RING)
        if not borrowed.any():
            return (*self.reference.notes, *self.rings.notes)
        slices = ", ".join(str(z + 1) for z in np.flatnonzero(borrowed))
        said = f"Slices that do not show the RV well take the septum of the nearest one: {slices}."
        return (*self.reference.notes, *self.rings.notes, said)


def radial_thickness_mm(contours: WallContours) -> np.ndarray:
    """Distance from the inner to the outer border along each ray, shape (rays,), in mm.

    Fast enough for every stroke of a brush. On walls that the rays meet at an
    angle it is longer than the shortest way; `laplace_thickness_mm` is not.
    """
    return contours.epi_mm - contours.endo_mm


def slice_thickness_mm(
    labels: np.ndarray,
    spacing_mm: tuple[float, float],
    *,
    directions_rad: np.ndarray,
    method: ThicknessMethod = radial_thickness_mm,
) -> np.ndarray:
    """Thickness on the rays of one slice, shape (rays,), in mm; NaN where there is no wall.

    Parameters
    ----------
    labels
        Values 1 LV, 2 myocardium, shape (y, x).
    spacing_mm
        Pixel size (y, x) in mm.
    directions_rad
        As `SegmentReference.rays_rad` gives them, so that `six_segments` can divide the result.
    method
        `radial_thickness_mm` or `laplace_thickness_mm`.
    """
    contours = wall_contours(labels, spacing_mm, directions_rad=directions_rad)
    return np.full(len(directions_rad), np.nan) if contours is None else method(contours)


def wall_thickness(
    labels: Labels,
    *,
    ed_frame: int,
    frames: Sequence[int] | None = None,
    method: ThicknessMethod = radial_thickness_mm,
) -> WallThickness:
    """Thickness in six segments of every slice and in the segments of the AHA.

    Septum and rings are those of end-diastole in all frames: segments are
    fixed in space, as readers draw them.

    Parameters
    ----------
    labels
        With left ventricle, myocardium and right ventricle.
    ed_frame
        End-diastole, counted from 0.
    frames
        Which frames to measure; all by default.
    method
        `radial_thickness_mm` (fast) or `laplace_thickness_mm` (reference).

    Raises
    ------
    MeasurementError
        When the segments have no reference or the pixel size is unknown.
    """
    chosen = tuple(range(len(labels.data)) if frames is None else frames)
    spacing = in_plane_mm(labels.geometry)
    reference = find_reference(labels.data[ed_frame], labels.geometry)
    rings = find_rings(labels.data[ed_frame], labels.geometry)
    ray_mm = np.full((len(chosen), labels.data.shape[1], RAYS), np.nan)
    epi_mm = np.full_like(ray_mm, np.nan)
    for index in range(labels.data.shape[1]):
        directions = reference.rays_rad(index)
        for row, frame in enumerate(chosen):
            found = wall_contours(labels.data[frame, index], spacing, directions_rad=directions)
            if found is not None:
                ray_mm[row, index], epi_mm[row, index] = method(found), found.epi_mm
    ray_mm[_cut(epi_mm, rings)] = np.nan
    ray_mm[_shaved(ray_mm, epi_mm, rings)] = np.nan
    return WallThickness(
        chosen, ray_mm, six_segments(ray_mm), aha_segments(ray_mm, rings), reference, rings
    )


def _cut(epi_mm: np.ndarray, rings: Rings) -> np.ndarray:
    """Rays of basal slices on which the valve plane has cut off a part of the wall.

    There the outer border lies much further in than in the slice below.
    """
    cut = np.zeros(epi_mm.shape, bool)
    to_base = -1 if rings.base_first else 1
    below = np.full((len(epi_mm), RAYS), np.nan)
    for index in np.flatnonzero(rings.ring != NO_RING)[::to_base]:
        if rings.ring[index] == BASAL:
            cut[:, index] = epi_mm[:, index] < CUT * below
        kept = ~cut[:, index] & np.isfinite(epi_mm[:, index])
        below = np.where(kept, epi_mm[:, index], below)
    return cut


def _shaved(ray_mm: np.ndarray, epi_mm: np.ndarray, rings: Rings) -> np.ndarray:
    """Rays of basal slices that meet only what an oblique valve plane has left of the wall.

    The plane comes from above and takes the wall from outside: a ray is shaved
    when no wall follows towards the base, and the wall is much thinner than in
    the slice below with its outer border further in. A thin wall alone, as of
    an infarct, goes on towards the base.
    """
    shaved = np.zeros(ray_mm.shape, bool)
    basal = np.flatnonzero(rings.ring == BASAL)[:: 1 if rings.base_first else -1]
    ended = np.ones((len(ray_mm), RAYS), bool)
    for index, below in pairwise(basal):
        thin = ray_mm[:, index] < SHAVED * ray_mm[:, below]
        shaved[:, index] = ended & thin & (epi_mm[:, index] < epi_mm[:, below])
        ended &= np.isnan(ray_mm[:, index]) | shaved[:, index]
    return shaved


def thickening_percent(ed_mm: np.ndarray, es_mm: np.ndarray) -> np.ndarray:
    """Growth of the wall from end-diastole to end-systole, 100 (ES - ED) / ED, elementwise."""
    return 100.0 * (es_mm - ed_mm) / ed_mm


def thickening_variance(thickening: np.ndarray, rings: Rings) -> float:
    """Variance of thickening around the ventricle, in %².

    The population variance over the six segments of a slice of their
    thickening in %, averaged over the basal and mid slices that have all six.

    Parameters
    ----------
    thickening
        Per slice and segment in %, shape (z, 6).
    rings
        The slices' rings.

    Raises
    ------
    MeasurementError
        When no basal or mid slice has all six segments in both frames.

    References
    ----------
    Clough et al. 2019 name the biomarker "LV thickening variance".
    """
    upper = (rings.ring != APICAL) & (rings.ring != NO_RING)
    whole = thickening[upper & np.isfinite(thickening).all(axis=-1)]
    if not len(whole):
        raise MeasurementError(
            "No basal or mid slice has a wall all around at end-diastole and end-systole."
        )
    return float(np.var(whole, axis=-1).mean())
