import numpy as np
import pytest

from napari_cardioxai.training.latent.walls import sector_thickness


def a_ring(inner: float, outer: float, *, size: int = 80) -> np.ndarray:
    """One subject of one frame and one slice: cavity within `inner`, wall within `outer` pixels."""
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(yy, xx)
    picture = np.zeros((size, size), np.uint8)
    picture[distance < outer] = 2
    picture[distance < inner] = 1
    return picture[None, None, None]


@pytest.mark.parametrize(("inner", "outer"), [(12.0, 20.0), (20.0, 27.0), (8.0, 22.0)])
def test_a_ring_is_as_thick_as_it_was_drawn_in_every_sector(inner, outer):
    thickness = sector_thickness(a_ring(inner, outer))
    assert thickness.shape == (1, 1, 6)
    np.testing.assert_allclose(thickness, outer - inner, atol=0.25)


def test_a_wall_that_is_thin_on_one_side_is_thin_in_the_sectors_of_that_side():
    picture = a_ring(14.0, 24.0)
    thin = a_ring(14.0, 18.0)
    picture[..., :40] = thin[..., :40]  # columns to the left of the middle
    left_and_right = sector_thickness(picture, sectors=2)[0, 0]
    # Angles grow from the left over the top: sector 0 is above the middle, sector 1 below.
    np.testing.assert_allclose(left_and_right, (10.0 + 4.0) / 2, atol=0.4)
    six = sector_thickness(picture)[0, 0]
    np.testing.assert_allclose(six[[0, 5]], 4.0, atol=0.4)
    np.testing.assert_allclose(six[[2, 3]], 10.0, atol=0.4)


def test_slices_come_one_after_the_other_and_an_empty_one_has_no_wall():
    two = np.concatenate([a_ring(10, 16), np.zeros((1, 1, 1, 80, 80), np.uint8)], axis=2)
    thickness = sector_thickness(two)[0, 0]
    np.testing.assert_allclose(thickness[:6], 6.0, atol=0.3)
    np.testing.assert_array_equal(thickness[6:], 0.0)
