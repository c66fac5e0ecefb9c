"""Images cut into many small regions that follow their edges, on several scales.

Regions are kept as label images, one integer a voxel and scale; what is needed
of single regions is read from lists of their voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import felzenszwalb, slic
from skimage.transform import resize

FELZENSZWALB_SCALES = (50, 100, 150, 250, 500, 1200)
"""Of the XRAI paper's code, for pictures of 224 x 224 with values from -1 to 1."""
SUPERVOXELS = (50, 100, 200, 400, 800)
"""Regions per volume or cine, coarse to fine."""

_SIDE = 224
_SMALLEST = 150
_SIGMA = 0.8
_COMPACTNESS = 0.05
_ITERATIONS = 5


@dataclass(frozen=True, eq=False)
class Regions:
    """The voxels of many regions, which may overlap, as one list with borders.

    Attributes
    ----------
    voxels
        Flat indices, region after region.
    starts
        Where each region starts in `voxels`, and the end; length n + 1.
    """

    voxels: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, region: int) -> NDArray[np.int32]:
        """Flat indices of a region's voxels."""
        return self.voxels[self.starts[region] : self.starts[region + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Voxels per region."""
        return np.diff(self.starts)

    @property
    def owners(self) -> NDArray[np.int32]:
        """The region that each entry of `voxels` belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)


def oversegmentations(
    image: NDArray, *, spacing_mm: Sequence[float | None], counts: Sequence[int] = SUPERVOXELS
) -> list[NDArray[np.int32]]:
    """Cut an image into regions, on several scales.

    Pictures: Felzenszwalb's graphs, as the XRAI paper's code. Volumes and
    cines of one slice, (t, y, x): supervoxels that are round in mm, a frame
    counting as one pixel. Cines of several slices, (t, z, y, x): each slice as
    a cine, because slices lie too far apart to share regions.

    Parameters
    ----------
    image
        Shape (c, *spatial) with one to four spatial axes.
    spacing_mm
        One entry a spatial axis, None for an axis that is no length.
    counts
        Supervoxels of each scale, of each slice of a cine of several; pictures
        take no notice.

    Returns
    -------
    Label images of shape (*spatial), labels from 0 without gaps, one a scale.
    """
    shape = image.shape[1:]
    axes = [k for k, side in enumerate(shape) if side > 1]
    flat = image.reshape(len(image), *(shape[k] for k in axes))
    steps = [spacing_mm[k] for k in axes]
    if len(axes) < 2:
        cut = [_lines(shape, count) for count in counts]
    elif len(axes) == 2 and all(step is not None for step in steps):
        cut = pictures(flat)
    elif len(axes) <= 3:
        cut = [supervoxels(flat, count=n, spacing_mm=steps) for n in counts]
    else:
        cut = _slice_by_slice(flat, spacing_mm=steps, counts=counts)
    return [labels.reshape(shape) for labels in cut]


def pictures(image: NDArray) -> list[NDArray[np.int32]]:
    """Felzenszwalb's regions of a picture (c, y, x), one label image a scale."""
    shape = image.shape[1:]
    seen = np.moveaxis(2 * _unit_range(image) - 1, 0, -1)
    if shape != (_SIDE, _SIDE):
        size = (_SIDE, _SIDE, seen.shape[-1])
        seen = resize(seen, size, order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    cut = []
    for scale in FELZENSZWALB_SCALES:
        labels = felzenszwalb(seen, scale=scale, sigma=_SIGMA, min_size=_SMALLEST, channel_axis=-1)
        if shape != (_SIDE, _SIDE):
            labels = resize(
                labels, shape, order=0, mode="constant", preserve_range=True, anti_aliasing=False
            )
        cut.append(without_gaps(labels))
    return cut


def supervoxels(
    image: NDArray, *, count: int, spacing_mm: Sequence[float | None]
) -> NDArray[np.int32]:
    """About `count` compact regions of an image with one to three spatial axes.

    Parameters
    ----------
    image
        Shape (c, *spatial).
    count
        Regions wanted.
    spacing_mm
        One entry a spatial axis; None counts as the finest of the others.

    Returns
    -------
    Labels from 0 without gaps, shape (*spatial).
    """
    known = [step for step in spacing_mm if step is not None]
    steps = [step if step is not None else min(known, default=1.0) for step in spacing_mm]
    shape = image.shape[1:]
    # SLIC sets its seeds on a grid of voxels; only on cubes of mm are its regions round in mm.
    cube = float(np.prod(steps) ** (1 / len(steps)))
    even = tuple(max(1, round(side * step / cube)) for side, step in zip(shape, steps, strict=True))
    seen = _unit_range(image).astype(np.float32)
    if even != shape:
        seen = np.stack([resize(channel, even, order=1, mode="edge") for channel in seen])
    seen = seen.reshape(len(image), *(1,) * (3 - len(even)), *even)
    labels = slic(
        np.moveaxis(seen, 0, -1),
        n_segments=count,
        compactness=_COMPACTNESS,
        max_num_iter=_ITERATIONS,
        start_label=0,
        channel_axis=-1,
        convert2lab=False,
    ).reshape(even)
    if even != shape:
        labels = resize(
            labels, shape, order=0, mode="edge", preserve_range=True, anti_aliasing=False
        )
    return without_gaps(labels)


def listed(label_images: Sequence[NDArray[np.integer]], *, grown_by: float = 0.0) -> Regions:
    """The regions of all label images, in order, as lists of voxels.

    Parameters
    ----------
    label_images
        Labels from 0, shape (*spatial), one a scale.
    grown_by
        Voxels by which every region is dilated with a ball.
    """
    lists: list[NDArray[np.int32]] = []
    sizes: list[NDArray[np.int64]] = []
    for labels in label_images:
        if grown_by > 0:
            grown = [_grown(labels, k, box, grown_by) for k, box in _boxes(labels)]
            lists += grown
            sizes.append(np.array([len(g) for g in grown], np.int64))
        else:
            flat = labels.ravel()
            lists.append(np.argsort(flat, kind="stable").astype(np.int32))
            sizes.append(np.bincount(flat))
    every = np.concatenate(sizes)
    keep = every > 0
    starts = np.concatenate([[0], np.cumsum(every[keep])])
    return Regions(np.concatenate(lists), starts.astype(np.int64))


def without_gaps(labels: NDArray) -> NDArray[np.int32]:
    """Labels renumbered from 0."""
    present = np.zeros(int(labels.max()) + 1, bool)
    whole = labels.astype(np.int32)
    present[whole.ravel()] = True
    return (np.cumsum(present, dtype=np.int32) - 1)[whole]


def _boxes(labels: NDArray[np.integer]) -> list[tuple[int, tuple[slice, ...]]]:
    found = ndimage.find_objects(labels.astype(np.int32) + 1)
    return [(k, box) for k, box in enumerate(found) if box is not None]


def _grown(
    labels: NDArray[np.integer], label: int, box: tuple[slice, ...], radius: float
) -> NDArray[np.int32]:
    """Voxels within `radius` of a region."""
    margin = int(np.ceil(radius))
    wider = tuple(
        slice(max(0, s.start - margin), min(side, s.stop + margin))
        for s, side in zip(box, labels.shape, strict=True)
    )
    near = ndimage.distance_transform_edt(labels[wider] != label) <= radius
    places = [index + s.start for index, s in zip(np.nonzero(near), wider, strict=True)]
    return np.ravel_multi_index(places, labels.shape).astype(np.int32)


def _slice_by_slice(
    image: NDArray, *, spacing_mm: Sequence[float | None], counts: Sequence[int]
) -> list[NDArray[np.int32]]:
    """Regions of (c, t, z, y, x), each slice (t, y, x) on its own."""
    steps = [spacing_mm[0], *spacing_mm[2:]]
    cut = []
    for count in counts:
        labels = np.empty(image.shape[1:], np.int32)
        first = 0
        for z in range(image.shape[2]):
            of_slice = supervoxels(image[:, :, z], count=count, spacing_mm=steps)
            labels[:, z] = of_slice + first
            first += int(of_slice.max()) + 1
        cut.append(labels)
    return cut


def _lines(shape: tuple[int, ...], count: int) -> NDArray[np.int32]:
    length = int(np.prod(shape))
    return (np.arange(length) * min(count, length) // length).astype(np.int32)


def _unit_range(image: NDArray) -> NDArray[np.float64]:
    lowest, highest = float(image.min()), float(image.max())
    if highest == lowest:
        return np.zeros(image.shape)
    return (image.astype(np.float64) - lowest) / (highest - lowest)
