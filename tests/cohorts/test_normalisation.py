import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.cohorts.normalisation import (
    NormalisationSpec,
    normalise_labels,
    normalise_pictures,
)
from napari_cardioxai.errors import CohortError
from napari_cardioxai.phantom.cohort import BUILT_IN, draw_subject
from napari_cardioxai.phantom.rasterise import rasterise
from tests.cohorts.cines import LV, MYO, RV, a_cine, dice

SPEC = NormalisationSpec()
MIDDLE = (SPEC.size - 1) / 2


def areas(sequence, value=LV):
    return np.count_nonzero(sequence == value, axis=(-2, -1))


def a_phantom(index=0, **changes):
    """A phantom with its labels: same hearts as the built-in cohort of three slices."""
    subject = draw_subject(replace(BUILT_IN["three-slices"], **changes), seed=3, index=index)
    timing = {"frame_times_ms": subject.times_ms, "cycle_ms": subject.case.heart.lv.cycle_ms}
    return subject, Labels(subject.labels(), subject.grid.geometry, **timing)


# Time ------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "es_frame"), [(25, 9), (50, 18)])
def test_the_cycle_starts_at_end_diastole_and_end_systole_has_its_frame(frames, es_frame):
    spec = NormalisationSpec(frames=frames)
    for ed, es in ((0, 8), (17, 4), (3, 9)):
        volume = areas(normalise_labels(a_cine(ed=ed, es=es), spec).data).sum(1)
        assert (volume.argmax(), volume.argmin()) == (0, es_frame)
    assert spec.es_frame == es_frame


def test_time_runs_evenly_on_either_side_of_end_systole():
    found = normalise_labels(a_cine(frames=20, ed=2, es=10), SPEC).transform.scan_frames
    np.testing.assert_allclose(found[:10], 2 + 8 * np.arange(10) / 9)
    np.testing.assert_allclose(found[9:], 10 + 12 * np.arange(16) / 16)


def test_time_is_that_of_the_scan_where_it_is_known():
    cine = a_cine(frames=10, es=4)
    # The second half of the frames comes twice as fast; the cycle was recorded to last 560 ms.
    times = np.array([0, 50, 100, 150, 200, 225, 250, 275, 300, 325.0]) + 19
    found = normalise_labels(replace(cine, frame_times_ms=times, cycle_ms=375.0), SPEC)
    # Half way from 200 to 375 ms is 287.5, half way between frames 7 and 8.
    assert found.transform.scan_frames[[0, 9, 17]].tolist() == pytest.approx([0, 4, 7.5])


def test_a_recorded_cycle_that_belongs_to_something_else_is_not_believed():
    cine = a_cine(frames=10, es=4)
    right = normalise_labels(cine, SPEC).transform.scan_frames
    for wrong in (90.0, 4000.0, None):
        found = normalise_labels(replace(cine, cycle_ms=wrong), SPEC).transform.scan_frames
        np.testing.assert_allclose(found, right)


def test_frames_and_sequence_are_each_others_inverse_in_time():
    transform = normalise_labels(a_cine(ed=6, es=13), SPEC).transform
    there = np.interp(
        transform.sequence_frames, np.arange(26), [*transform.scan_frames, 6.0 + 20.0]
    )
    np.testing.assert_allclose(there % 20, np.arange(20), atol=1e-9)


# Place -----------------------------------------------------------------------


def test_areas_in_mm2_are_kept_whatever_the_pixels():
    for spacing in ((8, 1.4, 1.4), (8, 1.8, 1.3), (8, 0.8, 0.8), (8, 2.1, 2.1)):
        cine = a_cine(spacing_mm=spacing, shape=(200, 180))
        found = areas(normalise_labels(cine, SPEC).data)[0] * SPEC.pixel_mm**2
        # Seven slices hold LV; of these numbers 3, 4 and 5 of a cone from 24 to 12 mm.
        expected = np.pi * (24 * (1 - 0.5 * np.array([2, 3, 4]) / 6)) ** 2
        np.testing.assert_allclose(found, expected, rtol=0.035)  # an eighth of a pixel


def test_the_ventricle_is_in_the_middle_over_the_cycle():
    for centre in ((80.0, 70.0), (50.3, 90.9)):
        data = normalise_labels(a_cine(centre_mm=centre), SPEC).data
        y, x = ndimage.center_of_mass((data == LV).sum((0, 1)))
        assert (y, x) == pytest.approx((MIDDLE, MIDDLE), abs=0.1)


def test_pixels_of_the_right_size_are_only_moved():
    cine = a_cine(spacing_mm=(8.0, 1.25, 1.25))
    found = normalise_labels(cine, SPEC)
    offset = found.transform.to_scan[:, 2]
    assert offset.tolist() == np.rint(offset).tolist()
    top, left = offset.astype(int)
    picture = cine.data[0, found.transform.slices[0]][top : top + 80, left : left + 80]
    np.testing.assert_array_equal(found.data[0, 0], picture)


def test_a_ventricle_at_the_edge_of_the_picture_is_surrounded_by_background():
    cine = a_cine(centre_mm=(20.0, 18.0))
    found = normalise_labels(cine, SPEC)
    assert found.data.shape == SPEC.shape
    rows = MIDDLE - (20.0 / 1.25)  # where the picture ends
    assert not found.data[:, :, : int(rows) - 1].any()


# Slices ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bearing", "central"),
    [(3, (1, 2, 3)), (4, (1, 2, 3)), (7, (3, 4, 5)), (8, (2, 4, 6)), (12, (4, 6, 8)), (13, (4, 7, 10))],
)  # fmt: skip
def test_central_slices_lie_a_fifth_of_the_ventricle_apart(bearing, central):
    cine = a_cine(slices=bearing + 2, shape=(100, 100))
    assert normalise_labels(cine, SPEC).transform.slices == central


def test_basal_slices_are_the_three_next_to_the_base():
    spec = NormalisationSpec(slices="basal")
    assert normalise_labels(a_cine(slices=11), spec).transform.slices == (1, 2, 3)


def test_a_reversed_stack_gives_the_same_sequence():
    for spec in (SPEC, NormalisationSpec(slices="basal")):
        forward = normalise_labels(a_cine(slices=10), spec)
        backward = normalise_labels(a_cine(slices=10, base_first=False), spec)
        assert backward.transform.slices == tuple(9 - z for z in forward.transform.slices)
        np.testing.assert_array_equal(forward.data, backward.data)


def test_a_slice_that_is_empty_at_end_systole_is_not_taken():
    cine = a_cine(slices=9)
    cine.data[8, 1][cine.data[8, 1] == LV] = 0  # the base has come down
    assert normalise_labels(cine, NormalisationSpec(slices="basal")).transform.slices == (2, 3, 4)


def test_an_unclear_base_is_said():
    cine = a_cine(slices=5, known_direction=False)
    cine.data[:] = cine.data[:, 2:3]  # no taper either
    assert any("base" in note for note in normalise_labels(cine, SPEC).notes)
    assert normalise_labels(a_cine(slices=5), SPEC).notes == ()


# Rotation --------------------------------------------------------------------


def test_rotation_brings_the_septum_to_the_left_whichever_way_the_heart_lies():
    upright = normalise_labels(a_cine(septum_deg=180), NormalisationSpec(rotate=True)).data
    for degrees in (120, 200, 290):
        turned = normalise_labels(a_cine(septum_deg=degrees), NormalisationSpec(rotate=True)).data
        for value in (LV, MYO, RV):
            assert dice(turned, upright, value) > 0.95  # both were drawn on pixels of 1.4 mm
    y, x = ndimage.center_of_mass(upright == RV)[2:]
    assert x < MIDDLE - 15 and y == pytest.approx(MIDDLE, abs=1.5)


def test_rotation_turns_a_mirrored_picture_back():
    _, labels = a_phantom(2)
    spec = NormalisationSpec(rotate=True)
    affine = labels.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (labels.data.shape[3] - 1)
    affine[:3, 0] *= -1
    mirrored = replace(
        labels, data=labels.data[..., ::-1].copy(), geometry=replace(labels.geometry, affine=affine)
    )
    first, second = (normalise_labels(which, spec).data for which in (labels, mirrored))
    for value in (LV, MYO, RV):
        assert dice(first, second, value) > 0.97


def test_without_a_right_ventricle_there_is_nothing_to_turn_to():
    cine = a_cine()
    cine.data[cine.data == RV] = 0
    with pytest.raises(CohortError, match="septum"):
        normalise_labels(cine, NormalisationSpec(rotate=True))
    assert not (normalise_labels(cine, SPEC).data == RV).any()


# Against the truth, and back -------------------------------------------------


@pytest.mark.parametrize("index", range(4))
def test_a_sequence_is_the_phantom_drawn_at_those_times_on_that_grid(index):
    subject, labels = a_phantom(index, pixel_mm=1.25, matrix=(128, 128))
    found = normalise_labels(labels, SPEC)
    transform, cycle = found.transform, labels.cycle_ms
    frames = [*subject.times_ms, *(subject.times_ms + cycle)]
    times = np.interp(transform.scan_frames, np.arange(50), frames) % cycle
    centre = np.linalg.solve(
        transform.to_scan[:, :2], np.array(subject.grid.centre_px) - transform.to_scan[:, 2]
    )
    grid = replace(subject.grid, matrix=(80, 80), pixel_mm=1.25, centre_px=tuple(centre))
    truth = rasterise(subject.case.heart.beat(times), grid)[:, list(transform.slices)]
    assert dice(found.data, truth, LV) > 0.993
    assert dice(found.data, truth, MYO) > 0.985
    assert dice(found.data, truth, RV) > 0.99


@pytest.mark.parametrize("slices", ["central", "basal"])
def test_back_on_the_scan_every_frame_is_what_it_was(slices):
    subject = draw_subject(BUILT_IN["mixed"], seed=1, index=0)
    labels = Labels(subject.labels(), subject.grid.geometry, subject.times_ms)
    found = normalise_labels(labels, NormalisationSpec(slices=slices))
    restored = found.transform.restore(found.data)
    taken = list(found.transform.slices)
    assert restored.shape == labels.data.shape and restored.dtype == np.uint8
    assert not np.delete(restored, taken, axis=1).any()
    for value in (LV, MYO):
        assert dice(restored[:, taken], labels.data[:, taken], value) > 0.99
    # Of the right ventricle, what lies in the square.
    seen = np.delete(labels.data, [], axis=1)
    seen[~_in_square(found.transform)] = 0
    assert dice(restored, seen, RV) > 0.99


def _in_square(transform):
    """Pixels of the scan within the square and the slices taken, (t, z, y, x) bool."""
    frames, slices, height, width = transform.scan_shape
    rows, columns = np.mgrid[:height, :width]
    shift, turn = transform.to_scan[:, 2], np.linalg.inv(transform.to_scan[:, :2])
    there = np.einsum("ij,jyx->iyx", turn, np.stack([rows, columns]) - shift[:, None, None])
    inside = (np.abs(there - MIDDLE) <= SPEC.size / 2).all(0)
    taken = np.isin(np.arange(slices), transform.slices)
    return np.broadcast_to(inside & taken[:, None, None], (frames, slices, height, width))


def test_a_turned_sequence_comes_back_too():
    cine = a_cine(septum_deg=230)
    found = normalise_labels(cine, NormalisationSpec(rotate=True, frames=50))
    restored = found.transform.restore(found.data)
    taken = list(found.transform.slices)
    for value in (LV, MYO):
        assert dice(restored[:, taken], cine.data[:, taken], value) > 0.99


def test_only_sequences_of_that_shape_are_put_back():
    transform = normalise_labels(a_cine(), SPEC).transform
    with pytest.raises(CohortError, match="cannot be put back"):
        transform.restore(np.zeros((50, 3, 80, 80), np.uint8))
    with pytest.raises(CohortError, match="grid"):
        transform.apply(np.zeros((20, 3, 80, 80), np.uint8))


# Refusals --------------------------------------------------------------------


def test_what_cannot_be_normalised_says_why():
    cine = a_cine()

    def refusal(labels, spec=SPEC):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(CohortError) as caught:
                normalise_labels(labels, spec)
        return str(caught.value)

    assert "pixel size" in refusal(replace(cine, geometry=replace(cine.geometry, spacing_mm=None)))
    assert "there are 5 frames" in refusal(replace(cine, data=cine.data[:5], frame_times_ms=None))
    assert "no LV cavity" in refusal(replace(cine, data=np.zeros_like(cine.data)))
    assert "2 slices hold" in refusal(replace(cine, data=cine.data[:, :3]))
    gap = cine.data.copy()
    gap[[4, 11]] = 0
    assert "in frame 5 and 12 of 20" in refusal(replace(cine, data=gap))
    assert "same in every frame" in refusal(replace(cine, data=cine.data[[0] * 20]))
    assert "comes 5% of the cycle after" in refusal(a_cine(es=1))
    with pytest.raises(CohortError, match="central or basal"):
        NormalisationSpec(slices="apical")
    with pytest.raises(CohortError, match="at least 8 frames"):
        NormalisationSpec(frames=3)


# Intensities -----------------------------------------------------------------


def test_intensities_are_read_linearly_at_the_place_and_the_time_of_the_labels():
    cine = a_cine(frames=10, es=4)
    frames, slices, rows, columns = cine.data.shape
    t, z, y, x = np.ogrid[:frames, :slices, :rows, :columns]
    tent = 5.0 - np.abs(t - 5.0)  # the same at both ends, so that it goes on in the next cycle
    pictures = (7 * tent + 100 * z + 2 * y - 3 * x).astype(np.float32)
    transform = normalise_labels(cine, SPEC).transform
    row, column = np.mgrid[: SPEC.size, : SPEC.size]
    to_scan = np.einsum("ij,jyx->iyx", transform.to_scan[:, :2], np.stack([row, column]))
    to_scan += transform.to_scan[:, 2, None, None]
    in_plane = 2 * np.clip(to_scan[0], 0, rows - 1) - 3 * np.clip(to_scan[1], 0, columns - 1)
    when = 7 * (5.0 - np.abs(transform.scan_frames % frames - 5.0))
    expected = (
        when[:, None, None, None] + 100 * np.array(transform.slices)[:, None, None] + in_plane
    )
    np.testing.assert_allclose(transform.sample(pictures), expected, atol=2e-3)


def test_intensities_are_standardised_and_know_nothing_of_the_labels_values():
    cine = a_cine(frames=10, es=4)
    pictures = np.random.default_rng(0).gamma(2.0, 90.0, cine.data.shape)
    found = normalise_pictures(pictures, cine, SPEC).data
    assert found.mean() == pytest.approx(0, abs=1e-5) and found.std() == pytest.approx(1, abs=1e-5)
    other_scanner = normalise_pictures(3.5 * pictures + 40, cine, SPEC).data
    np.testing.assert_allclose(other_scanner, found, atol=1e-4)


@pytest.mark.parametrize(
    ("pictures", "complaint"),
    [
        (np.zeros((10, 9, 120, 110)), "of one value"),
        (np.full((10, 9, 120, 110), np.nan), "no numbers"),
        (np.zeros((9, 9, 120, 110)), "grid of the labels"),
    ],
)
def test_pictures_that_show_nothing_or_lie_elsewhere_are_refused(pictures, complaint):
    with pytest.raises(CohortError, match=complaint):
        normalise_pictures(pictures, a_cine(frames=10, es=4), SPEC)
