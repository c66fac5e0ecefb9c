import numpy as np
import pytest
from scipy import ndimage

from napari_cardioxai.cohorts.label_resampling import (
    _distances,
    resampled_in_plane,
    resampled_in_time,
)
from tests.cohorts.cines import LV, MYO, a_cine


def a_disc(radius, shape=(60, 60), centre=(29.5, 30.25)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (np.hypot(y - centre[0], x - centre[1]) < radius).astype(np.uint8)


def test_the_same_places_give_the_same_labels():
    labels = a_cine(frames=8).data[:, 3]
    rows, columns = np.mgrid[: labels.shape[1], : labels.shape[2]]
    np.testing.assert_array_equal(resampled_in_plane(labels, rows, columns), labels)


def test_each_structure_is_interpolated_on_its_own():
    labels = a_cine(frames=8).data[:3, 4]
    rng = np.random.default_rng(0)
    rows, columns = rng.uniform(-1.5, 121, (40, 50)), rng.uniform(-1.5, 111, (40, 50))
    shares = np.stack(
        [
            [
                ndimage.map_coordinates(
                    np.pad(picture == value, 3).astype(float), [rows + 3, columns + 3], order=1
                )
                for picture in labels
            ]
            for value in (1, 2, 3)
        ]
    )
    shares = np.concatenate([1 - shares.sum(0, keepdims=True), shares])
    np.testing.assert_array_equal(
        resampled_in_plane(labels, rows, columns), shares.round(6).argmax(0)
    )


def test_no_third_structure_appears_between_two_that_touch():
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[:, :, :10], labels[:, :, 10:] = 1, 3
    rows, columns = np.mgrid[2:18:0.3, 2:18:0.3]
    assert set(np.unique(resampled_in_plane(labels, rows, columns))) == {1, 3}


def test_beyond_the_picture_is_background():
    labels = np.full((1, 10, 10), 2, np.uint8)
    found = resampled_in_plane(labels, np.array([[-3.0, 4, 40]]), np.array([[4.0, 4, 4]]))
    assert found.tolist() == [[[0, 2, 0]]]


def test_distances_are_those_of_scipy():
    labels = a_cine(frames=8).data[::3, 2:5]
    found = _distances(labels)
    for value in range(4):
        for t, z in np.ndindex(labels.shape[:2]):
            expected = ndimage.distance_transform_edt(labels[t, z] != value)
            expected = np.minimum(expected, 7) if (labels[t, z] == value).any() else 7
            np.testing.assert_allclose(np.sqrt(found[value, t, z].astype(float)), expected)


def test_half_way_between_two_discs_lies_the_disc_of_the_mean_radius():
    cine = np.stack([a_disc(10), a_disc(14)])[:, None]
    half, quarter = resampled_in_time(cine, np.array([0.5, 0.25]))[:, 0]
    # A tenth of a pixel of the radius.
    assert np.count_nonzero(half) == pytest.approx(np.pi * 12**2, rel=0.02)
    assert np.count_nonzero(quarter) == pytest.approx(np.pi * 11**2, rel=0.02)


def test_a_moving_disc_is_seen_on_its_way():
    cine = np.stack([a_disc(9, centre=(29, 27)), a_disc(9, centre=(29, 32))])[:, None]
    (way,) = resampled_in_time(cine, np.array([0.4]))[:, 0]
    y, x = ndimage.center_of_mass(way)
    assert (y, x) == pytest.approx((29, 29), abs=0.15)


def test_frames_are_copied_and_the_last_goes_over_into_the_first():
    data = a_cine(frames=8, es=5).data
    found = resampled_in_time(data, np.array([3.0, 7.5, 8.0, 11.0]))
    np.testing.assert_array_equal(found[[0, 2, 3]], data[[3, 0, 3]])
    areas = [np.count_nonzero(frame == LV) for frame in (data[7], found[1], data[0])]
    assert areas[0] < areas[1] < areas[2]


def test_what_is_the_same_in_both_frames_stays():
    data = a_cine().data
    between = resampled_in_time(data, np.array([4.3]))[0]
    same = data[4] == data[5]
    np.testing.assert_array_equal(between[same], data[4][same])
    assert np.count_nonzero(between == MYO) > 0
