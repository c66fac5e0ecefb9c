import pytest
import torch
from torch import nn

from napari_cardioxai.networks.segmentation import SEGMENTERS, AlexNetFcn, LvFcn


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("side", [160, 256])
def test_logits_have_the_size_of_the_input(name, side):
    network = SEGMENTERS[name](classes=4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 4, side, side)


def test_lv_fcn_has_the_layers_and_the_parameter_count_of_the_paper():
    network = LvFcn()
    convolutions = [m for m in network if isinstance(m, nn.Conv2d)]
    assert [m.kernel_size for m in convolutions] == [(5, 5), (5, 5), (3, 3), (3, 3), (1, 1)]
    assert [m.stride for m in convolutions] == [(2, 2), (2, 2), (1, 1), (1, 1), (1, 1)]
    assert [m.kernel_size for m in network if isinstance(m, nn.MaxPool2d)] == [2, 2]
    (up,) = [m for m in network if isinstance(m, nn.ConvTranspose2d)]
    assert up.kernel_size == (31, 31) and up.stride == (16, 16)
    by_hand = (
        (25 * 100 + 100)
        + (25 * 100 * 200 + 200)
        + (9 * 200 * 300 + 300)
        + (9 * 300 * 300 + 300)
        + (300 * 2 + 2)
        + (31 * 31 * 2 * 2 + 2)
    )
    assert sum(p.numel() for p in network.parameters()) == by_hand


def test_the_transposed_convolution_starts_as_bilinear_interpolation():
    up = LvFcn().upscore
    with torch.no_grad():
        flat = up(torch.full((1, 2, 8, 8), 3.0))
    # Away from the border, where the kernel's neighbours are all there, a constant stays.
    torch.testing.assert_close(flat[..., 24:-24, 24:-24], torch.full((1, 2, 80, 80), 3.0))


@pytest.mark.parametrize("network", [LvFcn(), AlexNetFcn(), SEGMENTERS["unet"]()])
def test_no_activation_works_in_place(network):
    assert not [m for m in network.modules() if getattr(m, "inplace", False)]
