"""The Classify dock with a model whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget

from .test_function import ring_labels, write

DISEASED = 1 / (1 + np.exp(-1.5 / 2.0))  # logit 1.5, temperature 2
CONCEPT = 1 / (1 + np.exp(2.0))
THRESHOLD = 0.6


def make_model(folder, *, far_away: bool):
    """A latent classifier that says the same of every heart; all of them are near, or far away."""
    import torch

    from napari_cardioxai.bundles.bundle import save_bundle
    from napari_cardioxai.bundles.card import LatentCard
    from napari_cardioxai.bundles.training_cloud import TrainingCloud
    from napari_cardioxai.training.evaluation.baselines import fit_biomarker_logistic
    from napari_cardioxai.training.latent.cohort import BIOMARKERS

    from ..training.latent_example import SMALL

    network = SMALL.build()
    with torch.no_grad():
        for layer, logit in zip(network.output_layers(), (1.5, -2.0), strict=True):
            layer.weight.zero_()
            layer.bias.fill_(logit)
    size = 2 * SMALL.latent
    cloud = TrainingCloud(
        np.zeros(size),
        np.eye(size) * (1e6 if far_away else 1e-6),
        np.linspace(0.5, 1.5, 101),
    )
    rng = np.random.default_rng(0)
    table = rng.normal(100, 20, (40, len(BIOMARKERS)))
    sick = (table[:, 0] + rng.normal(0, 10, 40) > 100).astype(int)
    card = LatentCard(
        name=folder.name,
        title="Disease of rings",
        network="latent-heart",
        network_params=SMALL.network_params,
        normalisation=SMALL.spec,
        classes=("healthy", "diseased"),
        concepts=SMALL.concepts,
        temperature=2.0,
        threshold={
            "value": THRESHOLD,
            "youden_index": 0.5,
            "sensitivity": 0.8,
            "specificity": 0.7,
        },
        baseline=fit_biomarker_logistic(table, sick, features=BIOMARKERS).as_json(),
        data="40 beating rings",
        licence="CC0-1.0",
        split="",
        results={
            "test": {
                "subjects": 300,
                "positives": 30,
                "auc": 0.861,
                "auc_95": [0.802, 0.914],
                "balanced_accuracy": 0.78,
            }
        },
        command="",
        recipe=SMALL.as_json(),
        versions={},
        limits=(),
    )
    save_bundle(folder, card, network.state_dict(), extras=cloud.as_arrays())


class Classify:
    """The dock and what a person does with it."""

    def __init__(self, window, dock) -> None:
        self.window, self.dock, self.live = window, dock, dock.live

    def child(self, name: str):
        found = self.dock.findChild(QWidget, name)
        assert found is not None, f"no control named {name}"
        return found

    def wait(self, condition) -> None:
        from napari_cardioxai.app.window import process_until

        assert process_until(condition, 300), self.live.verdict

    def wait_for(self, state: str) -> None:
        self.wait(lambda: self.live.verdict.state == state)

    def load(self, tmp_path, labels) -> None:
        path = write(tmp_path / "labels.nii.gz", labels)
        self.window.dock.segment_section.labels_chosen.emit(path)
        self.window.wait_for_job()
        self.window.wait(lambda: not self.window.dock.actions.function.is_busy)

    def ask(self, model: str) -> None:
        self.wait(lambda: self.child("classify_model").findText(model) >= 0)
        self.child("classify_model").setCurrentText(model)
        self.child("classify_start").click()


@pytest.fixture
def classify(window, tmp_path, monkeypatch):
    """A dock beside an open scan without labels."""
    from napari_cardioxai.app.widgets.classify.dock import ClassifyDock

    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(
        "napari_cardioxai.bundles.bundle.shipped_folder", lambda: tmp_path / "none shipped"
    )
    scan = np.choose(ring_labels(), (100, 900, 300, 850)).astype(np.int16)
    window.open(write(tmp_path / "scan.nii.gz", scan))

    def make() -> Classify:
        dock = ClassifyDock(window.viewer)
        window.viewer.window.add_dock_widget(dock, name="Classify")
        window.settle(0.1)
        return Classify(window, dock)

    return make


def test_a_decision_is_shown_with_all_that_speaks_for_and_against_it(
    classify, tmp_path, monkeypatch
):
    from napari_cardioxai.anatomy.label_files import read_labels
    from napari_cardioxai.anatomy.measurements import measure
    from napari_cardioxai.bundles.bundle import load_card
    from napari_cardioxai.training.evaluation.baselines import BiomarkerLogistic
    from napari_cardioxai.training.latent.cohort import biomarkers_of

    make_model(tmp_path / "models" / "near", far_away=False)
    make_model(tmp_path / "models" / "far", far_away=True)
    dock = classify()
    assert "Open a cine" in dock.child("classify_hint").text()
    assert not dock.child("classify_start").isEnabled()
    dock.load(tmp_path, ring_labels())
    dock.ask("near")
    assert not dock.child("classify_start").isEnabled()
    dock.wait_for("decided")

    gauge = dock.child("classify_probability")
    assert dock.child("classify_headline").text() == "Diseased"
    assert gauge.share == pytest.approx(DISEASED) and gauge.mark == THRESHOLD
    assert (gauge.said, gauge.mark_text, gauge.is_above) == ("68 %", "threshold 60 %", True)
    assert dock.child("classify_concept_large").share == pytest.approx(CONCEPT, abs=1e-6)
    stored = load_card(tmp_path / "models" / "near").baseline
    found = biomarkers_of(measure(read_labels(tmp_path / "labels.nii.gz")))
    alone = BiomarkerLogistic.from_json(stored, where=tmp_path).probability_of(found)
    assert dock.child("classify_baseline").share == pytest.approx(alone)
    about = dock.child("classify_calibration").text()
    assert "temperature of 2.00" in about and "AUC 0.86 (95 % interval 0.80 to 0.91)" in about
    distance = dock.child("classify_distance")
    assert (distance.share, distance.is_above) == (0, False)
    assert "within what the model has seen" in dock.child("classify_meaning").text()

    dock.child("classify_model").setCurrentText("far")
    assert dock.child("classify_decision_section").isHidden(), "what another model said is gone"
    dock.child("classify_start").click()
    dock.wait_for("decided")
    assert (distance.share, distance.is_above) == (1, True)
    assert dock.child("classify_headline").text() == "Diseased, but not to be trusted"
    assert "do not trust" in dock.child("classify_meaning").text()
    assert "not to be trusted" in dock.child("classify_warnings").text()


def test_edits_are_judged_again_and_labels_that_do_not_fit_are_refused(classify, tmp_path):
    make_model(tmp_path / "models" / "rings", far_away=False)
    dock = classify()
    dock.load(tmp_path, ring_labels())
    dock.ask("rings")
    dock.wait_for("decided")
    first = dock.live.verdict.decision
    layer = dock.window.labels
    z, y, x = (index.ravel() for index in np.nonzero(layer.data[6] == 1))
    layer.data_setitem((np.full(y.size, 6), z, y, x), 2)  # one phase without a cavity
    dock.wait_for("working")
    assert "have changed" in dock.child("classify_hint").text()
    assert dock.live.verdict.decision is first, "the last one stays in view, faded"
    dock.wait_for("refused")
    assert dock.child("classify_hint").text() == (
        "No LV cavity is labelled in frame 7 of 12; label the whole cycle."
    )
    assert dock.child("classify_decision_section").isHidden()

    layer.undo()
    dock.wait_for("decided")
    assert replace(dock.live.verdict.decision, warnings=()) == replace(first, warnings=())


def test_without_a_model_the_dock_says_how_to_get_one(classify):
    dock = classify()
    dock.wait(lambda: dock.live.cards is not None)
    assert "Train one" in dock.child("classify_hint").text()
    assert not dock.child("classify_train").isHidden()
    assert not dock.child("classify_start").isEnabled()


def make_image_model(folder, *, dims: int):
    """An image classifier that says "ring" of everything, with a probability that is known."""
    import torch

    from napari_cardioxai.bundles.image_classifier import save_image_classifier
    from napari_cardioxai.cohorts.image_input import InputSpec
    from napari_cardioxai.networks.classifiers import classifier

    params = {"spatial_dims": dims, "in_channels": 1, "classes": 3, "channels": [8, 8]}
    network = classifier("brain3d", **params)
    with torch.no_grad():
        network.head.fc.weight.zero_()
        network.head.fc.bias.copy_(torch.tensor([0.0, 2.0, 1.0]))
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95}
    save_image_classifier(
        folder,
        network,
        architecture="brain3d",
        network_params=params,
        spec=InputSpec((16,) * dims),
        classes=("disc", "ring", "square"),
        temperature=2.0,
        title="Shapes",
        data="made-up shapes",
        licence="CC0 1.0",
        split="",
        results={
            "temperature": {"value": 2.0},
            "test": {"images": 60, "accuracy": accuracy, "balanced_accuracy": accuracy},
        },
    )


def test_a_classifier_of_volumes_decides_on_the_open_scan_without_labels(classify, tmp_path):
    make_image_model(tmp_path / "models" / "volumes", dims=3)
    make_image_model(tmp_path / "models" / "pictures", dims=2)
    make_model(tmp_path / "models" / "rings", far_away=False)
    dock = classify()
    dock.ask("volumes")
    dock.wait_for("decided")
    shares = np.exp([0.0, 1.0, 0.5]) / np.exp([0.0, 1.0, 0.5]).sum()
    for name, share in zip(("disc", "ring", "square"), shares, strict=True):
        assert dock.child(f"classify_class_{name}").share == pytest.approx(share)
    assert dock.child("classify_headline").text() == "Ring"
    bars = [dock.child(f"classify_class_{name}") for name in ("disc", "ring", "square")]
    assert [bar.is_above for bar in bars] == [False, True, False]
    assert dock.child("classify_probability").isHidden()
    assert dock.child("classify_concepts_section").isHidden()
    assert "60 images that it did not learn from: accuracy 90 %" in (
        dock.child("classify_calibration").text()
    )
    warned = dock.child("classify_warnings").text()
    assert "first of 12 frames" in warned and "strangers go unnoticed" in warned

    dock.load(tmp_path, ring_labels())
    assert dock.live.verdict.state == "decided", "labels are nothing to a model of images"
    dock.child("classify_model").setCurrentText("rings")
    assert dock.live.verdict.state == "ready"
    dock.child("classify_start").click()
    dock.wait_for("decided")
    assert not dock.child("classify_probability").isHidden()
    assert dock.dock.decision.classes.isHidden()

    dock.ask("pictures")
    dock.wait_for("refused")
    assert "the model reads single pictures" in dock.child("classify_hint").text()


def test_a_model_of_images_asks_for_an_image(window, tmp_path, monkeypatch):
    from napari_cardioxai.app.widgets.classify.dock import ClassifyDock

    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(
        "napari_cardioxai.bundles.bundle.shipped_folder", lambda: tmp_path / "none shipped"
    )
    make_image_model(tmp_path / "models" / "volumes", dims=3)
    dock = ClassifyDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Classify")
    shown = Classify(window, dock)
    shown.wait(lambda: shown.live.cards is not None)
    shown.wait_for("no scan")
    assert "Open a picture or volume" in shown.child("classify_hint").text()
    assert not shown.child("classify_start").isEnabled()
