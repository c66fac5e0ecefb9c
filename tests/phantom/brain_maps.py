"""A label map small enough for tests: a ball of a brain with what lies around hippocampi."""

import numpy as np

from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti

SHAPE = (64, 72, 64)
SPACING_MM = 1.5


def ellipsoid(centre, radii, shape=SHAPE) -> np.ndarray:
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) <= 1


def a_label_map(*, hippocampus_voxels: int = 1000) -> np.ndarray:
    """Skull, fluid, cortex, white matter, temporal horns and hippocampi; x grows to the left."""
    labels = np.zeros(SHAPE, np.int16)
    middle = (32, 36, 32)
    labels[ellipsoid(middle, (31, 35, 31))] = 507
    labels[ellipsoid(middle, (28, 32, 28))] = 24
    brain, white = ellipsoid(middle, (26, 30, 26)), ellipsoid(middle, (22, 26, 22))
    is_left = np.broadcast_to(np.arange(SHAPE[2]) >= 32, SHAPE)
    labels[brain & is_left], labels[brain & ~is_left] = 3, 42
    labels[white & is_left], labels[white & ~is_left] = 2, 41
    scale = (hippocampus_voxels / 1000) ** (1 / 3)
    for x, horn, hippocampus in ((44, 5, 17), (20, 44, 53)):
        labels[ellipsoid((26, 38, x), (6, 13, 7))] = horn
        labels[ellipsoid((24, 38, x), (4.3 * scale, 10.5 * scale, 5.2 * scale))] = hippocampus
    labels[ellipsoid((40, 36, 38), (4, 8, 3))] = 4
    labels[ellipsoid((40, 36, 26), (4, 8, 3))] = 43
    return labels


def write_label_map(path, labels) -> None:
    affine = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0])
    write_nifti(path, labels[None], Geometry((SPACING_MM,) * 3, affine))
