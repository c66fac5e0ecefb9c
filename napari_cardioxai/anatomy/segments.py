"""Which part of the wall a point belongs to: six segments a slice, and the 17 of the AHA.

The septum lies where the right ventricle touches the wall, between the
anterior and the inferior insertion. Which of the two is anterior is read from
patient coordinates, and whether a slice is basal from the anatomy, so that
neither a mirrored picture nor a reversed stack renames a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.base import is_base_first
from napari_cardioxai.anatomy.volumes import LV, RV, voxel_counts
from napari_cardioxai.anatomy.wall_contours import RAYS, segment_rays, wall_contours
from napari_cardioxai.errors import MeasurementError
from napari_cardioxai.scans.geometry import Geometry

WALLS = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
APICAL_WALLS = ("anterior", "septal", "inferior", "lateral")
AHA_NAMES = (
    *(f"basal {wall}" for wall in WALLS),
    *(f"mid {wall}" for wall in WALLS),
    *(f"apical {wall}" for wall in APICAL_WALLS),
    "apex",
)
BASAL, MID, APICAL, NO_RING = 0, 1, 2, -1

SEGMENT_SHARE = 0.75  # of a segment's rays must meet the wall
OPENING_DEG = 30.0  # beside a gap in the wall, as far as the valve plane still shaves it
LEAST_WEIGHT = 0.02  # of a slice at the end of its ring: counts where no other can
TOUCH_PX = (1.0, 2.0)  # how far beyond the wall the right ventricle is looked for
UNCLEAR_BASE = "Which end of the stack is the base is unclear: the first slice is taken for it."
SMALLEST_CONTACT_DEG = 40.0  # less, as near the apex, does not say where the septum is
USUAL_CONTACT = 0.75  # of the stack's median: less is cut on one side by the valve plane
CONTACT_GAP_DEG = 12.0  # longer gaps end a contact
SAME_HEIGHT = 0.2  # of the distance between the insertions


@dataclass(frozen=True)
class SegmentReference:
    """Where the septum lies in every slice.

    Attributes
    ----------
    septum_rad
        Direction from the centre of the left ventricle to the middle of the
        septum, half way between the insertions, from +x towards +y, shape (z,).
    turn
        +1 when the anterior wall lies at larger directions than the septum, else -1.
    contact_deg
        Angle that the right ventricle embraces in each slice, shape (z,); NaN
        where it does not touch the wall.
    borrowed
        Slices without a right ventricle, or with much less of it than the
        others: their direction is that of the nearest other slice; shape (z,), bool.
    notes
        Sentences about what was assumed.
    """

    septum_rad: np.ndarray
    turn: int
    contact_deg: np.ndarray
    borrowed: np.ndarray
    notes: tuple[str, ...] = ()

    def rays_rad(self, index: int) -> np.ndarray:
        """Directions of the rays of one slice in the order of the segments."""
        return segment_rays(float(self.septum_rad[index]), self.turn)

    def insertions_rad(self, index: int) -> tuple[float, float]:
        """Directions of the anterior and the inferior insertion; NaN where there is no contact."""
        half = self.turn * np.deg2rad(self.contact_deg[index]) / 2
        return float(self.septum_rad[index] + half), float(self.septum_rad[index] - half)


@dataclass(frozen=True)
class Rings:
    """Which third of the ventricle each slice belongs to.

    Attributes
    ----------
    ring
        0 basal, 1 mid, 2 apical, -1 without cavity; shape (z,).
    weight
        Part of each slice that lies in the middle half of its ring, shape (z,).
        The ends of the stack, cut by the valve plane or along the apex's wall,
        count little.
    base_first
        Whether slice 0 is at the basal end.
    notes
        Sentences about what was assumed.
    """

    ring: np.ndarray
    weight: np.ndarray
    base_first: bool
    notes: tuple[str, ...] = ()


def find_reference(labels: np.ndarray, geometry: Geometry) -> SegmentReference:
    """Find the septum in every slice from where the right ventricle touches the wall.

    Parameters
    ----------
    labels
        One frame, best end-diastole: values 1 LV, 2 myocardium, 3 RV, shape (z, y, x).
    geometry
        Its grid. Without an affine the upper insertion in the picture is taken
        for the anterior one, and `notes` says so.

    Raises
    ------
    MeasurementError
        When no slice shows where the right ventricle touches the wall, or when
        the pixel size is unknown.
    """
    spacing = in_plane_mm(geometry)
    slices = len(labels)
    middle, extent = np.full(slices, np.nan), np.full(slices, np.nan)
    points: list[tuple[int, np.ndarray]] = []
    for index, part in enumerate(labels):
        if contact := _contact(part, spacing):
            middle[index], extent[index], ends = contact
            points.append((index, ends))
    if not points:
        raise MeasurementError(
            "The right ventricle (label 3) touches the myocardium (label 2) in no slice, so the "
            "segments have no reference; label both."
        )
    turn, notes = _turn(points, geometry)
    middle[extent < USUAL_CONTACT * np.nanmedian(extent)] = np.nan
    found = np.flatnonzero(np.isfinite(middle))
    positions = _positions(geometry, slices)
    nearest = found[np.argmin(np.abs(positions[:, None] - positions[found]), axis=1)]
    borrowed = ~np.isfinite(middle)
    return SegmentReference(middle[nearest] % (2 * np.pi), turn, extent, borrowed, notes)


def find_rings(labels: np.ndarray, geometry: Geometry) -> Rings:
    """Divide the slices that hold cavity into basal, mid and apical thirds.

    Which end is the base is told by `is_base_first`.

    Parameters
    ----------
    labels
        One frame, best end-diastole, shape (z, y, x).
    geometry
        Its grid.

    Raises
    ------
    MeasurementError
        When no slice holds cavity.
    """
    areas = voxel_counts(labels, LV)
    bearing = np.flatnonzero(areas)
    if not len(bearing):
        raise MeasurementError("No voxel is labelled as LV cavity (label 1), so there is no ring.")
    told = is_base_first(areas, geometry)
    base_first = told is not False
    notes = () if told is not None else (UNCLEAR_BASE,)
    ring = np.full(len(labels), NO_RING)
    extents = geometry.slice_extents_mm(len(labels))
    lengths = np.ones(len(labels)) if extents is None else extents
    ends = np.cumsum(lengths[bearing])
    first, last = 3 * (ends - lengths[bearing]) / ends[-1], 3 * ends / ends[-1]
    third = np.minimum((first + last) // 2, APICAL).astype(int)
    inside = np.minimum(last, third + 0.75) - np.maximum(first, third + 0.25)
    weight = np.zeros(len(labels))
    weight[bearing] = np.maximum(inside / (last - first), LEAST_WEIGHT)
    ring[bearing] = third if base_first else APICAL - third
    return Rings(ring, weight, base_first, notes)


def six_segments(rays: np.ndarray) -> np.ndarray:
    """Means over the segments of basal and mid slices: (..., rays) to (..., 6).

    NaN where less than three quarters of a segment's rays meet the wall.
    """
    return _means(rays, len(WALLS))


def four_segments(rays: np.ndarray) -> np.ndarray:
    """Means over the segments of apical slices: (..., rays) to (..., 4)."""
    # Four segments start 15 degrees earlier, so that the anterior ones share their middle.
    return _means(np.roll(rays, RAYS // 24, axis=-1), len(APICAL_WALLS))


def aha_segments(rays: np.ndarray, rings: Rings) -> np.ndarray:
    """Means over the AHA segments: (..., z, rays) to (..., 17).

    The slices of a ring count by `Rings.weight`; those where a segment has no
    wall, or lies beside an opening of it, are left out. Segment 17, the apex, is always NaN: short-axis slices cut it
    along the wall and do not show its thickness.
    """
    rays = _away_from_openings(rays)
    parts = [
        _mean_over_slices(divide(rays), rings.weight * (rings.ring == ring))
        for ring, divide in ((BASAL, six_segments), (MID, six_segments), (APICAL, four_segments))
    ]
    apex = np.full((*rays.shape[:-2], 1), np.nan)
    return np.concatenate([*parts, apex], axis=-1)


def _means(rays: np.ndarray, count: int) -> np.ndarray:
    grouped = rays.reshape(*rays.shape[:-1], count, RAYS // count)
    there = np.isfinite(grouped)
    number = there.sum(axis=-1)
    total = np.where(there, grouped, 0.0).sum(axis=-1)
    enough = number >= SEGMENT_SHARE * (RAYS // count)
    return np.where(enough, total / np.maximum(number, 1), np.nan)


def _away_from_openings(rays: np.ndarray) -> np.ndarray:
    """NaN also on the rays near those without a wall, shape (..., rays)."""
    near = int(OPENING_DEG / 360 * RAYS)
    window = np.ones(2 * near + 1)
    ring = np.concatenate([rays[..., -near:], rays, rays[..., :near]], axis=-1)
    gaps = np.isnan(ring).astype(float)
    shaved = np.apply_along_axis(np.convolve, -1, gaps, window, "valid") > 0.5
    return np.where(shaved, np.nan, rays)


def _mean_over_slices(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean over axis -2 of what is there; NaN where nothing is."""
    weights = np.where(np.isfinite(values), weight[:, None], 0.0)
    total = (np.nan_to_num(values) * weights).sum(axis=-2)
    sums = weights.sum(axis=-2)
    return np.divide(total, sums, out=np.full_like(total, np.nan), where=sums > 0)


def _contact(
    labels: np.ndarray, spacing_mm: tuple[float, float]
) -> tuple[float, float, np.ndarray] | None:
    """Where the right ventricle touches the wall of one slice.

    Returns
    -------
    Direction of the middle (rad), extent (degrees), and both ends as (y, x)
    pixel positions, shape (2, 2), the one at smaller directions first; or None.
    """
    right = labels == RV
    if not right.any():
        return None
    directions = np.arange(RAYS) * (2 * np.pi / RAYS)
    walls = wall_contours(labels, spacing_mm, directions_rad=directions)
    if walls is None:
        return None
    size = np.array(spacing_mm)
    unit = np.stack([np.sin(directions), np.cos(directions)], axis=-1)
    outside = np.nan_to_num(walls.epi_mm) + np.array(TOUCH_PX)[:, None] * size.min()
    where = (np.array(walls.centre_mm) + unit * outside[..., None]) / size
    row, column = np.moveaxis(np.clip(np.rint(where), 0, np.array(labels.shape) - 1), -1, 0)
    near = right[row.astype(int), column.astype(int)].any(axis=0)
    touching = near & np.isfinite(walls.epi_mm)
    first, length = _longest_run(touching)
    step = 360.0 / RAYS
    if length * step < SMALLEST_CONTACT_DEG:
        return None
    ends = [first % RAYS, (first + length - 1) % RAYS]
    border = (np.array(walls.centre_mm) + unit[ends] * walls.epi_mm[ends, None]) / size
    middle = (first + (length - 1) / 2) * (2 * np.pi / RAYS)
    return float(middle), float(length * step), border


def _longest_run(touching: np.ndarray) -> tuple[int, int]:
    """First ray and length of the longest contact around the circle, short gaps bridged."""
    hits = np.flatnonzero(touching)
    if not len(hits):
        return 0, 0
    gaps = np.diff(np.append(hits, hits[0] + len(touching)))
    breaks = np.flatnonzero(gaps > CONTACT_GAP_DEG / 360.0 * len(touching))
    if not len(breaks):
        return int(hits[0]), len(touching)
    starts = hits[(breaks + 1) % len(hits)]
    stops = np.roll(hits[breaks], -1)
    lengths = (stops - starts) % len(touching) + 1
    best = int(np.argmax(lengths))
    return int(starts[best]), int(lengths[best])


def _turn(points: list[tuple[int, np.ndarray]], geometry: Geometry) -> tuple[int, tuple[str, ...]]:
    """Sense from the septum to the anterior wall, from both insertions of every slice.

    `points` holds slice index and (y, x) of the ends at smaller and larger directions.
    """
    chords = np.array([ends[1] - ends[0] for _, ends in points]).sum(axis=0)
    if geometry.affine is None:
        note = (
            "The orientation of the pictures is unknown: the upper insertion of the right "
            "ventricle is taken for the anterior one."
        )
        return (1 if chords[0] < 0 else -1), (note,)
    patient = np.asarray(geometry.affine, float)[:3, :2] @ chords[::-1]
    anterior, superior = patient[1], patient[2]
    if abs(anterior) >= SAME_HEIGHT * np.linalg.norm(patient):
        return (1 if anterior > 0 else -1), ()
    note = (
        "Both insertions of the right ventricle lie equally far to the front: the upper one is "
        "taken for the anterior one."
    )
    return (1 if superior > 0 else -1), (note,)


def _positions(geometry: Geometry, slices: int) -> np.ndarray:
    """Position of each slice along the stack, growing, shape (z,); in slices without a spacing."""
    extents = geometry.slice_extents_mm(slices)
    if geometry.slice_positions_mm is not None:
        return np.abs(np.asarray(geometry.slice_positions_mm) - geometry.slice_positions_mm[0])
    return np.arange(slices) * (1.0 if extents is None else extents[0])


def in_plane_mm(geometry: Geometry) -> tuple[float, float]:
    """Pixel size (y, x) in mm, or the reason why there are no lengths."""
    if geometry.spacing_mm is None:
        raise MeasurementError(
            "The pixel size is unknown, so the wall has no thickness in mm; measure with the scan "
            "or with labels that carry it."
        )
    return geometry.spacing_mm[1], geometry.spacing_mm[2]
