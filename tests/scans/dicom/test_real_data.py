"""Real exports of several vendors read as what they are."""

import warnings

import numpy as np
import pydicom
import pytest

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.catalogue import find_series, load_scan
from napari_cardioxai.scans.scan import Kind
from tests.shared_data import shared_data


def bare(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path)
        return ds, ds.pixel_array


@pytest.mark.parametrize(
    ("patient", "slices", "gap_mm"), [("SC-HF-I-1", 12, 10.0), ("SC-HF-I-6", 11, 8.0)]
)
def test_sunnybrook_is_in_order_of_its_numbered_files(patient, slices, gap_mm):
    folder = shared_data("sunnybrook-dicom", patient)
    scan = load_scan(folder)
    assert scan.kind == Kind.SHORT_AXIS
    assert scan.data.shape == (20, slices, 256, 256)
    assert scan.geometry.spacing_mm[0] == pytest.approx(gap_mm, abs=1e-3)
    assert scan.geometry.slice_positions_mm is None
    assert scan.provenance.order_rule == "TriggerTime"
    assert scan.provenance.warnings == ()
    assert 600 < scan.cycle_ms < 900
    assert scan.frame_interval_ms == pytest.approx(scan.cycle_ms / 20, rel=0.02)
    # n.dcm is slice (n - 1) // 20, phase (n - 1) % 20, along or against the normal.
    _, pixels = bare(folder / "dicom" / "1.dcm")
    forward = np.array_equal(scan.data[0, 0], pixels)
    for path in sorted(folder.rglob("*.dcm"))[::17]:
        number = int(path.stem) - 1
        z = number // 20 if forward else slices - 1 - number // 20
        np.testing.assert_array_equal(scan.data[number % 20, z], bare(path)[1])


def test_sunnybrook_affine_puts_every_slice_at_its_position():
    folder = shared_data("sunnybrook-dicom", "SC-HF-I-1")
    scan = load_scan(folder)
    for path in sorted(folder.rglob("*.dcm"))[::31]:
        ds, pixels = bare(path)
        (_, z) = next(zip(*np.nonzero((scan.data == pixels).all(axis=(2, 3))), strict=True))
        ras = scan.geometry.affine @ [0, 0, z, 1]
        lps = np.array(ds.ImagePositionPatient, float)
        np.testing.assert_allclose(ras[:3], lps * [-1, -1, 1], atol=0.01)


def test_siemens_export_gives_one_stack_and_one_long_axis_view():
    catalogue = find_series(shared_data("siemens-cine-mixed", "export"))
    assert [(e.kind, e.shape) for e in catalogue.entries] == [
        (Kind.SHORT_AXIS, (25, 6, 208, 256)),
        (Kind.LONG_AXIS, (25, 1, 208, 256)),
    ]
    assert catalogue.default == 0
    sax = catalogue.entries[0]
    assert sax.spacing_mm == pytest.approx((17.7, 1.40625, 1.40625), abs=1e-3)
    assert sax.order_rule == "TriggerTime"
    assert "patient1" not in repr(catalogue.as_json())
    scan = load_scan(shared_data("siemens-cine-mixed", "export"))
    assert scan.data.any(axis=(2, 3)).all()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "_RLE",
        "_bigendian",
        "_expb",
        "_implicit",
        "_jp2klossless",
        "_jpeg_ls_lossless",
        "_padded",
    ],
)
def test_every_encoding_of_the_same_picture_reads_alike(name):
    folder = shared_data("dicom-edge")
    _, pixels = bare(folder / "MR_small.dcm")
    np.testing.assert_array_equal(load_scan(folder / f"MR_small{name}.dcm").data[0, 0], pixels)


def test_truncated_file_is_one_sentence():
    with pytest.raises(ScanError, match=r"MR_truncated\.dcm is cut short.*export it again\.$"):
        load_scan(shared_data("dicom-edge", "MR_truncated.dcm"))


def test_philips_enhanced_is_split_into_magnitude_and_map_with_its_slopes():
    path = shared_data("dicom-edge", "enhanced", "Philips", "IM_0027_fMAP.dcm")
    catalogue = find_series(path)
    assert [(e.kind, e.shape) for e in catalogue.entries] == [
        (Kind.VOLUME, (1, 32, 64, 64)),
        (Kind.OTHER, (1, 32, 64, 64)),
    ]
    ds, pixels = bare(path)
    first = ds.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    expected = pixels[:32] * float(first.RescaleSlope) + float(first.RescaleIntercept)
    np.testing.assert_allclose(load_scan(path).data[0], expected, rtol=1e-6)


def test_siemens_enhanced_files_are_one_series_over_time():
    folder = shared_data("dicom-edge", "enhanced", "Siemens", "XA10")
    scan = load_scan(folder)
    assert scan.data.shape == (4, 6, 64, 64)
    assert scan.provenance.order_rule == "TemporalPositionIndex"
    for t in range(4):
        np.testing.assert_array_equal(scan.data[t], bare(folder / f"6_{t + 1}.dcm")[1])
