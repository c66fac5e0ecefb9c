import numpy as np
import pytest

from napari_cardioxai.anatomy.base import beyond_base, is_base_first, without_pictures
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.scans.geometry import Geometry

ALONG = Geometry((8.0, 1.0, 1.0), np.diag([-1.0, 1.0, -8.0, 1.0]))  # slices go to the feet


def oblique(sign):
    """Slices from base to apex (1) or from apex to base (-1)."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 2] = sign * 8 * np.array([-1.0, 1.0, -1.0]) / np.sqrt(3)
    return Geometry((8.0, 1.0, 1.0), affine)


def a_heart(atrium=(), frames=16, order=1):
    """Columns of voxels, one per mL, that shrink by a cosine; `atrium` slices only flicker."""
    phase = 2 * np.pi * np.arange(frames) / frames
    rng = np.random.default_rng(0)
    data = np.zeros((frames, 8, 1, 400), np.uint8)
    for z, widest in enumerate([200, 260, 300, 300, 260, 200, 140, 80]):
        for t in range(frames):
            count = widest * (0.75 + 0.25 * np.cos(phase[t]))
            if z in atrium:
                count = widest * (0.8 - 0.1 * np.cos(phase[t])) + rng.integers(0, 6)
            low = (400 - int(count)) // 2
            data[t, z, 0, low : low + int(count)] = 1
    return Labels(data[:, ::order], ALONG if order == 1 else Geometry((8.0, 1.0, 1.0)))


def a_walled_heart(shares):
    """One frame of squares, narrower towards the apex, each with a part of a wall round it."""
    data = np.zeros((1, len(shares), 50, 50), np.uint8)
    for z, share in enumerate(shares):
        half = 18 - 2 * abs(z - 1)  # the base is a little narrower than the slice below
        data[0, z, 23 - half : 27 + half, 23 - half : round(23 - half + share * (4 + 2 * half))] = 2
        data[0, z, 25 - half : 25 + half, 25 - half : 25 + half] = 1
    return Labels(data, ALONG)


def a_heart_whose_valve_descends(walls, frames=20):
    """Equal squares in twelve slices; `walls` (t,) is the part of a wall round the first one."""
    data = np.zeros((frames, 12, 40, 40), np.uint8)
    data[:, :, 8:32, 8:32] = 2
    for t in range(frames):
        half = round(9 + 2 * np.cos(2 * np.pi * t / frames))
        data[t, :, 20 - half : 20 + half, 20 - half : 20 + half] = 1
        open_from = 8 + round(24 * walls[t])
        data[t, 0, :, open_from:][data[t, 0, :, open_from:] == 2] = 0
    return Labels(data, oblique(1))


def slices_beyond_base(labels):
    """Slices that are beyond the base in every frame; no slice may be so in some frames only."""
    beyond = beyond_base(labels)
    assert (beyond == beyond.all(0)).all()
    return tuple(np.flatnonzero(beyond.all(0)).tolist())


def without_slices(labels, slices):
    beyond = np.zeros(labels.data.shape[:2], bool)
    beyond[:, list(slices)] = True
    return without_pictures(labels, beyond)


def test_a_ventricle_that_moves_as_one_is_kept_whole():
    assert slices_beyond_base(a_heart()) == ()


def test_basal_slices_against_the_cycle_are_named_with_all_beyond_them():
    assert slices_beyond_base(a_heart(atrium=(0,))) == (0,)
    assert slices_beyond_base(a_heart(atrium=(1,))) == (0, 1)


def test_the_wider_end_is_the_base_in_either_order():
    assert slices_beyond_base(a_heart(atrium=(0,), order=-1)) == (7,)


def test_an_akinetic_apex_stays():
    assert slices_beyond_base(a_heart(atrium=(7,))) == ()


def test_one_frame_or_a_few_cannot_tell():
    assert slices_beyond_base(a_heart(atrium=(0,), frames=4)) == ()


def test_a_cavity_without_a_wall_is_not_the_ventricles_even_in_one_frame():
    assert slices_beyond_base(a_walled_heart([0.0, *[1.0] * 7])) == (0,)
    assert slices_beyond_base(a_walled_heart([1.0] * 8)) == ()
    assert slices_beyond_base(a_walled_heart([0.5, *[1.0] * 7])) == (), "a gap is no end"
    assert slices_beyond_base(a_walled_heart([0.0] * 8)) == (), "no wall is labelled at all"


def test_a_cavity_that_lies_aside_is_not_the_ventricles():
    heart = a_walled_heart([1.0] * 8)  # the widest is a square of 36 pixels: two fifths are 8.1
    for pixels, beyond in ((8, ()), (9, (0,))):
        data = heart.data.copy()
        data[:, 0] = np.roll(data[:, 0], pixels, axis=-1)
        assert slices_beyond_base(Labels(data, ALONG)) == beyond
    apex = heart.data.copy()
    apex[:, 7] = np.roll(apex[:, 7], 12, axis=-1)
    assert slices_beyond_base(Labels(apex, ALONG)) == (), "an apex may lie aside"


def test_no_more_than_a_third_is_given_up():
    five_slices = without_slices(a_heart(atrium=(0, 1)), (5, 6, 7))
    assert slices_beyond_base(five_slices) == ()
    assert slices_beyond_base(a_heart(atrium=(0, 1))) == (0, 1)


def test_where_the_wall_opens_around_end_systole_the_valve_has_passed():
    walls = np.ones(20)
    walls[7:13] = 0.0  # end-systole is frame 10
    beyond = beyond_base(a_heart_whose_valve_descends(walls))
    np.testing.assert_array_equal(np.flatnonzero(beyond[:, 0]), np.arange(7, 13))
    assert not beyond[:, 1:].any()


def test_one_frame_that_disagrees_does_not_break_the_stretch():
    walls = np.ones(20)
    walls[[7, 8, 10, 11, 12]] = 0.0
    beyond = beyond_base(a_heart_whose_valve_descends(walls))
    np.testing.assert_array_equal(np.flatnonzero(beyond[:, 0]), np.arange(7, 13))


@pytest.mark.parametrize(
    ("open_frames", "why"),
    [
        ([9], "one open frame is as many as the closed one that end-systole lies in"),
        ([0, 1, 2, 18, 19], "a wall that opens at end-diastole is no valve"),
        (range(20), "a wall that is always open tells nothing of the valve"),
    ],
)
def test_what_is_not_around_end_systole_stays(open_frames, why):
    walls = np.ones(20)
    walls[list(open_frames)] = 0.4
    assert not beyond_base(a_heart_whose_valve_descends(walls)).any(), why


def test_what_lies_beyond_a_passed_slice_goes_with_it():
    walls = np.ones(20)
    walls[7:13] = 0.0
    data = a_heart_whose_valve_descends(walls).data
    second = np.concatenate([data[:, 1:2], data[:, :1], data[:, 2:]], axis=1)
    beyond = beyond_base(Labels(second, oblique(1)))
    np.testing.assert_array_equal(np.flatnonzero(beyond[:, 1]), np.arange(7, 13))
    np.testing.assert_array_equal(beyond[:, 0], beyond[:, 1])


def test_the_valve_passes_the_last_slice_where_the_stack_runs_the_other_way():
    walls = np.ones(20)
    walls[7:13] = 0.0
    turned = Labels(a_heart_whose_valve_descends(walls).data[:, ::-1], oblique(-1))
    np.testing.assert_array_equal(np.flatnonzero(beyond_base(turned)[:, -1]), np.arange(7, 13))


@pytest.mark.parametrize(("step", "first"), [((-1, 1, -1), True), ((1, -1, 1), False)])
def test_the_direction_in_the_patient_outweighs_the_taper(step, first):
    affine = np.eye(4)
    affine[:3, 2] = 8 * np.array(step) / np.linalg.norm(step)
    misleading = np.array([3.0, 6.0, 9.0]) if first else np.array([9.0, 6.0, 3.0])
    assert is_base_first(misleading, Geometry((8.0, 1.0, 1.0), affine)) is first


def test_a_stack_along_an_axis_has_lost_its_direction_and_the_taper_tells():
    lost = Geometry((8.0, 1.0, 1.0), np.diag([1.0, 1.0, 8.0, 1.0]))
    assert is_base_first(np.array([9.0, 6.0, 3.0]), lost) is True
    assert is_base_first(np.array([3.0, 6.0, 9.0]), lost) is False
    assert is_base_first(np.array([5.0, 5.0, 5.0]), lost) is None


def test_emptied_slices_leave_the_others_and_the_original_alone():
    heart = a_heart()
    fewer = without_slices(heart, (0, 1))
    assert not fewer.data[:, :2].any()
    np.testing.assert_array_equal(fewer.data[:, 2:], heart.data[:, 2:])
    assert heart.data[:, 0].any()
