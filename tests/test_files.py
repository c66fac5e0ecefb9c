import os
import stat
import sys

import pytest

from napari_cardioxai.errors import OutputError
from napari_cardioxai.files import (
    check_file_place,
    check_folder_place,
    replacing,
    replacing_files_in,
)
from napari_cardioxai.progress import Cancelled


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as beside:
        beside.write_text("new")
        assert target.read_text() == "old", "until it is complete"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt, ValueError])
def test_whatever_stops_the_writing_leaves_the_old_file_and_no_other(tmp_path, stop):
    target = tmp_path / "a.nii.gz"
    target.write_text("old")
    with pytest.raises(stop), replacing(target) as beside:
        beside.write_text("half")
        raise stop
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.nii.gz"]


def test_a_cancel_leaves_nothing_where_there_was_nothing(tmp_path):
    with pytest.raises(Cancelled), replacing(tmp_path / "a.nii.gz"):
        raise Cancelled
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name, suffix", [("a.nii.gz", ".nii.gz"), ("a.nii", ".nii"), ("a.b.png", ".png"), ("a", "")]
)
def test_writers_see_the_suffix_that_they_choose_the_format_by(tmp_path, name, suffix):
    with replacing(tmp_path / name) as beside:
        assert beside.name.endswith(suffix) and beside.parent == tmp_path
        beside.write_text("x")


def test_missing_folders_are_made(tmp_path):
    with replacing(tmp_path / "new" / "deep" / "a.txt") as beside:
        beside.write_text("x")
    assert (tmp_path / "new" / "deep" / "a.txt").read_text() == "x"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OutputError, match="choose another folder"),
        replacing(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_a_folder_of_that_name_is_a_sentence_and_stays(tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    for refused in (check_file_place, lambda path: replacing(path).__enter__()):
        with pytest.raises(OutputError, match="is a folder"):
            refused(tmp_path / "a.nii.gz")
    assert names(tmp_path) == ["a.nii.gz"]


def test_a_place_is_refused_before_the_work_and_nothing_is_made_there(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in ("file", "file/deep"):
        with pytest.raises(OutputError, match="cannot be written to"):
            check_folder_place(tmp_path / folder)
    check_folder_place(tmp_path / "new" / "deep")
    check_file_place(tmp_path / "new" / "a.nii.gz")
    assert names(tmp_path) == ["file"]


def test_files_that_belong_together_move_together_subfolders_too(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "old").write_text("stays")
    with pytest.raises(ValueError, match="stop"), replacing_files_in(tmp_path) as beside:
        (beside / "a").write_text("half")
        raise ValueError("stop")
    assert names(tmp_path) == ["deep"]
    with replacing_files_in(tmp_path) as beside:
        (beside / "deep").mkdir()
        (beside / "deep" / "new").write_text("x")
        (beside / "a").write_text("x")
    assert names(tmp_path) == ["a", "deep"] and names(tmp_path / "deep") == ["new", "old"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
def test_a_file_is_as_readable_as_any_other(tmp_path):
    old = os.umask(0o022)
    try:
        with replacing(tmp_path / "a.txt") as beside:
            beside.write_text("x")
        with replacing_files_in(tmp_path) as folder:
            (folder / "b.txt").write_text("x")
            (folder / "b.txt").chmod(0o600)  # as safetensors leaves its files
    finally:
        os.umask(old)
    for name in ("a.txt", "b.txt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644
