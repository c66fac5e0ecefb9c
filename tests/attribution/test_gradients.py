import captum.attr
import pytest
import torch
from torch import nn

from napari_cardioxai.attribution.gradients import (
    Gradient,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    SmoothGrad,
    SquaredSmoothGrad,
)
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import a_network, an_awkward_network, an_image


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Gradient, lambda net, x: captum.attr.Saliency(net).attribute(x, target=1, abs=False)),
        (InputXGradient, lambda net, x: captum.attr.InputXGradient(net).attribute(x, target=1)),
        (GuidedBackprop, lambda net, x: captum.attr.GuidedBackprop(net).attribute(x, target=1)),
    ],
)
def test_gradient_input_x_gradient_and_guided_backprop_equal_captums(dims, ours, theirs):
    network, x = a_network(dims), an_image(dims, examples=2)
    expected = theirs(network, x.clone().requires_grad_())
    torch.testing.assert_close(ours(network).attribute(x, 1), expected.detach())


def test_guided_backprop_guides_functional_and_in_place_relus_too():
    modules = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

    class Functions(nn.Module):
        def forward(self, x):
            x = torch.relu(modules[0](x))
            return modules[4](modules[2](x).relu_())

    x = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    with_modules = nn.Sequential(nn.Flatten(), modules)
    functions = nn.Sequential(nn.Flatten(), Functions())
    expected = GuidedBackprop(with_modules).attribute(x, 0)
    torch.testing.assert_close(GuidedBackprop(functions).attribute(x, 0), expected)
    assert not torch.allclose(expected, Gradient(with_modules).attribute(x, 0))


def test_guided_backprop_refuses_a_network_without_relus():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 2))
    with pytest.raises(AttributionError, match="no ReLU"):
        GuidedBackprop(network).attribute(torch.ones(1, 1, 4), 0)


class Quadratic(nn.Module):
    """sum of x squared, whose gradient at a noisy place is 2 (x + noise)."""

    def forward(self, x):
        return x.square().flatten(1).sum(1, keepdim=True)


def test_smoothgrad_of_a_quadratic_is_its_gradient_plus_twice_the_mean_noise():
    x = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    generator = torch.Generator().manual_seed(5)
    sigma = 0.15 * 2
    noise = torch.cat([torch.randn(1, 1, 4, 4, generator=generator) for _ in range(8)])
    one_by_one = SmoothGrad(Quadratic(), samples=8, memory_mib=16)
    heat = one_by_one.attribute(x, 1, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(heat[0], (2 * (x + sigma * noise)).mean(0))
    squared = SquaredSmoothGrad(Quadratic(), samples=8)
    heat = squared.attribute(x, 1, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(heat[0], (2 * (x + sigma * noise)).square().mean(0))


def test_smoothgrad_is_the_same_again_and_does_not_touch_torchs_generator():
    network, x = a_network(), an_image()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (SmoothGrad(network, samples=3).attribute(x, 1) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    other = SmoothGrad(network, samples=3, seed=1).attribute(x, 1)
    assert not torch.equal(first, other)


def test_gradient_shap_of_a_linear_network_is_exact_whatever_the_samples():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    x = an_image(side=4)
    heat = GradientShap(network, samples=3).attribute(x, 1, baselines=0.5)
    expected = (x - 0.5) * network[1].weight[1].reshape(1, 1, 4, 4)
    torch.testing.assert_close(heat, expected.detach())


def test_gradient_shap_of_a_quadratic_is_integrated_gradients_on_average():
    x = torch.full((1, 1, 2, 2), 3.0)
    x[0, 0, 0, 0] = -1
    heat = GradientShap(Quadratic(), samples=1000).attribute(x, 1, baselines=1.0)
    torch.testing.assert_close(heat, x.square() - 1, rtol=0.05, atol=0.25)


@pytest.mark.parametrize("method", [Gradient, GuidedBackprop])
def test_a_batch_in_passes_is_the_batch_at_once(method):
    network, x = an_awkward_network(3), an_image(3, side=8, examples=5)
    at_once = method(network, memory_mib=1e6).attribute(x, [0, 1, 2, 1, 0])
    in_passes = method(network, memory_mib=16).attribute(x, [0, 1, 2, 1, 0])
    one_by_one = torch.cat(
        [method(network).attribute(x[k : k + 1], c) for k, c in enumerate([0, 1, 2, 1, 0])]
    )
    torch.testing.assert_close(at_once, in_passes, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-4, atol=1e-6)


def test_a_network_that_rounds_its_input_is_refused_in_a_sentence():
    class Rounds(nn.Module):
        def forward(self, x):
            return x.detach().round().flatten(1)

    with pytest.raises(AttributionError, match="no gradient reaches the input"):
        Gradient(Rounds()).attribute(torch.ones(1, 1, 4), 0)
