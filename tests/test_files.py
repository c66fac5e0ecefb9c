import os
import stat
import sys

import pytest

from napari_cardioxai.errors import OutputError
from napari_cardioxai.files import replacing
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


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
def test_the_file_is_as_readable_as_any_other(tmp_path):
    old = os.umask(0o022)
    try:
        with replacing(tmp_path / "a.txt") as beside:
            beside.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
