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
_FEWEST_SLICES, _FEWEST_FRAMES = 4, 8
_LEAST_SHARE, _LEAST_WALL = 0.5, 0.2
_LARGEST_SHARE = 1 / 3
_FARTHEST_ASIDE = 0.4
_OPEN_WALL, _OPENED_WALL = 0.5, 0.7


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


def beyond_base(labels: Labels) -> NDArray[np.bool_]:
    """Which labelled pictures show no ventricle, but what lies beyond its base.

    A segmenter that never saw them takes the atrium or the outflow tract for
    the ventricle. Going from the widest slice towards the base, the ventricle
    ends for the whole cycle with the first slice

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

    In the slices that are left the valve plane descends past some for a part of
    the cycle. Such a slice is given up for one stretch around end-systole, where
    its wall opens: where, in most frames of the stretch, it covers less than
    half of the border and less than seven tenths of what it covers in the same
    slice at end-diastole. What lies beyond goes with it.

    Either way at most a third of the labelled slices is given up.

    Parameters
    ----------
    labels
        Of a stack; fewer than four slices with a cavity tell nothing.

    Returns
    -------
    Shape (t, z).
    """
    areas = np.count_nonzero(labels.data == LV, axis=(2, 3)).astype(float)
    beyond = np.zeros(areas.shape, bool)
    if np.count_nonzero(areas.any(0)) < _FEWEST_SLICES:
        return beyond
    base_first = is_base_first(areas.mean(0), labels.geometry)
    if base_first is None:
        return beyond
    is_cine, is_walled = len(areas) >= _FEWEST_FRAMES, bool((labels.data == MYO).any())
    walls = _shares_of_wall(labels.data) if is_walled else None
    whole = _slices_beyond(areas, walls, centres(labels.data == LV), base_first)
    beyond[:, whole] = True
    if is_cine and walls is not None:
        beyond |= _pictures_beyond(np.where(beyond, 0, areas), walls, base_first)
    return beyond


def without_pictures(labels: Labels, pictures: NDArray[np.bool_]) -> Labels:
    """The same labels with some pictures emptied.

    Parameters
    ----------
    pictures
        Which, shape (t, z).
    """
    if not pictures.any():
        return labels
    data = labels.data.copy()
    data[pictures] = 0
    return replace(labels, data=data)


def _slices_beyond(
    areas: NDArray, walls: NDArray | None, centre: NDArray, base_first: bool
) -> list[int]:
    """Slices beyond the base in every frame; areas and walls (t, z), centres (t, z, 2)."""
    mean = areas.mean(0)
    bearing, widest = np.flatnonzero(mean), int(np.argmax(mean))
    cycle = _cycle(areas)
    tells_by_motion = len(areas) >= _FEWEST_FRAMES and cycle.std() > 0
    radius = float(np.sqrt(mean[widest] / np.pi))
    towards_base = bearing[bearing < widest][::-1] if base_first else bearing[bearing > widest]
    for k, z in enumerate(towards_base):
        is_bare = walls is not None and np.nanmean(walls[:, z]) < _LEAST_WALL
        is_still = tells_by_motion and _share_of_motion(areas[:, z], cycle) < _LEAST_SHARE
        below = towards_base[k - 1] if k else widest
        is_aside = _distance(centre[:, z], centre[:, below]) > _FARTHEST_ASIDE * radius
        if is_bare or is_still or is_aside:
            beyond = [int(s) for s in towards_base[k:]]
            return beyond if len(beyond) <= _LARGEST_SHARE * len(bearing) else []
    return []


def _pictures_beyond(areas: NDArray, walls: NDArray, base_first: bool) -> NDArray[np.bool_]:
    """Where the valve plane has descended past a slice for a part of the cycle, shape (t, z)."""
    beyond = np.zeros(areas.shape, bool)
    cycle = _cycle(areas)
    ed, es = int(cycle.argmax()), int(cycle.argmin())
    around_ed = np.arange(ed - 1, ed + 2) % len(areas)
    bearing = np.flatnonzero(areas.any(0))
    outermost = int(_LARGEST_SHARE * len(bearing))
    towards_base = bearing[:outermost][::-1] if base_first else bearing[len(bearing) - outermost :]
    passed = np.zeros(len(areas), bool)
    for z in towards_base:
        if np.isfinite(walls[around_ed, z]).any():
            closed = float(np.nanmean(walls[around_ed, z]))
            is_open = walls[:, z] < min(_OPEN_WALL, _OPENED_WALL * closed)
            votes = np.where(np.isnan(walls[:, z]), 0, np.where(is_open, 1, -1))
            stretch = _best_stretch(votes, es)
            passed = passed if stretch[ed] else passed | stretch
        beyond[:, z] = passed
    return beyond


def _cycle(areas: NDArray) -> NDArray:
    """Cavity of the middle half of the slices in each frame: shape (t, z) to (t,)."""
    bearing = np.flatnonzero(areas.any(0))
    quarter = len(bearing) // 4
    return areas[:, bearing[quarter : len(bearing) - quarter]].sum(1)


def _best_stretch(votes: NDArray, frame: int) -> NDArray[np.bool_]:
    """The stretch of a cycle around a frame with the largest sum of votes; none below one.

    Parameters
    ----------
    votes
        Of each frame, shape (t,); the cycle is closed.
    frame
        What the stretch must hold.
    """
    from_here = np.roll(votes, -frame)
    onwards = np.cumsum(from_here)
    backwards = np.concatenate([[0], np.cumsum(from_here[::-1])])
    best, reach = 0, (0, 0)
    for last in range(len(votes)):
        before = int(backwards[: len(votes) - last].argmax())
        if (total := onwards[last] + backwards[before]) > best:
            best, reach = total, (last + 1, before)
    chosen = np.zeros(len(votes), bool)
    chosen[: reach[0]] = chosen[len(votes) - reach[1] :] = True
    return np.roll(chosen, frame)


def _distance(one: NDArray, other: NDArray) -> float:
    """Median over the frames that have both; 0 where none has."""
    apart = np.hypot(*(one - other).T)
    known = apart[np.isfinite(apart)]
    return float(np.median(known)) if len(known) else 0.0


def _shares_of_wall(data: NDArray) -> NDArray:
    """Part of the cavity's edge that lies on myocardium, shape (t, z); nan without a cavity."""
    edges = cavity_edges(data)
    whole = edges.sum(0)
    return np.where(whole > 0, edges[MYO] / np.maximum(whole, 1), np.nan)


def _share_of_motion(areas: NDArray, cycle: NDArray) -> float:
    """Slope of a slice's relative change on that of the ventricle."""
    own, whole = areas / areas.mean(), cycle / cycle.mean()
    return float(np.cov(own, whole)[0, 1] / whole.var(ddof=1))
