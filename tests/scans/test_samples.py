"""The shipped study is what its README says: real, anonymous, in its place."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans import samples
from napari_cardioxai.scans.samples import sample_path
from tests.shared_data import shared_data

PSEUDONYM = b"SCD0000101"  # the original's PatientName and PatientID
CORNER = (50, 56)  # column and row of the cut, as the README says


def original_folder() -> Path:
    return shared_data("sunnybrook-dicom", "SC-HF-I-1")


def read(path: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


@cache
def images() -> dict[int, pydicom.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # every header is valid
        return {int(p.stem): pydicom.dcmread(p) for p in sorted(sample_path().glob("*.dcm"))}


def position_of_voxel(image: pydicom.Dataset, column: int, row: int) -> np.ndarray:
    """Equation C.7.6.2.1-1 of the DICOM standard, in LPS mm."""
    along_row, along_column = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
    between_rows, between_columns = map(float, image.PixelSpacing)
    start = np.array(image.ImagePositionPatient, float)
    return start + along_row * between_columns * column + along_column * between_rows * row


def test_sample_is_small_enough_to_ship():
    files = [path for path in sample_path().parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15e6


def test_sample_has_twenty_phases_of_twelve_slices_ten_millimetres_apart():
    by_position: dict[float, list[float]] = {}
    for image in images().values():
        along_row, along_column = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
        depth = np.cross(along_row, along_column) @ np.array(image.ImagePositionPatient, float)
        by_position.setdefault(round(depth, 2), []).append(float(image.TriggerTime))
    assert len(by_position) == 12
    assert {len(set(times)) for times in by_position.values()} == {20}
    np.testing.assert_allclose(np.diff(sorted(by_position)), 10.0, atol=0.02)


def test_sample_keeps_the_wrong_slice_location_of_the_original():
    step = images()[21].SliceLocation - images()[1].SliceLocation
    assert float(step) == pytest.approx(-6.719)


def test_sample_names_nobody():
    for path in sample_path().rglob("*"):
        assert path.is_dir() or PSEUDONYM not in path.read_bytes(), path.name
    for image in images().values():
        assert (str(image.PatientName), image.PatientID) == ("Anonymous", "sample")
        assert image.PatientIdentityRemoved == "YES"
        assert not image.PatientBirthDate and not image.StudyDate
        assert not [element.tag for element in image if element.tag.is_private]
        assert not [element.tag for element in image if element.tag.element == 0]
        assert "DeviceSerialNumber" not in image


def test_every_voxel_of_the_sample_keeps_its_value_and_place():
    folder = original_folder() / "dicom"
    column, row = CORNER
    for number, image in images().items():
        original = read(folder / f"{number}.dcm")
        np.testing.assert_array_equal(
            image.pixel_array, original.pixel_array[row : row + 160, column : column + 160]
        )
        for x, y in ((0, 0), (159, 0), (0, 159), (80, 80)):
            np.testing.assert_allclose(
                position_of_voxel(image, x, y),
                position_of_voxel(original, x + column, y + row),
                atol=1e-5,
            )
        assert image.TriggerTime == original.TriggerTime


def test_contours_of_the_sample_are_the_original_ones_moved_by_the_cut():
    shipped = sorted((sample_path() / "contours").glob("*.txt"))
    originals = {path.name: path for path in original_folder().glob("[io]-contours/*.txt")}
    assert [path.name for path in shipped] == sorted(originals)
    for path in shipped:
        moved = np.loadtxt(path) + CORNER
        np.testing.assert_allclose(moved, np.loadtxt(originals[path.name]), atol=0.006)


def test_sample_is_found_inside_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "site" / "sample_data" / "sunnybrook-cine").mkdir(parents=True)
    monkeypatch.setattr(samples, "files", lambda package: tmp_path / "site")
    assert sample_path() == tmp_path / "site" / "sample_data" / "sunnybrook-cine"


def test_missing_samples_are_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "files", lambda package: tmp_path / "nowhere" / "site")
    with pytest.raises(ScanError, match="not installed"):
        sample_path()


def test_unknown_sample_is_answered_with_the_known_ones():
    with pytest.raises(ScanError, match=r"'heart'.*sunnybrook-cine"):
        sample_path("heart")
