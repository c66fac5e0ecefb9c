"""Where the inner and outer border of the left-ventricular wall lie along rays.

Rays start at the centroid of the cavity. Borders are where the mask,
interpolated between pixel centres, passes one half: a position between the
pixels, not a count of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.volumes import LV, MYO

RAYS = 120  # 3 degrees; 20 in each of six segments, and a multiple of 24 for four
RAY_STEP_PX = 0.5
THINNEST_PX = 0.5  # less is a ray on which the cavity has no wall


@dataclass(frozen=True)
class WallContours:
    """The wall of one slice in polar coordinates.

    Attributes
    ----------
    centre_mm
        Centroid of the cavity, (y, x) from the first pixel's centre, in mm.
    directions_rad
        Direction of each ray, from +x (right) towards +y (down), shape (rays,).
    endo_mm, epi_mm
        Distance of both borders from the centre in mm, shape (rays,); NaN on
        rays that meet no wall.
    """

    centre_mm: tuple[float, float]
    directions_rad: np.ndarray
    endo_mm: np.ndarray
    epi_mm: np.ndarray


def segment_rays(septum_rad: float, turn: int) -> np.ndarray:
    """Directions of rays in the order of the segments, shape (`RAYS`,).

    Ray 0 is the first of segment 1 (anterior), next to the anterolateral one;
    they run over the septum to the inferior and the lateral wall.

    Parameters
    ----------
    septum_rad
        Direction from the centre to the middle of the septum.
    turn
        +1 when the anterior wall lies at larger directions than the septum, else -1.
    """
    from_septum = np.deg2rad(120.0) - (np.arange(RAYS) + 0.5) * (2 * np.pi / RAYS)
    return septum_rad + turn * from_septum


def wall_contours(
    labels: np.ndarray, spacing_mm: tuple[float, float], *, directions_rad: np.ndarray
) -> WallContours | None:
    """Borders of the wall in one slice.

    Parameters
    ----------
    labels
        Values 1 LV, 2 myocardium, shape (y, x).
    spacing_mm
        Pixel size (y, x) in mm.
    directions_rad
        Directions of the rays, shape (rays,).

    Returns
    -------
    The contours, or None where the slice has no cavity or no myocardium.
    """
    wall = labels == MYO
    rows, columns = np.flatnonzero(wall.any(axis=1)), np.flatnonzero(wall.any(axis=0))
    cavity = labels == LV
    if not len(rows) or not cavity.any():
        return None
    centre = np.array([np.mean(index) for index in np.nonzero(cavity)])
    size = np.array(spacing_mm)
    # Half the picture's diagonal would do too; the wall's own corners are nearer.
    corners = np.array([(r, c) for r in rows[[0, -1]] for c in columns[[0, -1]]])
    reach = float(np.linalg.norm((corners - centre) * size, axis=1).max()) + 2 * size.max()
    radii = np.arange(0, reach, RAY_STEP_PX * size.min())
    unit = np.stack([np.sin(directions_rad), np.cos(directions_rad)]) / size[:, None]
    where = centre[:, None, None] + unit[:, :, None] * radii
    blood, inside = _sampled(cavity, wall, where)
    epi = _first_exit(inside, radii)
    # Beyond the wall nothing is cavity: another island of it, or the label of a vessel.
    blood[radii > epi[:, None]] = 0.0
    endo = _last_exit(blood, radii)
    none = ~(epi - endo > THINNEST_PX * size.min())
    return WallContours(
        (float(centre[0] * size[0]), float(centre[1] * size[1])),
        directions_rad,
        np.where(none, np.nan, endo),
        np.where(none, np.nan, epi),
    )


def _sampled(
    cavity: np.ndarray, wall: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cavity, and cavity or wall, between the pixels, 0 to 1; 0 outside the picture.

    `where` holds (y, x) positions, shape (2, rays, radii). Both masks share
    the bilinear weights, which is what makes this fast.
    """
    # Two bits in one picture with an empty border for what lies outside.
    both = np.pad(cavity + 2 * (cavity | wall).astype(np.uint8), 1)
    where = np.clip(where + 1, 0, np.array(both.shape)[:, None, None] - 1.001)
    corner = where.astype(np.intp)
    down, right = (where - corner).astype(np.float32)
    first = corner[0] * both.shape[1] + corner[1]
    blood, inside = np.zeros_like(down), np.zeros_like(down)
    for step, weight in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (both.shape[1], down * (1 - right)),
        (both.shape[1] + 1, down * right),
    ):
        bits = both.ravel()[first + step]
        blood += weight * (bits & 1)
        inside += weight * (bits >> 1)
    return blood, inside


def _first_exit(inside: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Radius at which each ray first leaves the mask after having been in it; NaN if never."""
    within = inside >= 0.5
    entered = np.argmax(within, axis=1)
    after = ~within & (np.arange(len(radii)) > entered[:, None])
    out = np.argmax(after, axis=1)
    found = within.any(axis=1) & after.any(axis=1)
    return np.where(found, _crossing(inside, radii, out), np.nan)


def _last_exit(inside: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Radius at which each ray leaves the mask for the last time; 0 where it never was in it."""
    within = inside >= 0.5
    out = len(radii) - np.argmax(within[:, ::-1], axis=1)
    found = within.any(axis=1) & (out < len(radii))
    return np.where(found, _crossing(inside, radii, np.minimum(out, len(radii) - 1)), 0.0)


def _crossing(inside: np.ndarray, radii: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Where one half is passed between the samples before `out` and at it."""
    ray, before = np.arange(len(inside)), np.maximum(out - 1, 0)
    high, low = inside[ray, before], inside[ray, out]
    share = np.divide(high - 0.5, high - low, out=np.zeros_like(high), where=high > low)
    return radii[before] + share * (radii[1] - radii[0])
