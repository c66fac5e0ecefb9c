"""`cardioxai attribute` end to end, in process, on small models whose reasons are known."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.bundles.bundle import NETWORKS
from napari_cardioxai.networks import classifiers
from napari_cardioxai.scans.nifti import write_nifti
from tests.attribution.pictures import a_picture, bright_spot, save_bright_spot
from tests.attribution.studies import Bright, a_scan, save_bright, save_heart
from tests.cohorts.cines import a_cine


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A scan file and a folder with a segmenter and a latent classifier."""
    monkeypatch.setitem(NETWORKS["segmenter"], "bright", Bright)
    scan = a_scan()
    write_nifti(
        tmp_path / "scan.nii.gz", scan.data, scan.geometry, frame_times_ms=scan.frame_times_ms
    )
    save_bright(tmp_path / "bright")
    save_heart(tmp_path / "heart")
    return tmp_path


def test_maps_lie_on_the_grid_of_the_scan_beside_scores_and_regions(cardioxai, study):
    code, out, err = cardioxai(
        *("attribute", study / "scan.nii.gz", "--model", study / "bright", "-o", study / "out"),
        *("--method", "input-x-gradient,lrp", "--device", "cpu", "--json"),
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["target"] == "volume of LV cavity"
    assert (said["frames"], said["slices"]) == ([1], [2])
    (one,) = said["maps"]
    assert one["method"] == "input-x-gradient" and one["seconds"] > 0
    assert one["verdict"].endswith(".")
    assert set(said["controls"]) == {"random", "centre", "edges"}
    assert set(said["invalid"]) == {"lrp"}
    stored = nib.load(study / "out" / "input-x-gradient.nii.gz")
    scan = nib.load(study / "scan.nii.gz")
    assert stored.shape == scan.shape
    np.testing.assert_allclose(stored.affine, scan.affine)
    heat = stored.get_fdata()
    assert heat[..., 1, 0].any() and not heat[..., 1, 1].any()
    with (study / "out" / "scores.csv").open(newline="") as file:
        rows = {row["map"]: row for row in csv.DictReader(file)}
    assert set(rows) == {
        "input-x-gradient",
        "control: random",
        "control: centre",
        "control: edges",
    }
    assert float(rows["input-x-gradient"]["auprc"]) == pytest.approx(one["scores"]["auprc"])


def test_a_label_file_is_explained_for_a_latent_classifier(cardioxai, study):
    write_labels(study / "labels.nii.gz", a_cine(frames=20))
    code, out, err = cardioxai(
        *("attribute", study / "labels.nii.gz", "--model", study / "heart", "-o", study / "out"),
        *("--method", "gradient", "--target", "large", "--scores", "none", "--device", "cpu"),
    )
    assert code == 0, err
    assert out.startswith("logit of large")
    assert nib.load(study / "out" / "gradient.nii.gz").shape == (110, 120, 9, 20)
    assert "mid inferior" in out


def test_a_picture_is_explained_for_an_image_classifier(cardioxai, tmp_path, monkeypatch):
    monkeypatch.setattr(classifiers, "_own", {"bright-spot": bright_spot})
    save_bright_spot(tmp_path / "spots", (28, 32))
    pixels = np.clip(a_picture().data[0, 0], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    code, out, err = cardioxai(
        *("attribute", tmp_path / "spot.png", "--model", tmp_path / "spots"),
        *("--method", "ig", "--device", "cpu", "--json", "-o", tmp_path / "out"),
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["target"] == "logit of lesion" and said["regions"] == []
    assert said["maps"][0]["peak_mib"] is not None
    assert nib.load(tmp_path / "out" / "ig.nii.gz").shape == (64, 56, 1)
    assert Image.open(tmp_path / "out" / "ig.png").size == (64, 56)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "nobody"), "there is no model 'nobody'"),
        (("--method", "magic"), "there is no method 'magic'"),
        (("--target", "atrium"), "no target 'atrium'"),
        (("--frame", "0"), "--frame counts from 1"),
        (("--slice", "1;2"), "--slice takes numbers"),
        (("--scores", "some"), "--scores is none, quick, full"),
        (("--baseline", "grey"), "there is no baseline 'grey'"),
        (("--regions", "atlas.nii.gz"), "needs --names"),
        (("--truth", "nowhere.nii.gz"), "does not exist"),
    ],
)
def test_what_cannot_be_taken_ends_with_2_and_one_sentence(cardioxai, study, arguments, sentence):
    given = {
        "--model": study / "bright",
        "--method": "gradient",
        "--scores": "none",
        "--device": "cpu",
        **dict([arguments]),
    }
    options = [part for option in given.items() for part in option]
    code, out, err = cardioxai("attribute", study / "scan.nii.gz", "-o", study / "out", *options)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert not (study / "out").exists()
