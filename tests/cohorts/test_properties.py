from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.cohorts.properties import (
    NAMES,
    NOT_ANATOMY,
    property_name,
    property_title,
    read_properties,
)
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti

SPACING = (8.0, 2.0, 1.5)
TIMES = np.array([0.0, 200.0, 400.0, 600.0])


def a_box_heart() -> Labels:
    """An LV of 10 x 8 pixels that halves in frame 2, in muscle of 14 x 12; 4 frames, 3 slices."""
    data = np.zeros((4, 3, 40, 60), np.uint8)
    data[:, 1, 23:37, 28:40] = 2
    data[:, 1, 25:35, 30:38] = 1
    data[2, 1, 25:30, 30:38] = 2
    return Labels(data, Geometry(SPACING, np.diag([-1.5, -2.0, 8.0, 1.0])), TIMES, 800.0)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.nii.gz"
    write_labels(path, a_box_heart())
    return path


@pytest.fixture
def scan(tmp_path):
    """Blood 600, muscle 200, the rest 10; at end-systole everything is 5000."""
    data = np.choose(a_box_heart().data, (10, 600, 200)).astype(np.int16)
    data[2] = 5000
    path = tmp_path / "scan.nii.gz"
    write_nifti(path, data, a_box_heart().geometry, frame_times_ms=TIMES, cycle_ms=800.0)
    return path


def test_labels_give_grid_size_and_place_by_hand(labels):
    found = read_properties((labels, None))
    assert found.failed is None
    values = found.values
    assert (values["frames"], values["slices"], values["rows"], values["columns"]) == (4, 3, 40, 60)
    assert (values["pixel_mm"], values["slice_mm"]) == (2.0, 8.0)
    assert values["heart_rate_bpm"] == pytest.approx(75)
    assert values["edv_ml"] == pytest.approx(80 * 24 / 1000)
    assert values["ef_percent"] == pytest.approx(50)
    assert values["lv_diameter_mm"] == pytest.approx(2 * np.sqrt(80 * 3 / np.pi), rel=1e-5)
    # Centre (29.5, 33.5) in pixels, of a picture whose own is (19.5, 29.5).
    assert values["lv_down_mm"] == pytest.approx(10 * 2.0)
    assert values["lv_right_mm"] == pytest.approx(4 * 1.5)
    voxels = 4 * 3 * 40 * 60
    assert values["lv_share"] == pytest.approx((3 * 80 + 40) / voxels, rel=1e-5)
    assert values["myo_share"] == pytest.approx((3 * 88 + 128) / voxels, rel=1e-5)
    assert values["rv_share"] == 0


def test_a_scan_gives_intensities_of_the_frame_at_end_diastole(labels, scan):
    values = read_properties((labels, scan)).values
    assert values["blood_intensity"] == 600 and values["contrast"] == pytest.approx(3)
    first = np.choose(a_box_heart().data[0], (10, 600, 200))
    assert values["intensity_mean"] == pytest.approx(first.mean(), rel=1e-5)
    assert values["intensity_sd"] == pytest.approx(first.std(), rel=1e-5)
    assert values["intensity_p99"] == pytest.approx(np.percentile(first, 99))


def test_a_scan_alone_has_no_heart(scan):
    values = read_properties((None, scan)).values
    assert values["frames"] == 4 and "intensity_mean" in values
    assert not {"edv_ml", "lv_share", "blood_intensity", "contrast"} & set(values)


def test_labels_on_another_grid_do_not_say_where_blood_is(tmp_path, scan):
    heart = a_box_heart()
    path = tmp_path / "other.nii.gz"
    write_labels(path, replace(heart, data=heart.data[:, :, :, :50]))
    values = read_properties((path, scan)).values
    assert "intensity_mean" in values and "blood_intensity" not in values
    assert values["columns"] == 60, "the scan's grid counts"


def test_labels_without_a_ventricle_have_shares_only(tmp_path):
    heart = a_box_heart()
    path = tmp_path / "muscle.nii.gz"
    write_labels(path, replace(heart, data=np.uint8(2) * (heart.data > 0)))
    values = read_properties((path, None)).values
    assert values["lv_share"] == 0 and values["myo_share"] > 0
    assert not {"edv_ml", "lv_down_mm", "lv_diameter_mm"} & set(values)


def test_what_cannot_be_read_keeps_what_could_and_the_reason(tmp_path, labels):
    broken = tmp_path / "scan.nii.gz"
    broken.write_bytes(b"no image")
    found = read_properties((labels, broken))
    assert "edv_ml" in found.values and "scan.nii.gz" in found.failed
    assert read_properties((None, None)).values == {}


def test_every_property_has_a_name_and_what_is_no_anatomy_is_among_them(labels, scan):
    assert set(read_properties((labels, scan)).values) == set(NAMES)
    assert set(NOT_ANATOMY) < set(NAMES)
    assert not {"edv_ml", "ef_percent", "lv_diameter_mm"} & set(NOT_ANATOMY)


def test_titles_have_units_and_names_in_sentences_have_none():
    assert property_title("pixel_mm") == "Pixel size (mm)"
    assert property_name("pixel_mm") == "Pixel size"
    missing = "heart_rate_bpm: is missing"
    assert property_title(missing) == property_name(missing) == "Heart rate is missing"
    assert property_title("low EF") == property_name("low EF") == "low EF"
