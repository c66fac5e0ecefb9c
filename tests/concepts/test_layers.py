from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.concepts.layers import layer_names, read_layer
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import LatentHeart
from tests.concepts import hearts


def test_on_a_linear_model_activations_and_gradients_are_the_algebra():
    z = hearts.latents(5)
    read = hearts.reading(z)
    expected = hearts.LIFT + z.mean(1)
    assert np.allclose(read.activations[:, :2], expected[:, :2], atol=1e-4)
    assert np.allclose(read.gradients, -np.eye(64)[0])
    assert np.allclose(read.logit, -z[..., hearts.EF].mean(1), atol=1e-4)


def test_gradients_at_the_latent_of_the_cycle_and_of_a_frame_are_parts_of_the_mean():
    z = hearts.latents(3)
    whole, frame = hearts.reading(z, "latent"), hearts.reading(z, "latent frame 7")
    assert whole.gradients.shape == (3, hearts.FRAMES * hearts.UNITS)
    assert np.allclose(whole.gradients[:, :: hearts.UNITS], -1 / hearts.FRAMES)
    assert np.allclose(frame.activations, z[:, 6])
    assert np.allclose(frame.gradients[:, hearts.EF], -1 / hearts.FRAMES)
    assert not frame.gradients[:, 1:].any()


@pytest.mark.parametrize("time", ["concat", "lstm", "conv"])
def test_every_layer_that_is_listed_can_be_read_whatever_brings_the_frames_together(time):
    torch.manual_seed(0)
    network = LatentHeart(latent=hearts.UNITS, channels=(4, 4), hidden=(16,), time=time).eval()
    classifier = replace(hearts.known_classifier(), network=network)
    names = [name for name in layer_names(classifier) if not name.startswith("latent frame")]
    for layer in [*names, "latent frame 25"]:
        read = read_layer(classifier, hearts.latents(3), layer)
        assert read.activations.shape == read.gradients.shape
        assert len(read.activations) == 3 and np.isfinite(read.gradients).all()


def test_an_unknown_layer_is_refused_with_those_that_there_are():
    with pytest.raises(BundleError, match=r"no layer 'latent frame 26'.*concept_layer"):
        hearts.reading(hearts.latents(2), "latent frame 26")
