import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.pictures import (
    class_indices,
    find_pictures,
    load_images,
    read_picture,
    write_manifest,
)
from napari_cardioxai.errors import CohortError
from tests.cohorts.radiographs import write_radiograph


@pytest.fixture
def folders(tmp_path):
    """Three images of each of two classes, in every format, the second one brighter on the left."""
    rng = np.random.default_rng(0)
    pictures = {}
    for name, left in (("clear", 0), ("opaque", 1500)):
        place = tmp_path / name
        (place / "deeper").mkdir(parents=True)
        picture = rng.integers(0, 1000, (40, 50)) + left * (np.arange(50) < 25)
        pictures[name] = picture
        write_radiograph(place / "x.dcm", picture, modality="CR")
        write_radiograph(place / "inverted", picture, inverted=True)
        grey = Image.fromarray((picture / 16).astype(np.uint8))
        grey.save(place / "deeper" / "2.png")
        grey.save(place / "deeper" / "10.jpg", quality=95)
    (tmp_path / "clear" / "readme.txt").write_text("no image")
    (tmp_path / "notes.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    return tmp_path, pictures


def test_folders_name_the_classes(folders):
    root, _ = folders
    manifest = find_pictures(root)
    assert sorted(manifest.subjects) == sorted(
        f"{c}/{n}" for c in ("clear", "opaque") for n in ("x", "inverted", "deeper/2", "deeper/10")
    )
    assert manifest.subjects.index("clear/deeper/2") < manifest.subjects.index("clear/deeper/10")
    labels, names = class_indices(manifest, ["opaque/x", "clear/x"])
    assert labels.tolist() == [1, 0] and names == ("clear", "opaque")
    assert manifest.scan_path("clear/x") == root / "clear" / "x.dcm"


def test_radiographs_come_with_low_values_dark_whatever_was_stored(folders):
    root, pictures = folders
    for name in ("x.dcm", "inverted"):
        scan = read_picture(root / "opaque" / name)
        assert scan.data.shape == (1, 1, 40, 50)
        np.testing.assert_array_equal(np.asarray(scan.data[0, 0]), pictures["opaque"])


def test_all_formats_give_the_same_input(folders):
    root, _ = folders
    manifest = find_pictures(root)
    images = load_images(manifest, manifest.subjects, InputSpec((40, 50), intensities="range"))
    assert images.failed == {} and images.data.dtype == np.float16
    by_name = dict(zip(images.subjects, images.data.astype(float), strict=True))
    for name in ("inverted", "deeper/2"):
        np.testing.assert_allclose(by_name[f"opaque/{name}"], by_name["opaque/x"], atol=0.01)
    jpeg = np.abs(by_name["opaque/deeper/10"] - by_name["opaque/x"])
    assert jpeg.mean() < 0.03


def test_damaged_images_are_left_out_with_their_reason(folders):
    root, _ = folders
    (root / "clear" / "deeper" / "2.png").write_bytes(b"no picture")
    manifest = find_pictures(root)
    images = load_images(manifest, manifest.subjects, InputSpec((8, 8)))
    assert list(images.failed) == ["clear/deeper/2"]
    assert "damaged" in images.failed["clear/deeper/2"]
    assert len(images.data) == len(images.subjects) == 7


def test_a_written_manifest_is_read_back_with_its_columns(folders, tmp_path):
    root, _ = folders
    manifest = find_pictures(root)
    split = ["test" if "x" in s else "train" for s in manifest.subjects]
    again = write_manifest(tmp_path / "set.csv", manifest, {"split": split, "group": range(8)})
    assert again.subjects == manifest.subjects
    assert again.split("test") == [s for s in manifest.subjects if "x" in s]
    assert again.scan_path("clear/x") == root / "clear" / "x.dcm"
    assert "clear/x.dcm" in (tmp_path / "set.csv").read_text()


def test_folders_that_are_no_classes_are_said(tmp_path):
    with pytest.raises(CohortError, match="is no folder"):
        find_pictures(tmp_path / "nothing")
    (tmp_path / "only").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "only" / "a.png")
    with pytest.raises(CohortError, match="images in 1 of its folders"):
        find_pictures(tmp_path)
    (tmp_path / "other").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "other" / "a.png")
    Image.new("L", (4, 4)).save(tmp_path / "other" / "a.jpg")
    with pytest.raises(CohortError, match="differ by their suffix only"):
        find_pictures(tmp_path)


def test_unknown_classes_are_named(folders):
    manifest = find_pictures(folders[0])
    with pytest.raises(
        CohortError, match="the class of opaque/x is 'opaque'; known are clear, new"
    ):
        class_indices(manifest, ["opaque/x"], ("clear", "new"))
