import numpy as np
import pytest

from napari_cardioxai.scans.geometry import LPS_TO_RAS, Geometry, spacing_of


def test_spacing_is_given_along_z_y_x_whatever_the_tilt():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.1, 1.3, 9.0])
    assert spacing_of(affine) == pytest.approx((9.0, 1.3, 1.1))


def test_lps_and_ras_differ_in_the_first_two_signs():
    np.testing.assert_array_equal(LPS_TO_RAS @ [10, 20, 30, 1], [-10, -20, 30, 1])


def test_equal_slices_all_stand_for_the_slice_distance():
    geometry = Geometry((8.0, 1.5, 1.25))
    np.testing.assert_array_equal(geometry.slice_extents_mm(3), [8, 8, 8])
    assert geometry.voxel_volume_mm3 == pytest.approx(15.0)


@pytest.mark.parametrize("positions", [(0.0, 8.0, 20.0, 28.0), (28.0, 20.0, 8.0, 0.0)])
def test_unequal_slices_reach_half_way_to_their_neighbours(positions):
    geometry = Geometry((8.0, 1.5, 1.5), slice_positions_mm=positions)
    np.testing.assert_allclose(geometry.slice_extents_mm(4), [8, 10, 10, 8])


def test_one_slice_with_a_position_stands_for_its_spacing():
    geometry = Geometry((8.0, 1.5, 1.5), slice_positions_mm=(12.0,))
    np.testing.assert_allclose(geometry.slice_extents_mm(1), [8.0])


def test_without_a_pixel_size_nothing_is_guessed():
    geometry = Geometry(None)
    assert geometry.slice_extents_mm(3) is None
    assert geometry.voxel_volume_mm3 is None
    assert geometry.orientation_letters() is None


def test_letters_name_the_ends_of_each_axis():
    axial = Geometry((8, 1, 1), np.diag([-1.0, -1.0, 8.0, 1.0]))
    assert axial.orientation_letters() == (("I", "S"), ("A", "P"), ("R", "L"))


def test_oblique_axes_get_further_letters_with_the_main_one_first():
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([[-c, 0, -s], [0, -1, 0], [-s, 0, c]])
    letters = Geometry((1, 1, 1), affine).orientation_letters()
    assert letters == (("IR", "SL"), ("A", "P"), ("RS", "LI"))
