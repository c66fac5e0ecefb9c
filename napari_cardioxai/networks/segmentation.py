"""Networks that label every pixel of a 2-D slice.

All take (batch, 1, y, x) with y and x multiples of 16 and return logits of
shape (batch, classes, y, x). They are built of explicit modules without
in-place or functional activations, so that attribution can enter anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from monai.networks.nets import UNet
from torch import nn

STRIDE = 16
"""Input sides must be multiples of this."""


class LvFcn(nn.Sequential):
    """The small fully convolutional network of Liu et al. 2021, for the left ventricle.

    Two 5x5 convolutions of stride 2, each followed by a max-pool of 2, two
    3x3 convolutions, 1x1 scores and one 31x31 transposed convolution of
    stride 16 back to the input's size. Widths 100, 200, 300, 300.

    Parameters
    ----------
    classes
        Number of output classes, background included.
    """

    def __init__(self, *, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 100, 5, stride=2, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(100, 200, 5, stride=2, padding=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(200, 300, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(300, 300, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.scores = nn.Conv2d(300, classes, 1)
        self.upscore = _upscore(classes)
        _initialise(self)


class AlexNetFcn(nn.Sequential):
    """AlexNet's convolutions (Krizhevsky et al. 2012) with the upsampling of `LvFcn`.

    Liu et al. 2021 compare against it. The fully connected layers become the
    1x1 scores; the last pooling is left out, so that the stride is 16.

    Parameters
    ----------
    classes
        As in `LvFcn`.
    """

    def __init__(self, *, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 11, stride=4, padding=5)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu5 = nn.ReLU()
        self.scores = nn.Conv2d(256, classes, 1)
        self.upscore = _upscore(classes)
        _initialise(self)


def unet(
    *,
    classes: int = 2,
    channels: Sequence[int] = (16, 32, 64, 128, 256),
    residual_units: int = 2,
    dropout: float = 0.05,
) -> UNet:
    """MONAI's residual U-Net (Kerfoot et al. 2018) for 2-D slices.

    Parameters
    ----------
    classes
        Number of output classes, background included.
    channels
        Width of each level; every level but the last halves the resolution.
    residual_units, dropout
        Convolutions per residual block; dropout probability in each.
    """
    return UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=classes,
        channels=tuple(channels),
        strides=(2,) * (len(channels) - 1),
        num_res_units=residual_units,
        dropout=dropout,
    )


SEGMENTERS: Mapping[str, Callable[..., nn.Module]] = {
    "unet": unet,
    "lv-fcn": LvFcn,
    "alexnet-fcn": AlexNetFcn,
}
"""Architectures by the name that a model card carries."""


def _upscore(classes: int) -> nn.ConvTranspose2d:
    """One 31x31 transposed convolution of stride 16 that starts as bilinear upsampling."""
    layer = nn.ConvTranspose2d(classes, classes, 31, stride=STRIDE, padding=8, output_padding=1)
    ramp = 1 - (torch.arange(31) - 15).abs() / STRIDE
    with torch.no_grad():
        layer.weight.zero_()
        for k in range(classes):
            layer.weight[k, k] = ramp[:, None] * ramp[None, :]
        assert layer.bias is not None
        layer.bias.zero_()
    return layer


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
