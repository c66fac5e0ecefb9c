import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from napari_cardioxai.attribution.scores.randomisation import (
    Similarity,
    layers_from_the_top,
    randomise_labels,
    randomise_parameters,
)
from napari_cardioxai.errors import AttributionError


def generator():
    return torch.Generator().manual_seed(0)


def a_network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(4 * 64, 1),
    ).eval()


def gradient_of(image):
    def explain(network):
        x = image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(x).sum(), x)
        return slope[0, 0].numpy()

    return explain


def test_likeness_is_spearmans_over_voxels_that_say_something():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 12))
    a[:, :4] = b[:, :4] = 0
    found = Similarity.between(a, b)
    np.testing.assert_allclose(found.signed, spearmanr(a[:, 4:].ravel(), b[:, 4:].ravel())[0])
    magnitudes = spearmanr(np.abs(a[:, 4:]).ravel(), np.abs(b[:, 4:]).ravel())[0]
    np.testing.assert_allclose(found.magnitude, magnitudes)


@pytest.mark.parametrize("shape", [(9, 9), (8, 8, 8)])
def test_a_map_is_like_itself_and_like_its_negative_in_magnitude(shape):
    a = np.random.default_rng(0).normal(size=shape)
    same, opposite = Similarity.between(a, 2 * a), Similarity.between(a, -a)
    assert same.magnitude == pytest.approx(1) and same.ssim == pytest.approx(1)
    assert opposite.magnitude == pytest.approx(1) and opposite.signed == pytest.approx(-1)
    assert Similarity.between(a, np.zeros(shape)).magnitude == 0


def test_layers_are_randomised_from_the_output_to_the_input():
    network = a_network()
    assert layers_from_the_top(network) == ["6", "3", "1", "0"]
    image = torch.rand(1, 1, 8, 8)
    found = randomise_parameters(gradient_of(image), network, generator=generator())
    assert found.layers == ("6", "3", "1", "0")
    last = randomise_parameters(gradient_of(image), network, generator=generator(), stages=1)
    assert last.layers == ("0",)
    assert last.final == found.final


def test_the_network_itself_stays_as_it_was():
    network = a_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    randomise_parameters(
        gradient_of(torch.rand(1, 1, 8, 8)), network, generator=torch.Generator().manual_seed(3)
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_each_stage_forgets_one_layer_more():
    network = a_network()
    seen = []

    def explain(one):
        seen.append({name: value.clone() for name, value in one.state_dict().items()})
        return np.arange(9.0).reshape(3, 3)

    randomise_parameters(explain, network, generator=generator())
    changed = [
        {name for name in seen[0] if not torch.equal(seen[0][name], later[name])}
        for later in seen[1:]
    ]
    assert changed[0] == {"6.weight", "6.bias"}
    assert changed[1] == {"6.weight", "6.bias", "3.weight", "3.bias"}
    assert "0.weight" in changed[3] and "4.weight" not in changed[3], "slopes of a PReLU stay"
    scale = seen[-1]["3.weight"].std() / seen[0]["3.weight"].std()
    assert 0.5 < scale < 1.5


def test_a_map_of_the_image_alone_does_not_change_and_a_gradient_does():
    network, image = a_network(), torch.rand(1, 1, 8, 8)
    of_image = randomise_parameters(lambda _: image[0, 0].numpy(), network, generator=generator())
    assert of_image.final == pytest.approx(1) and not of_image.changed
    of_network = randomise_parameters(gradient_of(image), network, generator=generator())
    assert of_network.changed


def test_shuffled_labels_change_a_map_that_shows_what_was_learnt():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 6, 6))
    labels = (images[:, 1, 1] + images[:, 1, 2] - images[:, 4, 4] > 0).astype(float)

    def train(given):  # least squares
        weights, *_ = np.linalg.lstsq(images.reshape(60, -1), given - given.mean(), rcond=None)
        layer = nn.Linear(36, 1)
        layer.weight.data = torch.from_numpy(weights[None])
        return layer

    def explain(layer):
        return layer.weight.detach().numpy().reshape(6, 6)

    found = randomise_labels(train, labels, explain, rng=rng, repeats=3)
    assert len(found.similarity) == 3
    assert found.changed
    blind = randomise_labels(train, labels, lambda _: images[0], rng=rng)
    assert not blind.changed


def test_what_cannot_be_randomised_is_refused():
    with pytest.raises(AttributionError, match="no weights"):
        randomise_parameters(lambda _: np.ones((2, 2)), nn.ReLU(), generator=generator())
    with pytest.raises(AttributionError, match="alike"):
        randomise_labels(nn.Identity, [1, 1], lambda _: np.ones(2), rng=np.random.default_rng(0))
