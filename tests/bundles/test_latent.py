import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.bundle import CARD, save_bundle, shipped_folder
from napari_cardioxai.bundles.card import ConceptSlice, LatentCard
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.bundles.training_cloud import latent_summary
from napari_cardioxai.cohorts.normalisation import NormalisationSpec, normalise_labels
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.phantom.spec import BUILT_IN
from napari_cardioxai.phantom.subject import draw_subject
from tests.cohorts.cines import a_cine

PARAMS = {"latent": 8, "channels": [8, 12], "frame_units": 4, "concepts": [[0, 3]]}


def a_card(**changes) -> LatentCard:
    values = {
        "name": "small",
        "title": "a small latent heart",
        "network": "latent-heart",
        "network_params": PARAMS,
        "normalisation": NormalisationSpec(),
        "classes": ("healthy", "diseased"),
        "concepts": (ConceptSlice("large", 0, 3),),
        "threshold": {"value": 0.4},
        "data": "none",
        "licence": "CC0 1.0",
        "split": "none",
        "results": {},
        "command": "cardioxai train clough",
    }
    return LatentCard(**{**values, **changes})


@pytest.fixture
def bundle(tmp_path):
    torch.manual_seed(0)
    save_bundle(tmp_path / "small", a_card(), LatentHeart(**PARAMS).state_dict())
    return tmp_path / "small"


@pytest.fixture
def classifier(bundle):
    return LatentClassifier.load(bundle, device="cpu")


def some_sequences(count=3):
    return np.random.default_rng(0).integers(0, 4, (count, 25, 3, 80, 80), dtype=np.uint8)


def test_what_a_bundle_says_is_what_its_network_says(classifier):
    sequences = some_sequences()
    said = classifier.decide(classifier.encode(sequences))
    network = classifier.network
    with torch.inference_mode():
        mean, _ = network.encode(torch.from_numpy(sequences))
        expected = network.classify(mean)
        pictures = network.decode(mean).argmax(3)
    np.testing.assert_allclose(said.latent, mean, atol=1e-5)
    np.testing.assert_allclose(said.features, expected["features"], atol=1e-5)
    probability = torch.sigmoid(expected["logit"]).numpy()
    np.testing.assert_allclose(said.probability, probability, atol=1e-5)
    np.testing.assert_array_equal(said.decision, probability >= 0.4)
    np.testing.assert_array_equal(classifier.reconstruct(sequences), pictures)


def test_several_threads_get_what_one_gets(classifier):
    sequences = some_sequences(8)
    alone = [classifier.encode(one[None]) for one in sequences]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: classifier.encode(one[None]), sequences))
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_a_card_comes_back_as_it_was_written(bundle, classifier):
    assert classifier.card == a_card()
    values = json.loads((bundle / CARD).read_text("utf-8"))
    values["concept_thresholds"] = {"large": 0.2}
    (bundle / CARD).write_text(json.dumps(values), "utf-8")
    card = LatentClassifier.load(bundle, device="cpu").card
    assert card.concept_threshold("large") == 0.2
    assert card.concept_threshold("another") == 0.5


def test_a_card_whose_normalisation_is_not_the_networks_is_refused(bundle):
    values = json.loads((bundle / CARD).read_text("utf-8"))
    values["normalisation"]["frames"] = 50
    (bundle / CARD).write_text(json.dumps(values), "utf-8")
    with pytest.raises(BundleError, match="the card's normalisation makes"):
        LatentClassifier.load(bundle, device="cpu")


def test_a_cine_normalised_in_another_way_is_refused(classifier):
    basal = normalise_labels(a_cine(), replace(classifier.spec, slices="basal"))
    with pytest.raises(BundleError, match="normalise the labels as its card says"):
        classifier.classify(basal)


def test_sequences_of_another_shape_are_refused(classifier):
    with pytest.raises(BundleError, match="reads sequences of shape"):
        classifier.encode(np.zeros((1, 50, 3, 80, 80), np.uint8))


def test_a_bundle_without_training_cohort_has_no_cloud(classifier):
    assert classifier.cloud is None


@pytest.mark.parametrize(
    ("name", "concepts"),
    [
        ("clough", {"low EF", "low PER", "low PFR", "low APFR", "high LVT"}),
        (
            "crt",
            {"septal flash", "late lateral wall", "posterolateral scar", "weak right ventricle"},
        ),
    ],
)
def test_the_shipped_models_know_their_concepts_their_cohort_and_their_limits(name, concepts):
    model = LatentClassifier.load(name, device="cpu")
    card = model.card
    assert {concept.name for concept in card.concepts} == concepts
    assert set(card.concept_thresholds) == concepts
    assert card.command.startswith(f"cardioxai train {name} ") and card.limits
    assert card.results["test"]["auc"] > 0.8 and card.baseline is not None
    size = sum(file.stat().st_size for file in (shipped_folder() / name).iterdir())
    assert size < 20e6
    cine = normalise_labels(a_cine(), model.spec)
    said = model.classify(cine)
    assert model.cloud is not None
    stranger = model.cloud.strangeness(latent_summary(said.latent))
    assert stranger.percentile[0] == 100, "a heart of discs is no phantom"


def laid_down_otherwise(labels: Labels) -> list[Labels]:
    """The same heart with its picture turned and mirrored in the array."""
    geometry, affine = labels.geometry, labels.geometry.affine
    assert affine is not None and geometry.spacing_mm is not None
    z, y, x = geometry.spacing_mm
    transposed = replace(
        labels,
        data=np.ascontiguousarray(labels.data.swapaxes(2, 3)),
        geometry=replace(geometry, affine=affine[:, [1, 0, 2, 3]], spacing_mm=(z, x, y)),
    )
    mirrored = affine.copy()
    mirrored[:3, 3] += affine[:3, 0] * (labels.data.shape[3] - 1)
    mirrored[:3, 0] *= -1
    return [
        transposed,
        replace(
            labels,
            data=np.ascontiguousarray(labels.data[..., ::-1]),
            geometry=replace(geometry, affine=mirrored),
        ),
    ]


@pytest.mark.parametrize("name", ["clough", "crt"])
def test_a_shipped_decision_does_not_follow_how_the_picture_lies_in_its_array(name):
    model = LatentClassifier.load(name, device="cpu")
    subject = draw_subject(BUILT_IN[name], seed=5, index=0)
    timing = {"frame_times_ms": subject.times_ms, "cycle_ms": subject.case.heart.lv.cycle_ms}
    labels = Labels(subject.labels(), subject.grid.geometry, **timing)
    first, *others = (
        model.classify(normalise_labels(laid, model.spec))
        for laid in (labels, *laid_down_otherwise(labels))
    )
    scale = np.abs(first.latent).mean()
    for other in others:
        assert np.abs(other.latent - first.latent).mean() < 0.1 * scale
        assert other.probability == pytest.approx(first.probability, abs=0.05)
