import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.phantom.brain import BrainSpec
from napari_cardioxai.phantom.brain_cohort import generate_brains, split_of_maps
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.scans.nifti import read_nifti
from tests.phantom.brain_maps import a_label_map, write_label_map

SPEC = BrainSpec(size=(64, 72, 64))


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    for k, voxels in enumerate((1000, 900, 800)):
        write_label_map(folder / f"{k}.nii.gz", a_label_map(hippocampus_voxels=voxels))
    return folder


@pytest.fixture(scope="module")
def cohort(maps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("brains")
    return generate_brains(SPEC, maps, folder, subjects=4, seed=5, workers=1)


def test_the_manifest_leads_to_image_regions_and_truth(cohort):
    manifest = read_manifest(cohort)
    assert manifest.subjects == ["s0000", "s0001", "s0002", "s0003"]
    assert manifest.table["class"].tolist() == ["normal", "mild", "severe", "normal"]
    assert manifest.binary("label", manifest.subjects).tolist() == [0, 1, 1, 0]
    rows = list(csv.DictReader(cohort.open()))
    for row in rows:
        image, regions, truth = (
            read_nifti(cohort.parent / row[name]) for name in ("scan", "regions", "truth")
        )
        assert image.data.shape == regions.data.shape == truth.data.shape == (1, 64, 72, 64)
        now = (np.asarray(regions.data) == 17).sum() * 1.5**3 / 1000
        assert float(row["hippocampus_left_ml_true"]) == pytest.approx(now, abs=1e-4)
        gone = [float(row[f"lost_{side}_percent_true"]) for side in ("left", "right")]
        assert (max(gone) > 0) == bool(np.asarray(truth.data).any()) == (row["label"] == "1")


def test_axes_are_kept_on_disk(cohort):
    image = read_nifti(cohort.parent / "images" / "s0000.nii.gz")
    assert image.geometry.spacing_mm == pytest.approx((1.5, 1.5, 1.5))
    assert image.geometry.orientation_letters() == (("I", "S"), ("A", "P"), ("R", "L"))


def test_splits_keep_the_brains_of_a_map_together(cohort):
    rows = list(csv.DictReader(cohort.open()))
    assert len({(row["base"], row["split"]) for row in rows}) == len({r["base"] for r in rows})
    split = split_of_maps(10, seed=5)
    assert sorted(split) == ["test"] * 2 + ["train"] * 7 + ["val"]
    assert split_of_maps(10, seed=6) != split
    assert split_of_maps(2, seed=0) == ["train", "train"]


def test_a_subject_does_not_depend_on_how_many_there_are(cohort, maps, tmp_path):
    fewer = generate_brains(SPEC, maps, tmp_path, subjects=2, seed=5, workers=1)
    for folder in ("images", "regions", "truth"):
        one, other = (read_nifti(m.parent / folder / "s0001.nii.gz").data for m in (cohort, fewer))
        assert (np.asarray(one) == np.asarray(other)).all()


def test_a_cancelled_cohort_leaves_nothing(maps, tmp_path):
    def cancel(done, total, what):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        generate_brains(
            SPEC, maps, tmp_path / "out", subjects=2, seed=0, workers=1, on_progress=cancel
        )
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_unknown_cohorts_are_named(maps, tmp_path):
    with pytest.raises(
        PhantomError, match="no brains 'cortex'; choose from brain, brain-one-sided"
    ):
        generate_brains("cortex", maps, tmp_path, subjects=1, seed=0)


def test_the_command_asks_for_maps(tmp_path):
    from napari_cardioxai.cli import phantom

    result = CliRunner().invoke(phantom.app, ["brain", "-o", str(tmp_path)])
    assert result.exit_code != 0
    assert "needs --maps" in str(result.exception)
