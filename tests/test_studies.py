import numpy as np
import pytest

from napari_cardioxai import studies
from napari_cardioxai.anatomy.volumes import volume_curve_ml
from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.contours import contour_masks
from napari_cardioxai.scans.samples import sample_path


@pytest.fixture(scope="module")
def analysed():
    return studies.analyze(sample_path())


def test_the_shipped_model_labels_a_heart_that_it_never_saw(analysed):
    """The readers' contours of the sample, which its model was not trained on."""
    truth = contour_masks(sample_path(), analysed.scan).inner
    labels = analysed.segmentation.labels.data
    overlap = sum(int((labels[t, z][mask] == 1).sum()) for (t, z), mask in truth.items())
    both = sum(int((labels[t, z] == 1).sum() + mask.sum()) for (t, z), mask in truth.items())
    assert 2 * overlap / both > 0.88


def test_volumes_of_the_sample_are_near_those_of_the_readers(analysed):
    found = analysed.measurements
    # From the area inside the contours: EDV 191 mL, ESV 141 mL, EF 26 %.
    assert found.edv_ml == pytest.approx(191, rel=0.10)
    assert found.esv_ml == pytest.approx(141, rel=0.10)
    assert found.ef_percent == pytest.approx(26, abs=4)
    assert abs(found.es_frame - 7) <= 2


def test_labels_keep_the_grid_and_the_time_of_the_scan(analysed):
    scan, labels = analysed.scan, analysed.segmentation.labels
    assert labels.data.shape == scan.data.shape
    assert labels.geometry is scan.geometry
    np.testing.assert_array_equal(labels.frame_times_ms, scan.frame_times_ms)
    np.testing.assert_allclose(analysed.measurements.volume_ml, volume_curve_ml(labels))


def test_slices_beyond_the_base_are_left_and_said(analysed):
    assert any("beyond the base" in note for note in analysed.measurements.notes)


def test_quality_is_that_of_the_labels_and_of_the_images(analysed):
    found = {f.rule for f in (*analysed.quality.findings, *analysed.quality.passed)}
    assert {"holes", "duplicate_frames", "missing_frames", "lv_ef_reference"} <= found
    # Its ejection fraction of about 25 % lies below that of healthy adults.
    assert "lv_ef_reference" in {f.rule for f in analysed.quality.open}


def test_a_scan_of_another_kind_is_labelled_with_a_warning(analysed):
    from dataclasses import replace

    from napari_cardioxai.scans.scan import Kind

    scan = load_scan(sample_path())
    short = replace(scan, data=scan.data[:2, :2], kind=Kind.LONG_AXIS)
    result = studies.segment(short)
    assert any("not to be trusted" in note for note in result.notes)


def test_the_default_model_comes_first_and_devices_end_with_the_cpu():
    assert studies.available_models()[0] == DEFAULT_SEGMENTER
    assert studies.available_devices()[0] == "auto"
    assert studies.available_devices()[-1] == "cpu"
