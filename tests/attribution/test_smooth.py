import pytest
import torch

from napari_cardioxai.attribution.paths import (
    BlurIntegratedGradients,
    GuidedIntegratedGradients,
    IntegratedGradients,
)
from napari_cardioxai.attribution.smooth import (
    SmoothBlurGuided,
    SmoothBlurIntegratedGradients,
    SmoothGuidedIntegratedGradients,
    SmoothIntegratedGradients,
)
from tests.attribution.nets import a_network, an_image

PAIRS = [
    (SmoothIntegratedGradients, lambda net: IntegratedGradients(net, steps=4, tolerance_percent=0)),
    (SmoothGuidedIntegratedGradients, lambda net: GuidedIntegratedGradients(net, steps=4)),
    (
        SmoothBlurIntegratedGradients,
        lambda net: BlurIntegratedGradients(net, steps=4, tolerance_percent=0),
    ),
]


@pytest.mark.parametrize(("smooth", "plain"), PAIRS)
def test_without_noise_a_smooth_map_is_the_plain_one(smooth, plain):
    network, x = a_network(), an_image(side=8)
    heat = smooth(network, steps=4, samples=2, noise_percent=0).attribute(x, 1)
    torch.testing.assert_close(heat, plain(network).attribute(x, 1))


@pytest.mark.parametrize(("smooth", "plain"), PAIRS)
@pytest.mark.parametrize("dims", [2, 3])
def test_with_noise_it_is_the_mean_over_noisy_copies(smooth, plain, dims):
    network, x = a_network(dims), an_image(dims, side=8)
    generator = torch.Generator().manual_seed(0)
    sigma = 0.15 * float(x.max() - x.min())
    copies = [x + sigma * torch.randn(x.shape, generator=generator) for _ in range(3)]
    expected = torch.stack([plain(network).attribute(c, 1) for c in copies]).mean(0)
    heat = smooth(network, steps=4, samples=3).attribute(x, 1)
    torch.testing.assert_close(heat, expected)


def test_copies_are_compared_with_the_baseline_of_the_clean_input():
    network, x = a_network(), an_image(side=8)
    given = x.mean().expand_as(x)
    named = SmoothIntegratedGradients(network, steps=4, samples=2).attribute(x, 1, baselines="mean")
    torch.testing.assert_close(
        named,
        SmoothIntegratedGradients(network, steps=4, samples=2).attribute(x, 1, baselines=given),
    )


def test_the_smooth_blur_guided_map_walks_from_the_blurred_copy():
    network, x = a_network(), an_image(side=8)
    heat = SmoothBlurGuided(network, steps=6, samples=1, noise_percent=0).attribute(x, 1)
    expected = GuidedIntegratedGradients(network, steps=6).attribute(x, 1, baselines="blur")
    torch.testing.assert_close(heat, expected)
    told = SmoothBlurGuided(network, steps=6, samples=1).explain(x, 1)
    assert told.baseline == "the input blurred by 1.76 mm"
    assert told.completeness_percent is None
