"""Contours become the masks that others made from them, in the right frame and slice."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from skimage.io import imread

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.contours import contour_masks, fill_contour, read_contour
from napari_cardioxai.scans.geometry import LPS_TO_RAS, Geometry, spacing_of
from napari_cardioxai.scans.samples import sample_path
from napari_cardioxai.scans.scan import Provenance, Scan
from tests.shared_data import shared_data


def grid_of(first: Path, last: Path, slices: int) -> Scan:
    """An empty scan of 20 frames whose slices run from one file's position to another's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top, bottom = pydicom.dcmread(first), pydicom.dcmread(last)
        along_row, along_column = np.reshape(top.ImageOrientationPatient, (2, 3)).astype(float)
        between_rows, between_columns = map(float, top.PixelSpacing)
        start = np.array(top.ImagePositionPatient, float)
        end = np.array(bottom.ImagePositionPatient, float)
    lps = np.eye(4)
    lps[:3, 0] = along_row * between_columns
    lps[:3, 1] = along_column * between_rows
    lps[:3, 2] = (end - start) / (slices - 1)
    lps[:3, 3] = start
    affine = LPS_TO_RAS @ lps
    data = np.zeros((20, slices, top.Rows, top.Columns), np.uint8)
    return Scan(data, Geometry(spacing_of(affine), affine), Provenance(first.parent))


def sample_grid() -> Scan:
    return grid_of(sample_path() / "0001.dcm", sample_path() / "0221.dcm", 12)


def test_whole_pixel_rectangle_is_filled_with_its_border():
    mask = fill_contour(np.array([[2, 3], [5, 3], [5, 6], [2, 6]]), (10, 9))
    expected = np.zeros((10, 9), bool)
    expected[3:7, 2:6] = True  # y from 3 to 6, x from 2 to 5
    np.testing.assert_array_equal(mask, expected)


def test_contour_that_leaves_the_image_is_cut_off():
    mask = fill_contour(np.array([[-3.0, -3.0], [2.5, -3.0], [2.5, 1.5], [-3.0, 1.5]]), (6, 6))
    expected = np.zeros((6, 6), bool)
    expected[:2, :3] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    ("study", "name"), [("SC-HF-I-1", "SC-HF-I-01"), ("SC-HF-I-6", "SC-HF-I-06")]
)
def test_filled_contours_equal_the_distributed_masks(study, name):
    folder = shared_data("sunnybrook-dicom", study, "i-contours")
    truth = sorted(shared_data("sunnybrook-png", "lv_masks").glob(f"{name}-*.png"))
    assert len(truth) >= 18
    for path in truth:
        number = path.stem[-4:]
        points = read_contour(folder / f"IM-0001-{number}-icontour-manual.txt")
        mask = imread(path) > 127
        np.testing.assert_array_equal(fill_contour(points, mask.shape), mask, err_msg=path.name)


@pytest.mark.parametrize("reverse", [False, True])
def test_original_contours_go_where_their_numbers_say(reverse):
    study = shared_data("sunnybrook-dicom", "SC-HF-I-1")
    ends = [study / "dicom" / "1.dcm", study / "dicom" / "221.dcm"]
    scan = grid_of(*(reversed(ends) if reverse else ends), 12)
    masks = contour_masks(study, scan)
    for side, found in (("i", masks.inner), ("o", masks.outer)):
        numbers = [int(path.name[8:12]) for path in study.glob(f"{side}-contours/*.txt")]
        # DATA.md: slice = (n - 1) // 20, phase = (n - 1) % 20
        slices = [(n - 1) // 20 for n in numbers]
        expected = {
            ((n - 1) % 20, 11 - z if reverse else z) for n, z in zip(numbers, slices, strict=True)
        }
        assert set(found) == expected


def test_sample_is_contoured_at_end_diastole_and_end_systole():
    masks = contour_masks(sample_path(), sample_grid())
    assert set(masks.inner) == {(t, z) for t in (7, 18) for z in range(2, 11)}
    assert set(masks.outer) == {(18, z) for z in range(2, 11)}
    for place, outer in masks.outer.items():
        assert outer.shape == (160, 160)
        # As drawn: one voxel of slice 2 lies across the epicardial contour.
        assert np.count_nonzero(masks.inner[place] & ~outer) <= 1


def test_file_numbers_do_not_need_leading_zeros_and_files_may_lie_in_any_subfolder(tmp_path):
    for path in sample_path().glob("*.dcm"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "deep" / f"{int(path.stem)}.dcm")
    shutil.copytree(sample_path() / "contours", tmp_path / "drawn")
    expected = contour_masks(sample_path(), sample_grid()).inner
    found = contour_masks(tmp_path, sample_grid()).inner
    assert found.keys() == expected.keys()
    for place, mask in expected.items():
        np.testing.assert_array_equal(found[place], mask)


def test_folder_without_contours_is_refused(tmp_path):
    with pytest.raises(ScanError, match="no contour files"):
        contour_masks(tmp_path, sample_grid())


def test_contour_without_its_image_is_refused(tmp_path):
    name = "IM-0001-0059-icontour-manual.txt"
    shutil.copy(sample_path() / "contours" / name, tmp_path)
    with pytest.raises(ScanError, match=r"59\.dcm is missing"):
        contour_masks(tmp_path, sample_grid())


def test_scan_of_another_study_is_refused():
    elsewhere = sample_grid()
    elsewhere.geometry.affine[:3, 3] += 40.0
    with pytest.raises(ScanError, match="off the grid"):
        contour_masks(sample_path(), elsewhere)


@pytest.mark.parametrize(
    "text", ["", "1 2\n3 4\n", "1 2 3\n4 5 6\n7 8 9\n", "a b\n", "1 2\n3\n4 5\n"]
)
def test_broken_contour_file_is_named(tmp_path, text):
    path = tmp_path / "IM-0001-0001-icontour-manual.txt"
    path.write_text(text)
    with pytest.raises(ScanError, match=r"IM-0001-0001-icontour-manual\.txt is not a contour"):
        read_contour(path)
