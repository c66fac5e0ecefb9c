"""Every rule is tripped by its own fault, at the right place, and by no healthy heart."""

import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import (
    REFERENCE_RANGES,
    RULES,
    check,
    ef_class,
)
from napari_cardioxai.scans.contours import contour_masks
from napari_cardioxai.scans.geometry import LPS_TO_RAS, Geometry, spacing_of
from napari_cardioxai.scans.nifti import read_nifti
from napari_cardioxai.scans.scan import Provenance, Scan
from tests.shared_data import shared_data

FRAMES, SLICES, ROWS, COLUMNS = 20, 10, 80, 110
SPACING = (8.0, 1.4, 1.4)
TIMES = np.arange(FRAMES) * 45.0
TAPER = (0, 0.25, 0.55, 0.8, 0.95, 1.0, 1.0, 1.0, 1.0, 0)  # apex to base, both ends empty


def by_distance(y0, x0):
    """Indices of all pixels, those nearest to a point first."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return np.argsort(np.hypot(y - y0, x - x0), axis=None, kind="stable")


def heart_data(frames=FRAMES, *, lv=1400, emptied=0.58, myo=1000, rv_more=300):
    """Concentric rings and an RV crescent; muscle and stroke volumes are equal to the pixel."""
    data = np.zeros((frames, SLICES, ROWS * COLUMNS), np.uint8)
    left, right = by_distance(40, 65), by_distance(40, 38)
    for t in range(frames):
        beat = emptied * np.sin(np.pi * t / frames) ** 2
        for z, part in enumerate(TAPER):
            if part:
                cavity = round(lv * part * (1 - beat))
                picture = data[t, z]
                picture[left[: cavity + round(myo * part)]] = 2
                picture[left[:cavity]] = 1
                free = right[picture[right] == 0]
                picture[free[: cavity + round(rv_more * part)]] = 3
    return data.reshape(frames, SLICES, ROWS, COLUMNS)


@pytest.fixture(scope="module")
def _heart():
    return heart_data()


@pytest.fixture
def data(_heart):
    return _heart.copy()


def labels_of(data, **more):
    frames = len(data)
    times = TIMES if frames == FRAMES else None
    return Labels(
        data, **{"geometry": Geometry(SPACING), "frame_times_ms": times, "cycle_ms": 900.0, **more}
    )


def scan_of(data, **more):
    images = np.random.default_rng(0).normal(size=data.shape).astype(np.float32)
    return Scan(
        images,
        Geometry(SPACING),
        Provenance(Path("test")),
        **{"frame_times_ms": TIMES, "cycle_ms": 900.0, **more},
    )


def tripped(report, rule):
    return [finding for finding in report.findings if finding.rule == rule]


def only(report, rule):
    """The one finding of a rule."""
    (finding,) = tripped(report, rule)
    return finding


def reason(report, rule):
    (left_out,) = [r for r in report.not_applicable if r.rule == rule]
    return left_out.reason


def test_a_healthy_heart_trips_nothing_and_every_rule_is_judged(data):
    report = check(labels_of(data), scan=scan_of(data))
    assert [f.sentence for f in report.findings] == []
    assert report.not_applicable == ()
    assert {f.rule for f in report.passed} == {rule.key for rule in RULES}


def test_every_rule_names_its_source_and_has_a_key_of_its_own():
    assert len({rule.key for rule in RULES}) == len(RULES)
    assert all(rule.source and rule.title and rule.advice for rule in RULES)


# Which structures are labelled where -------------------------------------------


def test_a_frame_without_labels_is_missed_where_the_others_have_them(data):
    data[6] = 0
    finding = only(check(labels_of(data)), "presence")
    assert (finding.frame, finding.slice, finding.severity) == (6, None, "warning")
    assert "frame 7" in finding.sentence


def test_a_structure_that_a_frame_lacks_is_named(data):
    data[4][data[4] == 3] = 0
    finding = only(check(labels_of(data)), "presence")
    assert (finding.frame, finding.structure, finding.value) == (4, 3, 0)
    assert finding.sentence.startswith("RV cavity is not labelled in frame 5")


def test_nine_pixels_are_too_few_and_ten_are_enough(data):
    for count, found in ((9, 1), (10, 0)):
        few = data.copy()
        few[4][few[4] == 3] = 0
        few[4, 5].flat[np.flatnonzero(few[4, 5] == 0)[:count]] = 3
        assert len(tripped(check(labels_of(few)), "presence")) == found


def test_a_cavity_without_muscle_around_is_found_in_its_slice(data):
    data[3:6, 7][data[3:6, 7] == 2] = 0
    finding = only(check(labels_of(data)), "presence")
    assert (finding.slice, finding.frame, finding.structure) == (7, 3, 2)
    assert "2 more frames" in finding.sentence


def test_labels_in_two_frames_only_are_end_diastole_and_systole_and_no_fault(data):
    data[[t for t in range(FRAMES) if t not in (0, 10)]] = 0
    report = check(labels_of(data))
    assert report.findings == ()
    assert "18 of 20 frames" in reason(report, "cycle_closure")
    assert [f.value for f in report.passed if f.rule == "stroke_volumes"] == [
        pytest.approx(0.0, abs=1e-9)
    ]


def test_five_slices_are_too_few_for_a_heart_and_six_are_enough(data):
    for keep, found in ((5, True), (6, False)):
        stack = data.copy()
        stack[:, 1 + keep :] = 0
        report = check(labels_of(stack))
        assert bool(tripped(report, "slice_count")) is found


def test_a_gap_between_slices_is_found(data):
    data[2, 4][data[2, 4] == 3] = 0
    finding = only(check(labels_of(data)), "slice_gaps")
    assert (finding.slice, finding.frame, finding.structure, finding.value) == (4, 2, 3, 1)


def test_a_cavity_that_fills_the_last_slice_is_cut_off(data):
    report = check(labels_of(data[:, :-2]))  # the stack now ends within the base
    finding = only(report, "coverage")
    assert finding.slice == SLICES - 3 and "base" in finding.sentence
    assert finding.value == pytest.approx(1.0)
    lost = check(labels_of(data[:, 2:]))  # the first slice is now one with 0.55 of the area
    finding = only(lost, "coverage")
    assert finding.slice == 0 and "apex" in finding.sentence
    assert finding.value == pytest.approx(0.55, abs=0.01)


def test_a_true_apex_in_the_first_slice_is_no_fault(data):
    report = check(labels_of(data[:, 1:]))  # 0.25 of the area
    assert not tripped(report, "coverage")


def test_swapped_cavities_are_told_from_the_shapes(data):
    swapped = np.array([0, 3, 2, 1], np.uint8)[data]  # ACDC values, read as if ours
    finding = only(check(labels_of(swapped)), "label_convention")
    assert finding.severity == "warning"
    assert "it is the RV cavity that the Myocardium encloses" in finding.sentence


# Shape -------------------------------------------------------------------------


def test_a_stray_piece_is_found_in_its_slice(data):
    data[8, 6, 2:22, 2:32] = 1  # 600 pixels of the about 4000 at end-systole
    finding = only(check(labels_of(data)), "components")
    assert (finding.slice, finding.frame, finding.structure) == (6, 8, 1)
    total = np.count_nonzero(data[8] == 1)
    assert finding.value == pytest.approx(1 - 600 / total)


def test_a_piece_below_a_twentieth_is_let_pass_and_a_speck_is_not(data):
    data[8, 6, 2:4, 2:6] = 1  # 8 voxels
    report = check(labels_of(data))
    assert not tripped(report, "components") and not tripped(report, "specks")
    data[8, 6, 2, 2] = 0  # 7 voxels
    finding = only(check(labels_of(data)), "specks")
    assert (finding.slice, finding.frame, finding.value, finding.severity) == (6, 8, 7, "info")


def test_pieces_of_neighbouring_frames_are_not_joined_through_time(data):
    stray = data.copy()
    stray[8, 5, 20:60, 95:109] = 2  # touches nothing in its own frame
    stray[9, 5][:, 80:] = 2  # in the next frame it would touch the heart
    assert any(f.frame == 8 for f in tripped(check(labels_of(stray)), "components"))


@pytest.mark.parametrize(("pixels", "found"), [(3, False), (4, True)])
def test_a_hole_of_background_is_found(data, pixels, found):
    data[5, 5, 40, 65 : 65 + pixels] = 0  # in the middle of the cavity
    findings = tripped(check(labels_of(data)), "holes")
    assert bool(findings) is found
    if found:
        assert (findings[0].slice, findings[0].frame, findings[0].value) == (5, 5, 4)


def test_a_hole_between_muscle_and_rv_counts_too(data):
    front = np.argwhere(data[5, 5] == 2)
    y, x = front[np.argmin(front[:, 1])]  # the muscle's pixel nearest to the RV's middle
    data[5, 5, y - 1 : y + 2, x - 1 : x + 2] = 0
    finding = only(check(labels_of(data)), "holes")
    assert (finding.slice, finding.frame) == (5, 5)
    assert finding.value == pytest.approx(9, abs=3)


def test_muscle_labelled_inside_the_cavity_is_a_papillary_and_no_hole(data):
    data[5, 5, 38:42, 63:67] = 2
    assert not tripped(check(labels_of(data)), "holes")


def test_an_open_wall_is_found_and_its_size_decides_the_severity():
    square = np.zeros((1, 1, 40, 40), np.uint8)
    square[0, 0, 5:35, 5:35] = 2
    square[0, 0, 10:30, 10:30] = 1  # 20 x 20, so 80 edges
    report = check(labels_of(square))
    assert not tripped(report, "lv_on_background")
    for opened, severity in ((12, "info"), (24, "warning")):
        wall = square.copy()
        wall[0, 0, 10 : 10 + opened // 2, 30:35] = 0
        wall[0, 0, 10 : 10 + opened // 2, 5:10] = 0
        finding = only(check(labels_of(wall)), "lv_on_background")
        assert finding.value == pytest.approx(opened / 80)
        assert finding.severity == severity


@pytest.mark.parametrize("flipped", [False, True])
def test_what_the_valve_plane_may_cause_is_an_info_at_the_base_only(data, flipped):
    right = np.arange(COLUMNS) > 65
    for z in (5, 8):  # the middle and the uppermost slice
        data[0, z][(data[0, z] == 2) & right] = 0
        data[10, z, 39:42, 64:67] = 0
    stack = data[:, ::-1] if flipped else data
    report = check(labels_of(stack))
    middle, base = (4, 1) if flipped else (5, 8)
    for rule in ("lv_on_background", "holes"):
        found = {f.slice: f.severity for f in tripped(report, rule)}
        assert found == {middle: "warning", base: "info"}


def test_edges_are_weighed_by_the_size_of_a_pixel():
    square = np.zeros((1, 1, 40, 40), np.uint8)
    square[0, 0, 5:35, 5:35] = 2
    square[0, 0, 10:30, 10:30] = 1
    square[0, 0, 10:30, 30:35] = 0  # the right side: 20 edges along y
    tall = labels_of(square, geometry=Geometry((8.0, 3.0, 1.0)))
    finding = only(check(tall), "lv_on_background")
    assert finding.value == pytest.approx(20 * 3 / (2 * 20 * 3 + 2 * 20 * 1))


def test_cavities_that_touch_are_found(data):
    septum = (data[9, 6] == 2) & (np.arange(COLUMNS) < 60)
    data[9, 6][septum] = 3
    finding = only(check(labels_of(data)), "lv_on_rv")
    assert (finding.slice, finding.frame) == (6, 9) and finding.value > 0.05


def ring(shift):
    """A cavity of radius 15 in a disc of radius 25 that is `shift` pixels away."""
    y, x = np.mgrid[:100, :100]
    data = np.zeros((1, 1, 100, 100), np.uint8)
    data[0, 0][np.hypot(y - 50, x - 50 - shift) < 25] = 2
    data[0, 0][np.hypot(y - 50, x - 50) < 15] = 1
    return data


@pytest.mark.parametrize(("shift", "found"), [(0, False), (5, False), (9, True)])
def test_displaced_contours_are_found_from_their_centres(shift, found):
    # Inside the disc the cavity does not change the whole, whose centre is `shift` away.
    report = check(labels_of(ring(shift)))
    assert bool(tripped(report, "displaced_contours")) is found
    (finding,) = [f for f in (*report.findings, *report.passed) if f.rule == "displaced_contours"]
    assert finding.value == pytest.approx(shift / 25, abs=0.01)


def test_centres_are_not_compared_at_the_base(data):
    for z, found in ((8, False), (5, True)):
        shifted = data.copy()
        wall = shifted[0, z] == 2
        shifted[0, z][wall] = 0
        shifted[0, z][np.roll(wall, (-12, 16), axis=(0, 1)) & (shifted[0, z] == 0)] = 2
        assert bool(tripped(check(labels_of(shifted)), "displaced_contours")) is found


def test_muscle_that_is_open_over_a_third_of_the_circle_is_not_taken_for_displaced():
    data = ring(0)
    y, x = np.mgrid[:100, :100]
    data[0, 0][(data[0, 0] == 2) & (np.abs(np.arctan2(y - 50, x - 50)) < np.pi / 3)] = 0
    assert not tripped(check(labels_of(data)), "displaced_contours")


# Over the cycle ----------------------------------------------------------------


def test_a_cycle_that_does_not_close_is_found(data):
    cut = data[:15]  # ends in early filling
    finding = tripped(check(labels_of(cut)), "cycle_closure")[0]
    first, last = (np.count_nonzero(cut[t] == 1) for t in (0, 14))
    assert finding.value == pytest.approx((first - last) / first)
    assert finding.frame == 14 and f"-{100 * finding.value:.0f}%" in finding.sentence


def test_stroke_volumes_that_differ_are_found():
    # The RV loses what the LV loses; drop a part of its basal slices at end-systole.
    data = heart_data()
    es = int(np.argmin(np.count_nonzero(data == 1, axis=(1, 2, 3))))
    data[es, 8][data[es, 8] == 3] = 0
    lv, rv = (np.count_nonzero(data == value, axis=(1, 2, 3)) for value in (1, 3))
    finding = only(check(labels_of(data)), "stroke_volumes")
    strokes = np.ptp(lv), np.ptp(rv)
    assert finding.value == pytest.approx(abs(strokes[0] - strokes[1]) / strokes[0])
    assert finding.frame == es and "regurgitation" in finding.sentence


@pytest.mark.parametrize(("drop", "severity"), [(0.2, "info"), (0.5, "warning")])
def test_mass_that_changes_is_an_info_first_and_a_warning_when_grave(data, drop, severity):
    muscle = np.flatnonzero(data[10] == 2)
    data[10].flat[muscle[: round(drop * len(muscle))]] = 0
    finding = only(check(labels_of(data)), "mass_over_cycle")
    assert (finding.frame, finding.severity) == (10, severity)
    assert finding.value == pytest.approx(drop, abs=1e-3)
    assert finding.threshold == (0.10 if severity == "info" else 0.35)


def test_a_jump_from_one_frame_to_the_next_is_found(data):
    data[1] = data[10]  # end-systole right after end-diastole
    finding = tripped(check(labels_of(data)), "volume_jump")[0]
    volumes = np.count_nonzero(data == 1, axis=(1, 2, 3))
    assert finding.value == pytest.approx((volumes[0] - volumes[1]) / volumes.max())
    assert finding.frame == 1 and "from frame 1 to 2" in finding.sentence


def test_seven_frames_are_too_few_and_eight_are_enough():
    for frames, found in ((7, True), (8, False)):
        report = check(labels_of(heart_data(frames)))
        assert bool(tripped(report, "frame_count")) is found
        assert any(r.rule == "cycle_closure" for r in report.not_applicable) is found


def test_times_that_disagree_with_the_heart_rate_are_found(data):
    finding = only(check(labels_of(data, cycle_ms=1200.0)), "frame_timing")
    assert finding.value == pytest.approx((1200 - 20 * 45) / 1200)


def test_frames_that_go_back_in_time_are_found(data):
    times = TIMES.copy()
    times[7] = times[5]
    finding = only(check(labels_of(data, frame_times_ms=times)), "frame_timing")
    assert finding.frame == 7


def test_frames_too_far_apart_in_time_are_an_info(data):
    report = check(labels_of(data, frame_times_ms=np.arange(FRAMES) * 50.0, cycle_ms=1000.0))
    finding = only(report, "frame_interval")
    assert (finding.value, finding.severity) == (pytest.approx(50.0), "info")


# The scan ----------------------------------------------------------------------


def test_a_frame_that_is_there_twice_is_found_in_all_its_slices(data):
    scan = scan_of(data)
    scan.data[11] = scan.data[10]
    finding = only(check(labels_of(data), scan=scan), "duplicate_frames")
    assert finding.frame == 11
    assert finding.sentence.startswith("Frames 11 and 12 show the same image in slices 1, 2, ")


def test_a_slice_that_is_there_twice_is_found(data):
    scan = scan_of(data)
    scan.data[:, 4] = scan.data[:, 3]
    report = check(labels_of(data), scan=scan)
    finding = only(report, "duplicate_slices")
    assert finding.slice == 4 and "Slices 4 and 5" in finding.sentence
    assert not tripped(report, "duplicate_frames")


def test_empty_and_missing_images_are_no_duplicates(data):
    scan = scan_of(data)
    scan.data[:, 0] = 0
    scan.data[5, 3] = scan.data[6, 3] = 1.0
    report = check(labels_of(data), scan=replace(scan, missing=((5, 3), (6, 3))))
    assert not tripped(report, "duplicate_frames")
    finding = only(report, "missing_frames")
    assert (finding.slice, finding.frame) == (3, 5) and "1 more frame" in finding.sentence


@pytest.mark.parametrize("spacing", [(1.0, 1.4, 1.4), (20.0, 2.0, 2.0)])
def test_voxels_of_an_implausible_size_are_found(data, spacing):
    finding = only(check(labels_of(data, geometry=Geometry(spacing))), "voxel_volume")
    assert finding.value == pytest.approx(np.prod(spacing))
    assert finding.threshold == (5.0 if finding.value < 5 else 60.0)


def test_a_missing_slice_shows_in_the_distances(data):
    positions = tuple(8.0 * (z + (z > 4)) for z in range(SLICES))
    geometry = Geometry(SPACING, slice_positions_mm=positions)
    finding = only(check(labels_of(data, geometry=geometry)), "slice_spacing")
    assert finding.slice == 4 and finding.value == pytest.approx(2.0)


# Beside healthy hearts ---------------------------------------------------------


def test_a_weak_heart_is_unusual_and_not_faulty():
    report = check(labels_of(heart_data(emptied=0.2, lv=2000)))
    assert {f.kind for f in report.findings} == {"physiology"}
    assert {f.severity for f in report.findings} == {"info"}
    finding = only(report, "lv_ef_reference")
    assert finding.value == pytest.approx(20, abs=0.5)
    assert "reduced" in finding.sentence and "Petersen 2017" in finding.sentence
    assert "papillary" in finding.sentence
    assert report.as_json()["open_warnings"] == 0


@pytest.mark.parametrize(
    ("quantity", "heart", "limit"),
    [
        ("lv_edv", {"lv": 2800, "emptied": 0.75}, 160 + 1.96 * 29),
        ("lv_esv", {"emptied": 0.1}, 50 + 1.96 * 16),
        ("rv_edv", {"rv_more": 1400}, 190 + 1.96 * 33),
        ("rv_esv", {"rv_more": 1400}, 78 + 1.96 * 20),
    ],
)
def test_volumes_beyond_those_of_healthy_adults_are_unusual(quantity, heart, limit):
    report = check(labels_of(heart_data(**heart)))
    finding = only(report, f"{quantity}_reference")
    assert finding.threshold == pytest.approx(limit) and finding.value > limit
    assert finding.kind == "physiology" and "Hudsmith 2005" in finding.sentence


def test_limits_are_those_of_both_sexes_together():
    low, high = REFERENCE_RANGES["lv_edv_reference"].limits
    assert (low, high) == (pytest.approx(135 - 1.96 * 26), pytest.approx(160 + 1.96 * 29))


@pytest.mark.parametrize(
    ("percent", "name"),
    [
        (40, "reduced"),
        (40.5, "mildly reduced"),
        (49.9, "mildly reduced"),
        (50, "preserved"),
    ],
)
def test_ejection_fraction_classes_leave_no_gap(percent, name):
    assert ef_class(percent) == name


# What cannot be judged ---------------------------------------------------------


def test_a_model_that_knows_the_cavity_only_fails_no_rule(data):
    data[data != 1] = 0
    report = check(labels_of(data))
    assert report.findings == ()
    assert reason(report, "lv_on_background") == "No Myocardium is labelled."
    assert reason(report, "stroke_volumes") == "No RV cavity is labelled."
    assert reason(report, "duplicate_frames") == "The labels were checked without their scan."
    assert "coverage" in {f.rule for f in report.passed}


def test_nothing_labelled_is_not_judged(data):
    report = check(labels_of(np.zeros_like(data)))
    assert report.findings == ()
    assert reason(report, "holes") == "Nothing is labelled."


def test_one_slice_of_one_frame_without_a_size_is_judged_as_far_as_it_goes(data):
    picture = data[:1, 5:6]
    report = check(Labels(picture, Geometry(None)))
    assert report.findings == ()
    assert {"holes", "components", "displaced_contours"} <= {f.rule for f in report.passed}
    left_out = {r.rule for r in report.not_applicable}
    assert {"voxel_volume", "cycle_closure", "coverage", "lv_ef_reference"} <= left_out


def test_labels_that_reach_the_border_of_the_image_are_judged(data):
    part = data[:, :, 12:, :]  # cuts through RV and muscle or leaves them at the border
    assert check(labels_of(part)).passed


# For programs ------------------------------------------------------------------


def test_the_report_is_json_with_places_from_zero_and_words_from_one(data):
    data[5, 5, 40, 65:70] = 0
    content = json.loads(json.dumps(check(labels_of(data), scan=scan_of(data)).as_json()))
    (finding,) = content["findings"]
    assert (finding["rule"], finding["slice"], finding["frame"]) == ("holes", 5, 5)
    assert "slice 6, frame 6" in finding["sentence"]
    assert finding["passed"] is False and finding["overruled"] is None
    assert content["open_warnings"] == 1


def test_warnings_come_before_infos(data):
    data[8, 6, 2, 2:5] = 1  # a speck
    data[5, 5, 40, 65:70] = 0  # a hole
    report = check(labels_of(data))
    assert [f.severity for f in report.findings] == ["warning", "info"]


def test_an_earlier_report_spares_reading_the_images_again(data):
    scan = scan_of(data)
    scan.data[11] = scan.data[10]
    earlier = check(labels_of(data), scan=scan)
    data[5, 5, 40, 65:70] = 0
    unreadable = replace(scan, data=None)
    report = check(labels_of(data), scan=unreadable, earlier=earlier)
    assert {f.rule for f in report.findings} == {"duplicate_frames", "holes"}


def test_a_whole_cine_is_checked_within_a_second_of_work(data):
    cine = np.zeros((20, 12, 256, 256), np.uint8)
    cine[:, 1:11, 88:168, 73:183] = data
    labels = labels_of(cine)
    scan = scan_of(cine)
    start = time.process_time()
    report = check(labels, scan=scan)
    assert time.process_time() - start < 1.0
    assert report.findings == ()


# Real hearts -------------------------------------------------------------------


def contoured(study):
    """Labels from the manual contours of a Sunnybrook study."""
    folder = shared_data("sunnybrook-dicom") / study
    slices = len(list(folder.rglob("*.dcm"))) // FRAMES
    files = {int(path.stem): path for path in folder.rglob("*.dcm")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = pydicom.dcmread(files[1])
        bottom = pydicom.dcmread(files[1 + FRAMES * (slices - 1)])
        along_row, along_column = np.reshape(top.ImageOrientationPatient, (2, 3)).astype(float)
        dy, dx = map(float, top.PixelSpacing)
        start, end = (np.array(f.ImagePositionPatient, float) for f in (top, bottom))
    lps = np.eye(4)
    lps[:3] = np.column_stack(
        [along_row * dx, along_column * dy, (end - start) / (slices - 1), start]
    )
    affine = LPS_TO_RAS @ lps
    empty = np.zeros((FRAMES, slices, top.Rows, top.Columns), np.uint8)
    scan = Scan(empty, Geometry(spacing_of(affine), affine), Provenance(folder))
    masks = contour_masks(folder, scan)
    data = empty.copy()
    for place, mask in masks.outer.items():
        data[place][mask] = 2
    for place, mask in masks.inner.items():
        data[place][mask] = 1
    return Labels(data, scan.geometry)


def test_epicardial_contours_of_another_patient_are_found():
    # Those of SC-HF-I-6 are, byte for byte, those of SC-HF-I-1.
    findings = tripped(check(contoured("SC-HF-I-6")), "displaced_contours")
    assert {f.slice for f in findings} >= {5, 6, 7, 8, 9, 10}
    assert {f.frame for f in findings} == {18}
    assert max(f.value for f in findings) > 0.5


def test_contours_that_belong_together_raise_no_warning():
    report = check(contoured("SC-HF-I-1"))
    assert not tripped(report, "displaced_contours")
    assert [f for f in report.findings if f.severity == "warning"] == []
    assert "reduced" in only(report, "lv_ef_reference").sentence


@pytest.mark.parametrize("subject", ["A", "B", "C"])
def test_hand_drawn_labels_of_three_structures_raise_no_warning_on_their_own_grid(subject):
    folder = shared_data("sax-ed-lv-myo-rv") / subject
    report = check(read_labels(folder / "seg_sa_ED.nii.gz"))
    assert [f.sentence for f in report.findings if f.severity == "warning"] == []


def test_a_stack_that_ends_in_the_basal_cavity_is_found():
    # The scan of B has no slice above the last one with cavity; its own label grid has.
    folder = shared_data("sax-ed-lv-myo-rv") / "B"
    scan = read_nifti(folder / "sa_ED.nii.gz")
    report = check(read_labels(folder / "seg_sa_ED.nii.gz", scan=scan), scan=scan)
    assert only(report, "coverage").slice == 11
