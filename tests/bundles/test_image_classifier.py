import json

import numpy as np
import pytest
import torch
from torch import nn

from napari_cardioxai.bundles.bundle import CARD
from napari_cardioxai.bundles.image_classifier import ImageClassifier, save_image_classifier
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks import classifiers
from napari_cardioxai.networks.classifiers import classifier, register_classifier
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Provenance, Scan

PARAMS = {"spatial_dims": 3, "in_channels": 1, "classes": 3, "channels": [8, 16]}
CLASSES = ("normal", "mild", "severe")
ABOUT = {"title": "a small one", "data": "none", "licence": "CC0 1.0", "split": "none"}


def saved(folder, network, **changes):
    values = {
        "architecture": "brain3d",
        "network_params": PARAMS,
        "spec": InputSpec((12, 14, 16), spacing_mm=2.0),
        "classes": CLASSES,
        **ABOUT,
    }
    return save_image_classifier(folder, network, **{**values, **changes})


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return classifier("brain3d", **PARAMS).eval()


def test_a_saved_network_decides_as_before(network, tmp_path):
    card = saved(tmp_path / "brains", network, temperature=2.0)
    model = ImageClassifier.load(tmp_path / "brains", device="cpu")
    assert model.card == card
    images = np.random.default_rng(0).random((5, 12, 14, 16), dtype=np.float32)
    said = model.decide(images)
    with torch.inference_mode():
        logits = network(torch.from_numpy(images)[:, None]).double()
    np.testing.assert_allclose(said.logits, logits, rtol=1e-5)
    np.testing.assert_allclose(said.probability, torch.softmax(logits / 2, 1), rtol=1e-5)
    assert said.names == [CLASSES[k] for k in logits.argmax(1)]
    # The last layer makes the logits of the embedding.
    head = model.network.head.fc
    again = said.embedding @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    np.testing.assert_allclose(again, said.logits, rtol=1e-4, atol=1e-6)


def test_a_scan_is_brought_to_the_input_of_the_card(network, tmp_path):
    saved(tmp_path / "brains", network)
    model = ImageClassifier.load(tmp_path / "brains", device="cpu")
    scan = Scan(
        data=np.random.default_rng(1).random((1, 20, 21, 22)),
        geometry=Geometry((1.0, 1.0, 1.0), np.eye(4)),
        provenance=Provenance("x"),
    )
    made = model.prepare(scan)
    assert made.data.shape == (12, 14, 16)
    assert model.tensor(made.data).shape == (1, 1, 12, 14, 16)
    assert model.classify(scan).probability.sum() == pytest.approx(1)
    with pytest.raises(BundleError, match="12 x 14 x 16 pixels, not 12 x 12 x 12"):
        model.decide(np.zeros((1, 12, 12, 12)))


def test_no_images_give_no_rows(network, tmp_path):
    saved(tmp_path / "brains", network)
    said = ImageClassifier.load(tmp_path / "brains", device="cpu").decide(np.zeros((0, 12, 14, 16)))
    assert said.probability.shape == (0, 3) and said.names == []


def test_a_network_of_ones_own_becomes_a_bundle(tmp_path, monkeypatch):
    monkeypatch.setattr(classifiers, "_own", {})

    def build(*, spatial_dims, in_channels, classes, width=4):
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, classes),
        )

    params = {"spatial_dims": 2, "in_channels": 3, "classes": 2, "width": 5}
    own = build(**params)
    settings = {
        "architecture": "own-net",
        "network_params": params,
        "spec": InputSpec((16, 16)),
        "classes": ("no", "yes"),
    }
    with pytest.raises(BundleError, match="there is no network 'own-net'"):
        saved(tmp_path / "own", own, **settings)
    register_classifier("own-net", build)
    saved(tmp_path / "own", own, **settings)
    model = ImageClassifier.load(tmp_path / "own", device="cpu")
    image = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    grey = torch.from_numpy(image).expand(1, 3, 16, 16)
    np.testing.assert_allclose(model.decide(image[None]).logits, own(grey).detach(), rtol=1e-5)


def test_what_would_not_load_again_is_not_written(network, tmp_path):
    folder = tmp_path / "brains"
    with pytest.raises(BundleError, match="is another network"):
        saved(folder, network, network_params={**PARAMS, "channels": [8, 24]})
    with pytest.raises(BundleError, match="classes and dimensions"):
        saved(folder, network, classes=("no", "yes"))
    with pytest.raises(BundleError, match="classes and dimensions"):
        saved(folder, network, spec=InputSpec((12, 14)))
    with pytest.raises(BundleError, match="a name of its own"):
        saved(folder, network, classes=("a", "a", "b"))
    with pytest.raises(BundleError, match="cannot read 40 x 40 pixels"):
        params = {"spatial_dims": 2, "in_channels": 1, "classes": 2}
        small = classifier("inceptionv3", **params)
        saved(
            folder,
            small,
            architecture="inceptionv3",
            network_params=params,
            spec=InputSpec((40, 40)),
            classes=("no", "yes"),
        )
    assert not folder.exists()


def test_a_damaged_card_is_told(network, tmp_path):
    saved(tmp_path / "brains", network)
    file = tmp_path / "brains" / CARD
    values = json.loads(file.read_text())
    values["input"]["size"] = [12]
    file.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="input, classes or temperature"):
        ImageClassifier.load(tmp_path / "brains")
