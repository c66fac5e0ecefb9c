"""Wall thickness as the length of the way that heat would take through the wall.

Between the borders a potential is solved for that is 0 inside and 1 outside;
its streamlines meet both at right angles, never cross and have no shortcuts,
so their length is a thickness at every point of the wall (Jones 2000; Yezzi
and Prince 2003). The mesh follows the borders, so no pixel is cut.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from napari_cardioxai.anatomy.wall_contours import WallContours

LAYERS = 16  # between the borders
SMOOTH_MM = 2.0  # along the border: the steps of pixels are no anatomy
SHORTEST_ARC = 5  # rays


def laplace_thickness_mm(contours: WallContours) -> np.ndarray:
    """Mean length of the streamlines that cross each ray inside the wall, in mm.

    Parameters
    ----------
    contours
        Borders of one slice on evenly spaced rays. Where a part has no wall the
        rest is solved as an open arc, insulated at its ends.

    Returns
    -------
    Thickness on each ray, shape (rays,); NaN where there is no wall.

    References
    ----------
    Yezzi and Prince 2003, IEEE Trans Med Imaging 22:1332.
    """
    thickness = np.full(len(contours.endo_mm), np.nan)
    step = contours.directions_rad[1] - contours.directions_rad[0]
    for arc, closed in _arcs(np.isfinite(contours.endo_mm)):
        endo = _smooth(contours.endo_mm[arc], abs(step), closed)
        epi = _smooth(contours.epi_mm[arc], abs(step), closed)
        # A mirrored arc has the same lengths.
        thickness[arc] = _solve(endo, epi, abs(step), closed)
    return thickness


def _arcs(there: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Rays of each connected piece of wall in their order, and whether it goes all around."""
    count = len(there)
    if there.all():
        return [(np.arange(count), True)]
    first = int(np.argmin(there))
    order = (first + np.arange(count)) % count
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there[order].astype(int), [0]])))
    arcs = [order[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(arc, False) for arc in arcs if len(arc) >= SHORTEST_ARC]


def _smooth(radius: np.ndarray, step: float, closed: bool) -> np.ndarray:
    sigma = SMOOTH_MM / (step * float(radius.mean()))
    return gaussian_filter1d(radius, sigma, mode="wrap" if closed else "nearest")


def _solve(endo: np.ndarray, epi: np.ndarray, step: float, closed: bool) -> np.ndarray:
    """Mean streamline length at each ray of one arc, shape (rays,)."""
    share = np.linspace(0, 1, LAYERS + 1)
    radius = endo + share[:, None] * (epi - endo)  # (layers, rays)
    angle = np.arange(len(endo)) * step
    potential = _potential(radius, angle, closed)
    drift = _drift(potential, radius, step, closed)
    out = _lengths(drift, radius, step, closed)
    # The same way from outside: layers upside down.
    back = _lengths(-drift[::-1], radius[::-1], step, closed)[::-1]
    return (out + back).mean(axis=0)


def _potential(radius: np.ndarray, angle: np.ndarray, closed: bool) -> np.ndarray:
    """Harmonic potential on the nodes (layers, rays), 0 on the first layer, 1 on the last.

    Linear finite elements on the mesh's quadrilaterals, each cut in two.
    """
    layers, rays = radius.shape
    x, y = (radius * np.cos(angle)).ravel(), (radius * np.sin(angle)).ravel()
    node = np.arange(layers * rays).reshape(layers, rays)
    here = node if closed else node[:, :-1]
    following = np.roll(node, -1, axis=1) if closed else node[:, 1:]
    corners = [part.ravel() for part in (here[:-1], following[:-1], following[1:], here[1:])]
    triangles = np.concatenate(
        [np.stack([corners[k] for k in chosen], axis=-1) for chosen in ((0, 1, 2), (0, 2, 3))]
    )
    # Stiffness of a triangle: products of its edges opposite to the nodes, over 4 areas.
    edge_x = np.stack([x[triangles[:, k - 1]] - x[triangles[:, k - 2]] for k in range(3)], axis=-1)
    edge_y = np.stack([y[triangles[:, k - 1]] - y[triangles[:, k - 2]] for k in range(3)], axis=-1)
    area = 0.5 * np.abs(edge_x[:, 0] * edge_y[:, 1] - edge_x[:, 1] * edge_y[:, 0])
    products = edge_x[:, :, None] * edge_x[:, None] + edge_y[:, :, None] * edge_y[:, None]
    stiffness = coo_matrix(
        (
            (products / (4 * area[:, None, None])).ravel(),
            (np.repeat(triangles, 3, axis=1).ravel(), np.tile(triangles, 3).ravel()),
        )
    ).tocsr()
    potential = np.zeros(layers * rays)
    potential[node[-1]] = 1.0
    inner = node[1:-1].ravel()
    load = -stiffness[inner] @ potential
    potential[inner] = spsolve(stiffness[inner][:, inner], load)
    return potential.reshape(layers, rays)


def _drift(potential: np.ndarray, radius: np.ndarray, step: float, closed: bool) -> np.ndarray:
    """How many rays a streamline moves from one layer to the next, at every node."""
    layers = len(radius) - 1
    wall = (radius[-1] - radius[0])[None]
    across = np.gradient(potential, 1 / layers, axis=0, edge_order=2)
    along = _around(potential, closed) / step
    slope = _around(radius, closed) / step
    radial = across / wall
    angular = (along - radial * slope) / radius**2
    # Speed through the layers: (dr/ds - slope dθ/ds) / wall.
    through = (radial - slope * angular) / wall
    return angular / through / step / layers


def _around(values: np.ndarray, closed: bool) -> np.ndarray:
    """Central difference along the rays, in units of rays."""
    if closed:
        return 0.5 * (np.roll(values, -1, axis=1) - np.roll(values, 1, axis=1))
    return np.gradient(values, axis=1)


def _lengths(drift: np.ndarray, radius: np.ndarray, step: float, closed: bool) -> np.ndarray:
    """Length of the streamline from the first layer to every node, (layers, rays), in mm.

    The equation of Yezzi and Prince, ∇L · T = 1, solved layer after layer
    along its characteristics.
    """
    rays = np.arange(radius.shape[1], dtype=float)
    lengths = np.zeros_like(radius)
    for layer in range(1, len(radius)):
        middle = _at(rays - 0.5 * drift[layer], 0.5 * (drift[layer] + drift[layer - 1]), closed)
        foot = rays - middle
        before = _at(foot, radius[layer - 1], closed)
        now, turned = radius[layer], middle * step
        chord = np.sqrt(now**2 + before**2 - 2 * now * before * np.cos(turned))
        lengths[layer] = _at(foot, lengths[layer - 1], closed) + chord
    return lengths


def _at(where: np.ndarray, values: np.ndarray, closed: bool) -> np.ndarray:
    """Values (rays,) between the rays, at positions in units of rays."""
    period = len(values) if closed else None
    return np.interp(where, np.arange(len(values)), values, period=period)
