import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from napari_cardioxai.bundles.image_classifier import ImageClassifier, save_image_classifier
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.pictures import find_pictures, write_manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.classifiers import classifier
from napari_cardioxai.report.image_report import write_image_evaluation
from napari_cardioxai.training.evaluation.comparison import mcnemar
from napari_cardioxai.training.images.cloud import fit_embedding_cloud
from napari_cardioxai.training.images.evaluation import (
    compare_images,
    fit_class_temperature,
    judge_class_calibration,
)
from napari_cardioxai.training.images.table import EVERYTHING, evaluate_images

PARAMS = {"spatial_dims": 2, "in_channels": 1, "classes": 2, "channels": [8, 8], "dropout": 0.0}
ABOUT = {"title": "small", "data": "none", "licence": "CC0 1.0", "split": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 dark and 24 light pictures in runs of four near-duplicates."""
    where = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for kind, level in (("dark", 0.2), ("light", 0.7)):
        (where / kind).mkdir()
        for k in range(24):
            np.save(where / kind / f"{k}.npy", (level + 0.1 * rng.random((16, 16))).astype("f4"))
    found = find_pictures(where)
    number = np.array([int(name.split("/")[1]) for name in found.subjects])
    write_manifest(
        where / "m.csv",
        found,
        {
            "split": ["test" if k >= 16 else "train" for k in number],
            "split_random": ["test" if k % 4 == 0 else "train" for k in number],
            "group": (
                number // 4 + 100 * np.array(["light" in n for n in found.subjects])
            ).tolist(),
        },
    )
    return where


@pytest.fixture(scope="module")
def models(folder):
    made = []
    for name, column in (("a", "split"), ("b", "split"), ("c", "split_random")):
        network = classifier("brain3d", **PARAMS)
        save_image_classifier(
            folder / name,
            network,
            architecture="brain3d",
            network_params=PARAMS,
            spec=InputSpec((16, 16), intensities="range"),
            classes=("dark", "light"),
            split_column=column,
            **ABOUT,
        )
        made.append(ImageClassifier.load(folder / name, device="cpu"))
    return made


@pytest.fixture(scope="module")
def evaluation(models, folder):
    from napari_cardioxai.cohorts.pictures import images_of

    return evaluate_images(models, images_of(folder / "m.csv"))


def test_each_model_is_judged_by_the_split_that_it_was_trained_by(evaluation):
    assert evaluation.counts == {"split": 16, "split_random": 12}
    by_group, _, at_random = evaluation.models
    # Of a split by groups no image has a near-duplicate in training, of a random one each has.
    assert by_group.with_twin is None and by_group.without_twin.value == pytest.approx(
        by_group.figures.accuracy.value
    )
    assert at_random.without_twin is None
    assert by_group.size_mb == pytest.approx(
        4 * by_group.parameters / 1e6, rel=1e-6
    )  # group norms keep no running numbers
    assert by_group.depth == 6
    assert not evaluation.notes


def test_models_of_one_split_are_compared(evaluation):
    (pair,) = evaluation.comparisons["split"]
    a, b = evaluation.models[:2]
    expected = mcnemar(
        np.ones(16, int), (a.decisions == a.labels) * 1, (b.decisions == b.labels) * 1
    )
    assert (pair.first, pair.second, pair.mcnemar) == ("a", "b", expected)
    assert "split_random" not in evaluation.comparisons


def test_images_on_a_plane_come_with_how_far_to_trust_them(evaluation):
    pixels, embedding = evaluation.models[0].pictures
    assert (pixels.what, embedding.what) == ("raw pixels", "embedding")
    assert pixels.projection.points.shape == (16, 2)
    assert 0 <= pixels.faith.value <= 1
    assert pixels.purity.chance == pytest.approx(7 / 15)


def test_an_evaluation_leaves_tables_figures_and_a_page_of_its_own(evaluation, tmp_path):
    content = write_image_evaluation(tmp_path / "out", evaluation)
    again = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert again == json.loads(json.dumps(content))
    assert set(content["models"]) == {"a", "b", "c"}
    assert content["splits"]["split"]["about"] == "near-duplicates together"
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {
        *("evaluation.json", "evaluation.md", "evaluation.html", "predictions.csv"),
        *("accuracy.png", "confusion.png", "roc.png", "reliability.png", "projection.png"),
    }
    page = (tmp_path / "out" / "evaluation.html").read_text("utf-8")
    assert page.count("<img") == 5 and "http://" not in page.replace("http://www.w3.org", "")
    rows = (tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + 16 + 16 + 12


def test_judging_by_another_split_is_told(models, folder):
    from napari_cardioxai.cohorts.pictures import images_of

    manifest = images_of(folder / "m.csv")
    other = evaluate_images(models[2:], manifest, split="split", with_projections=False)
    assert "it has seen some of these images" in other.notes[0]
    whole = evaluate_images(models[:1], manifest, split=EVERYTHING, with_projections=False)
    assert whole.counts == {EVERYTHING: 48}
    with pytest.raises(CohortError, match="no column 'site'"):
        evaluate_images(models[:1], manifest, split="site")


def test_models_that_cannot_stand_beside_each_other_are_refused(models, folder):
    from napari_cardioxai.cohorts.pictures import images_of

    manifest = images_of(folder / "m.csv")
    other = replace(models[0], card=replace(models[0].card, name="x", classes=("dark", "grey")))
    with pytest.raises(CohortError, match="x knows dark, grey"):
        evaluate_images([models[0], other], manifest)
    with pytest.raises(CohortError, match="given twice"):
        evaluate_images([models[0], models[0]], manifest)
    with pytest.raises(CohortError, match="no model"):
        evaluate_images([], manifest)


def test_the_temperature_of_several_classes_has_the_largest_likelihood():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) < rng.random((4000, 1))).sum(1)
    assert fit_class_temperature(labels, logits).value == pytest.approx(1, abs=0.05)
    found = fit_class_temperature(labels, 3 * logits)
    assert found.value == pytest.approx(3, abs=0.15)
    assert found.nll_after == pytest.approx(log_loss(labels, shares), abs=1e-3)


def test_calibration_of_several_classes_is_that_of_other_software():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet((1, 1, 1), 200)
    labels = rng.integers(0, 3, 200)
    found = judge_class_calibration(labels, shares)
    assert found.nll == pytest.approx(log_loss(labels, shares))
    assert found.brier == pytest.approx(
        sum(np.mean((shares[:, k] - (labels == k)) ** 2) for k in range(3))
    )


def test_three_models_are_compared_pairwise_and_corrected():
    labels = np.zeros(40, int)
    said = {"a": np.zeros(40, int), "b": np.repeat((0, 1), (30, 10)), "c": np.ones(40, int)}
    pairs = compare_images(labels, said)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[0].mcnemar.p_value == pytest.approx(2 * 0.5**10)  # 10 of 10 in one direction
    assert pairs[0].p_holm == pytest.approx(2 * 0.5**10)  # the largest of three stays as it is
    assert pairs[1].p_holm == pytest.approx(3 * pairs[1].mcnemar.p_value)


def test_an_embedding_never_seen_lies_beyond_all_that_are_known(tmp_path):
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(4, 30))
    train, val = (
        rng.normal(size=(n, 4)) @ mixing + 0.05 * rng.normal(size=(n, 30)) for n in (300, 200)
    )
    cloud = fit_embedding_cloud(train, val)
    unseen = rng.normal(size=(500, 4)) @ mixing + 0.05 * rng.normal(size=(500, 30))
    percentile = cloud.strangeness(unseen).percentile
    assert np.mean(percentile > 90) == pytest.approx(0.1, abs=0.05)
    beside = unseen + 1.0 * rng.normal(size=unseen.shape)  # off the plane of all images
    assert (cloud.strangeness(beside).percentile == 100).all()
    assert fit_embedding_cloud(train[:10]) is None

    again = type(cloud).from_arrays(cloud.as_arrays(), where=tmp_path)
    np.testing.assert_allclose(
        again.strangeness(unseen).distance, cloud.strangeness(unseen).distance, rtol=1e-3
    )
