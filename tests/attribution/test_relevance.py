import itertools

import captum.attr
import numpy as np
import pytest
import torch
from monai.networks.nets import BasicUNet, DenseNet, EfficientNetBN, ResNet
from torch import nn
from torch.nn import functional

from napari_cardioxai.attribution.relevance import COMPOSITES, RelevancePropagation
from napari_cardioxai.attribution.targets import StructureLogit, StructureVolume
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import (
    a_network,
    a_segmenter,
    an_awkward_network,
    an_image,
    assert_untouched,
    state_of,
    with_statistics,
)

SHARING = [c for c in COMPOSITES if c != "epsilon"]


def test_z_plus_on_two_dense_layers_known_by_hand():
    """x = (1, 2, -1); hidden (3, 4); output 3 * 1 + 4 * 2 = 11.

    Unit 0 = 1*1 + 2*1 + (-1)*0, unit 1 = 1*0 + 2*3 + (-1)*2: positive
    contributions (1, 2, 0) of 3 and (0, 6, 0) of 6. Output: 3 and 8 of 11.
    Input: 3 * (1/3, 2/3, 0) + 8 * (0, 1, 0) = (1, 10, 0).
    """
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)
    )
    network[1].weight.data = torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, 2.0]])
    network[3].weight.data = torch.tensor([[1.0, 2.0]])
    x = torch.tensor([[[1.0, 2.0, -1.0]]])
    heat = RelevancePropagation(network, composite="z-plus").attribute(x, 1)
    torch.testing.assert_close(heat, torch.tensor([[[1.0, 10.0, 0.0]]]))


def test_epsilon_plus_gives_the_bias_of_a_dense_layer_to_its_contributions_by_size():
    """z = 2 - 1 = 1, bias 3, output 4: shares 2 + 3 * 2/3 and -1 + 3 * 1/3."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    network[1].weight.data = torch.tensor([[2.0, -1.0]])
    network[1].bias.data = torch.tensor([3.0])
    heat = RelevancePropagation(network).attribute(torch.ones(1, 1, 2), 1)
    torch.testing.assert_close(heat, torch.tensor([[[4.0, 0.0]]]), rtol=1e-4, atol=1e-4)


def convolution_by_loops(x, weight, relevance, share):
    """Relevance through a padded 3-wide convolution, voxel by voxel, for one unit after the other."""
    received = np.zeros_like(x)
    inside = [range(side) for side in x.shape[1:]]
    for unit in itertools.product(range(len(weight)), *inside):
        places, contributions = [], []
        for tap in itertools.product(range(len(x)), *(range(3) for _ in inside)):
            at = tuple(u + t - 1 for u, t in zip(unit[1:], tap[1:], strict=True))
            if all(0 <= a < side for a, side in zip(at, x.shape[1:], strict=True)):
                places.append((tap[0], *at))
                contributions.append(x[(tap[0], *at)] * weight[(unit[0], *tap)])
        shares = share(np.array(contributions))
        for place, part in zip(places, shares, strict=True):
            received[place] += part * relevance[unit]
    return received


def z_plus_shares(z):
    up = z.clip(0)
    return up / up.sum() if up.sum() else np.full(len(z), 1 / len(z))


def alpha_beta_shares(z, alpha=2.0):
    up, down = z.clip(0), z.clip(None, 0)
    if not up.sum() and not down.sum():
        return np.full(len(z), 1 / len(z))
    if not down.sum():
        return up / up.sum()
    if not up.sum():
        return down / down.sum()
    return alpha * up / up.sum() + (1 - alpha) * down / down.sum()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    ("composite", "first", "second"),
    [
        ("z-plus", z_plus_shares, z_plus_shares),
        ("epsilon-plus-flat", lambda z: np.full(len(z), 1 / len(z)), z_plus_shares),
        ("alpha-beta", alpha_beta_shares, alpha_beta_shares),
    ],
)
def test_rules_of_convolutions_are_those_of_a_loop_over_voxels(dims, composite, first, second):
    torch.manual_seed(0)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    network = nn.Sequential(
        conv(1, 2, 3, padding=1), nn.ReLU(), conv(2, 2, 3, padding=1), nn.ReLU()
    ).double()
    x = an_image(dims, side=4).double()
    hidden, output = network[:2](x), network(x)
    everywhere = StructureLogit(0, torch.ones(1, *x.shape[2:], dtype=torch.bool))
    relevance = np.zeros(output.shape[1:])
    relevance[0] = output[0, 0].detach().numpy()
    below = convolution_by_loops(
        hidden[0].detach().numpy(), network[2].weight.detach().numpy(), relevance, second
    )
    expected = convolution_by_loops(x[0].numpy(), network[0].weight.detach().numpy(), below, first)
    heat = RelevancePropagation(network, composite=composite).attribute(x, everywhere)
    np.testing.assert_allclose(heat[0].numpy(), expected, rtol=1e-6, atol=1e-9)


def test_batch_norm_is_folded_into_the_layer_before_it():
    network, x = a_network(3), an_image(3)
    conv, norm = network[0], network[1]
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = nn.Conv3d(1, 4, 3, padding=1)
    folded.weight.data = conv.weight * factor.reshape(-1, 1, 1, 1, 1)
    folded.bias.data = norm.bias + (conv.bias - norm.running_mean) * factor
    assert (factor < 0).any(), "a norm that turns a channel round"
    merged = nn.Sequential(folded, *network[2:]).eval()
    for composite in COMPOSITES:
        torch.testing.assert_close(
            RelevancePropagation(network, composite=composite).attribute(x, 1),
            RelevancePropagation(merged, composite=composite).attribute(x, 1),
            rtol=1e-3,
            atol=1e-5,
        )


def test_a_transposed_convolution_with_a_batch_norm_is_folded_too():
    torch.manual_seed(0)
    up, norm = nn.ConvTranspose2d(2, 3, 3, stride=2), nn.BatchNorm2d(3)
    network = with_statistics(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), up, norm, nn.ReLU()))
    network.eval()
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = nn.ConvTranspose2d(2, 3, 3, stride=2)
    folded.weight.data = up.weight * factor.reshape(1, -1, 1, 1)
    folded.bias.data = norm.bias + (up.bias - norm.running_mean) * factor
    merged = nn.Sequential(*network[:2], folded, nn.ReLU())
    x = an_image(side=6)
    everywhere = StructureLogit(1, torch.ones(1, 13, 13, dtype=torch.bool))
    torch.testing.assert_close(
        RelevancePropagation(network).attribute(x, everywhere),
        RelevancePropagation(merged).attribute(x, everywhere),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_epsilon_everywhere_is_input_times_gradient_of_a_network_of_relus(dims):
    for network in (a_network(dims), an_awkward_network(dims)):
        x = an_image(dims, side=8)
        expected = captum.attr.InputXGradient(network).attribute(
            x.clone().requires_grad_(), target=1
        )
        told = RelevancePropagation(network, composite="epsilon").explain(x, 1)
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(told.heat, expected.detach(), rtol=0, atol=2e-3 * scale)
        assert told.completeness_percent < 0.1
        assert "The biases took" in told.notes[0]


def residual(dims=3):
    return ResNet(
        "basic", [1, 1, 1, 1], [4, 8, 8, 8], spatial_dims=dims, n_input_channels=1, num_classes=3
    )


def dense(dims=3):
    return DenseNet(dims, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2))


def gated(dims=2):
    return EfficientNetBN(
        "efficientnet-b0", spatial_dims=dims, in_channels=1, num_classes=3, pretrained=False
    )


@pytest.mark.parametrize("composite", SHARING)
@pytest.mark.parametrize(
    ("make", "dims"), [(residual, 2), (residual, 3), (dense, 2), (dense, 3), (gated, 2)]
)
def test_networks_of_monai_share_out_their_logit_within_a_thousandth(make, dims, composite):
    torch.manual_seed(0)
    network = with_statistics(make(dims)).train()
    before = state_of(network)
    x = an_image(dims, side=64 if make is gated else 24, examples=2)
    told = RelevancePropagation(network, composite=composite).explain(x, [1, 2])
    with torch.no_grad():
        logits = network.eval()(x)[[0, 1], [1, 2]]
    network.train()
    torch.testing.assert_close(told.value, logits)
    torch.testing.assert_close(told.heat.flatten(1).sum(1), logits, rtol=1e-3, atol=1e-5)
    assert told.completeness_percent < 0.1
    assert_untouched(network, before)


def test_instance_norm_and_leaky_activations_do_not_blow_up():
    torch.manual_seed(0)
    network = BasicUNet(3, 1, 2, features=(4, 4, 8, 8, 8, 4)).eval()
    region = torch.ones(1, 32, 32, 32, dtype=torch.bool)
    told = RelevancePropagation(network).explain(an_image(3, side=32), StructureLogit(1, region))
    assert told.completeness_percent < 0.1
    assert float(told.heat.abs().sum()) < 10 * abs(float(told.value))


@pytest.mark.parametrize("name", ["lv-unet", "lv-fcn"])
@pytest.mark.parametrize("composite", SHARING)
def test_the_shipped_segmenters_share_out_the_logit_of_the_ventricle(name, composite):
    network = Segmenter.load(name, device="cpu").network
    x = an_image(side=64)
    x[..., 16:32, 16:32] += 2
    region = torch.zeros(1, 64, 64, dtype=torch.bool)
    region[:, 16:32, 16:32] = True
    told = RelevancePropagation(network, composite=composite).explain(x, StructureLogit(1, region))
    with torch.no_grad():
        expected = network(x)[0, 1][region[0]].sum()
    torch.testing.assert_close(told.heat.sum(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_reused_in_place_and_functional_activations_and_sums_are_followed(dims):
    network, x = an_awkward_network(dims), an_image(dims, side=8)
    told = RelevancePropagation(network).explain(x, 1)
    assert told.completeness_percent < 0.1
    torch.testing.assert_close(told.value, network(x)[:, 1].detach())


def test_a_sum_goes_to_the_summand_that_raises_it_and_a_gate_gets_nothing():
    class Sum(nn.Module):
        def forward(self, x):
            a, b, c = x[:, :, 0], x[:, :, 1], x[:, :, 2]
            return (a + b) * torch.sigmoid(c)

    x = torch.tensor([[[3.0, -1.0, 0.7]]])
    heat = RelevancePropagation(Sum()).attribute(x, 1)
    logit = 2 * torch.sigmoid(torch.tensor(0.7))
    torch.testing.assert_close(heat, torch.tensor([[[logit, 0.0, 0.0]]]))


def test_pooling_gives_to_the_winner_or_in_proportion():
    x = torch.tensor([[[1.0, 3.0, 2.0, 2.0]]])
    largest = nn.Sequential(nn.MaxPool1d(4), nn.Flatten())
    torch.testing.assert_close(
        RelevancePropagation(largest).attribute(x, 1), torch.tensor([[[0.0, 3.0, 0.0, 0.0]]])
    )
    for average in (nn.AvgPool1d(4), nn.AdaptiveAvgPool1d(1)):
        network = nn.Sequential(average, nn.Flatten())
        torch.testing.assert_close(RelevancePropagation(network).attribute(x, 1), x / 4)


def test_a_unit_that_lives_by_its_bias_shares_out_evenly():
    network = nn.Sequential(nn.Conv1d(1, 1, 2), nn.ReLU(), nn.Flatten())
    network[0].weight.data.fill_(-1)
    network[0].bias.data.fill_(10)
    heat = RelevancePropagation(network).attribute(torch.tensor([[[1.0, 2.0]]]), 1)
    torch.testing.assert_close(heat, torch.tensor([[[3.5, 3.5]]]))


def test_units_below_zero_that_are_not_cut_stand_for_what_lowers_them():
    """The hidden unit is 1 - 3 = -2 and speaks for the output through -1: the 3 did it."""
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 1, bias=False), nn.LeakyReLU(0.5), nn.Linear(1, 1, bias=False)
    )
    network[1].weight.data = torch.tensor([[1.0, -1.0]])
    network[3].weight.data = torch.tensor([[-1.0]])
    heat = RelevancePropagation(network, composite="z-plus").attribute(
        torch.tensor([[[1.0, 3.0]]]), 1
    )
    torch.testing.assert_close(heat, torch.tensor([[[0.0, 1.0]]]))


def test_explicit_padding_of_the_input_gets_nothing_from_the_flat_rule():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, bias=False)

        def forward(self, x):
            return self.conv(functional.pad(x, (1, 1))).relu().flatten(1).sum(1, keepdim=True)

    told = RelevancePropagation(Padded(), composite="epsilon-plus-flat").explain(
        torch.randn(1, 1, 9, generator=torch.Generator().manual_seed(0)), 1
    )
    assert told.completeness_percent < 1e-3


def test_what_has_no_rule_is_named():
    class Attends(nn.Module):
        def forward(self, x):
            return torch.bmm(x, x.transpose(1, 2)).flatten(1)

    told = RelevancePropagation(Attends()).explain(torch.ones(1, 1, 3), 1)
    assert "no rule for bmm" in told.notes[0]


def test_a_volume_is_refused_because_it_is_no_sum_of_logits():
    with pytest.raises(AttributionError, match="volume of structure 1"):
        RelevancePropagation(a_segmenter()).attribute(an_image(), StructureVolume(1))


@pytest.mark.parametrize("dims", [2, 3])
def test_relevance_equals_zennits(dims):
    zennit = pytest.importorskip("zennit", reason="zennit cannot be imported without torchvision")
    composites = pytest.importorskip("zennit.composites")
    assert zennit
    network, x = a_network(dims, bias=False), an_image(dims).requires_grad_()
    network[1] = nn.Identity()
    with composites.EpsilonPlus().context(network) as changed:
        output = changed(x)
        seed = torch.zeros_like(output)
        seed[0, 1] = output[0, 1].detach()
        (expected,) = torch.autograd.grad(output, x, seed)
    heat = RelevancePropagation(network).attribute(x.detach(), 1)
    torch.testing.assert_close(heat, expected, rtol=1e-3, atol=1e-5)
