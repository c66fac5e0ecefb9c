"""Slices by position and frames by the first key that can be trusted, voxel by voxel."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from napari_cardioxai.scans.catalogue import find_series, load_scan
from napari_cardioxai.scans.scan import Kind
from tests.scans.dicom_factory import (
    COLUMN,
    COLUMNS,
    GAP_MM,
    NORMAL,
    ORIGIN,
    ROW,
    ROWS,
    STEP_MS,
    frame,
    picture,
    save,
    set_pixels,
    stack,
    write_cine,
)

FRAMES, SLICES = 8, 4


def one_series(folder):
    """The only entry of a folder and its scan, whose shape and rule agree."""
    catalogue = find_series(folder)
    assert len(catalogue.entries) == 1, [e.name for e in catalogue.entries]
    scan = load_scan(folder)
    assert catalogue.entries[0].shape == scan.data.shape
    assert catalogue.entries[0].order_rule == scan.provenance.order_rule
    return scan


def test_shuffled_names_are_put_in_order_of_position_and_trigger_time(tmp_path):
    scan = one_series(write_cine(tmp_path))
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))
    assert scan.data.dtype == np.int16
    assert scan.kind == Kind.SHORT_AXIS
    assert scan.provenance.order_rule == "TriggerTime"
    assert scan.provenance.warnings == ()
    assert scan.missing == ()
    assert scan.cycle_ms == 800
    # Trigger times are STEP_MS * t + z: their median over z = 0, 1, 2, 3 adds 1.5.
    np.testing.assert_allclose(scan.frame_times_ms, STEP_MS * np.arange(FRAMES) + 1.5)


def test_slices_written_in_reverse_are_turned_along_the_normal(tmp_path):
    def edit(ds, t, z):
        ds.InstanceNumber = 100 * (SLICES - z) + t

    scan = one_series(write_cine(tmp_path, edit=edit))
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))


def test_slice_distance_comes_from_positions_not_from_location_or_thickness(tmp_path):
    scan = one_series(write_cine(tmp_path))
    np.testing.assert_allclose(scan.geometry.spacing_mm, (GAP_MM, 1.5, 1.25), rtol=1e-5)
    assert scan.geometry.slice_positions_mm is None


def test_affine_agrees_with_simpleitk(tmp_path):
    scan = one_series(write_cine(tmp_path, frames=2))
    files = {}
    for path in scan.provenance.files:
        ds = pydicom.dcmread(path)
        if ds.TriggerTime < STEP_MS:
            files[float(np.dot(ds.ImagePositionPatient, NORMAL))] = str(path)
    volume = sitk.ReadImage([files[depth] for depth in sorted(files)])
    for index in [(0, 0, 0), (COLUMNS - 1, 0, 0), (0, ROWS - 1, 0), (2, 3, SLICES - 1)]:
        lps = volume.TransformIndexToPhysicalPoint(index)
        ras = scan.geometry.affine @ [*index, 1]
        np.testing.assert_allclose(ras[:3], [-lps[0], -lps[1], lps[2]], atol=1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume), scan.data[0])


def test_affine_agrees_with_the_standards_equation(tmp_path):
    scan = one_series(write_cine(tmp_path, frames=2))
    x, y, z = 3, 2, 1
    lps = ORIGIN + x * 1.25 * ROW + y * 1.5 * COLUMN + z * GAP_MM * NORMAL  # PS3.3 C.7.6.2.1.1
    ras = scan.geometry.affine @ [x, y, z, 1]
    np.testing.assert_allclose(ras[:3], lps * [-1, -1, 1], atol=1e-4)


def shuffled(count, seed=5):
    return np.random.default_rng(seed).permutation(count)


PERMUTED = shuffled(FRAMES * SLICES).reshape(SLICES, FRAMES) + 1  # an instance number that lies


@pytest.mark.parametrize(
    ("rule", "edit"),
    [
        ("TemporalPositionIdentifier", lambda ds, t, z: setattr(ds, "TemporalPositionIdentifier", t + 1)),
        ("TriggerTime", lambda ds, t, z: setattr(ds, "TemporalPositionIdentifier", 1)),
        (
            "NominalPercentageOfCardiacPhase",
            lambda ds, t, z: (
                setattr(ds, "TriggerTime", 0),
                setattr(ds, "NominalPercentageOfCardiacPhase", 100 * t / FRAMES),
            ),
        ),
        (
            "NominalCardiacTriggerDelayTime",
            lambda ds, t, z: (
                setattr(ds, "TriggerTime", 308000 + t),  # when the dynamic began
                setattr(ds, "NominalCardiacTriggerDelayTime", STEP_MS * t),
            ),
        ),
        (
            "AcquisitionTime",
            lambda ds, t, z: (
                setattr(ds, "TriggerTime", 40.0 * (t // 2)),  # each value twice
                setattr(ds, "AcquisitionTime", f"1200{10 + z}.{40 * t:03d}000"),
                setattr(ds, "ContentTime", "120000"),
            ),
        ),
        (
            "ContentTime",
            lambda ds, t, z: (
                delattr(ds, "TriggerTime"),
                setattr(ds, "AcquisitionTime", "120000"),
                setattr(ds, "ContentTime", f"1200{10 + z}.{40 * t:03d}000"),
            ),
        ),
    ],
)  # fmt: skip
def test_first_trustworthy_key_orders_the_frames(tmp_path, rule, edit):
    def edit_all(ds, t, z):
        ds.InstanceNumber = int(PERMUTED[z, t])
        edit(ds, t, z)

    scan = one_series(write_cine(tmp_path, edit=edit_all))
    assert scan.provenance.order_rule == rule
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))


@pytest.mark.parametrize("trigger", [None, 0])
def test_instance_number_orders_what_has_no_trigger_time(tmp_path, trigger):
    def edit(ds, t, z):
        ds.TriggerTime = trigger
        ds.AcquisitionTime = "120000"

    scan = one_series(write_cine(tmp_path, edit=edit))
    assert scan.provenance.order_rule == "InstanceNumber"
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))
    np.testing.assert_allclose(scan.frame_times_ms, 800 / FRAMES * np.arange(FRAMES))
    assert any("spread evenly over the cycle of 800 ms" in w for w in scan.provenance.warnings)


def test_times_stay_unknown_when_the_header_has_no_time_at_all(tmp_path):
    def edit(ds, t, z):
        del ds.TriggerTime, ds.NominalInterval

    scan = one_series(write_cine(tmp_path, edit=edit))
    assert scan.frame_times_ms is None
    assert scan.cycle_ms is None
    assert any("time between frames is unknown" in w for w in scan.provenance.warnings)


def test_content_times_of_files_written_out_of_order_are_not_believed(tmp_path):
    # Reconstruction times as a GE scanner wrote them: unique, in pairs the wrong way round.
    written = [0.182, 0.154, 0.233, 0.215, 0.364, 0.323, 0.410, 0.383]

    def edit(ds, t, z):
        del ds.TriggerTime
        ds.ContentTime = f"08392{z}{written[t]:.3f}"[:6] + f"{written[t]:.3f}"[1:]

    scan = one_series(write_cine(tmp_path, edit=edit))
    assert scan.provenance.order_rule == "InstanceNumber"
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))


def test_heart_rate_gives_the_cycle_where_the_interval_is_missing(tmp_path):
    def edit(ds, t, z):
        ds.NominalInterval, ds.HeartRate = None, 75

    assert one_series(write_cine(tmp_path, edit=edit)).cycle_ms == 800


def test_frames_without_any_key_keep_the_order_of_the_numbers_in_their_names(tmp_path):
    for t in range(12):
        save(frame(t, 0, TriggerTime=None, InstanceNumber=None), tmp_path / f"picture {t}")
    scan = one_series(tmp_path)
    assert scan.provenance.order_rule == "file name"
    np.testing.assert_array_equal(scan.data, stack(12, 1))


# Missing and doubled frames --------------------------------------------------


@pytest.mark.parametrize("place", [(0, 2), (4, 1), (7, 3)])
@pytest.mark.parametrize("heart_rate_differs", [False, True])
def test_missing_frame_is_found_by_its_time_and_left_empty(tmp_path, place, heart_rate_differs):
    def edit(ds, t, z):
        step = STEP_MS * (1 + 0.08 * z * heart_rate_differs)
        ds.TriggerTime = round(step * (t + 0.5), 3)

    scan = one_series(write_cine(tmp_path, skip=[place], edit=edit))
    expected = stack(FRAMES, SLICES)
    expected[place] = 0
    np.testing.assert_array_equal(scan.data, expected)
    assert scan.missing == (place,)
    t, z = place
    sentence = f"lice {z + 1} of {SLICES}, phase {t + 1} of {FRAMES} is missing"
    assert any(sentence in w and "31 of 32 frames found" in w for w in scan.provenance.warnings)


@pytest.mark.parametrize("key", ["TemporalPositionIdentifier", "InstanceNumber"])
@pytest.mark.parametrize("place", [(0, 2), (4, 1), (7, 3)])
def test_missing_frame_is_found_by_its_number(tmp_path, key, place):
    def edit(ds, t, z):
        del ds.TriggerTime
        ds.InstanceNumber = z * FRAMES + t + 1
        if key != "InstanceNumber":
            setattr(ds, key, t + 1)

    scan = one_series(write_cine(tmp_path, skip=[place], edit=edit))
    assert scan.provenance.order_rule == key
    assert scan.missing == (place,)


@pytest.mark.parametrize("place", [(0, 2), (4, 1), (7, 3)])
def test_missing_frame_is_found_when_numbers_run_through_the_slices_first(tmp_path, place):
    def edit(ds, t, z):
        del ds.TriggerTime
        ds.InstanceNumber = t * SLICES + z + 1

    scan = one_series(write_cine(tmp_path, skip=[place], edit=edit))
    assert scan.missing == (place,)


@pytest.mark.parametrize("announced", [None, 20])
def test_gap_in_the_times_of_a_single_slice_is_a_missing_frame(tmp_path, announced):
    def edit(ds, t, z):
        ds.CardiacNumberOfImages = announced

    scan = one_series(write_cine(tmp_path, frames=20, slices=1, skip=[(6, 0)], edit=edit))
    assert scan.missing == ((6, 0),)
    assert scan.data.shape[0] == 20
    np.testing.assert_allclose(scan.frame_times_ms, STEP_MS * np.arange(20))


@pytest.mark.parametrize("lost", [0, 9])
def test_time_of_a_phase_that_no_slice_has_continues_the_steps(tmp_path, lost):
    def edit(ds, t, z):
        ds.TemporalPositionIdentifier, ds.CardiacNumberOfImages = t + 1, 20

    scan = one_series(write_cine(tmp_path, frames=20, slices=1, skip=[(lost, 0)], edit=edit))
    assert scan.missing == ((lost, 0),)
    np.testing.assert_allclose(scan.frame_times_ms, STEP_MS * np.arange(20))


def test_last_phase_missing_from_every_slice_is_reported(tmp_path):
    def edit(ds, t, z):
        ds.CardiacNumberOfImages = FRAMES

    skip = [(FRAMES - 1, z) for z in range(SLICES)]
    scan = one_series(write_cine(tmp_path, skip=skip, edit=edit))
    np.testing.assert_array_equal(scan.data, stack(FRAMES - 1, SLICES))
    assert any("announces 8 phases, 7 were found" in w for w in scan.provenance.warnings)


def test_slices_that_lack_different_frames_are_each_matched(tmp_path):
    places = [(1, 0), (5, 1), (2, 2), (3, 3)]

    def edit(ds, t, z):
        ds.CardiacNumberOfImages = FRAMES

    scan = one_series(write_cine(tmp_path, skip=places, edit=edit))
    assert set(scan.missing) == set(places)


def test_many_missing_frames_are_counted_per_slice(tmp_path):
    skip = [(t, 1) for t in range(1, 7)]
    scan = one_series(write_cine(tmp_path, skip=skip))
    assert len(scan.missing) == 6
    np.testing.assert_array_equal(scan.data[:, [0, 2, 3]], stack(FRAMES, SLICES)[:, [0, 2, 3]])
    assert any("6 in slice 2" in w for w in scan.provenance.warnings)


def test_slice_with_more_phases_shows_those_nearest_in_time(tmp_path):
    write_cine(tmp_path)
    for t in range(2 * FRAMES):  # slice 4 with half the step
        ds = frame(t, 4, TriggerTime=STEP_MS / 2 * t, InstanceNumber=900 + t)
        save(ds, tmp_path / f"slice4-{t}")
    scan = one_series(tmp_path)
    assert scan.data.shape[:2] == (FRAMES, SLICES + 1)
    np.testing.assert_array_equal(scan.data[:, 4], [picture(2 * t, 4) for t in range(FRAMES)])
    assert any("16 phases where others have 8" in w for w in scan.provenance.warnings)


def test_same_file_twice_is_used_once_and_reported(tmp_path):
    write_cine(tmp_path)
    copied = next(p for p in sorted(tmp_path.iterdir()))
    (tmp_path / "again").write_bytes(copied.read_bytes())
    scan = one_series(tmp_path)
    np.testing.assert_array_equal(scan.data, stack(FRAMES, SLICES))
    assert any("1 frame is there twice" in w for w in scan.provenance.warnings)


@pytest.mark.parametrize("slices", [1, SLICES])
def test_of_doubled_frames_the_later_is_used_and_reported(tmp_path, slices):
    write_cine(tmp_path, slices=slices)
    save(frame(3, 0, InstanceNumber=999, SOPInstanceUID="1.2.3"), tmp_path / "zz")
    later = frame(3, 0, InstanceNumber=1000, SOPInstanceUID="1.2.4")
    set_pixels(later, picture(3, 0) + 5000)
    save(later, tmp_path / "00")
    scan = one_series(tmp_path)
    expected = stack(FRAMES, slices)
    expected[3, 0] += 5000
    np.testing.assert_array_equal(scan.data, expected)
    assert any("2 doubled frames" in w for w in scan.provenance.warnings)


def test_doubled_and_missing_frame_of_one_slice_do_not_hide_each_other(tmp_path):
    write_cine(tmp_path, frames=12, slices=12, skip=[(4, 2)])
    save(frame(9, 2, InstanceNumber=999), tmp_path / "zz")
    scan = one_series(tmp_path)
    assert scan.missing == ((4, 2),)
    assert scan.provenance.order_rule == "TriggerTime"


def test_slice_acquired_again_in_the_series_is_taken_from_the_last_time(tmp_path):
    write_cine(tmp_path)
    for t in range(FRAMES):
        ds = frame(t, 1, TriggerTime=1.1 * STEP_MS * t, InstanceNumber=500 + t)
        set_pixels(ds, picture(t, 1) + 5000)
        save(ds, tmp_path / f"again-{t}")
    scan = one_series(tmp_path)
    expected = stack(FRAMES, SLICES)
    expected[:, 1] += 5000
    np.testing.assert_array_equal(scan.data, expected)
    assert any("acquired more than once" in w for w in scan.provenance.warnings)


# Unequal gaps ----------------------------------------------------------------


def test_unequal_gap_keeps_positions_and_says_where(tmp_path):
    def edit(ds, t, z):
        depth = GAP_MM * (z if z < 2 else z + 1)
        ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + depth * NORMAL]

    scan = one_series(write_cine(tmp_path, slices=5, edit=edit))
    assert scan.geometry.spacing_mm[0] == pytest.approx(GAP_MM, rel=1e-5)
    np.testing.assert_allclose(scan.geometry.slice_positions_mm, [0, 9, 27, 36, 45], atol=1e-3)
    assert any("18.0 mm between slices 2 and 3" in w for w in scan.provenance.warnings)


def test_of_two_unlike_gaps_the_narrow_one_is_the_slice_distance(tmp_path):
    """Half way between them lies a distance at which there are no slices."""

    def edit(ds, t, z):
        depth = GAP_MM * (z if z < 2 else z + 1)
        ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + depth * NORMAL]

    scan = one_series(write_cine(tmp_path, slices=3, edit=edit))
    assert scan.geometry.spacing_mm[0] == pytest.approx(GAP_MM, rel=1e-5)
    (said,) = scan.provenance.warnings
    assert "18.0 mm between slices 2 and 3, 9.0 mm otherwise" in said


def test_gaps_within_two_percent_are_equal(tmp_path):
    def edit(ds, t, z):
        depth = GAP_MM * z + (0.1 if z == 2 else 0)
        ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + depth * NORMAL]

    scan = one_series(write_cine(tmp_path, edit=edit))
    assert scan.geometry.slice_positions_mm is None


def test_slices_displaced_in_their_plane_are_reported(tmp_path):
    def edit(ds, t, z):
        shift = 12.0 * ROW if z == 2 else 0 * ROW
        ds.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + z * GAP_MM * NORMAL + shift]

    scan = one_series(write_cine(tmp_path, edit=edit))
    assert any("displaced in their plane by up to 12.0 mm" in w for w in scan.provenance.warnings)
