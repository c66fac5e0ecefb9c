import nibabel as nib
import numpy as np
import pytest

from napari_cardioxai.anatomy.segments import AHA_NAMES
from napari_cardioxai.anatomy.volumes import LV, MYO
from napari_cardioxai.attribution.summary_regions import (
    APEX,
    aha_atlas,
    read_atlas,
    read_mask,
    region_means,
    region_table,
)
from napari_cardioxai.errors import AttributionError, MeasurementError
from napari_cardioxai.scans.nifti import read_nifti
from tests.cohorts.cines import a_cine

NAMES = {7: "seven", 3: "three"}


def rng():
    return np.random.default_rng(0)


def test_a_table_by_hand():
    maps = np.array([[[1.0, 3.0, 2.0, 0.0, 4.0]]])
    regions = np.array([[7, 7, 3, 3, 0]])
    seven, three, elsewhere = region_table(maps, regions, NAMES, rng=rng())
    assert (seven.name, seven.voxels, seven.mean, seven.energy, seven.rank) == (
        "seven",
        2,
        2.0,
        0.4,
        1,
    )
    assert (three.mean, three.energy, three.rank) == (1.0, 0.2, 2)
    assert (elsewhere.name, elsewhere.energy, elsewhere.rank) == ("elsewhere", 0.4, None)
    assert seven.energy_low is None, "one map has no interval"


def test_maps_count_by_their_weight_and_a_region_that_is_not_there_has_no_rank():
    maps = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    regions = np.array([[7, 0]])
    seven, three, elsewhere = region_table(
        maps, regions, NAMES, weights=np.array([0.25, 0.75]), rng=rng()
    )
    assert seven.energy == 0.25 and elsewhere.energy == 0.75
    assert three.voxels == 0 and three.rank is None and three.as_json()["mean"] is None


def test_the_interval_is_that_of_drawing_maps_again():
    regions = np.array([[7, 3]])
    shares = np.array([0.2, 0.4, 0.5, 0.7])
    maps = np.stack([[[s, 1 - s]] for s in shares])
    seven = region_table(maps, regions, NAMES, rng=rng(), draws=20000)[0]
    again = np.random.default_rng(1).choice(shares, (20000, 4)).mean(1)
    low, high = np.percentile(again, (2.5, 97.5))
    assert seven.energy_low == pytest.approx(low, abs=0.02)
    assert seven.energy_high == pytest.approx(high, abs=0.02)
    assert seven.energy_low < seven.energy < seven.energy_high


def test_means_of_the_regions_that_are_there():
    maps = np.array([[[1.0, 3.0, 5.0]], [[0.0, 2.0, 9.0]]])
    np.testing.assert_allclose(
        region_means(maps, np.array([[3, 3, 7]]), {3: "a", 7: "b", 9: "c"}), [[2, 5], [1, 9]]
    )


def test_segments_lie_around_the_cavity_as_the_aha_counts_them():
    labels = a_cine(frames=8, times=False)
    atlas = aha_atlas(labels)
    wall, found = labels.data == MYO, atlas.data
    assert set(np.unique(found[wall])) == set(range(1, 17))
    assert (found[labels.data == LV] == APEX + 1).all()
    assert not found[labels.data == 0].any()
    # A ring in six equal parts; the septum (2 and 3) on the side of the right ventricle.
    areas = [(found[0, 1] == k).sum() for k in range(1, 7)]
    assert max(areas) < 1.15 * min(areas)
    right = np.argwhere(labels.data[0, 1] == 3).mean(0)
    centre = np.argwhere(labels.data[0, 1] == LV).mean(0)
    for septal, lateral in ((2, 5), (3, 6)):
        towards = [
            (np.argwhere(found[0, 1] == k).mean(0) - centre) @ (right - centre)
            for k in (septal, lateral)
        ]
        assert towards[0] > 0 > towards[1]
    apical = [(found[0, 7] == k).sum() for k in range(13, 17)]
    assert max(apical) < 1.3 * min(apical)
    assert atlas.names[1] == AHA_NAMES[0] and atlas.names[APEX + 1] == "LV cavity"


def test_the_segments_follow_the_patient_and_not_the_order_of_the_slices():
    one, turned = a_cine(frames=6, times=False), a_cine(frames=6, times=False, base_first=False)
    np.testing.assert_array_equal(aha_atlas(one).data, aha_atlas(turned).data[:, ::-1])


def test_wall_beyond_the_cavity_is_the_apex():
    labels = a_cine(frames=4, times=False)
    labels.data[:, 8, 50:60, 45:55] = MYO
    assert (aha_atlas(labels).data[:, 8, 50:60, 45:55] == APEX).all()


def test_labels_without_a_right_ventricle_have_no_segments():
    labels = a_cine(frames=4, times=False)
    labels.data[labels.data == 3] = 0
    with pytest.raises(MeasurementError, match="right ventricle"):
        aha_atlas(labels)


@pytest.fixture
def atlas_files(tmp_path):
    """Two halves along x of a 4 x 6 x 5 grid of 2 mm, and the scan's grid, twice as fine in x."""
    data = np.zeros((4, 6, 5), np.int16)
    data[:2], data[2:] = 3, 7
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2.0, 2.0, 1])), tmp_path / "atlas.nii.gz")
    affine = np.diag([1.0, 2.0, 2.0, 1])
    affine[0, 3] = -0.5
    nib.save(nib.Nifti1Image(np.zeros((8, 6, 5), np.int16), affine), tmp_path / "scan.nii.gz")
    (tmp_path / "names.csv").write_text("value,name\n3,left part\n7,right part\n")
    scan = read_nifti(tmp_path / "scan.nii.gz")
    grid = {"geometry": scan.geometry, "shape": scan.data.shape}
    return tmp_path, grid


def test_an_atlas_of_another_grid_is_brought_over_by_its_positions(atlas_files):
    folder, grid = atlas_files
    atlas = read_atlas(folder / "atlas.nii.gz", folder / "names.csv", **grid)
    assert atlas.names == {3: "left part", 7: "right part"}
    assert atlas.data.shape == grid["shape"]
    assert np.count_nonzero(atlas.data == 3) == np.count_nonzero(atlas.data == 7) == 4 * 6 * 5
    mask = read_mask(folder / "atlas.nii.gz", **grid)
    assert mask.all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("value,name\n3,a\n", "no name for region 7"),
        ("value,name\n3,a\n3,b\n", "line 3: value 3 is there twice"),
        ("value,name\nx,a\n", "whole number"),
        ("a,b\n3,a\n", "columns value and name"),
    ],
)
def test_a_table_of_names_must_name_every_region(atlas_files, text, sentence):
    folder, grid = atlas_files
    (folder / "names.csv").write_text(text)
    with pytest.raises(AttributionError, match=sentence):
        read_atlas(folder / "atlas.nii.gz", folder / "names.csv", **grid)
