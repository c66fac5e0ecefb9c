"""What a heart looks like: one body of each structure, where a network sees several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cardioxai.anatomy.volumes import LV, MYO, RV

_NECK = 0.4  # of the radius of a circle of the same area
_LEAST_RV_PART = 0.2  # of its largest in the picture: near the base inflow and outflow lie apart
_LEAST_SECOND = 0.1  # of the cavity: what is smaller has no wall of its own
_MUCH_NEARER = 0.6
_FAR_OUT = 2.0
_AS_BRIGHT = 0.7  # as blood; the spleen has 0.6


def one_heart(
    labels: NDArray[np.uint8],
    *,
    intensities: NDArray | None = None,
    centre: tuple[float, float] | None = None,
    reach: float = np.inf,
    apart: int = 8,
) -> NDArray[np.uint8]:
    """Keep of each structure the one body that lives through slices and frames.

    The largest component in four dimensions (face neighbours in time, slice
    and plane), its largest part in each picture, holes filled; of the right
    ventricle every part of some size, because near the base its inflow and its
    outflow lie apart. A slice that never shows the LV cavity has no wall
    either: nobody draws one round nothing. A right ventricle that stands alone
    in a picture with a left one is none.

    There is one left ventricle. What else a network takes for its cavity in a
    picture, an outflow tract or a vessel under the diaphragm, belongs to the
    right ventricle if it lies at it, and its wall is not that of the heart.
    What is darker than blood, as the spleen is, belongs to neither.

    Parameters
    ----------
    labels
        Structure labels, shape (t, z, y, x).
    intensities
        Of the same pictures; without them brightness does not count.
    centre, reach
        Row and column where the heart is expected, and the standard deviation
        in pixels of a Gaussian around it by which voxels count. Without them
        all count alike.
    apart
        How many pixels may lie between the RV and the left ventricle, and
        between two parts of the RV.
    """
    whole = np.zeros_like(labels)
    shown = [np.flatnonzero((labels > 0).any(axis)) for axis in ((0, 1, 3), (0, 1, 2))]
    if not len(shown[0]):
        return whole
    here = tuple(slice(max(0, at[0] - 1), at[-1] + 2) for at in shown)
    weight = np.ones(labels.shape[2:])
    if centre is not None:
        yy, xx = np.ogrid[: labels.shape[2], : labels.shape[3]]
        weight = np.exp(-((yy - centre[0]) ** 2 + (xx - centre[1]) ** 2) / (2 * reach**2))
    if intensities is not None:
        intensities = intensities[:, :, *here]
    whole[:, :, *here] = _one_heart(labels[:, :, *here], intensities, weight[here], apart)
    return whole


def _one_heart(
    labels: NDArray[np.uint8], intensities: NDArray | None, weight: NDArray, apart: int
) -> NDArray[np.uint8]:
    """As `one_heart`, with the weight of each pixel (y, x)."""
    kept = np.zeros_like(labels)
    body = _body(labels == LV, weight)
    for t, z in _pictures(body):
        cavity = ndimage.binary_fill_holes(_parts(body[t, z], weight))
        kept[t, z][_without_appendages(cavity, weight)] = LV
    is_lv = kept == LV
    second = _second_cavities(labels == LV, is_lv)
    right, lit = labels == RV, second
    if intensities is not None:
        dark = _darker_than_blood(right | second, is_lv, intensities)
        right, lit = right & ~dark, second & ~dark
    right = _body(right, weight)
    of_right = _beside(lit, right, apart)
    right |= of_right
    body = _body(labels == MYO, weight)
    if is_lv.any():
        body &= is_lv.any((0, 2, 3))[:, None, None]
    for t, z in _pictures(body):
        wall = ndimage.binary_fill_holes(_parts(body[t, z], weight))
        wall &= np.isin(labels[t, z], (0, MYO)) & ~is_lv[t, z]
        if is_lv[t, z].any():
            from_cavity = ndimage.distance_transform_edt(~is_lv[t, z])
            if right[t, z].any():
                wall &= ~_behind(right[t, z], from_cavity)
            if (stranger := second[t, z] & ~of_right[t, z]).any():
                wall &= ~_nearer_to(stranger, from_cavity)
            wall &= ~_far_out(wall, from_cavity, right[t, z])
        kept[t, z][_parts(wall, weight)] = MYO
    for t, z in _pictures(right):
        near = _near(right[t, z], kept[t, z] > 0, apart)
        cavity = ndimage.binary_fill_holes(_parts(near, weight, least=_LEAST_RV_PART))
        free = np.isin(labels[t, z], (0, RV)) | of_right[t, z]
        kept[t, z][cavity & free & (kept[t, z] == 0)] = RV
    return kept


def _body(mask: NDArray[np.bool_], weight: NDArray) -> NDArray[np.bool_]:
    """The component in four dimensions with the largest sum of weights."""
    body = np.zeros(mask.shape, bool)
    if mask.any():
        box = tuple(slice(w.min(), w.max() + 1) for w in np.nonzero(mask))
        body[box] = _parts(mask[box], weight[box[2:]])
    return body


def _pictures(body: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Frame and slice of each picture that shows some of a body."""
    return [(int(t), int(z)) for t, z in zip(*np.nonzero(body.any((2, 3))), strict=True)]


def _second_cavities(seen: NDArray[np.bool_], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Parts of what was seen as LV cavity beside the one that was kept, (t, z, y, x)."""
    second = np.zeros(seen.shape, bool)
    for t, z in _pictures(seen & ~kept & kept.any((2, 3), keepdims=True)):
        parts, _ = ndimage.label(seen[t, z] & ~kept[t, z])
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        second[t, z] = (sizes >= _LEAST_SECOND * kept[t, z].sum())[parts]
    return second


def _darker_than_blood(
    seen: NDArray[np.bool_], cavity: NDArray[np.bool_], intensities: NDArray
) -> NDArray[np.bool_]:
    """Parts of pictures that show brighter ones of some size, (t, z, y, x).

    Fat is brighter than blood, and a surface coil lights the heart unevenly:
    what the others are held against is the brightest part, but no more than
    the left ventricle.
    """
    dark = np.zeros(seen.shape, bool)
    for t, z in _pictures(seen & cavity.any((2, 3), keepdims=True)):
        parts, count = ndimage.label(seen[t, z])
        if count < 2:
            continue
        picture, numbers = np.asarray(intensities[t, z]), np.arange(1, count + 1)
        sizes = np.bincount(parts.ravel())[1:]
        light = np.asarray(ndimage.median(picture, parts, numbers))
        blood = float(np.median(picture[cavity[t, z]]))
        blood = min(blood, light[sizes >= _LEAST_RV_PART * sizes.max()].max())
        dark[t, z] = np.isin(parts, numbers[light < _AS_BRIGHT * blood])
    return dark


def _behind(right: NDArray[np.bool_], from_cavity: NDArray) -> NDArray[np.bool_]:
    """Pixels that lie at the right ventricle and farther from the left one than it does.

    What lies between both is the wall of the left.
    """
    from_right, nearest = ndimage.distance_transform_edt(~right, return_indices=True)
    return (from_right < from_cavity) & (from_cavity > from_cavity[tuple(nearest)])


def _nearer_to(stranger: NDArray[np.bool_], from_cavity: NDArray) -> NDArray[np.bool_]:
    """Pixels much nearer to what does not belong to the heart than to the cavity.

    Between both lies the wall of the ventricle, and fat, and a wall of the other.
    """
    return ndimage.distance_transform_edt(~stranger) < _MUCH_NEARER * from_cavity


def _far_out(
    wall: NDArray[np.bool_], from_cavity: NDArray, right: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Pieces of a wall more than twice as far from the cavity as its outer border usually is.

    Walls of readers reach 1.8 times as far. A septum that touches the right
    ventricle may be as thick as it is.
    """
    border = wall & ndimage.binary_dilation(~wall & (from_cavity > 0))
    if not border.any():
        return border
    pieces, _ = ndimage.label(wall & (from_cavity > _FAR_OUT * np.median(from_cavity[border])))
    septal = pieces[ndimage.binary_dilation(right)]
    return (pieces > 0) & ~np.isin(pieces, septal[septal > 0])


def _beside(second: NDArray[np.bool_], right: NDArray[np.bool_], apart: int) -> NDArray[np.bool_]:
    """Second cavities within `apart` pixels of the right ventricle of their picture, (t, z, y, x)."""
    beside = np.zeros(second.shape, bool)
    for t, z in _pictures(second & right.any((2, 3), keepdims=True)):
        beside[t, z] = _near(second[t, z], right[t, z], apart)
    return beside


def _near(parts: NDArray[np.bool_], other: NDArray[np.bool_], apart: int) -> NDArray[np.bool_]:
    """The connected parts of a mask within `apart` pixels of another; all where there is no other."""
    if not other.any():
        return parts
    here = ndimage.find_objects((parts | other).view(np.uint8))[0]
    numbered, _ = ndimage.label(parts[here])
    close = ndimage.distance_transform_edt(~other[here]) <= apart
    near = np.zeros_like(parts)
    near[here] = parts[here] & np.isin(numbered, numbered[close])
    return near


def _without_appendages(cavity: NDArray[np.bool_], weight: NDArray) -> NDArray[np.bool_]:
    """A cavity without what hangs on it by a neck, as the outflow tract does at the base.

    An erosion by `_NECK` of the radius of a circle of its area parts what lies
    on the two sides of a neck; a round cavity comes through whole.
    """
    here = ndimage.find_objects(cavity.view(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(cavity[here], 1))[1:-1, 1:-1]
    cores, count = ndimage.label(depth > _NECK * np.sqrt(cavity.sum() / np.pi))
    if count < 2:
        return cavity
    sums = np.bincount(cores.ravel(), weight[here].ravel())
    sums[0] = 0
    nearest = ndimage.distance_transform_edt(
        cores == 0, return_distances=False, return_indices=True
    )
    whole = np.zeros_like(cavity)
    whole[here] = cavity[here] & (cores[tuple(nearest)] == sums.argmax())
    return whole


def _parts(mask: NDArray[np.bool_], weight: NDArray, *, least: float = 1.0) -> NDArray[np.bool_]:
    """The connected components whose sum of weights is at least a share of the largest sum."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sums = np.bincount(parts.ravel(), np.broadcast_to(weight, mask.shape).ravel())
    sums[0] = 0
    return (sums >= least * sums.max())[parts]
