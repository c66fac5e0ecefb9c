import numpy as np
import pytest

from napari_cardioxai.phantom.planted import planted_heart, planted_volume
from napari_cardioxai.phantom.volume_curve import PhantomError


def a_heart(*, still, seed=0):
    return planted_heart(
        np.random.default_rng(seed),
        still=still,
        frames=10,
        levels=(0.15, 0.5, 0.85),
        pixel_mm=1.5,
        matrix=(96, 96),
    )


def many(present):
    return [planted_volume(np.random.default_rng(k), present=present, side=24) for k in range(40)]


def test_the_ball_is_bright_where_it_is_and_absent_where_it_is_not():
    for present, bright in ((True, 1.2), (False, 0.0)):
        inside = [found.image[found.truth].mean() for found in many(present)]
        assert np.mean(inside) == pytest.approx(bright + 0.5 * bool(bright), abs=0.15)


def test_brightness_does_not_tell_the_class():
    means = [[found.image.mean() for found in many(present)] for present in (True, False)]
    brightest = [[found.image.max() for found in many(present)] for present in (True, False)]
    for values in (means, brightest):
        higher = np.mean([a > b for a in values[0] for b in values[1]])
        assert 0.35 < higher < 0.65


def test_the_ball_lies_off_the_middle_inside_the_shell():
    for seed in range(20):
        truth = planted_volume(np.random.default_rng(seed), present=True, side=24).truth
        centre = np.argwhere(truth).mean(0)
        assert (np.abs(centre - 11.5) > 2).all()
        assert not truth[[0, 1, 22, 23]].any()


def test_a_volume_too_small_for_its_clutter_is_refused():
    with pytest.raises(PhantomError, match="at least 12 voxels"):
        planted_volume(np.random.default_rng(0), present=True, side=8)


def test_a_still_segment_does_not_thicken_and_its_twin_does():
    thickening = []
    for still in (True, False):
        found = a_heart(still=still)
        times = np.array([0.0, found.heart.lv.es_time_ms])
        diastole, systole = found.heart.beat(times).segment_thickness_mm()[:, 10]
        thickening.append(systole / diastole - 1)
    assert thickening[0] < 0.12
    assert thickening[1] > 0.25


def test_whether_another_segment_is_still_does_not_depend_on_the_class():
    for seed in range(6):
        with_it, without = (a_heart(still=still, seed=seed) for still in (True, False))
        np.testing.assert_array_equal(
            np.array(with_it.heart.shape.contraction)[[6, 7, 8]],
            np.array(without.heart.shape.contraction)[[6, 7, 8]],
        )


def test_the_truth_is_the_way_of_the_segment_s_wall_in_the_middle_slice():
    found = a_heart(still=True)
    assert not found.truth[:, [0, 2]].any()
    inside = found.truth[0, 1]
    np.testing.assert_array_equal(found.truth, np.broadcast_to(found.truth[:1], found.truth.shape))
    wall = (found.labels[:, 1] == 2).any(0)
    assert (inside <= wall).all()
    # 60 of 360 degrees of a ring that is nearly round.
    assert 0.11 < inside.sum() / wall.sum() < 0.22
    # Inferolateral: opposite the septum (left in the picture), below the middle.
    down, right = np.argwhere(inside).mean(0) - np.argwhere(wall).mean(0)
    assert right > 0
    assert down > 0
