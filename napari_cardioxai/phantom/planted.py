"""Volumes and hearts of which it is known what decides, and where that is.

A map that explains a network which learnt to decide from nothing else can be
judged: the truth is not an opinion about what a reader would look at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.phantom.classes import draw_case
from napari_cardioxai.phantom.heart import (
    MID,
    SEGMENT_CENTRE_DEG,
    SEGMENT_HALF_WIDTH_DEG,
    SEGMENT_RING,
    Heart,
)
from napari_cardioxai.phantom.images import draw_look, draw_scanner, render
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.rasterise import MYO, Grid, levels_through, rasterise
from napari_cardioxai.phantom.volume_curve import PhantomError

VOLUME_SIDE = 32
VOLUME_SPACING_MM = 2.0
BALL_RADIUS = 0.14  # of the side
DECIDING_SEGMENT = 11
"""AHA number of the segment that decides: mid inferolateral."""

_OTHER_SEGMENTS = (7, 8, 9)  # on the far side of the ring, AHA numbers
_STILL = 0.1  # share in the motion that is left to a still segment
_OFF_MIDDLE = (0.14, 0.26)  # of the side: how far the ball lies off the middle, along each axis
_ROD_THICK = 2  # voxels
_ROD_LENGTH = 0.5  # of the side
_NOISE = 0.15
_CLUTTER = 0.35
_BRIGHTNESS = (1.4, 2.0)


@dataclass(frozen=True, eq=False)
class PlantedVolume:
    """A volume with or without the structure that decides.

    Attributes
    ----------
    image
        Shape (z, y, x), float32.
    truth
        Where the structure is, or would be, shape (z, y, x).
    """

    image: NDArray[np.float32]
    truth: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PlantedHeart:
    """A heart one of whose segments thickens, or stays still.

    Attributes
    ----------
    heart, grid, times_ms
        The heart, the planes and the times, shape (t,).
    labels
        Shape (t, z, y, x), uint8.
    truth
        Where the deciding segment's wall passes during the beat, in every
        frame, shape (t, z, y, x).
    """

    heart: Heart
    grid: Grid
    times_ms: NDArray[np.float64]
    labels: NDArray[np.uint8]
    truth: NDArray[np.bool_]


def planted_volume(
    rng: np.random.Generator, *, present: bool, side: int = VOLUME_SIDE
) -> PlantedVolume:
    """A ball off the middle that decides, among clutter that does not.

    In every volume: noise, slow variations of brightness, a bright shell along
    the border, and up to two bundles of thin rods, each as bright and as large
    as the ball; where there is no ball there is one bundle more. So neither
    brightness nor edges nor the middle tell the class, only the shape does.

    Parameters
    ----------
    rng
        Source of all randomness.
    present
        Whether the ball is there.
    side
        Voxels along each axis.
    """
    if side < 12:
        raise PhantomError(f"a planted volume needs at least 12 voxels a side, not {side}.")
    slow = ndimage.gaussian_filter(rng.normal(size=(side,) * 3), side / 8)
    image = _CLUTTER * slow / slow.std() + rng.normal(0, _NOISE, (side,) * 3)
    places = np.indices((side,) * 3)
    shell = ((places == 1) | (places == side - 2)).any(0)
    image[shell] += rng.uniform(0, 1.2)
    centre = side / 2 + rng.choice([-1, 1], 3) * rng.uniform(*_OFF_MIDDLE, 3) * side
    away = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
    ball = away <= BALL_RADIUS * side
    near_ball = away <= (BALL_RADIUS + 0.1) * side
    bundles = int(rng.integers(0, 3)) + (not present)
    for _ in range(bundles * _rods_like_a_ball(side)):
        image[_rod(rng, side) & ~near_ball] += rng.uniform(*_BRIGHTNESS)
    if present:
        image[ball] += rng.uniform(*_BRIGHTNESS)
    return PlantedVolume(image.astype(np.float32), ball)


def planted_heart(
    rng: np.random.Generator,
    *,
    still: bool,
    frames: int,
    levels: tuple[float, ...],
    pixel_mm: float,
    matrix: tuple[int, int],
) -> PlantedHeart:
    """A normal heart whose segment 11 may be still; another segment may be still as well.

    In half of all hearts, whatever the class, one of the segments 7 to 9 is
    still: that a wall stands still somewhere decides nothing.

    Parameters
    ----------
    rng
        Source of all randomness.
    still
        Whether segment 11 neither moves nor thickens.
    frames
        Over the cycle.
    levels
        Slices, as parts of the long axis from the apex, rising and equally spaced.
    pixel_mm, matrix
        Of the pictures.
    """
    heart_rng, plane_rng = rng.spawn(2)
    still_ones = {DECIDING_SEGMENT} if still else set()
    if rng.random() < 0.5:
        still_ones.add(int(rng.choice(_OTHER_SEGMENTS)))
    case = draw_case(HeartClass.NORMAL, heart_rng)
    heart = replace(case.heart, shape=_with_still(case.heart, still_ones))
    grid = levels_through(
        heart,
        levels,
        pixel_mm=pixel_mm,
        matrix=matrix,
        septum_deg=float(plane_rng.normal(160, 5)),
        centre_shift_mm=tuple(plane_rng.normal(0, 2, 2)),
    )
    times = heart.lv.frame_times_ms(frames)
    labels = rasterise(heart.beat(times), grid)
    return PlantedHeart(heart, grid, times, labels, segment_region(heart, grid, labels))


def heart_images(planted: PlantedHeart, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cine images of a planted heart, mean 0 and standard deviation 1, shape (t, z, y, x)."""
    scanner = replace(draw_scanner(rng), finer=1, planes=1)
    look = draw_look(planted.heart, rng, septum_deg=planted.grid.septum_deg, scanner=scanner)
    images = render(planted.heart.beat(planted.times_ms), planted.grid, look).astype(np.float32)
    normalised: NDArray[np.float32] = (images - images.mean()) / images.std()
    return normalised


def segment_region(
    heart: Heart, grid: Grid, labels: NDArray[np.uint8], *, segment: int = DECIDING_SEGMENT
) -> NDArray[np.bool_]:
    """Where an AHA segment's wall passes during the beat: its sector of its ring.

    Parameters
    ----------
    heart, grid
        Of the labels.
    labels
        Shape (t, z, y, x).
    segment
        AHA number, 1 to 16.

    Returns
    -------
    Shape (t, z, y, x), the same in every frame.
    """
    index = segment - 1
    _, theta = grid.polar()
    centre = np.deg2rad(SEGMENT_CENTRE_DEG[index])
    away = np.abs(np.mod(theta - centre + np.pi, 2 * np.pi) - np.pi)
    sector = away <= np.deg2rad(SEGMENT_HALF_WIDTH_DEG[index])
    low, high = heart.ring_borders_mm
    heights = np.array(grid.heights_mm)
    ring = np.where(heights >= high, 0, np.where(heights >= low, 1, 2))
    passed = (labels == MYO).any(0) & sector & (ring == SEGMENT_RING[index])[:, None, None]
    return np.broadcast_to(passed, labels.shape).copy()


def _with_still(heart: Heart, segments: set[int]):  # type: ignore[no-untyped-def]
    assert all(SEGMENT_RING[number - 1] == MID for number in segments)
    shape = heart.shape
    contraction, thickening = list(shape.contraction), list(shape.thickening)
    for number in segments:
        contraction[number - 1], thickening[number - 1] = _STILL, 0.0
    return replace(shape, contraction=tuple(contraction), thickening=tuple(thickening))


def _rods_like_a_ball(side: int) -> int:
    """How many rods have the voxels of the ball."""
    ball = 4 / 3 * np.pi * (BALL_RADIUS * side) ** 3
    return max(1, round(ball / (_ROD_THICK**2 * round(_ROD_LENGTH * side))))


def _rod(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """A thin rod along one axis."""
    sizes = [_ROD_THICK] * 3
    sizes[int(rng.integers(3))] = round(_ROD_LENGTH * side)
    start = [int(rng.integers(2, side - 1 - size)) for size in sizes]
    rod = np.zeros((side,) * 3, bool)
    rod[tuple(slice(a, a + n) for a, n in zip(start, sizes, strict=True))] = True
    return rod
