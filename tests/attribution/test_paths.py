import math

import captum.attr
import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.paths import (
    BlurIntegratedGradients,
    GuidedIntegratedGradients,
    IntegratedGradients,
)
from tests.attribution.nets import a_network, an_image


def gradient_at(network, point, target=1):
    x = torch.from_numpy(point).float().requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[:, target].sum(), x)
    return slope.double().numpy()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("steps", [5, 20])
def test_integrated_gradients_equal_captums(dims, steps):
    network, x = a_network(dims), an_image(dims, examples=2)
    baseline = torch.full_like(x, -0.2)
    expected = captum.attr.IntegratedGradients(network).attribute(
        x, baseline, target=1, n_steps=steps, method="gausslegendre"
    )
    ours = IntegratedGradients(network, steps=steps, tolerance_percent=0)
    heat = ours.attribute(x, 1, baselines=baseline)
    torch.testing.assert_close(heat, expected.float(), rtol=1e-4, atol=1e-6)


class Cubic(nn.Module):
    def forward(self, x):
        return (x**3).flatten(1).sum(1, keepdim=True)


def test_two_gauss_legendre_steps_are_exact_for_a_cubic():
    x = torch.tensor([[[1.0, 2.0, -1.0]]])
    heat = IntegratedGradients(Cubic(), steps=2).attribute(x, 1, baselines=0.5)
    torch.testing.assert_close(heat, x**3 - 0.125)


def test_steps_are_doubled_until_the_map_is_complete_and_each_example_for_itself():
    class Bent(nn.Module):
        """Steep for large inputs, linear for small ones."""

        def forward(self, x):
            return torch.tanh(20 * (x - 1)).flatten(1).sum(1, keepdim=True) + x.flatten(1).sum(
                1, keepdim=True
            )

    passes = []
    network = Bent()
    network.register_forward_hook(lambda m, args, out: passes.append(len(out)))
    x = torch.tensor([[[0.1, 0.2]], [[3.0, 1.7]]])
    told = IntegratedGradients(network, steps=2).explain(x, 1)
    assert told.completeness_percent < 1
    difference = network(x)[:, 0] - network(torch.zeros_like(x))[:, 0]
    torch.testing.assert_close(told.heat.flatten(1).sum(1), difference, rtol=0.01, atol=0.0)
    assert not told.notes
    alone = IntegratedGradients(network, steps=2, tolerance_percent=0).attribute(x[:1], 1)
    assert torch.equal(told.heat[:1], alone), "the easy example stays at two steps"


def test_what_does_not_become_complete_is_said():
    class Step(nn.Module):
        def forward(self, x):
            return torch.sigmoid(1e5 * (x - 0.731)).flatten(1).sum(1, keepdim=True)

    told = IntegratedGradients(Step(), steps=2, most_steps=8).explain(torch.ones(1, 1, 2), 1)
    assert told.completeness_percent > 1
    assert "After 8 steps" in told.notes[0]


def test_maps_of_several_baselines_are_averaged():
    network, x = a_network(), an_image()
    both = IntegratedGradients(network).attribute(x, 1, baselines="black and white")
    black, white = (
        IntegratedGradients(network).attribute(x, 1, baselines=float(v)) for v in (x.min(), x.max())
    )
    torch.testing.assert_close(both, (black + white) / 2)


def guided_ig_of_the_paper(network, x, baseline, *, steps, fraction, max_dist):
    """Algorithm 1 of Kapishnikov et al. 2021, with the bounds of its section 3.3, on numpy."""
    start, end = baseline.astype(np.float64), x.astype(np.float64)
    point, shares = start.copy(), np.zeros_like(start)
    total = np.abs(end - start).sum()
    for step in range(steps):
        slope = gradient_at(network, point)
        size = slope.copy()
        alpha = (step + 1) / steps
        low = start + (end - start) * max(alpha - max_dist, 0)
        high = start + (end - start) * min(alpha + max_dist, 1)
        wanted = total * (1 - (step + 1) / steps)
        gamma = np.inf
        while gamma > 1:
            old = point.copy()
            with np.errstate(invalid="ignore", divide="ignore"):
                along = np.where(end != start, (point - start) / (end - start), np.nan)
            along[np.isnan(along)] = min(alpha + max_dist, 1)
            behind = along < max(alpha - max_dist, 0)
            point[behind] = low[behind]
            current = np.abs(point - end).sum()
            if math.isclose(wanted, current, rel_tol=1e-9, abs_tol=1e-9):
                shares += (point - old) * slope
                break
            size[point == high] = np.inf
            threshold = np.quantile(np.abs(size), fraction, method="lower")
            moving = (np.abs(size) <= threshold) & (size != np.inf)
            reach = (np.abs(point - high) * moving).sum()
            gamma = (current - wanted) / reach if reach > 0 else np.inf
            if gamma > 1:
                point[moving] = high[moving]
            else:
                point[moving] = (point + (high - point) * gamma)[moving]
            shares += (point - old) * slope
    return shares


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("percent", "distance"), [(25.0, 2.0), (10.0, 10.0), (50.0, 100.0)])
def test_guided_integrated_gradients_follow_the_papers_algorithm(dims, percent, distance):
    network, x = a_network(dims), an_image(dims, side=8, examples=2)
    ours = GuidedIntegratedGradients(
        network, steps=12, fraction_percent=percent, distance_percent=distance
    )
    heat = ours.attribute(x, 1)
    for row in range(2):
        example = x[row : row + 1].numpy()
        expected = guided_ig_of_the_paper(
            network,
            example,
            np.zeros_like(example),
            steps=12,
            fraction=percent / 100,
            max_dist=distance / 100,
        )
        np.testing.assert_allclose(heat[row : row + 1].numpy(), expected, rtol=1e-4, atol=1e-6)


def test_guided_integrated_gradients_without_distance_are_integrated_gradients():
    network, x = a_network(3), an_image(3, side=8)
    heat = GuidedIntegratedGradients(network, steps=20, distance_percent=0).attribute(x, 1)
    expected = captum.attr.IntegratedGradients(network).attribute(
        x, torch.zeros_like(x), target=1, n_steps=20, method="riemann_left"
    )
    torch.testing.assert_close(heat, expected.float(), rtol=1e-4, atol=1e-6)


def blur_ig_of_the_paper(network, x, *, widest, steps, spacing):
    """Equation 3 of Xu et al. 2020 as its code sums it, with scipy's Gaussian on all axes."""

    def blur(sigma):
        if sigma == 0:
            return x
        widths = (0, 0, *(sigma / s for s in spacing))
        return ndimage.gaussian_filter(x, widths, mode="constant")

    shares = np.zeros_like(x)
    for k in range(steps):
        sigma, further = widest * k / steps, widest * (k + 1) / steps
        middle = (sigma + further) / 2
        change = (blur(middle + 1e-3) - blur(middle - 1e-3)) / 2e-3
        shares -= gradient_at(network, blur(middle)) * change * (further - sigma)
    return shares


class Smooth(nn.Module):
    """A network without kinks, so that sums over few steps converge."""

    def __init__(self, dims):
        super().__init__()
        torch.manual_seed(0)
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.layers = nn.Sequential(conv(1, 3, 3, padding=1), nn.Tanh(), conv(3, 3, 3, padding=1))

    def forward(self, x):
        return self.layers(x).square().flatten(2).sum(2)


@pytest.mark.parametrize(("dims", "spacing"), [(2, (1.0, 1.0)), (3, (2.0, 1.0, 1.5))])
def test_blur_integrated_gradients_tend_to_the_papers_sum_with_a_true_blur(dims, spacing):
    network = Smooth(dims)
    x = an_image(dims, side=10).numpy().astype(np.float64)
    expected = blur_ig_of_the_paper(network, x, widest=3.0, steps=300, spacing=spacing)
    ours = BlurIntegratedGradients(network, widest_mm=3.0, steps=64, tolerance_percent=0)
    heat = ours.attribute(torch.from_numpy(x).float(), 1, spacing_mm=spacing).numpy()
    np.testing.assert_allclose(heat, expected, atol=0.02 * np.abs(expected).max())


def test_blur_integrated_gradients_are_complete_and_say_what_they_compare_with():
    told = BlurIntegratedGradients(Smooth(3)).explain(an_image(3, side=10), 1)
    assert told.completeness_percent < 1
    assert told.baseline == "the input blurred by 2.2 mm"


def test_time_is_not_blurred():
    x = an_image(3, side=8)
    x[:, :, 4] = 0
    heat = BlurIntegratedGradients(Smooth(3)).attribute(x, 1, spacing_mm=(None, 1.0, 1.0))
    assert not heat[:, :, 4].any(), "an empty frame has nothing to share out"
    assert BlurIntegratedGradients(Smooth(3)).attribute(x, 1)[:, :, 4].any()


@pytest.mark.parametrize(
    "method", [IntegratedGradients, GuidedIntegratedGradients, BlurIntegratedGradients]
)
def test_rows_per_pass_do_not_grow_with_the_steps(method):
    rows = {}
    for steps in (8, 64):
        network = a_network(2)
        seen = []
        network.register_forward_pre_hook(lambda m, args, seen=seen: seen.append(len(args[0])))
        budget = {"tolerance_percent": 0} if method is not GuidedIntegratedGradients else {}
        method(network, steps=steps, memory_mib=16, **budget).attribute(an_image(2, side=96), 1)
        rows[steps] = max(seen)
    assert rows[64] <= max(rows[8], _fits(96))


def _fits(side):
    """Rows of a pass that the budget of 16 MiB allows."""
    job = Job.begin(
        a_network(2),
        an_image(2, side=side),
        1,
        baselines=None,
        spacing_mm=None,
        generator=torch.Generator(),
        on_progress=lambda done, total, what: None,
        memory_mib=16,
    )
    return job.rows_at_once(10**6)
