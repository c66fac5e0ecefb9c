import captum.metrics
import numpy as np
import pytest
import torch

from napari_cardioxai.attribution.scores.infidelity import infidelity
from napari_cardioxai.attribution.scores.sensitivity import max_sensitivity
from napari_cardioxai.errors import AttributionError

SHAPES = [(2, 8, 8), (1, 6, 6, 6)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def a_linear_case(shape):
    weights, image, baseline = (
        torch.rand(shape, generator=generator(k), dtype=torch.float64) for k in range(3)
    )
    return weights, image, baseline, lambda x: (x * weights).flatten(1).sum(1) + 7


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("changes", ["boxes", "noise"])
def test_the_gradient_of_a_linear_network_foretells_every_change(shape, changes):
    weights, image, baseline, forward = a_linear_case(shape)
    found = infidelity(
        forward,
        image,
        weights,
        kind="slopes",
        baseline=baseline,
        changes=changes,
        generator=generator(),
    )
    assert found.raw == pytest.approx(0, abs=1e-20)
    assert found.unexplained == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("shape", SHAPES)
def test_shares_of_a_linear_network_foretell_what_removal_does(shape):
    weights, image, baseline, forward = a_linear_case(shape)
    shares = (weights * (image - baseline)).sum(0, keepdim=True)
    found = infidelity(
        forward, image, shares, kind="shares", baseline=baseline, generator=generator()
    )
    assert found.raw == pytest.approx(0, abs=1e-20)


def test_the_scale_of_a_map_matters_to_the_raw_number_only():
    weights, image, baseline, forward = a_linear_case((1, 8, 8))
    found = infidelity(
        forward, image, 3 * weights, kind="slopes", baseline=baseline, generator=generator()
    )
    # I·3A - ΔF = 2 ΔF
    once = infidelity(
        forward, image, 0 * weights, kind="slopes", baseline=baseline, generator=generator()
    )
    assert found.raw == pytest.approx(4 * once.raw)
    assert found.normalised == pytest.approx(0, abs=1e-20)
    assert once.unexplained == pytest.approx(1)


def test_noise_infidelity_is_that_of_captum():
    weights = torch.rand(1, 5, 5, generator=generator(1), dtype=torch.float64)
    image = torch.rand(1, 5, 5, generator=generator(2), dtype=torch.float64)

    def forward(x):
        return (weights * x**2).flatten(1).sum(1)

    slopes = 2 * weights * image
    samples = 64
    ours = infidelity(
        forward,
        image,
        slopes,
        kind="slopes",
        baseline=torch.zeros_like(image),
        changes="noise",
        samples=samples,
        generator=generator(5),
    )
    deviation = 0.2 * float(image.max() - image.min())

    def theirs(normalize):
        drawn = generator(5)

        def perturb(inputs):
            noise = [torch.randn((1, 5, 5), generator=drawn).double() for _ in range(len(inputs))]
            change = deviation * torch.stack(noise)
            return change, inputs - change

        return captum.metrics.infidelity(
            forward,
            perturb,
            image[None],
            slopes[None],
            n_perturb_samples=samples,
            normalize=normalize,
        ).item()

    assert ours.raw == pytest.approx(theirs(False), rel=1e-6)
    assert ours.normalised == pytest.approx(theirs(True), rel=1e-6)


def test_shares_cannot_foretell_noise():
    _, image, baseline, forward = a_linear_case((1, 4, 4))
    with pytest.raises(AttributionError, match="boxes"):
        infidelity(
            forward,
            image,
            image,
            kind="shares",
            baseline=baseline,
            changes="noise",
            generator=generator(),
        )


def test_a_gradient_that_is_the_same_everywhere_is_not_sensitive():
    image = torch.rand(1, 4, 4, generator=generator())
    assert max_sensitivity(torch.ones_like, image, generator=generator()) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_sensitivity_grows_with_the_slope_of_the_map(shape):
    image = torch.rand(shape, generator=generator(), dtype=torch.float64)
    image.view(-1)[:2] = torch.tensor([0.0, 1.0])  # a range of 1
    found = max_sensitivity(
        lambda x: 5 * x, image, radius_percent=2, samples=6, generator=generator(1)
    )
    drawn = generator(1)
    steps = [
        float((0.02 * (2 * torch.rand(shape, generator=drawn) - 1)).double().norm())
        for _ in range(6)
    ]
    assert found == pytest.approx(max(steps) / float(image.norm()))
    assert found <= 0.02 * np.sqrt(image.numel()) / float(image.norm())


def test_a_map_of_nothing_has_no_sensitivity():
    with pytest.raises(AttributionError, match="zero everywhere"):
        max_sensitivity(torch.zeros_like, torch.rand(1, 3, 3), generator=generator())
