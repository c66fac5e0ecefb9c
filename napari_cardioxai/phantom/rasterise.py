"""A beating heart on the grid of a scan: labels, and where each pixel lies in the heart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_cardioxai.phantom.heart import THETA, Beat, Heart, Papillary, Surfaces
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.scans.geometry import LPS_TO_RAS, Geometry

LV, MYO, RV = 1, 2, 3
MM3_PER_ML = 1000.0
ANGLE_STEPS = 720  # half a degree: below 0.2 mm of arc inside the LV, 0.01 mm of radius

# In-plane directions (LPS) of a usual short-axis slice: the RV is on the left of the
# picture, the anterior wall on top, and the normal points from the apex to the base.
SHORT_AXIS_ROW = (0.792, 0.0, 0.610)
SHORT_AXIS_COLUMN = (0.378, 0.786, -0.490)


@dataclass(frozen=True)
class Grid:
    """Short-axis slices through a heart.

    Attributes
    ----------
    matrix
        Pixels (y, x).
    pixel_mm
        Their size.
    heights_mm
        Height of each slice's centre plane over the epicardial apex, shape (z,), rising.
    centre_px
        Where the long axis goes through the picture, (y, x) in pixels.
    septum_deg
        Direction from the left ventricle to the septum in the picture,
        counter-clockwise from the right; 180 is left, 90 is up.
    row, column
        Directions (LPS) of growing x and y, orthonormal to rounding.
    position_mm
        Where the apex is in the patient (LPS).
    """

    matrix: tuple[int, int]
    pixel_mm: float
    heights_mm: tuple[float, ...]
    centre_px: tuple[float, float]
    septum_deg: float = 155.0
    row: tuple[float, float, float] = SHORT_AXIS_ROW
    column: tuple[float, float, float] = SHORT_AXIS_COLUMN
    position_mm: tuple[float, float, float] = (60.0, -60.0, -40.0)

    def __post_init__(self) -> None:
        if len(self.heights_mm) < 1 or np.any(np.diff(self.heights_mm) <= 0):
            raise PhantomError("slices need heights that rise from apex to base.")

    @property
    def slice_distance_mm(self) -> float:
        """Distance between slice centres; of a single slice, that of a usual stack."""
        if len(self.heights_mm) == 1:
            return 8.0
        return float(self.heights_mm[1] - self.heights_mm[0])

    @property
    def directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors (LPS) of growing x, y and slice, exactly orthogonal."""
        x = np.array(self.row) / np.linalg.norm(self.row)
        y = np.array(self.column) - np.dot(self.column, x) * x
        y /= np.linalg.norm(y)
        return x, y, np.cross(x, y)

    def slice_origin_mm(self, index: int) -> np.ndarray:
        """Patient position (LPS) of the first pixel's centre in a slice, shape (3,)."""
        x, y, normal = self.directions
        row, column = (c * self.pixel_mm for c in self.centre_px)
        along = self.heights_mm[index] * normal
        return np.array(self.position_mm) + along - column * x - row * y

    @cached_property
    def geometry(self) -> Geometry:
        """The grid as the rest of the package knows it."""
        x, y, normal = self.directions
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = x * self.pixel_mm, y * self.pixel_mm
        affine[:3, 2] = normal * self.slice_distance_mm
        affine[:3, 3] = self.slice_origin_mm(0)
        return Geometry(
            spacing_mm=(self.slice_distance_mm, self.pixel_mm, self.pixel_mm),
            affine=LPS_TO_RAS @ affine,
        )

    def offsets_mm(self, *, finer: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Distance of each pixel from the long axis: (down, right) in mm, (y, 1) and (1, x).

        With `finer` every pixel is divided that many times each way.
        """
        steps = [(np.arange(n * finer) + 0.5) / finer - 0.5 for n in self.matrix]
        down = (steps[0] - self.centre_px[0]) * self.pixel_mm
        right = (steps[1] - self.centre_px[1]) * self.pixel_mm
        return down[:, None], right[None, :]

    def polar(self, *, finer: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Distance from the long axis in mm and θ of the heart, both (y, x)."""
        down, right = self.offsets_mm(finer=finer)
        angle = np.deg2rad(self.septum_deg) - np.arctan2(-down, right)
        return np.hypot(down, right), np.mod(angle, 2 * np.pi)


@dataclass(frozen=True)
class Faults:
    """What went wrong while scanning; it moves labels and images alike.

    Attributes
    ----------
    shift_mm
        In-plane shift (down, right) of each slice by another breath-hold, shape (z, 2); or ().
    late_frames
        How many frames late each slice was triggered, shape (z,); or ().
    missing
        Slices that were lost.
    """

    shift_mm: tuple[tuple[float, float], ...] = ()
    late_frames: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()

    def shift_of(self, index: int) -> tuple[float, float]:
        """Shift of a slice (down, right) in mm."""
        return self.shift_mm[index] if self.shift_mm else (0.0, 0.0)

    def late(self, index: int) -> int:
        """Delay of a slice in frames."""
        return self.late_frames[index] if self.late_frames else 0


def stack_around(
    heart: Heart,
    *,
    pixel_mm: float = 1.25,
    matrix: tuple[int, int] = (128, 128),
    slice_distance_mm: float = 8.0,
    first_mm: float = -2.0,
    septum_deg: float = 155.0,
    centre_shift_mm: tuple[float, float] = (0.0, 0.0),
) -> Grid:
    """Slices from below the apex to above the mitral plane's highest point.

    Parameters
    ----------
    heart
        What has to be covered.
    first_mm
        Height of the first slice over the apex.
    centre_shift_mm
        How far (down, right) the heart is off the picture's centre; the centre
        of the heart is taken half way between the two ventricles.
    """
    walls = heart.beat(np.zeros(1)).surfaces(np.array([heart.height_mm]))
    rise = max(
        float(np.max(walls.mitral.along * walls.epi_mm[0, 0])),
        float(np.max(walls.tricuspid.along * walls.rv_mm[0, 0] + walls.outflow_mm))
        + heart.shape.tricuspid_offset_mm,
    )
    top = heart.height_mm + rise
    count = int(np.ceil((top - first_mm) / slice_distance_mm)) + 1
    heights = tuple(first_mm + slice_distance_mm * k for k in range(count))
    return _centred(heart, heights, pixel_mm, matrix, septum_deg, centre_shift_mm)


def levels_through(
    heart: Heart,
    levels: tuple[float, ...],
    *,
    pixel_mm: float = 1.8,
    matrix: tuple[int, int] = (80, 80),
    septum_deg: float = 155.0,
    centre_shift_mm: tuple[float, float] = (0.0, 0.0),
) -> Grid:
    """Slices at fractions of the end-diastolic long axis from the apex, equally spaced."""
    if len(levels) > 2 and not np.allclose(np.diff(levels), levels[1] - levels[0]):
        raise PhantomError("levels must be equally spaced; a scan has one slice distance.")
    heights = tuple(level * heart.height_mm for level in levels)
    return _centred(heart, heights, pixel_mm, matrix, septum_deg, centre_shift_mm)


def _centred(
    heart: Heart,
    heights: tuple[float, ...],
    pixel_mm: float,
    matrix: tuple[int, int],
    septum_deg: float,
    centre_shift_mm: tuple[float, float],
) -> Grid:
    walls = heart.beat(np.zeros(1)).surfaces(np.array([0.7 * heart.height_mm]))
    # Half way between the far sides of the two ventricles.
    aside = 0.5 * float(walls.rv_mm[0, 0, 0] - walls.epi_mm[0, 0, len(THETA) // 2])
    direction = np.deg2rad(septum_deg)
    down = centre_shift_mm[0] + aside * np.sin(direction)
    right = centre_shift_mm[1] - aside * np.cos(direction)
    centre = (
        (matrix[0] - 1) / 2 + down / pixel_mm,
        (matrix[1] - 1) / 2 + right / pixel_mm,
    )
    return Grid(matrix, pixel_mm, heights, centre, septum_deg)


Cut = Callable[[np.ndarray, np.ndarray], np.ndarray]


def cut_at_the_valve(cavity: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The part of a cavity that is atrium: exactly what lies above the valve's plane."""
    return cavity & above


def cut_as_readers_do(cavity: np.ndarray, above: np.ndarray) -> np.ndarray:
    """All of a cavity or nothing of it, by where its greater part lies.

    A reader sees a closed outline in a basal slice and draws it whole where at
    least half of it is ventricle (SCMR, Schulz-Menger et al. 2020).
    """
    return cavity & (2 * np.count_nonzero(cavity & above) > np.count_nonzero(cavity))


def rasterise(
    beat: Beat, grid: Grid, *, faults: Faults | None = None, cut: Cut = cut_at_the_valve
) -> np.ndarray:
    """Labels of a beating heart: the structure at each pixel's centre, in each slice's centre plane.

    Parameters
    ----------
    beat, grid, faults
        The heart, the planes, and what went wrong.
    cut
        Which part of a cavity (y, x) that reaches above the valve's plane is
        left out. The exact plane belongs to the analytic volumes.

    Returns
    -------
    Values 0 background, 1 LV cavity (with papillary muscles), 2 myocardium,
    3 RV cavity; shape (t, z, y, x), uint8.
    """
    faults = faults or Faults()
    walls = beat.surfaces(np.array(grid.heights_mm))
    frames, slices = walls.above_mitral_mm.shape
    labels = np.zeros((frames, slices, *grid.matrix), np.uint8)
    reach = float(walls.rv_mm.max())
    for index in range(slices):
        if index in faults.missing:
            continue
        part = _Window.of(grid, reach, faults.shift_of(index))
        values = _label_slice(walls, index, part, cut)
        labels[:, index, part.rows, part.columns] = np.roll(values, faults.late(index), axis=0)
    return labels


@dataclass(frozen=True)
class _Window:
    """The part of a slice that the heart can reach: squared radius, table index, direction."""

    rows: slice
    columns: slice
    square: np.ndarray
    step: np.ndarray
    down: np.ndarray
    right: np.ndarray
    septum_deg: float

    @classmethod
    def of(cls, grid: Grid, reach_mm: float, shift_mm: tuple[float, float]) -> _Window:
        down, right = grid.offsets_mm()
        down, right = down - shift_mm[0], right - shift_mm[1]
        near_rows, near_columns = (np.flatnonzero(np.abs(d) <= reach_mm) for d in (down, right))
        if not len(near_rows) or not len(near_columns):
            raise PhantomError("the heart lies outside the picture; centre it or widen the matrix.")
        rows = slice(int(near_rows[0]), int(near_rows[-1]) + 1)
        columns = slice(int(near_columns[0]), int(near_columns[-1]) + 1)
        down, right = down[rows], right[:, columns]
        angle = np.deg2rad(grid.septum_deg) - np.arctan2(-down, right)
        step = np.rint(angle * (ANGLE_STEPS / (2 * np.pi))).astype(np.int32) % ANGLE_STEPS
        square = (down**2 + right**2).astype(np.float32)
        return cls(rows, columns, square, step, down, right, grid.septum_deg)

    def towards(self, direction_deg: float) -> np.ndarray:
        """Distance in mm along the heart's θ = `direction_deg`, (y, x)."""
        angle = np.deg2rad(self.septum_deg - direction_deg)
        return (np.cos(angle) * self.right - np.sin(angle) * self.down).astype(np.float32)


def _label_slice(walls: Surfaces, index: int, part: _Window, cut: Cut) -> np.ndarray:
    """Labels (t, y, x) of one slice in its window."""
    endo, epi, rv = (
        angle_table(surface[:, index]) ** 2
        for surface in (walls.endo_mm, walls.epi_mm, walls.rv_mm)
    )
    inside = part.square < rv[:, part.step]
    values = np.where(part.square < epi[:, part.step], np.uint8(MYO), np.uint8(RV))
    values[part.square < endo[:, part.step]] = LV
    values[~inside] = 0
    left = walls.mitral.slope * part.towards(walls.mitral.direction_deg)
    right = walls.tricuspid.slope * part.towards(walls.tricuspid.direction_deg)
    outflow = np.zeros(right.shape, bool)
    if walls.outflow_mm.any():
        rise = angle_table(walls.outflow_mm[None])[0][part.step]
        right, outflow = right + rise, 2 * rise > walls.outflow_mm.max()
    for frame, value in enumerate(values):
        above_left = walls.above_mitral_mm[frame, index] > left
        if above_left.any():
            cavity = cut(value == LV, above_left)
            value[(above_left & (value == MYO)) | cavity] = 0
        above_right = walls.above_tricuspid_mm[frame, index] > right
        if above_right.any():
            # The way out and the way in are seen as two cavities.
            for way in (~outflow, outflow):
                value[cut((value == RV) & way, above_right)] = 0
    return values


def angle_table(radius_mm: np.ndarray) -> np.ndarray:
    """Radii (t, θ) at `THETA`, interpolated to `ANGLE_STEPS` angles, float32."""
    angles = radius_mm.shape[-1]
    position = np.arange(ANGLE_STEPS) * (angles / ANGLE_STEPS)
    low = position.astype(int)
    share = position - low
    return (radius_mm[:, low] * (1 - share) + radius_mm[:, (low + 1) % angles] * share).astype(
        np.float32
    )


def papillary_disc(
    beat: Beat, papillary: Papillary, *, frame: int, level: float, endo: np.ndarray
) -> tuple[float, float, float]:
    """Where a papillary muscle cuts a plane: θ in degrees, distance from the axis and radius in mm.

    Parameters
    ----------
    frame, level
        When, and at which fraction of the long axis from the apex.
    endo
        Radii of the cavity in that plane by `ANGLE_STEPS` angles, in mm.
    """
    progress = float(beat.heart.lv.progress(beat.time_ms[frame]))
    angle_deg = papillary.angle_deg + beat.heart.shape.twist_deg * progress * (1 - level)
    middle = 0.5 * (papillary.first + papillary.last)
    radius = papillary.radius_mm * (
        1 - ((level - middle) / (papillary.last - papillary.first)) ** 2
    )
    wall = float(endo[round(angle_deg / 360 * ANGLE_STEPS) % ANGLE_STEPS])
    return angle_deg, max(wall - 0.9 * radius - 1.0, 0.0), radius


def rasterise_papillaries(beat: Beat, grid: Grid) -> np.ndarray:
    """The papillary muscles of a beating heart: pixels inside their discs, (t, z, y, x), bool."""
    walls = beat.surfaces(np.array(grid.heights_mm))
    down, right = grid.offsets_mm()
    found = np.zeros((*walls.above_mitral_mm.shape, *grid.matrix), bool)
    for frame, index in np.ndindex(*walls.above_mitral_mm.shape):
        level = float(walls.above_mitral_mm[frame, index]) / beat.heart.height_mm + 1
        endo = angle_table(walls.endo_mm[frame, index][None])[0]
        for papillary in beat.heart.shape.papillaries:
            if not papillary.first <= level <= papillary.last:
                continue
            angle_deg, distance, radius = papillary_disc(
                beat, papillary, frame=frame, level=level, endo=endo
            )
            towards = np.deg2rad(grid.septum_deg - angle_deg)
            away = np.hypot(right - distance * np.cos(towards), down + distance * np.sin(towards))
            found[frame, index] |= away < radius
    return found


def mask_volume_ml(labels: np.ndarray, grid: Grid, structure: int) -> np.ndarray:
    """Volume of a structure in every frame, voxels counted, shape (t,), in mL."""
    voxel = grid.pixel_mm**2 * grid.slice_distance_mm / MM3_PER_ML
    return np.count_nonzero(labels == structure, axis=(1, 2, 3)) * voxel
