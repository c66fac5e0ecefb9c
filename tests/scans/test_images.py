"""Pictures and arrays read as they are, and nothing is unpickled."""

import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.images import image_entry, is_picture_folder, list_images, read_image
from napari_cardioxai.scans.scan import Kind

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7)


def saved(array, path, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_grey_png_keeps_its_values_and_has_no_spacing(tmp_path):
    scan = read_image(saved(GREY, tmp_path / "a.png"))
    np.testing.assert_array_equal(scan.data, GREY[None, None])
    assert scan.geometry.spacing_mm is None
    assert any("pixel size is unknown" in w for w in scan.provenance.warnings)


def test_sixteen_bits_of_a_png_are_kept(tmp_path):
    deep = (GREY.astype(np.uint16) + 1) * 1500
    np.testing.assert_array_equal(read_image(saved(deep, tmp_path / "a.png")).data[0, 0], deep)


def test_colour_becomes_luminance(tmp_path):
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 200, 100, 50
    data = read_image(saved(rgb, tmp_path / "a.png")).data
    assert np.abs(data - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)).max() <= 1


def test_jpeg_is_close_to_what_was_saved(tmp_path):
    data = read_image(saved(GREY * 6, tmp_path / "a.JPG", format="jpeg", quality=95)).data[0, 0]
    assert np.abs(data.astype(int) - GREY * 6).max() <= 6


@pytest.mark.parametrize(
    ("shape", "four", "kind"),
    [
        ((5, 7), (1, 1, 5, 7), Kind.IMAGE),
        ((3, 5, 7), (1, 3, 5, 7), Kind.VOLUME),
        ((2, 3, 5, 7), (2, 3, 5, 7), Kind.SHORT_AXIS),
        ((2, 1, 5, 7), (2, 1, 5, 7), Kind.LONG_AXIS),
    ],
)
def test_arrays_of_two_to_four_axes(tmp_path, shape, four, kind):
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    np.save(tmp_path / "a.npy", array)
    entry = image_entry(tmp_path / "a.npy")
    scan = read_image(tmp_path / "a.npy")
    assert (entry.shape, entry.kind) == (four, kind) == (scan.data.shape, scan.kind)
    np.testing.assert_array_equal(scan.data, array.reshape(four))


@pytest.mark.parametrize("array", [np.zeros(4), np.zeros((1, 1, 1, 1, 1)), np.zeros((0, 4))])
def test_arrays_of_other_shapes_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ScanError, match="has shape"):
        read_image(tmp_path / "a.npy")


def test_arrays_of_objects_are_refused_without_unpickling(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.save(tmp_path / "a.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ScanError):
        read_image(tmp_path / "a.npy")
    assert not (tmp_path / "sprung").exists()


def test_complex_values_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 3), complex))
    for read in (read_image, image_entry):  # already when it is listed
        with pytest.raises(ScanError, match="complex"):
            read(tmp_path / "a.npy")


def test_damaged_and_missing_files_are_one_sentence(tmp_path):
    whole = saved(GREY, tmp_path / "a.png").read_bytes()
    for name, content in (("cut.png", whole[:45]), ("text.jpg", b"hi"), ("empty.npy", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(ScanError, match="does not exist"):
        read_image(tmp_path / "nowhere.png")


def test_pictures_are_listed_with_numbers_in_order(tmp_path):
    for name in ("s10.png", "s9.png", "s1.JPG", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in list_images(tmp_path)] == ["s1.JPG", "s9.png", "s10.png"]


def test_folder_of_pictures_is_known_from_one_of_scans(tmp_path):
    assert not is_picture_folder(tmp_path)
    picture = saved(GREY, tmp_path / "a.png")
    (tmp_path / "boxes.csv").write_text("1,2")
    assert is_picture_folder(tmp_path)
    assert not is_picture_folder(picture)
    (tmp_path / "scan").write_bytes(b"\0" * 128 + b"DICM")
    assert not is_picture_folder(tmp_path)
