import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.attribution.known_places import Boxes, Masks, brain_truth
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.scans.catalogue import load_scan
from tests.attribution.brains import block_brains


def test_the_shrunk_hippocampus_as_it_was_is_the_truth(tmp_path):
    brains = block_brains(tmp_path)
    inside, atlas = brain_truth(brains, "a", load_scan(brains.scan_path("a")))
    assert inside.shape == (1, 10, 12, 14) and inside.sum() == 3 * 4 * 3
    assert (atlas.data[inside] == 17).all(), "what was lost counts to it"
    assert atlas.names[17] == "left hippocampus" and atlas.names[53] == "right hippocampus"


def test_without_masks_nothing_is_known_of_a_brain(tmp_path):
    brains = block_brains(tmp_path)
    table = brains.table.drop(columns="truth")
    with pytest.raises(AttributionError, match="no column 'truth'"):
        brain_truth(type(brains)(brains.path, table), "a", load_scan(brains.scan_path("a")))


@pytest.fixture
def picture(tmp_path):
    """A grey picture of 20 x 40 pixels in the folder of a class."""
    file = tmp_path / "pictures" / "severe" / "1.jpg"
    file.parent.mkdir(parents=True)
    Image.fromarray(np.full((20, 40), 90, np.uint8)).save(file)
    return file


def test_a_box_is_given_in_parts_of_the_picture(picture, tmp_path):
    (tmp_path / "boxes.csv").write_text(
        "image,x_centre,y_centre,width,height\nsevere/1.jpg,0.5,0.25,0.2,0.5\n"
    )
    boxes = Boxes.read(tmp_path / "boxes.csv")
    expected = np.zeros((1, 1, 20, 40), bool)
    expected[..., :10, 16:24] = True
    np.testing.assert_array_equal(boxes.mask(picture, load_scan(picture)), expected)
    other = picture.with_name("2.jpg")
    assert boxes.has(picture) and not boxes.has(other)
    with pytest.raises(AttributionError, match=r"no box for severe/2\.jpg"):
        boxes.mask(other, load_scan(picture))


def test_a_table_without_boxes_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("subject,scan\n1,x.png\n")
    with pytest.raises(AttributionError, match="no table of boxes"):
        Boxes.read(tmp_path / "m.csv")


@pytest.mark.parametrize("place", ["1.png", "severe/1.png"])
def test_a_mask_has_the_name_of_its_picture(picture, tmp_path, place):
    outlined = np.zeros((20, 40), np.uint8)
    outlined[3:5, 7:11] = 255
    file = tmp_path / "masks" / place
    file.parent.mkdir(parents=True)
    Image.fromarray(outlined).save(file)
    masks = Masks.read(tmp_path / "masks")
    np.testing.assert_array_equal(masks.mask(picture, load_scan(picture))[0, 0], outlined > 0)
    assert not masks.has(picture.with_name("2.jpg"))


@pytest.mark.parametrize(
    ("outlined", "sentence"),
    [
        (np.zeros((20, 40), np.uint8), "outlines nothing"),
        (np.full((20, 20), 255, np.uint8), "has 20 x 20 pixels, its picture 20 x 40"),
    ],
)
def test_masks_that_do_not_fit_are_refused(picture, tmp_path, outlined, sentence):
    (tmp_path / "masks").mkdir()
    Image.fromarray(outlined).save(tmp_path / "masks" / "1.png")
    with pytest.raises(AttributionError, match=sentence):
        Masks.read(tmp_path / "masks").mask(picture, load_scan(picture))


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(AttributionError, match="holds no pictures of masks"):
        Masks.read(tmp_path)
