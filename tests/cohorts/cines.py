"""Labelled cines of discs and rings, whose areas and places are known."""

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.scans.geometry import Geometry

LV, MYO, RV = 1, 2, 3
OBLIQUE = np.array(
    [[0.79, 0.38, -0.48, -60.0], [0.0, 0.79, 0.62, 60.0], [0.61, -0.49, -0.62, 40.0]]
)  # base to apex points to the left, the front and the feet


def a_cine(
    *,
    frames=20,
    slices=9,
    shape=(120, 110),
    spacing_mm=(8.0, 1.4, 1.4),
    centre_mm=(80.0, 70.0),
    ed=0,
    es=None,
    septum_deg=180.0,
    base_first=True,
    known_direction=True,
    times=True,
):
    """A cine whose LV is a cone of discs, radius 24 mm at ED and 14 mm at ES at the base.

    The radius falls linearly in time from ED to ES and rises linearly back;
    slices 1 to `slices - 2` hold LV. The septum's direction is counted like a
    clock's, from +x towards -y.
    """
    dz, dy, dx = spacing_mm
    es = round(0.4 * frames) if es is None else es
    phase = (np.arange(frames) - ed) % frames
    systole = (es - ed) % frames
    fall = np.where(phase <= systole, phase / systole, (frames - phase) / (frames - systole))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    down, right = y * dy - centre_mm[0], x * dx - centre_mm[1]
    radius = np.hypot(down, right)
    angle = np.deg2rad(septum_deg)
    aside = np.hypot(right - 34 * np.cos(angle), down + 34 * np.sin(angle))
    data = np.zeros((frames, slices, *shape), np.uint8)
    bearing = range(1, slices - 1)
    for t in range(frames):
        for order, z in enumerate(bearing):
            taper = 1 - 0.5 * order / max(1, len(bearing) - 1)
            endo = (24 - 10 * fall[t]) * taper
            data[t, z][aside < 24 * taper] = RV
            data[t, z][radius < endo + 9] = MYO
            data[t, z][radius < endo] = LV
    affine = None
    if known_direction:
        directions = OBLIQUE[:, :3] / np.linalg.norm(OBLIQUE[:, :3], axis=0)
        affine = np.eye(4)
        affine[:3, :3] = directions * (dx, dy, dz)
    if not base_first:
        data = data[:, ::-1].copy()
        if affine is not None:
            affine[:3, 2] *= -1
    return Labels(
        data,
        Geometry(spacing_mm, affine),
        frame_times_ms=np.arange(frames) * 40.0 if times else None,
        cycle_ms=frames * 40.0 if times else None,
    )


def dice(first, second, value):
    both = np.count_nonzero((first == value) & (second == value))
    return 2 * both / (np.count_nonzero(first == value) + np.count_nonzero(second == value))
