import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_cardioxai.attribution.baselines import KINDS, Baseline, resolve_baselines
from napari_cardioxai.attribution.blur import blurred, default_sigma_mm
from napari_cardioxai.attribution.paths import IntegratedGradients
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import a_network, an_image


def resolved(baselines, inputs, seed=0):
    return resolve_baselines(
        baselines,
        inputs,
        spacing_mm=(1.0,) * (inputs.ndim - 2),
        generator=torch.Generator().manual_seed(seed),
    )


def test_every_kind_gives_values_of_the_inputs_shape_and_says_what_it_is():
    x = an_image(3, side=8, examples=2).repeat(1, 2, 1, 1, 1)
    for kind in KINDS:
        made = resolved(kind, x)
        assert made.text
        assert all(v.shape == x.shape for v in made.values)
    assert resolved(None, x).text == "zero"


def test_mean_and_black_and_white_are_of_each_example():
    x = torch.stack([torch.arange(4.0), 10 * torch.arange(4.0)]).reshape(2, 1, 2, 2)
    assert resolved("mean", x).values[0][:, 0, 0, 0].tolist() == [1.5, 15.0]
    black, white = resolved("black and white", x).values
    assert black[:, 0, 0, 0].tolist() == [0, 0] and white[:, 0, 0, 0].tolist() == [3, 30]


def test_noise_is_uniform_in_the_range_of_the_example_and_repeats_with_its_seed():
    x = an_image(2, side=32)
    noise = torch.stack(resolved("noise", x).values)
    assert float(noise.min()) >= float(x.min()) and float(noise.max()) <= float(x.max())
    span = float(x.max() - x.min())
    assert abs(float(noise.std()) - span / 12**0.5) < 0.02 * span
    assert torch.equal(noise, torch.stack(resolved("noise", x).values))
    assert not torch.equal(noise, torch.stack(resolved("noise", x, seed=1).values))


def test_background_is_the_first_channel():
    made = resolved("background", torch.rand(1, 4, 3, 5, 5)).values[0]
    assert made[:, 0].eq(1).all() and made[:, 1:].eq(0).all()


def test_a_normal_subjects_mean_is_stated_with_the_map():
    mean = torch.full((1, 16, 16), 0.3)
    chosen = Baseline.normal(mean, of="120 healthy volunteers")
    told = IntegratedGradients(a_network()).explain(an_image(), 1, baselines=chosen)
    assert told.baseline == "mean of 120 healthy volunteers"
    expected = IntegratedGradients(a_network()).attribute(an_image(), 1, baselines=0.3)
    torch.testing.assert_close(told.heat, expected)


@pytest.mark.parametrize(
    ("baselines", "complaint"),
    [("bright", "no baseline 'bright'"), (torch.zeros(1, 1, 3, 3), "must be alike")],
)
def test_what_is_no_baseline_is_refused_in_a_sentence(baselines, complaint):
    with pytest.raises(AttributionError, match=complaint):
        resolved(baselines, an_image())


@pytest.mark.parametrize(("edges", "mode"), [("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize("sigma_mm", [0.4, 1.7, 9.0])
def test_blur_equals_scipys_with_the_width_in_mm(edges, mode, sigma_mm):
    x = np.random.default_rng(0).normal(size=(2, 1, 6, 9, 12))
    spacing = (2.0, 1.25, 0.8)
    widths = (0, 0, *(sigma_mm / s for s in spacing))
    expected = ndimage.gaussian_filter(x, widths, mode=mode)
    ours = blurred(torch.from_numpy(x), sigma_mm, spacing_mm=spacing, edges=edges)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12)


def test_an_axis_without_length_is_not_blurred():
    x = torch.zeros(1, 1, 3, 8, 8)
    x[:, :, 1] = 1
    out = blurred(x, 2.0, spacing_mm=(None, 1.0, 1.0), edges="reflect")
    torch.testing.assert_close(out, x)
    assert default_sigma_mm((25, 80, 80), (None, 1.25, 1.25)) == pytest.approx(22.0)


def test_a_number_that_is_none_and_the_background_of_a_picture_are_refused():
    x = an_image(2, side=8)[:, :1]
    with pytest.raises(AttributionError, match="finite number"):
        resolved(float("nan"), x)
    with pytest.raises(AttributionError, match="background is a class of labels"):
        resolved("background", x)
