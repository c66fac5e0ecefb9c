"""Whatever is opened becomes a list of series, or one sentence."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.catalogue import find_series, load_scan
from napari_cardioxai.scans.scan import Kind
from tests.scans.dicom_factory import frame, save, stack, write_cine


def write_nifti(path, shape=(7, 6, 3, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones(shape, np.int16), np.diag([1, 1, 8, 1])), path)


def write_picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path)


def test_json_holds_what_the_command_line_promises(tmp_path):
    catalogue = find_series(write_cine(tmp_path, frames=3, slices=4))
    told = json.loads(json.dumps(catalogue.as_json()))
    assert set(told) == {"series", "default"} and told["default"] == 0
    (series,) = told["series"]
    assert series == {
        "name": "cine SAX (series 5)",
        "kind": "short-axis cine",
        "shape": [3, 4, 6, 5],
        "spacing_mm": pytest.approx([9.0, 1.5, 1.25], rel=1e-5),
        "frame_times_ms": pytest.approx([1.5, 41.5, 81.5]),
        "order_rule": "TriggerTime",
        "warnings": [],
    }


def test_mixed_folder_lists_dicom_then_nifti_and_no_pictures(tmp_path):
    write_cine(tmp_path / "dicom", frames=3)
    write_nifti(tmp_path / "a.nii.gz")
    write_picture(tmp_path / "screenshot.png")
    entries = find_series(tmp_path).entries
    assert [e.shape for e in entries] == [(3, 4, 6, 5), (4, 3, 6, 7)]


def test_folder_of_pictures_gives_an_entry_each_in_order(tmp_path):
    for name in ("b10.png", "b9.png"):
        write_picture(tmp_path / name)
    catalogue = find_series(tmp_path)
    assert [e.name for e in catalogue.entries] == ["b9", "b10"]
    assert {e.kind for e in catalogue.entries} == {Kind.IMAGE}
    assert catalogue.default == 0
    assert catalogue.entries[0].spacing_mm is None
    assert catalogue.entries[0].thumbnail(8).shape == (6, 8)


def test_labels_beside_a_volume_are_not_the_default(tmp_path):
    write_nifti(tmp_path / "a_gt.nii")
    write_nifti(tmp_path / "b.nii")
    catalogue = find_series(tmp_path)
    assert catalogue.entries[catalogue.default].name == "b"


def test_files_of_equal_names_are_numbered(tmp_path):
    for folder in ("A", "B"):
        write_nifti(tmp_path / folder / "sa.nii")
    assert [e.name for e in find_series(tmp_path).entries] == ["sa, part 1", "sa, part 2"]


def test_one_bad_file_among_good_ones_is_a_warning(tmp_path):
    write_nifti(tmp_path / "good.nii")
    (tmp_path / "bad.nii").write_bytes(b"nothing")
    catalogue = find_series(tmp_path)
    assert len(catalogue.entries) == 1
    assert any("bad.nii" in w for w in catalogue.warnings)


def test_series_is_chosen_by_index(tmp_path):
    write_cine(tmp_path / "a", frames=3)
    save(
        frame(0, 0, SeriesInstanceUID="1.2.3", SeriesNumber=9, SeriesDescription="loc"),
        tmp_path / "b",
    )
    assert load_scan(tmp_path, series=1).kind == Kind.IMAGE
    np.testing.assert_array_equal(load_scan(tmp_path, series=0).data, stack(3, 4))


@pytest.mark.parametrize("series", [2, -1])
def test_series_that_does_not_exist_is_a_sentence_with_their_number(tmp_path, series):
    write_cine(tmp_path / "a", frames=3)
    save(frame(0, 0, SeriesInstanceUID="1.2.3", SeriesDescription="loc"), tmp_path / "b")
    with pytest.raises(ScanError, match=rf"no series {series}.*2 series, 0 to 1"):
        load_scan(tmp_path, series=series)


def test_empty_folder_missing_path_and_empty_choice_are_sentences(tmp_path):
    with pytest.raises(ScanError, match="is empty"):
        find_series(tmp_path)
    with pytest.raises(ScanError, match="does not exist"):
        find_series(tmp_path / "nowhere")
    with pytest.raises(ScanError, match="empty"):
        find_series([])


@pytest.mark.parametrize(
    ("name", "reason"), [("notes.txt", "is no DICOM"), ("study.zip", "is packed; unpack it")]
)
def test_file_of_another_kind_is_a_sentence(tmp_path, name, reason):
    (tmp_path / name).write_bytes(b"PK something else")
    with pytest.raises(ScanError, match=reason):
        find_series(tmp_path / name)
    with pytest.raises(ScanError, match="holds no DICOM"):
        find_series(tmp_path)


def test_the_table_of_contents_of_a_medium_stands_for_its_folder(tmp_path):
    write_cine(tmp_path / "IMAGES", frames=3, slices=4)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert find_series(tmp_path / "DICOMDIR").entries[0].shape == (3, 4, 6, 5)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "scan").touch()
    with pytest.raises(ScanError, match="scan is empty"):
        find_series(tmp_path / "scan")
