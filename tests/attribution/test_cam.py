import captum.attr
import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_cardioxai.attribution.cam import (
    GradCam,
    GradCamPlusPlus,
    GuidedGradCam,
    GuidedGradCamPlusPlus,
    RelevanceGradCamPlusPlus,
    ScoreCam,
)
from napari_cardioxai.attribution.gradients import GuidedBackprop
from napari_cardioxai.attribution.relevance import RelevancePropagation
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import a_network, an_image

MODES = {2: "bilinear", 3: "trilinear"}


def stretched(heat, x):
    return functional.interpolate(heat, x.shape[2:], mode=MODES[x.ndim - 2])


@pytest.mark.parametrize("dims", [2, 3])
def test_grad_cam_equals_captums(dims):
    network, x = a_network(dims), an_image(dims, examples=2)
    expected = captum.attr.LayerGradCam(network, network[4]).attribute(
        x, target=1, relu_attributions=True
    )
    heat = GradCam(network, layer="4").attribute(x, 1)
    torch.testing.assert_close(heat, stretched(expected, x).detach())
    torch.testing.assert_close(GradCam(network, layer=network[4]).attribute(x, 1), heat)


@pytest.mark.parametrize("dims", [2, 3])
def test_guided_grad_cam_is_guided_backprop_where_grad_cam_looks(dims):
    network, x = a_network(dims), an_image(dims)
    cam = captum.attr.LayerGradCam(network, network[4]).attribute(
        x, target=1, relu_attributions=True
    )
    guided = captum.attr.GuidedBackprop(network).attribute(x.clone().requires_grad_(), target=1)
    heat = GuidedGradCam(network, layer="4").attribute(x, 1)
    torch.testing.assert_close(heat, (stretched(cam, x) * guided).detach())


class ByHand(nn.Module):
    """Two feature maps A0 = x, A1 = -x and F = sum over places of u A0² + v A1, u and v per place.

    dF/dA0 = 2 u A0 and dF/dA1 = v, all known by hand.
    """

    def __init__(self, shape):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = (
            nn.Conv2d(1, 2, 1, bias=False) if len(shape) == 2 else nn.Conv3d(1, 2, 1, bias=False)
        )
        self.conv.weight.data = torch.tensor([1.0, -1.0]).reshape(self.conv.weight.shape)
        self.u = torch.rand(shape, generator=generator) - 0.3
        self.v = torch.rand(shape, generator=generator) - 0.5

    def forward(self, x):
        maps = self.conv(x)
        return (self.u * maps[:, 0] ** 2 + self.v * maps[:, 1]).flatten(1).sum(1, keepdim=True)


def grad_cam_plus_plus_of_the_paper(maps, slopes):
    """Equations 10 to 12 and 19 of Chattopadhay et al. 2018 for one example, place by place.

    With Y = exp(F) the derivatives of Y are exp(F) g, exp(F) g², exp(F) g³; exp(F)
    cancels in alpha and is left out of the weight.
    """
    heat = torch.zeros_like(maps[0])
    for one_map, slope in zip(maps, slopes, strict=True):
        weight = 0.0
        total = float(one_map.sum())
        for g in slope.flatten().tolist():
            below = 2 * g**2 + total * g**3
            alpha = g**2 / below if below else 0.0
            weight += alpha * max(g, 0.0)
        heat += weight * one_map
    return heat.clamp_min(0)


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5)])
def test_grad_cam_plus_plus_is_the_published_formula_on_a_network_known_by_hand(shape):
    network = ByHand(shape)
    x = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(1))
    maps = torch.stack([x[0, 0], -x[0, 0]]).double()
    slopes = torch.stack([2 * network.u * x[0, 0], network.v]).double()
    expected = grad_cam_plus_plus_of_the_paper(maps, slopes)
    heat = GradCamPlusPlus(network, layer="conv").attribute(x, 1)
    torch.testing.assert_close(heat[0, 0].double(), expected, rtol=1e-4, atol=1e-5)


def test_large_logits_do_not_overflow():
    network, x = a_network(), 1e3 * an_image()
    assert GradCamPlusPlus(network, layer="4").attribute(x, 1).isfinite().all()


@pytest.mark.parametrize("dims", [2, 3])
def test_guided_and_relevance_variants_are_products(dims):
    network, x = a_network(dims), an_image(dims)
    plain = GradCamPlusPlus(network, layer="4").attribute(x, 1)
    guided = GuidedGradCamPlusPlus(network, layer="4").attribute(x, 1)
    torch.testing.assert_close(guided, plain * GuidedBackprop(network).attribute(x, 1))
    shares = RelevanceGradCamPlusPlus(network, layer="4").attribute(x, 1)
    expected = plain / plain.max() * RelevancePropagation(network).attribute(x, 1)
    torch.testing.assert_close(shares, expected)


def test_score_cam_is_its_definition():
    network, x = a_network(), an_image()
    with torch.no_grad():
        maps = network[:5](x)
        weights = []
        for k in range(maps.shape[1]):
            mask = stretched(maps[:, k : k + 1], x)
            low, high = maps[:, k].min(), maps[:, k].max()
            masked = x * (mask - low) / (high - low)
            weights.append(network(masked)[0, 1] - network(torch.zeros_like(x))[0, 1])
        heat = (torch.stack(weights).softmax(0)[:, None, None] * maps[0]).sum(0).clamp_min(0)
    expected = stretched(heat[None, None], x)
    torch.testing.assert_close(ScoreCam(network, layer="4").attribute(x, 1), expected)


def test_an_in_place_activation_behind_the_layer_does_not_change_the_map():
    network, x = a_network(), an_image()
    plain = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.ReLU) else m for m in network)).eval()
    for method in (GradCam, GradCamPlusPlus):
        torch.testing.assert_close(
            method(network, layer="4").attribute(x, 1), method(plain, layer="4").attribute(x, 1)
        )


def test_without_a_layer_the_coarsest_that_is_not_too_coarse_is_taken_and_named():
    told = GradCam(a_network()).explain(an_image(side=16), 1)
    assert told.notes == ("Layer 5, 8 × 8 voxels.",)
    told = GradCam(a_network(), layer="5").explain(an_image(side=8), 1)
    assert "only 4 × 4 voxels" in told.notes[0]


@pytest.mark.parametrize(
    ("layer", "complaint"), [("nowhere", "no layer 'nowhere'"), ("8", "no grid")]
)
def test_a_layer_that_cannot_be_used_is_refused_in_a_sentence(layer, complaint):
    with pytest.raises(AttributionError, match=complaint):
        GradCam(a_network(), layer=layer).attribute(an_image(), 1)
    with pytest.raises(AttributionError, match="no part of this network"):
        GradCam(a_network(), layer=nn.ReLU()).attribute(an_image(), 1)
