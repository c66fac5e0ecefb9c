"""How thick the six segments of one slice are in every frame."""

from __future__ import annotations

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.segments import NO_RING, in_plane_mm, six_segments
from napari_cardioxai.anatomy.walls import WallThickness, slice_thickness_mm
from napari_cardioxai.progress import Progress, silent


def slice_wall_curves_mm(
    labels: Labels, slice_index: int, *, walls: WallThickness, on_progress: Progress = silent
) -> np.ndarray | None:
    """Radial thickness of the six segments of one slice over the cycle.

    Only rays that show the wall in all frames of `walls` are followed, so that
    a basal segment cut by the valve plane at end-systole is left out rather
    than shown as thinning.

    Parameters
    ----------
    labels
        With left ventricle, myocardium and right ventricle.
    slice_index
        Which slice, from 0.
    walls
        Septum and rays, as `wall_thickness` found them in the same labels at
        end-diastole and end-systole.
    on_progress
        Called per frame; may raise `Cancelled`.

    Returns
    -------
    Shape (t, 6), in mm, segments in the order of `segments.WALLS`; NaN where
    there is no wall. None for a slice that is none of the left ventricle's.
    """
    if walls.rings.ring[slice_index] == NO_RING:
        return None
    spacing = in_plane_mm(labels.geometry)
    directions = walls.reference.rays_rad(slice_index)
    pictures = labels.data[:, slice_index]
    rays = np.full((len(pictures), len(directions)), np.nan)
    for frame, picture in enumerate(pictures):
        on_progress(frame, len(pictures), "measuring the wall")
        rays[frame] = slice_thickness_mm(picture, spacing, directions_rad=directions)
    rays[:, np.isnan(walls.ray_mm[:, slice_index]).any(axis=0)] = np.nan
    return six_segments(rays)
