"""Decisions of a latent classifier on the command line and in memory; the model is untrained."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai import decisions
from napari_cardioxai.anatomy.label_files import read_labels, write_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.training.latent.bundle import calibrated
from napari_cardioxai.training.latent.cohort import BIOMARKERS, LatentCohort
from tests.cohorts.cines import a_cine
from tests.training.latent_example import SMALL, beating_rings


@pytest.fixture(scope="module")
def classifier() -> LatentClassifier:
    """An untrained network that knows where 24 beating rings lie and what their biomarkers were."""
    torch.manual_seed(0)
    data = beating_rings(24)
    split = np.array(["train"] * 18 + ["val"] * 6)
    biomarkers = np.random.default_rng(0).normal(50, 10, (18, len(BIOMARKERS)))
    return calibrated(
        SMALL.build(),
        SMALL,
        LatentCohort(data, split, {}),
        classes=("healthy", "diseased"),
        biomarkers=biomarkers,
    )


@pytest.fixture
def bundle(classifier, tmp_path):
    folder = tmp_path / "small"
    card = replace(classifier.card, name="small")
    save_bundle(folder, card, classifier.network.state_dict(), extras=classifier.extras)
    return folder


@pytest.fixture
def label_file(tmp_path):
    path = tmp_path / "heart.nii.gz"
    write_labels(path, a_cine())
    return path


def test_a_label_file_is_decided_with_all_that_must_be_known(cardioxai, bundle, label_file):
    code, out, _ = cardioxai("classify", label_file, "--model", bundle, "--json")
    assert code == 0
    said = json.loads(out)
    for key in ("probability", "threshold", "baseline_probability"):
        assert 0 <= said[key] <= 1
    assert said["decision"] == ["healthy", "diseased"][said["probability"] >= said["threshold"]]
    assert set(said["concepts"]) == {"large"}
    assert set(said["out_of_distribution"]) >= {"percentile", "times_typical", "is_strange"}
    assert isinstance(said["warnings"], list)


def test_a_heart_unlike_those_of_the_training_is_called_strange(classifier):
    said = decisions.classify_labels(a_cine(), classifier)
    assert said.out_of_distribution.is_strange
    assert any("unlike those the model was trained on" in warning for warning in said.warnings)


def test_the_probability_is_that_of_the_network_after_the_temperature(classifier):
    halved = LatentClassifier(
        replace(classifier.card, temperature=2.0), classifier.network, "cpu", classifier.extras
    )
    said = decisions.classify_labels(a_cine(), halved)
    assert said.probability == pytest.approx(1 / (1 + np.exp(-said.logit / 2)))


def test_a_manifest_gives_a_list_with_the_reason_where_there_is_no_decision(
    cardioxai,
    bundle,
    label_file,
):
    still = a_cine()
    write_labels(
        label_file.with_name("still.nii.gz"),
        Labels(still.data[:1], still.geometry),
    )
    manifest = label_file.with_name("cohort.csv")
    manifest.write_text("subject,labels\na,heart.nii.gz\nb,still.nii.gz\n", "utf-8")
    code, out, err = cardioxai("classify", manifest, "--model", bundle, "--json")
    assert code == 0
    first, second = json.loads(out)
    assert first["subject"] == "a" and 0 <= first["probability"] <= 1
    assert second["subject"] == "b" and "one frame" in second["refused"]
    assert "b: " in err


def test_labels_that_do_not_fit_are_refused_in_a_sentence(cardioxai, bundle, label_file):
    still = a_cine()
    write_labels(label_file, Labels(still.data[:1], still.geometry))
    code, out, err = cardioxai("classify", label_file, "--model", bundle)
    assert (code, out) == (2, "")
    assert "there is one frame" in err and "Traceback" not in err


def test_labels_without_a_pixel_size_are_refused(classifier):
    cine = a_cine()
    with pytest.raises(CohortError, match="pixel size is unknown"):
        decisions.classify_labels(Labels(cine.data, Geometry(None, None)), classifier)


def test_labels_of_the_left_ventricle_alone_are_refused(cardioxai, bundle, label_file):
    cine = a_cine()
    write_labels(label_file, replace(cine, data=np.where(cine.data == 1, cine.data, 0)))
    code, out, err = cardioxai("classify", label_file, "--model", bundle)
    assert (code, out) == (2, "")
    assert "myocardium" in err.lower() and "RV cavity" in err


def test_a_segmenter_is_not_a_classifier(cardioxai, label_file):
    code, _, err = cardioxai("classify", label_file, "--model", "lv-unet")
    assert code == 2
    assert "not a latent classifier" in err


def test_a_model_of_images_does_not_decide_from_labels(classifier):
    images = SMALL.build()
    images.reads = "images"
    model = LatentClassifier(classifier.card, images, "cpu", {})
    with pytest.raises(BundleError, match="reads images"):
        decisions.classify_labels(a_cine(), model)


def test_labels_are_told_from_pictures(label_file, tmp_path):
    from napari_cardioxai.scans.nifti import write_nifti

    assert decisions.is_label_file(label_file)
    picture = np.random.default_rng(0).integers(0, 900, (20, 5, 30, 30), dtype=np.int16)
    write_nifti(tmp_path / "scan.nii.gz", picture, Geometry((8.0, 1.4, 1.4), None))
    assert not decisions.is_label_file(tmp_path / "scan.nii.gz")
    assert not decisions.is_label_file(tmp_path)


def test_a_bundle_keeps_all_that_a_decision_needs(classifier, bundle, label_file):
    loaded = LatentClassifier.load(bundle, device="cpu")
    before = decisions.classify_labels(read_labels(label_file), classifier)
    after = decisions.classify(label_file, loaded)
    assert after.probability == pytest.approx(before.probability, abs=1e-6)
    assert after.baseline_probability == pytest.approx(before.baseline_probability, abs=1e-6)
    assert after.out_of_distribution.percentile == before.out_of_distribution.percentile
    assert loaded.extras["reconstruction_dice"].shape == (6,)


def test_a_manifest_is_known_by_its_name(tmp_path):
    (tmp_path / "cohort.csv").write_text("subject,labels\n", "utf-8")
    assert decisions.is_manifest(tmp_path / "cohort.csv")
    assert not decisions.is_manifest(tmp_path / "scan.nii.gz")
