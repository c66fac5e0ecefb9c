"""Stored pixels become intensities, whatever the encoding; what cannot is one sentence."""

import gc
import os
import struct
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from napari_cardioxai.errors import ScanError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.scans.catalogue import find_series, load_scan
from napari_cardioxai.scans.scan import Kind
from tests.scans.dicom_factory import (
    GAP_MM,
    STEP_MS,
    enhanced,
    frame,
    item,
    picture,
    save,
    set_pixels,
    stack,
    write_cine,
)


def read_one(ds, tmp_path):
    return load_scan(save(ds, tmp_path / "one"))


def test_slope_and_intercept_of_each_frame_are_applied(tmp_path):
    def edit(ds, t, z):
        ds.RescaleSlope, ds.RescaleIntercept = 0.5 + z, -10

    scan = load_scan(write_cine(tmp_path, edit=edit))
    slopes = 0.5 + np.arange(4).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(scan.data, stack(8, 4) * slopes - 10, rtol=1e-6)
    assert scan.data.dtype == np.float32


def test_window_becomes_limits(tmp_path):
    scan = read_one(frame(0, 0, WindowCenter=[300, 40], WindowWidth=[601, 80]), tmp_path)
    # PS3.3 C.11.2.1.2.1: from c - 0.5 - (w - 1) / 2 to c - 0.5 + (w - 1) / 2
    assert scan.window == (-0.5, 599.5)


def test_monochrome1_is_inverted_with_its_window(tmp_path):
    ds = frame(0, 0, PhotometricInterpretation="MONOCHROME1", PixelRepresentation=0)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.WindowCenter, ds.WindowWidth = 1000.5, 201
    scan = read_one(ds, tmp_path)
    np.testing.assert_array_equal(scan.data[0, 0], 4095 - picture(0, 0))
    assert scan.window == (4095 - 1100, 4095 - 900)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_other_uncompressed_syntaxes(tmp_path, syntax):
    ds = frame(2, 1)
    ds.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read_one(ds, tmp_path).data[0, 0], picture(2, 1))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_lossless_compression(tmp_path, syntax):
    ds = frame(2, 1, PixelRepresentation=0)
    set_pixels(ds, np.arange(4096, dtype=np.uint16).reshape(64, 64))
    ds["PixelData"].VR = "OW"
    ds.compress(syntax, generate_instance_uid=False)
    expected = np.arange(4096).reshape(1, 1, 64, 64)
    np.testing.assert_array_equal(read_one(ds, tmp_path).data, expected)


def test_big_endian(tmp_path):
    ds = frame(2, 1)
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = picture(2, 1).astype(">i2").tobytes()
    ds["PixelData"].VR = "OW"
    np.testing.assert_array_equal(read_one(ds, tmp_path).data[0, 0], picture(2, 1))


def test_eight_bits(tmp_path):
    ds = frame(0, 0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    pixels = np.arange(30, dtype=np.uint8).reshape(6, 5) + 200
    set_pixels(ds, pixels)
    ds["PixelData"].VR = "OB"
    scan = read_one(ds, tmp_path)
    np.testing.assert_array_equal(scan.data[0, 0], pixels)


def test_bits_above_those_stored_are_ignored_and_signs_kept(tmp_path):
    ds = frame(0, 0, BitsStored=12, HighBit=11)
    stored = np.array([[1, -1, 2047, -2048]], np.int16)
    set_pixels(ds, (stored & 0x0FFF) | 0x3000)  # an overlay in the upper bits
    np.testing.assert_array_equal(read_one(ds, tmp_path).data[0, 0], stored)


def test_sixteen_unsigned_bits_keep_their_values(tmp_path):
    ds = frame(0, 0, PixelRepresentation=0)
    pixels = np.array([[0, 40000, 65535]], np.uint16)
    set_pixels(ds, pixels)
    np.testing.assert_array_equal(read_one(ds, tmp_path).data[0, 0], pixels)


def test_colour_becomes_luminance(tmp_path):
    ds = frame(0, 0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 100, 50, 10
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns, ds.PixelData = 4, 4, rgb.tobytes()
    ds["PixelData"].VR = "OB"
    scan = read_one(ds, tmp_path)
    np.testing.assert_allclose(scan.data, 0.299 * 100 + 0.587 * 50 + 0.114 * 10, rtol=1e-5)


def test_file_without_preamble_and_meta_information(tmp_path):
    path = tmp_path / "bare"
    ds = frame(1, 1)
    del ds.file_meta
    pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(load_scan(path).data[0, 0], picture(1, 1))


def test_enhanced_file_is_ordered_by_its_functional_groups(tmp_path):
    scan = load_scan(save(enhanced(5, 4), tmp_path / "all-in-one"))
    assert scan.kind == Kind.SHORT_AXIS
    assert scan.provenance.order_rule == "NominalCardiacTriggerDelayTime"
    slopes = 1 + np.arange(4).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(scan.data, stack(5, 4) * slopes - 3.0)
    np.testing.assert_allclose(scan.geometry.spacing_mm, (GAP_MM, 1.5, 1.25), rtol=1e-5)
    np.testing.assert_allclose(scan.frame_times_ms, STEP_MS * np.arange(5))
    assert scan.cycle_ms == 900


@pytest.mark.parametrize(
    "group, keyword, factor",
    [
        ("FrameContentSequence", "NominalCardiacTriggerDelayTime", 40.0),
        ("FrameContentSequence", "NominalPercentageOfCardiacPhase", 20.0),
        ("UnassignedPerFrameConvertedAttributesSequence", "TriggerTime", 40.0),
    ],
)
def test_enhanced_times_are_found_where_older_and_converted_files_keep_them(
    tmp_path, group, keyword, factor
):
    ds = enhanced(5, 3)
    for own in ds.PerFrameFunctionalGroupsSequence:
        t = own.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime / 40.0
        del own.CardiacSynchronizationSequence, own.PixelValueTransformationSequence
        setattr(own, group, [item(**{keyword: factor * t})])
    save(ds, tmp_path / "x")
    scan = load_scan(tmp_path)
    assert scan.provenance.order_rule == keyword
    np.testing.assert_array_equal(scan.data, stack(5, 3))


def test_enhanced_file_cut_short_keeps_the_frames_that_are_there(tmp_path):
    path = save(enhanced(5, 4, seed=2), tmp_path / "cut")
    path.write_bytes(path.read_bytes()[:-70])  # 60 bytes a frame: the last two are hit
    scan = load_scan(path)
    assert len(scan.missing) == 2
    assert sum(" is left empty" in w for w in scan.provenance.warnings) == 2
    whole = [scan.data[t, z].any() for t in range(5) for z in range(4)]
    assert sum(whole) == 18


def test_empty_functional_groups_of_a_plain_file_are_ignored(tmp_path):
    def edit(ds, t, z):
        ds.PerFrameFunctionalGroupsSequence = [Dataset()]

    scan = load_scan(write_cine(tmp_path, edit=edit))
    assert scan.provenance.order_rule == "TriggerTime"
    np.testing.assert_array_equal(scan.data, stack(8, 4))


def test_file_cut_within_its_pixels_is_left_empty_and_named(tmp_path):
    write_cine(tmp_path)
    cut = tmp_path / "00000"
    ds = pydicom.dcmread(cut)
    cut.write_bytes(cut.read_bytes()[:-20])
    scan = load_scan(tmp_path)
    expected = stack(8, 4)
    (place,) = np.argwhere((expected == ds.pixel_array).all(axis=(2, 3)))
    expected[tuple(place)] = 0
    np.testing.assert_array_equal(scan.data, expected)
    assert scan.missing == (tuple(place),)
    assert any("00000 is cut short" in w for w in scan.provenance.warnings)
    cut.rename(tmp_path / "im_a")
    assert any("im_a is cut short" in w for w in load_scan(tmp_path).provenance.warnings)


def test_file_cut_within_its_header_is_missing_and_named(tmp_path):
    write_cine(tmp_path)
    cut = tmp_path / "00000"
    cut.write_bytes(cut.read_bytes()[:500])
    catalogue = find_series(tmp_path)
    assert any("00000" in w and "cut short" in w for w in catalogue.warnings)
    assert len(load_scan(tmp_path).missing) == 1


def test_compressed_picture_that_does_not_decode_is_left_empty(tmp_path):
    def edit(ds, t, z):
        ds.PixelRepresentation = 0
        set_pixels(ds, np.full((64, 64), 100 * z + t, np.uint16))
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        if (t, z) == (2, 1):
            ds.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 not a code stream"])

    scan = load_scan(write_cine(tmp_path, edit=edit))
    assert scan.missing == ((2, 1),)
    assert any("cannot be decoded" in w for w in scan.provenance.warnings)
    expected = np.arange(8)[:, None] + 100 * np.arange(4)
    expected[2, 1] = 0
    np.testing.assert_array_equal(scan.data[:, :, 0, 0], expected)


def sentence_of(path):
    with pytest.raises(ScanError) as caught:
        load_scan(path)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_single_file_cut_short_is_one_sentence(tmp_path):
    path = save(frame(0, 0), tmp_path / "cut.dcm")
    whole = path.read_bytes()
    for end in (len(whole) - 5, len(whole) - 62, 700, 300, 140):
        path.write_bytes(whole[:end])
        assert "cut.dcm" in sentence_of(path)


def test_every_cut_of_a_file_is_a_sentence_or_a_scan(tmp_path):
    path = save(frame(0, 0), tmp_path / "cut")
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        sentence_of(path)


def test_damaged_bytes_never_raise_anything_else(tmp_path):
    path = save(frame(0, 0), tmp_path / "noise")
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(11)
    for _ in range(150):
        damaged = whole.copy()
        places = rng.integers(132, len(whole), 6)
        damaged[places] = rng.integers(0, 256, 6)
        path.write_bytes(damaged.tobytes())
        try:
            assert load_scan(path).data.ndim == 4
        except ScanError as error:
            assert str(error).endswith(".")


def test_mosaic_is_refused_with_a_reason(tmp_path):
    ds = frame(0, 0, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    assert "mosaic" in sentence_of(save(ds, tmp_path / "m"))


def test_mosaic_without_the_word_is_known_by_its_private_tag(tmp_path):
    ds = frame(0, 0)
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", 36)
    assert "mosaic" in sentence_of(save(ds, tmp_path / "m"))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"\x89PNG\r\n", os.urandom(1), struct.pack("<HH", 8, 5) + b"\0" * 300],
)
def test_not_a_dicom_is_one_sentence(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert "file" in sentence_of(path)


def test_object_without_pictures_is_counted(tmp_path):
    write_cine(tmp_path)
    report = frame(0, 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Rows=None, Columns=None)
    del report.PixelData
    save(report, tmp_path / "report")
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 1
    assert any("1 Basic Text SR" in w for w in catalogue.warnings)


def test_junk_among_the_files_changes_nothing(tmp_path):
    write_cine(tmp_path / "deep" / "er")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "deep" / "contour-manual.txt").write_text("1.0 2.0\n")
    (tmp_path / ".DS_Store").write_bytes(b"junk")
    (tmp_path / "picture.jpg").write_bytes(b"no jpeg at all")
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.SOPClassUID = "1.2.840.10008.1.3.10"
    directory.SOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    save(directory, tmp_path / "DICOMDIR")
    catalogue = find_series(tmp_path)
    assert catalogue.warnings == ()
    np.testing.assert_array_equal(load_scan(tmp_path).data, stack(8, 4))


def test_cancel_comes_through_while_indexing_and_while_reading(tmp_path):
    write_cine(tmp_path)
    for stage in ("reading headers", "reading pictures"):
        calls = []

        def on_progress(done, total, what, stage=stage, calls=calls):
            calls.append((done, total, what))
            if what == stage and done >= 20:
                raise Cancelled

        with pytest.raises(Cancelled):
            load_scan(tmp_path, on_progress=on_progress)
        assert calls[-1] == (20, 32, stage)


def test_reading_is_quiet_and_leaves_pydicom_as_it_was(tmp_path):
    def edit(ds, t, z):
        ds.add_new("FrameOfReferenceUID", "UI", "1.2.3")
        ds.StudyDate = "20120101"

    write_cine(tmp_path, edit=edit)
    for path in tmp_path.iterdir():  # a date and an identifier that pydicom objects to
        path.write_bytes(path.read_bytes().replace(b"20120101", b"2012000x"))
    before = pydicom.config.settings.reading_validation_mode
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_scan(tmp_path)
        gc.collect()
    assert [str(w.message) for w in caught] == []
    assert pydicom.config.settings.reading_validation_mode == before


def test_thumbnail_reads_one_file_and_shows_the_middle_slice(tmp_path):
    write_cine(tmp_path, slices=5)
    entry = find_series(tmp_path).entries[0]
    for path in tmp_path.iterdir():
        if pydicom.dcmread(path).pixel_array[0, 0] != picture(0, 2)[0, 0]:
            path.unlink()
    small = entry.thumbnail(60)
    assert small.dtype == np.uint8
    assert small.shape == (60, 42)  # 6 x 1.5 mm high, 5 x 1.25 mm wide
    assert small[-1, -1] > small[0, 0]
