"""InceptionResNetV2: branches whose sum with the input is scaled down (Szegedy et al. 2017).

In three dimensions pairs of long kernels become triples, as in `inception`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from napari_cardioxai.networks.inception import conv_chain, long_kernels
from napari_cardioxai.networks.layers import Add, Branches, ConvNormAct, Layers, initialise

_EPS = 1e-3


class ScaledResidual(nn.Module):
    """The input plus a share of what branches make of it.

    Parameters
    ----------
    layers, channels
        Dimensions; of the input.
    branches, between
        What sees the input; channels that it makes.
    scale
        The share.
    active
        Whether a ReLU follows the sum.
    """

    def __init__(
        self,
        layers: Layers,
        channels: int,
        branches: Branches,
        *,
        between: int,
        scale: float,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.branches = branches
        self.conv2d = layers.conv(between, channels, 1, bias=True)
        self.add = Add(scale)
        self.act: nn.Module = nn.ReLU() if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        return self.act(self.add(x, self.conv2d(self.branches(x))))


class InceptionResNetV2(nn.Module):
    """InceptionResNetV2 as in timm and Keras.

    Parameters
    ----------
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    dropout
        Probability before the last layer.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        in_channels: int = 1,
        classes: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims, eps=_EPS)
        conv = partial(ConvNormAct, layers)
        self.features = nn.Sequential(
            OrderedDict(
                conv2d_1a=conv(in_channels, 32, 3, stride=2, padding=0),
                conv2d_2a=conv(32, 32, 3, padding=0),
                conv2d_2b=conv(32, 64, 3),
                maxpool_3a=layers.max_pool(3, stride=2),
                conv2d_3b=conv(64, 80, 1),
                conv2d_4a=conv(80, 192, 3, padding=0),
                maxpool_5a=layers.max_pool(3, stride=2),
                mixed_5b=_mixed_5b(layers),
                repeat=_repeated(10, lambda: _block35(layers)),
                mixed_6a=_mixed_6a(layers),
                repeat_1=_repeated(20, lambda: _block17(layers)),
                mixed_7a=_mixed_7a(layers),
                repeat_2=_repeated(9, lambda: _block8(layers, scale=0.2)),
                block8=_block8(layers, scale=1.0, active=False),
                conv2d_7b=conv(2080, 1536, 1),
            )
        )
        self.global_pool = layers.mean_to()
        self.flatten = nn.Flatten()
        self.head_drop = nn.Dropout(dropout)
        self.classif = nn.Linear(1536, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        x = self.flatten(self.global_pool(self.features(x)))
        return self.classif(self.head_drop(x))


def _repeated(times: int, build: Callable[[], nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(build() for _ in range(times)))


def _mixed_5b(layers: Layers) -> Branches:
    chain = partial(conv_chain, layers, 192)
    pooled = nn.Sequential(layers.mean_around(count_padding=False), ConvNormAct(layers, 192, 64, 1))
    return Branches(
        branch0=chain([(96, 1)]),
        branch1=chain([(48, 1), (64, 5)]),
        branch2=chain([(64, 1), (96, 3), (96, 3)]),
        branch3=pooled,
    )


def _block35(layers: Layers) -> ScaledResidual:
    chain = partial(conv_chain, layers, 320)
    branches = Branches(
        branch0=chain([(32, 1)]),
        branch1=chain([(32, 1), (32, 3)]),
        branch2=chain([(32, 1), (48, 3), (64, 3)]),
    )
    return ScaledResidual(layers, 320, branches, between=128, scale=0.17)


def _mixed_6a(layers: Layers) -> Branches:
    chain = partial(conv_chain, layers, 320, stride=2)
    return Branches(
        branch0=chain([(384, 3)]),
        branch1=chain([(256, 1), (256, 3), (384, 3)]),
        branch2=layers.max_pool(3, stride=2),
    )


def _block17(layers: Layers) -> ScaledResidual:
    chain = partial(conv_chain, layers, 1088)
    branches = Branches(
        branch0=chain([(192, 1)]),
        branch1=chain([(128, 1), *long_kernels(layers, 7, (160, 192), last_axis_first=True)]),
    )
    return ScaledResidual(layers, 1088, branches, between=384, scale=0.1)


def _mixed_7a(layers: Layers) -> Branches:
    chain = partial(conv_chain, layers, 1088, stride=2)
    return Branches(
        branch0=chain([(256, 1), (384, 3)]),
        branch1=chain([(256, 1), (288, 3)]),
        branch2=chain([(256, 1), (288, 3), (320, 3)]),
        branch3=layers.max_pool(3, stride=2),
    )


def _block8(layers: Layers, *, scale: float, active: bool = True) -> ScaledResidual:
    chain = partial(conv_chain, layers, 2080)
    branches = Branches(
        branch0=chain([(192, 1)]),
        branch1=chain([(192, 1), *long_kernels(layers, 3, (224, 256), last_axis_first=True)]),
    )
    return ScaledResidual(layers, 2080, branches, between=448, scale=scale, active=active)
