"""Brains whose hippocampi have lost a known part, made from real label maps.

A label map (FreeSurfer's numbers) is turned, stretched and bent a little, and
its hippocampi are brought to a healthy volume first, because people differ
more from each other than the disease takes away. Then the outer shell of the
hippocampus goes, as much as the subject's level says, and becomes the fluid or
the white matter next to it. What went is known voxel by voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation

from napari_cardioxai.errors import ScanError
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import is_nifti, read_nifti

SIDES = ("left", "right")
HIPPOCAMPUS = {"left": 17, "right": 53}
WHITE_MATTER = {"left": 2, "right": 41}
FLUID = (4, 5, 14, 15, 24, 43, 44)
"""Ventricles, their temporal horns (5 and 44) and the fluid around the brain."""
OUTSIDE_FROM = 500
"""Labels from here on are skull, muscle and skin."""
MIRROR = {
    **{left: right for left, right in zip(range(2, 9), range(41, 48), strict=True) if left != 6},
    10: 49,
    11: 50,
    12: 51,
    13: 52,
    17: 53,
    18: 54,
    25: 57,
    26: 58,
    28: 60,
    30: 62,
    31: 63,
    136: 137,
    163: 164,
}
"""Left structures and their right counterparts."""

MAP_SPACING_MM = 1.5
"""What label maps are brought to on reading."""

_MARGIN = 8  # voxels around the hippocampi that are looked at
_FARTHEST = 4.0  # voxels that a hippocampus may grow to become healthy
_ROUGHNESS = 0.3  # voxels by which the shell that goes is uneven
_PREFERRED = 1.5  # voxels further away and fluid still takes the place, not white matter
_KNOT_MM = 24.0  # between the points that bending moves

_ENCEPHALON = np.isin(np.arange(OUTSIDE_FROM), (2, 3, 41, 42, 7, 8, 46, 47))

ANATOMY, LOSS, LOOK = range(3)


@dataclass(frozen=True)
class BrainSpec:
    """What a cohort of brains is like.

    Attributes
    ----------
    levels
        Name and range of the part lost in percent; subject i gets
        `levels[i % len(levels)]`. Normal, mild impairment and Alzheimer's
        disease by default, somewhat more than the 12 and 24 % that hippocampi
        are smaller by on average (Shi et al. 2009).
    one_sided
        Take from one hippocampus, drawn by lot, and not from both.
    healthy_ml, healthy_sd_ml
        Volume of a hippocampus before it loses anything.
    size, spacing_mm
        Voxels (z, y, x) and their distance.
    bend_mm
        Standard deviation of the bending at each of its knots.
    """

    levels: tuple[tuple[str, float, float], ...] = (
        ("normal", 0.0, 0.0),
        ("mild", 16.0, 22.0),
        ("severe", 32.0, 40.0),
    )
    one_sided: bool = False
    healthy_ml: float = 3.6
    healthy_sd_ml: float = 0.15
    size: tuple[int, int, int] = (112, 136, 112)
    spacing_mm: float = 1.5
    bend_mm: float = 2.0

    def __post_init__(self) -> None:
        for name, low, high in self.levels:
            if not 0 <= low <= high <= 90:
                raise PhantomError(f"the level {name!r} cannot lose {low:g} to {high:g} percent.")
        if len({name for name, _, _ in self.levels}) != len(self.levels) or not self.levels:
            raise PhantomError("every level needs a name of its own.")
        if min(self.size) < 32 or self.spacing_mm <= 0 or self.healthy_ml <= 0:
            raise PhantomError(
                "size must be 32 voxels or more each way, spacing and volume positive."
            )

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return self.spacing_mm**3 / 1000


BRAINS: dict[str, BrainSpec] = {
    "brain": BrainSpec(),
    # One hippocampus only, so that an explanation must choose the right one.
    "brain-one-sided": replace(BrainSpec(), one_sided=True),
    # Bent twice as much, to learn from: a handful of label maps is a handful of people.
    "brain-varied": replace(BrainSpec(), bend_mm=4.0),
}
"""Cohorts of brains by name."""


@dataclass(frozen=True)
class Brain:
    """One brain, before its image.

    Attributes
    ----------
    name, level, base
        Such as `s0003`; index into the levels; index of the label map.
    labels
        Structures after the loss, FreeSurfer's numbers, int16, (z, y, x) with
        z to the head, y to the back, x to the left.
    lost
        Where hippocampus was lost, bool, of the same shape.
    healthy_ml, left_ml
        Volume of each hippocampus before and after, by side.
    geometry
        Of the grid.
    """

    name: str
    level: int
    base: int
    labels: NDArray[np.int16]
    lost: NDArray[np.bool_]
    healthy_ml: dict[str, float]
    left_ml: dict[str, float]
    geometry: Geometry


def label_map_files(folder: Path) -> tuple[Path, ...]:
    """Label maps of a folder in the order of their names.

    Raises
    ------
    PhantomError
        When there are none.
    """
    files = sorted(p for p in Path(folder).glob("*") if is_nifti(p))
    if not files:
        raise PhantomError(
            f"{folder} has no NIfTI files; give a folder of brain label maps with FreeSurfer's "
            "numbers by --maps."
        )
    return tuple(files)


@lru_cache(maxsize=32)
def read_label_map(file: Path) -> NDArray[np.int16]:
    """A label map at 1.5 mm, shape (z, y, x), kept for the next subject.

    Raises
    ------
    PhantomError
        When it cannot be read, or has no hippocampi or no voxel size.
    """
    try:
        scan = read_nifti(file)
    except ScanError as error:
        raise PhantomError(str(error)) from error
    labels = np.asarray(scan.data[0]).astype(np.int16)
    if missing := [side for side in SIDES if not (labels == HIPPOCAMPUS[side]).any()]:
        raise PhantomError(
            f"{file.name} has no {missing[0]} hippocampus, label {HIPPOCAMPUS[missing[0]]}."
        )
    spacing = scan.geometry.spacing_mm
    if spacing is None:
        raise PhantomError(f"{file.name} does not say its voxel size.")
    if not np.allclose(spacing, MAP_SPACING_MM, rtol=0.01):
        labels = ndimage.zoom(labels, np.array(spacing) / MAP_SPACING_MM, order=0)
    labels.setflags(write=False)
    return labels


def source(part: int, *, seed: int, index: int) -> np.random.Generator:
    """Where one part of a subject's randomness comes from."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, part)))


def draw_brain(
    spec: BrainSpec, maps: Sequence[NDArray[np.int16]], *, seed: int, index: int
) -> Brain:
    """Brain number `index` of a cohort; depends on nothing but the arguments.

    Every level sees every map equally often.

    Parameters
    ----------
    spec, maps
        What the cohort is like, and the label maps that it is made from, at
        1.5 mm with axes as `read_label_map` gives them.
    seed, index
        Together the source of all randomness.
    """
    level = index % len(spec.levels)
    base = index // len(spec.levels) % len(maps)
    labels = _moved(maps[base], spec, source(ANATOMY, seed=seed, index=index))
    rng = source(LOSS, seed=seed, index=index)
    near = _around_hippocampi(labels)
    window = labels[near].copy()
    gone = np.zeros(window.shape, bool)
    part = float(rng.uniform(*spec.levels[level][1:])) / 100
    chosen = SIDES[int(rng.integers(2))]
    healthy: dict[str, float] = {}
    left: dict[str, float] = {}
    for side in SIDES:
        volume = float(rng.normal(spec.healthy_ml, spec.healthy_sd_ml))
        window = _resized(window, side, round(volume / spec.voxel_ml), rng)
        before = window == HIPPOCAMPUS[side]
        lost = 0.0 if spec.one_sided and side != chosen else part
        window = _resized(window, side, round((1 - lost) * before.sum()), rng)
        after = window == HIPPOCAMPUS[side]
        gone |= before & ~after
        healthy[side] = float(before.sum() * spec.voxel_ml)
        left[side] = float(after.sum() * spec.voxel_ml)
    labels[near] = window
    everywhere = np.zeros(labels.shape, bool)
    everywhere[near] = gone
    return Brain(f"s{index:04d}", level, base, labels, everywhere, healthy, left, _geometry(spec))


def _geometry(spec: BrainSpec) -> Geometry:
    """The grid's middle is the origin; axes to the head, the back and the left."""
    z, y, x = ((n - 1) / 2 * spec.spacing_mm for n in spec.size)
    step = spec.spacing_mm
    affine = np.array(
        [[-step, 0.0, 0.0, x], [0.0, -step, 0.0, y], [0.0, 0.0, step, -z], [0.0, 0.0, 0.0, 1.0]]
    )
    return Geometry((step, step, step), affine)


def _moved(base: NDArray[np.int16], spec: BrainSpec, rng: np.random.Generator) -> NDArray[np.int16]:
    """The map without its skull, maybe mirrored, turned, stretched, bent, on the cohort's grid."""
    brain = np.where(base >= OUTSIDE_FROM, 0, base).astype(np.int16)
    if rng.random() < 0.5:
        brain = _mirrored(brain)
    middle = np.array([(w.min() + w.max()) / 2 for w in np.nonzero(_ENCEPHALON[brain])], np.float32)
    turn = Rotation.from_rotvec(rng.normal(0, np.radians(2.5), 3)).as_matrix()
    stretch = rng.normal(1, 0.03) * rng.normal(1, 0.015, 3)
    matrix = (turn / stretch * (spec.spacing_mm / MAP_SPACING_MM)).astype(np.float32)
    z, y, x = np.ogrid[tuple(slice(0, n) for n in spec.size)]
    from_middle = [
        axis.astype(np.float32) - (n - 1) / 2 for axis, n in zip((z, y, x), spec.size, strict=True)
    ]
    knots = tuple(max(4, round(n * spec.spacing_mm / _KNOT_MM) + 3) for n in spec.size)
    where = []
    for axis in range(3):
        bend = spread_over(rng.normal(0, spec.bend_mm / MAP_SPACING_MM, knots), spec.size)
        straight = sum(share * line for share, line in zip(matrix[axis], from_middle, strict=True))
        where.append(np.rint(straight + bend + middle[axis]).astype(np.intp))
    known = np.ones(spec.size, bool)
    for index, n in zip(where, brain.shape, strict=True):
        known &= (index >= 0) & (index < n)
        np.clip(index, 0, n - 1, out=index)
    return np.where(known, brain[tuple(where)], 0)


def _mirrored(brain: NDArray[np.int16]) -> NDArray[np.int16]:
    table = np.arange(OUTSIDE_FROM, dtype=np.int16)
    for left, right in MIRROR.items():
        table[left], table[right] = right, left
    return table[brain[:, :, ::-1]]


def spread_over(knots: NDArray, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Cubic spline through values at evenly spaced knots, over a grid of `size` voxels."""
    values = np.asarray(knots, np.float64)
    for axis, n in enumerate(size):
        count = values.shape[axis]
        spline = make_interp_spline(np.arange(count), np.eye(count))
        weights = spline(np.linspace(0, count - 1, n))
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values.astype(np.float32)


def _around_hippocampi(labels: NDArray[np.int16]) -> tuple[slice, ...]:
    both = np.isin(labels, tuple(HIPPOCAMPUS.values()))
    return tuple(
        slice(max(0, w.min() - _MARGIN), min(n, w.max() + _MARGIN + 1))
        for w, n in zip(np.nonzero(both), labels.shape, strict=True)
    )


def _resized(
    labels: NDArray[np.int16], side: str, voxels: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """A hippocampus of as many voxels, grown into fluid and white matter or shrunk from outside.

    The order of voxels is their distance to its border, made uneven by a
    smooth field. It never grows further than `_FARTHEST`, nor into other
    structures, so it may stay smaller than asked for.
    """
    value = HIPPOCAMPUS[side]
    inside = labels == value
    distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    uneven = ndimage.gaussian_filter(rng.normal(size=labels.shape), 2)
    order = distance + _ROUGHNESS * uneven / uneven.std()
    soft = np.isin(labels, FLUID) | np.isin(labels, tuple(WHITE_MATTER.values()))
    may = inside | (soft & (distance <= _FARTHEST))
    resized = labels.copy()
    # Growing and shrinking keep apart, so that nothing is lost where nothing should be.
    candidates = np.flatnonzero(may if voxels > inside.sum() else inside)
    ranked = candidates[np.argsort(order.ravel()[candidates], kind="stable")]
    if voxels > inside.sum():
        own = inside.ravel()[ranked]
        kept = np.concatenate([ranked[own], ranked[~own]])[:voxels]
        resized.ravel()[kept] = value
        return resized
    gone = np.zeros(labels.shape, bool)
    gone.ravel()[ranked[voxels:]] = True
    resized[gone] = _what_takes_the_place(labels, soft)[gone]
    return resized


def _what_takes_the_place(labels: NDArray[np.int16], soft: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The nearest fluid everywhere, or the nearest white matter where that is much nearer."""
    fluid = np.isin(labels, FLUID)
    found = []
    for mask in (fluid, soft & ~fluid):
        if mask.any():
            far, index = ndimage.distance_transform_edt(~mask, return_indices=True)
        else:
            far, index = np.full(labels.shape, np.inf), np.indices(labels.shape)
        found.append((far, labels[tuple(index)]))
    (to_fluid, nearest_fluid), (to_white, nearest_white) = found
    return np.where(to_fluid <= to_white + _PREFERRED, nearest_fluid, nearest_white)
