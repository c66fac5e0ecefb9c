import numpy as np
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.wall_curves import slice_wall_curves_mm
from napari_cardioxai.anatomy.walls import wall_thickness
from napari_cardioxai.scans.geometry import Geometry

INNER_MM = (20.0, 17.0, 14.0, 17.0)
OUTER_MM = 28.0


def beating_ring() -> Labels:
    """A ring whose outer border stands still, the right ventricle beside it, in slices 1 to 3."""
    y, x = np.mgrid[:80, :80] - 39.5
    radius = np.hypot(y, x)
    data = np.zeros((len(INNER_MM), 5, 80, 80), np.uint8)
    for frame, inner in enumerate(INNER_MM):
        picture = data[frame, 1:4]
        picture[:, (radius < OUTER_MM + 8) & (x < -10)] = 3
        picture[:, radius < OUTER_MM] = 2
        picture[:, radius < inner] = 1
    return Labels(data, Geometry((8.0, 1.0, 1.0)))


def test_ring_thickens_by_what_its_inner_border_moves():
    labels = beating_ring()
    walls = wall_thickness(labels, ed_frame=0, frames=(0, 2))
    curves = slice_wall_curves_mm(labels, 2, walls=walls)
    true = OUTER_MM - np.array(INNER_MM)
    np.testing.assert_allclose(curves, np.repeat(true[:, None], 6, axis=1), atol=0.2)


def test_slice_without_cavity_has_no_curves():
    labels = beating_ring()
    walls = wall_thickness(labels, ed_frame=0, frames=(0, 2))
    assert slice_wall_curves_mm(labels, 0, walls=walls) is None


def test_segment_that_loses_its_wall_at_end_systole_is_left_out_of_the_whole_curve():
    labels = beating_ring()
    labels.data[2, 2, :, 40:][labels.data[2, 2, :, 40:] == 2] = 0
    walls = wall_thickness(labels, ed_frame=0, frames=(0, 2))
    curves = slice_wall_curves_mm(labels, 2, walls=walls)
    missing = np.isnan(curves).all(axis=0)
    assert 2 <= missing.sum() <= 4
    assert np.isfinite(curves[:, ~missing]).all()
    assert curves[0, ~missing] == pytest.approx(8.0, abs=0.2)
