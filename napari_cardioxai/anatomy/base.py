"""Where the ventricle ends towards the base, and what lies beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.centres import centres
from napari_cardioxai.anatomy.edges import cavity_edges
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.volumes import LV, MYO
from napari_cardioxai.scans.geometry import Geometry

# From base to apex the left ventricle points to the left, the front and the feet.
BASE_TO_APEX_RAS = np.array([-1.0, 1.0, -1.0]) / np.sqrt(3)
_CLEAR_DIRECTION = 0.2
_CLEAR_TAPER = 0.25
_ALONG_AN_AXIS = 0.9999
_FEWEST_FRAMES = 8
_LEAST_SHARE, _LEAST_WALL = 0.5, 0.2
_LARGEST_SHARE = 1 / 3
_FARTHEST_ASIDE = 0.4


def is_base_first(lv_areas: NDArray, geometry: Geometry) -> bool | None:
    """Whether slice 0 is at the base.

    Told by the stack's direction in the patient. A short-axis stack is always
    oblique: one that lies exactly along an axis of the patient has lost its
    direction in a conversion, and then, as without an affine, the cavity's
    taper tells.

    Parameters
    ----------
    lv_areas
        Cavity area of each slice in any unit, shape (z,); 0 where there is none.
    geometry
        Of the stack.

    Returns
    -------
    None when neither tells.
    """
    if geometry.affine is not None:
        along = geometry.affine[:3, 2] / np.linalg.norm(geometry.affine[:3, 2])
        cosine = float(along @ BASE_TO_APEX_RAS)
        if abs(cosine) > _CLEAR_DIRECTION and np.abs(along).max() < _ALONG_AN_AXIS:
            return cosine > 0
    slices = np.flatnonzero(lv_areas)
    if len(slices) > 1:
        areas = np.asarray(lv_areas, float)[slices]
        slope = np.polyfit(slices, areas, 1)[0]
        if abs(slope) * (slices[-1] - slices[0]) >= _CLEAR_TAPER * areas.mean():
            return bool(slope < 0)
    return None


def slices_beyond_base(labels: Labels) -> tuple[int, ...]:
    """Labelled slices at the base whose cavity is not the ventricle's.

    A segmenter that never saw them takes the atrium or the outflow tract for
    the ventricle. Going from the widest slice towards the base, the ventricle
    ends with the first slice

    - that has hardly a wall, where the myocardium is labelled: on less than a
      fifth of the cavity's border, in the mean of the frames that have one.
      Readers ask for half (SCMR, Schulz-Menger et al. 2020); the wall of a
      segmenter has more gaps than theirs.
    - or whose area follows the cycle of the middle of the ventricle with less
      than half of its relative change (slope of the regression of one on the
      other), because near the base the cavity shrinks at least as much as
      elsewhere, as the valve plane descends. This needs at least eight frames.
    - or whose cavity lies aside: its centre is farther from that of the slice
      below than two fifths of the radius of the widest slice, in the median of
      the frames. Between slices of readers it is a quarter at most, at the apex.

    At most a third of the labelled slices are given up.

    Parameters
    ----------
    labels
        Of a stack; fewer than four slices with a cavity tell nothing, and () is returned.
    """
    areas = np.count_nonzero(labels.data == LV, axis=(2, 3)).T.astype(float)  # (z, t)
    mean = areas.mean(1)
    bearing = np.flatnonzero(mean)
    if len(bearing) < 4:
        return ()
    base_first = is_base_first(mean, labels.geometry)
    if base_first is None:
        return ()
    widest = int(np.argmax(mean))
    quarter = len(bearing) // 4
    cycle = areas[bearing[quarter : len(bearing) - quarter]].sum(0)
    tells_by_motion = areas.shape[1] >= _FEWEST_FRAMES and cycle.std() > 0
    tells_by_wall = bool((labels.data == MYO).any())
    edges = cavity_edges(labels.data)
    centre = centres(labels.data == LV)
    radius = float(np.sqrt(mean[widest] / np.pi))
    towards_base = bearing[bearing < widest][::-1] if base_first else bearing[bearing > widest]
    for k, z in enumerate(towards_base):
        is_bare = tells_by_wall and _share_of_wall(edges[..., z]) < _LEAST_WALL
        is_still = tells_by_motion and _share_of_motion(areas[z], cycle) < _LEAST_SHARE
        below = towards_base[k - 1] if k else widest
        is_aside = _distance(centre[:, z], centre[:, below]) > _FARTHEST_ASIDE * radius
        if is_bare or is_still or is_aside:
            beyond = towards_base[k:]
            is_plausible = len(beyond) <= _LARGEST_SHARE * len(bearing)
            return tuple(sorted(int(s) for s in beyond)) if is_plausible else ()
    return ()


def without_slices(labels: Labels, slices: tuple[int, ...]) -> Labels:
    """The same labels with some slices emptied in every frame."""
    if not slices:
        return labels
    data = labels.data.copy()
    data[:, list(slices)] = 0
    return replace(labels, data=data)


def _distance(one: NDArray, other: NDArray) -> float:
    """Median over the frames that have both; 0 where none has."""
    apart = np.hypot(*(one - other).T)
    known = apart[np.isfinite(apart)]
    return float(np.median(known)) if len(known) else 0.0


def _share_of_wall(edges: NDArray) -> float:
    """Part of the cavity's edge that lies on myocardium, mean of the frames that have one."""
    whole = edges.sum(0)
    return float((edges[MYO, whole > 0] / whole[whole > 0]).mean())


def _share_of_motion(areas: NDArray, cycle: NDArray) -> float:
    """Slope of a slice's relative change on that of the ventricle."""
    own, whole = areas / areas.mean(), cycle / cycle.mean()
    return float(np.cov(own, whole)[0, 1] / whole.var(ddof=1))
