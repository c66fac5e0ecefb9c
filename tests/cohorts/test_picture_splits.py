import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.picture_splits import split_pictures
from napari_cardioxai.errors import CohortError


@pytest.fixture
def folders(tmp_path):
    """15 patients of each of two classes with two nearly equal pictures each."""
    rng = np.random.default_rng(0)
    for kind in ("bone", "lung"):
        (tmp_path / kind).mkdir()
        for patient in range(15):
            texture = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 1.5)
            for k in range(2):
                grey = 128 + 500 * texture + 3 * rng.normal(size=texture.shape)
                picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
                picture.save(tmp_path / kind / f"p{patient}-{k}.png")
    (tmp_path / "bone" / "broken.png").write_bytes(b"no picture")
    return tmp_path


def test_pairs_stay_on_one_side_and_the_random_split_is_told_apart(folders, tmp_path):
    file = tmp_path / "manifest.csv"
    result = split_pictures(folders, file, threshold=0.6, seed=1)
    assert (result.links, result.groups, result.largest_group, result.alone) == (30, 30, 2, 0)
    assert result.images == {"bone": 30, "lung": 30}
    assert result.test == result.test_random == {"bone": 6, "lung": 6}
    assert result.straddling_random > 0
    assert list(result.failed) == ["bone/broken"]
    manifest = read_manifest(file)
    patients = [name.rsplit("-", 1)[0] for name in manifest.subjects]
    sides = set(zip(patients, manifest.table["split"], strict=True))
    assert len(sides) == 30
    assert {side for _, side in sides} == {"train", "val", "test"}
    for column in ("split", "split_run", "split_random"):
        held = manifest.table[column].value_counts()
        assert (held["test"], held["val"]) == (12, 6)
    assert manifest.scan_path("lung/p3-1") == folders / "lung" / "p3-1.png"
    assert {row[0] for row in result.as_rows()} >= {"Groups", "Linked pairs", "Held out lung"}


def test_a_run_of_file_numbers_is_unbroken_and_its_validation_is_too(folders, tmp_path):
    file = tmp_path / "manifest.csv"
    result = split_pictures(folders, file, threshold=0.6, seed=1)
    assert result.test_run == {"bone": 6, "lung": 6}
    assert result.straddling_run <= 4  # pairs can be torn at the two ends of two runs only
    table = read_manifest(file).table
    for kind in ("bone", "lung"):
        names = [f"{kind}/p{patient}-{k}" for patient in range(15) for k in range(2)]
        places = np.flatnonzero(table.loc[names, "split_run"] == "test")
        assert places.tolist() == list(range(places[0], places[0] + 6))
        left = table.loc[names, "split_run"][lambda column: column != "test"]
        of_val = np.flatnonzero(left == "val")
        assert of_val.tolist() == list(range(of_val[0], of_val[0] + 3))


def test_without_validation_all_others_are_trained_on(folders, tmp_path):
    file = tmp_path / "manifest.csv"
    split_pictures(folders, file, threshold=0.6, val=0)
    assert set(read_manifest(file).table["split"]) == {"train", "test"}
    with pytest.raises(CohortError, match="for validation"):
        split_pictures(folders, file, val=0.7)


def test_other_files_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(CohortError, match=r"must end in \.csv"):
        split_pictures(tmp_path / "nothing", tmp_path / "manifest.txt")
