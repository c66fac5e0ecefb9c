"""Label maps between pixels and between frames, without values that mix two structures.

In the plane each structure is interpolated on its own (bilinear) and the one
with the largest share takes the pixel. Between frames a share would only
switch from one frame to the other half way: there the outlines move, by the
signed distance to them (Raya and Udupa 1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VALUES = 4  # background, LV, myocardium, RV
REACH_PX = 6  # an outline that moves further between two frames jumps half way
_SAME_FRAME = 1e-3  # frames

_ROOT = np.sqrt(np.arange(256, dtype=np.float32))
_FAR = REACH_PX + 1


def resampled_in_plane(
    labels: NDArray[np.uint8], rows: NDArray, columns: NDArray
) -> NDArray[np.uint8]:
    """Labels at other places of the plane.

    Parameters
    ----------
    labels
        Values 0 to 3, shape (n, h, w).
    rows, columns
        Where to read, in pixels of `labels`, shape (y, x). Beyond the picture
        there is background.

    Returns
    -------
    Shape (n, y, x), uint8. Even shares go to the smaller value.
    """
    padded = np.pad(labels, ((0, 0), (1, 1), (1, 1)))
    count, height, width = padded.shape
    row = np.clip(np.asarray(rows, float) + 1, 0, height - 1.001)
    column = np.clip(np.asarray(columns, float) + 1, 0, width - 1.001)
    top, left = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
    down, right = (row - top).ravel(), (column - left).ravel()
    corner = (top * width + left).ravel()
    pixels = padded.reshape(count, -1)
    neighbours = [pixels.take(corner + step, axis=1) for step in (0, 1, width, width + 1)]
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    values = neighbours[0].copy()
    differ = (neighbours[1] != values) | (neighbours[2] != values) | (neighbours[3] != values)
    frame, place = np.nonzero(differ)
    shares = np.zeros((VALUES, len(frame)))
    for neighbour, weight in zip(neighbours, weights, strict=True):
        shares[neighbour[frame, place], np.arange(len(frame))] += weight[place]
    values[frame, place] = _largest(shares)
    return values.reshape(count, *np.shape(rows))


def resampled_in_time(labels: NDArray[np.uint8], frames: NDArray) -> NDArray[np.uint8]:
    """Labels at times between the frames of one heart cycle.

    Parameters
    ----------
    labels
        Values 0 to 3 on square pixels, shape (t, z, y, x); after the last frame
        comes the first.
    frames
        Where to read, in frames, shape (k,).

    Returns
    -------
    Shape (k, z, y, x), uint8.
    """
    count = len(labels)
    before = np.floor(frames + _SAME_FRAME).astype(np.intp)
    share = np.clip(frames - before, 0, None)
    share[share <= _SAME_FRAME] = 0
    before %= count
    after = (before + 1) % count
    found = labels[before]
    between = np.flatnonzero(share)
    if not between.size or not labels.any():
        return found
    box = _box(labels)
    cut = np.ascontiguousarray(labels[..., *box])
    first, second = cut[before[between]], cut[after[between]]
    k, z, y, x = np.nonzero(first != second)
    if not k.size:
        return found
    distance = _distances(cut)
    fraction = share[between][k].astype(np.float32)
    moved = (1 - fraction) * _signed(distance[:, before[between][k], z, y, x], first[k, z, y, x])
    moved += fraction * _signed(distance[:, after[between][k], z, y, x], second[k, z, y, x])
    found[between[k], z, y + box[0].start, x + box[1].start] = _largest(moved)
    return found


def _largest(shares: NDArray) -> NDArray[np.uint8]:
    """Index of the largest along the first axis; of equal ones the first, to rounding."""
    best = shares.max(axis=0) - 1e-6
    return np.argmax(shares >= best, axis=0).astype(np.uint8)


def _box(labels: NDArray) -> tuple[slice, slice]:
    """Rows and columns with labels and one pixel around, as far as the picture goes."""
    there = labels.reshape(-1, *labels.shape[-2:]).any(axis=0)
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(np.asarray(there).any(axis=axis))
        spans.append(slice(max(0, int(found[0]) - 1), int(found[-1]) + 2))
    return spans[0], spans[1]


def _signed(distance: NDArray[np.uint8], value: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Distance to each structure's outline, positive inside, from those to its nearest pixel.

    `distance` holds squares, shape (value, k); `value` is what is there, shape (k,).
    """
    away: NDArray[np.float32] = _ROOT[distance]
    index = np.arange(len(value))
    others = away.copy()
    others[value, index] = np.inf
    signed: NDArray[np.float32] = np.float32(0.5) - away
    signed[value, index] = others.min(axis=0) - np.float32(0.5)
    return signed


def _distances(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squared distance in the plane to the nearest pixel of each value, at most `_FAR` squared.

    Shape (t, z, y, x) to (value, t, z, y, x). Exact: first the distance within
    each row, then the lower envelope over the rows (Felzenszwalb and
    Huttenlocher 2012), which is short because the distance is bounded.
    """
    # Planes last, so that every step goes through memory in one piece.
    planes = np.ascontiguousarray(np.moveaxis(labels, (-1, -2), (0, 1)))
    found = np.empty((VALUES, *planes.shape), np.uint8)
    for value in range(VALUES):
        along = np.where(planes == value, np.uint8(0), np.uint8(_FAR))
        for x in range(1, len(along)):
            np.minimum(along[x], along[x - 1] + np.uint8(1), out=along[x])
        for x in range(len(along) - 2, -1, -1):
            np.minimum(along[x], along[x + 1] + np.uint8(1), out=along[x])
        square = along * along
        best = found[value]
        best[:] = square
        for step in range(1, _FAR):
            higher = square + np.uint8(step * step)
            np.minimum(best[:, step:], higher[:, :-step], out=best[:, step:])
            np.minimum(best[:, :-step], higher[:, step:], out=best[:, :-step])
    return np.moveaxis(np.minimum(found, _FAR**2), (1, 2), (-1, -2))
