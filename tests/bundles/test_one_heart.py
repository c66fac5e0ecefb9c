"""One body of each structure."""

import numpy as np

from napari_cardioxai.bundles.one_heart import one_heart


def test_one_heart_keeps_the_body_that_lives_on_and_fills_its_holes():
    labels = np.zeros((4, 3, 20, 20), np.uint8)
    labels[:, :, 5:12, 5:12] = 1
    labels[:, :, 8, 8] = 0  # a hole in every picture
    labels[1, 2, 15:19, 15:19] = 1  # a patch that no other frame or slice knows
    labels[:, 0, 5, 14] = 1  # a speck beside the heart, not touching it
    kept = one_heart(labels)
    expected = np.zeros_like(labels)
    expected[:, :, 5:12, 5:12] = 1
    np.testing.assert_array_equal(kept, expected)


def test_a_larger_patch_far_from_the_expected_place_does_not_win():
    labels = np.zeros((1, 1, 60, 60), np.uint8)
    labels[..., 28:34, 28:34] = 1
    labels[..., 0:10, 50:60] = 1
    assert one_heart(labels)[0, 0, 5, 55] == 1
    kept = one_heart(labels, centre=(30.0, 30.0), reach=12.0)
    assert kept[0, 0, 30, 30] == 1 and kept[0, 0, 5, 55] == 0


def test_filling_a_hole_leaves_another_structure_alone():
    labels = np.zeros((1, 1, 20, 20), np.uint8)
    labels[..., 3:15, 3:15] = 2
    labels[..., 6:12, 6:12] = 1
    np.testing.assert_array_equal(one_heart(labels), labels)


def test_a_papillary_muscle_inside_the_cavity_becomes_cavity():
    labels = np.zeros((1, 1, 24, 24), np.uint8)
    labels[..., 3:21, 3:21] = 2
    labels[..., 6:18, 6:18] = 1
    labels[..., 10:13, 10:13] = 2
    heart = one_heart(labels)
    assert (heart[..., 6:18, 6:18] == 1).all()
    assert (heart == 2).sum() == 18 * 18 - 12 * 12


def test_a_right_ventricle_that_stands_alone_is_none():
    labels = np.zeros((1, 2, 32, 32), np.uint8)
    labels[..., 8:16, 8:16] = 2
    labels[..., 10:14, 10:14] = 1
    labels[0, 0, 8:16, 17:22] = 3  # one pixel from the wall
    labels[0, 1, 8:16, 21:27] = 3  # five pixels lie between; one body with the slice below
    heart = one_heart(labels, apart=6)
    assert (heart[0, 0] == 3).sum() == 8 * 5
    assert (heart[0, 1] == 3).sum() == 8 * 6, "at the base the aorta's root comes between them"
    heart = one_heart(labels, apart=5)
    assert (heart[0, 0] == 3).any() and not (heart[0, 1] == 3).any()


def test_what_hangs_on_the_cavity_by_a_neck_is_cut_off():
    yy, xx = np.mgrid[:64, :96]
    ventricle, tract = np.hypot(yy - 32, xx - 30) < 16, np.hypot(yy - 32, xx - 62) < 11
    neck = (np.abs(yy - 32) < 3) & (xx > 30) & (xx < 62)
    labels = np.zeros((1, 2, 64, 96), np.uint8)
    labels[0, 0][ventricle | neck | tract] = 1
    labels[0, 1][ventricle | (np.hypot(yy - 32, xx - 42) < 12)] = 1  # a bulge has no neck
    heart = one_heart(labels)
    assert (heart[0, 0][ventricle] == 1).all() and not (heart[0, 0][tract] == 1).any()
    np.testing.assert_array_equal(heart[0, 1], labels[0, 1])


def test_a_slice_that_never_shows_the_cavity_has_no_wall():
    labels = np.zeros((2, 3, 24, 24), np.uint8)
    labels[..., 4:20, 4:20] = 2
    labels[0, 0, 8:16, 8:16] = 1  # the base: cavity at end-diastole only
    labels[:, 1, 8:16, 8:16] = 1
    heart = one_heart(labels)
    assert (heart[:, 0] == 2).any((1, 2)).all(), "one frame with a cavity is enough"
    assert not heart[:, 2].any()


YY, XX = np.mgrid[:80, :80]


def a_disc(row, column, radius):
    return np.hypot(YY - row, XX - column) <= radius


def a_ventricle():
    """A cavity of radius 10 in a wall of 6, and a right ventricle on its left; (1, 1, 80, 80)."""
    picture = np.zeros((80, 80), np.uint8)
    picture[(np.abs(YY - 30) < 12) & (XX > 10) & (XX < 25)] = 3
    picture[a_disc(30, 42, 16)] = 2
    picture[a_disc(30, 42, 10)] = 1
    return picture[None, None]


def test_a_ring_under_the_heart_is_neither_cavity_nor_wall():
    labels = a_ventricle()
    expected = labels.copy()
    stranger = labels[0, 0]
    stranger[a_disc(62, 42, 13) & (stranger == 0)] = 2  # it hangs on the wall
    stranger[a_disc(62, 42, 7)] = 1
    heart = one_heart(labels)
    np.testing.assert_array_equal(heart == 1, expected == 1)
    np.testing.assert_array_equal(heart == 3, expected == 3)
    more = (heart == 2)[0, 0] & (expected != 2)[0, 0]
    assert (expected == 2).sum() == ((heart == 2) & (expected == 2)).sum(), "the wall stays whole"
    assert more.sum() < 0.2 * (labels[0, 0] == 2)[48:].sum(), "hardly any of the ring is left"


def test_an_outflow_tract_taken_for_a_second_ventricle_is_the_right_one():
    labels = a_ventricle()
    picture = labels[0, 0]
    tract = a_disc(52, 26, 7)
    picture[a_disc(52, 26, 10) & (picture == 0)] = 2
    picture[tract] = 1
    heart = one_heart(labels, apart=8)
    assert (heart[0, 0][tract] == 3).all()
    behind = (labels[0, 0] == 2) & (XX < 22) & (YY > 52)
    assert behind.any() and not (heart[0, 0][behind] == 2).any(), (
        "its outer wall is none of the LV's"
    )
    assert ((heart == 2) & (a_ventricle() == 2)).sum() == (a_ventricle() == 2).sum()


def test_inflow_and_outflow_that_lie_apart_at_the_base_are_both_right_ventricle():
    labels = np.repeat(a_ventricle(), 2, axis=1)
    base = labels[0, 1]
    base[(base == 3) & (YY > 27) & (YY < 36)] = 0
    np.testing.assert_array_equal(one_heart(labels) == 3, labels == 3)
    base[(base == 3) & (YY > 36)] = 0  # 14 pixels beside 126: less than a fifth
    heart = one_heart(labels)
    assert (heart[0, 1, :28] == 3).any() and not (heart[0, 1, 36:] == 3).any()


def test_a_part_that_is_darker_than_blood_is_no_ventricle():
    labels = a_ventricle()
    spleen = (np.abs(YY - 54) < 6) & (XX > 14) & (XX < 54)  # larger than the right ventricle
    labels[0, 0][spleen] = 3
    light = np.where(labels == 2, 40.0, 100.0)
    light[0, 0][spleen] = 60.0
    without = one_heart(labels)
    np.testing.assert_array_equal((without == 3)[0, 0], spleen)
    np.testing.assert_array_equal(one_heart(labels, intensities=light), a_ventricle())
    light[labels == 3] = 60.0  # a right ventricle far from the coil
    np.testing.assert_array_equal(one_heart(labels, intensities=light), without)


def test_of_several_parts_only_those_at_the_heart_are_right_ventricle():
    labels = np.repeat(a_ventricle(), 2, axis=1)
    far = (YY > 60) & (YY < 72) & (XX > 10) & (XX < 25)
    bridge = (YY > 30) & (YY < 72) & (XX > 10) & (XX < 14)
    labels[0, 0][far] = 3
    labels[0, 1][(far | bridge) & (labels[0, 1] == 0)] = 3  # one body with the slice below
    heart = one_heart(labels, apart=8)
    np.testing.assert_array_equal(heart[0, 0] == 3, a_ventricle()[0, 0] == 3)


def test_the_wall_of_the_right_ventricle_is_none_of_the_left():
    labels = a_ventricle()
    picture = labels[0, 0]
    picture[(np.abs(YY - 30) < 15) & (XX > 7) & (XX < 28) & (picture == 0)] = 2
    heart = one_heart(labels)
    np.testing.assert_array_equal(heart == 3, a_ventricle() == 3)
    assert not (heart[0, 0, :, :12] == 2).any()
    assert ((heart == 2) & (a_ventricle() == 2)).sum() == (a_ventricle() == 2).sum()


def test_a_tail_of_the_wall_goes_and_a_thick_septum_stays():
    labels = a_ventricle()
    picture = labels[0, 0]
    tail = (YY > 44) & (YY < 64) & (np.abs(XX - 44) < 3)
    picture[tail] = 2
    septum = (np.abs(YY - 30) < 10) & (XX > 12) & (XX < 33)
    picture[septum] = 2
    picture[(np.abs(YY - 30) < 10) & (XX > 3) & (XX <= 12)] = 3
    heart = one_heart(labels)[0, 0]
    assert (heart[septum] == 2).all(), "it touches the right ventricle"
    assert not (heart[58:] == 2).any(), "its border lies 7 to 8 pixels from the cavity in row 40"
    assert (heart[:50] == 2).sum() == (labels[0, 0, :50] == 2).sum()
