"""InceptionV3: branches of several reaches side by side (Szegedy et al. 2016).

In three dimensions the pairs of long kernels (1 x 7 and 7 x 1) become triples,
one along each axis, and where such kernels stand side by side there is one more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from napari_cardioxai.networks.layers import Branches, ConvNormAct, Layers, initialise

_EPS = 1e-3


def conv_chain(
    layers: Layers,
    before: int,
    steps: Sequence[tuple[int, int | tuple[int, ...]]],
    *,
    stride: int = 1,
) -> nn.Sequential:
    """Convolutions behind each other, (width, kernel) each.

    The last has the stride; with a stride of 2 it is not padded.
    """
    parts = []
    for k, (width, kernel) in enumerate(steps):
        strides = k == len(steps) - 1 and stride != 1
        parts.append(
            ConvNormAct(
                layers,
                before,
                width,
                kernel,
                stride=stride if strides else 1,
                padding=0 if strides else None,
            )
        )
        before = width
    return nn.Sequential(*parts)


def long_kernels(
    layers: Layers, length: int, widths: Sequence[int], *, last_axis_first: bool
) -> list[tuple[int, int | tuple[int, ...]]]:
    """Steps for `conv_chain` along one axis after another, all axes in each round.

    Parameters
    ----------
    layers, length
        Dimensions; of the kernels.
    widths
        Width within each round and at its end: a pair for one round, more for several.
    last_axis_first
        1 x 7 before 7 x 1.
    """
    axes = list(range(layers.dims))
    order = axes[::-1] if last_axis_first else axes
    steps: list[tuple[int, int | tuple[int, ...]]] = []
    for within, end in zip(widths[::2], widths[1::2], strict=True):
        rounds = [(within, layers.along(axis, length)) for axis in order]
        rounds[-1] = (end, rounds[-1][1])
        steps += rounds
    return steps


class InceptionV3(nn.Module):
    """InceptionV3 as in torchvision and timm, without the auxiliary classifier.

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
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims, eps=_EPS)
        conv = partial(ConvNormAct, layers)
        stem: list[tuple[str, nn.Module]] = [
            ("Conv2d_1a_3x3", conv(in_channels, 32, 3, stride=2, padding=0)),
            ("Conv2d_2a_3x3", conv(32, 32, 3, padding=0)),
            ("Conv2d_2b_3x3", conv(32, 64, 3)),
            ("maxpool1", layers.max_pool(3, stride=2)),
            ("Conv2d_3b_1x1", conv(64, 80, 1)),
            ("Conv2d_4a_3x3", conv(80, 192, 3, padding=0)),
            ("maxpool2", layers.max_pool(3, stride=2)),
        ]
        mixed: list[tuple[str, nn.Module]] = [
            ("Mixed_5b", _mixed_a(layers, 192, pooled=32)),
            ("Mixed_5c", _mixed_a(layers, 256, pooled=64)),
            ("Mixed_5d", _mixed_a(layers, 288, pooled=64)),
            ("Mixed_6a", _mixed_b(layers, 288)),
            ("Mixed_6b", _mixed_c(layers, width=128)),
            ("Mixed_6c", _mixed_c(layers, width=160)),
            ("Mixed_6d", _mixed_c(layers, width=160)),
            ("Mixed_6e", _mixed_c(layers, width=192)),
            ("Mixed_7a", _mixed_d(layers)),
            ("Mixed_7b", _mixed_e(layers, 1280)),
            ("Mixed_7c", _mixed_e(layers, _width_of_e(layers))),
        ]
        self.features = nn.Sequential(OrderedDict([*stem, *mixed]))
        self.avgpool = layers.mean_to()
        self.dropout = nn.Dropout(dropout)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(_width_of_e(layers), classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        return self.fc(self.flatten(self.dropout(self.avgpool(self.features(x)))))


def _pooled(layers: Layers, before: int, after: int) -> nn.Sequential:
    return nn.Sequential(layers.mean_around(), ConvNormAct(layers, before, after, 1))


def _mixed_a(layers: Layers, before: int, *, pooled: int) -> Branches:
    chain = partial(conv_chain, layers, before)
    return Branches(
        branch1x1=chain([(64, 1)]),
        branch5x5=chain([(48, 1), (64, 5)]),
        branch3x3dbl=chain([(64, 1), (96, 3), (96, 3)]),
        branch_pool=_pooled(layers, before, pooled),
    )


def _mixed_b(layers: Layers, before: int) -> Branches:
    chain = partial(conv_chain, layers, before, stride=2)
    return Branches(
        branch3x3=chain([(384, 3)]),
        branch3x3dbl=chain([(64, 1), (96, 3), (96, 3)]),
        branch_pool=layers.max_pool(3, stride=2),
    )


def _mixed_c(layers: Layers, *, width: int) -> Branches:
    chain = partial(conv_chain, layers, 768)
    once = long_kernels(layers, 7, (width, 192), last_axis_first=True)
    twice = long_kernels(layers, 7, (width, width, width, 192), last_axis_first=False)
    return Branches(
        branch1x1=chain([(192, 1)]),
        branch7x7=chain([(width, 1), *once]),
        branch7x7dbl=chain([(width, 1), *twice]),
        branch_pool=_pooled(layers, 768, 192),
    )


def _mixed_d(layers: Layers) -> Branches:
    chain = partial(conv_chain, layers, 768, stride=2)
    long = long_kernels(layers, 7, (192, 192), last_axis_first=True)
    return Branches(
        branch3x3=chain([(192, 1), (320, 3)]),
        branch7x7x3=chain([(192, 1), *long, (192, 3)]),
        branch_pool=layers.max_pool(3, stride=2),
    )


def _mixed_e(layers: Layers, before: int) -> Branches:
    chain = partial(conv_chain, layers, before)
    return Branches(
        branch1x1=chain([(320, 1)]),
        branch3x3=chain([(384, 1)]).append(_fan(layers)),
        branch3x3dbl=chain([(448, 1), (384, 3)]).append(_fan(layers)),
        branch_pool=_pooled(layers, before, 192),
    )


def _fan(layers: Layers) -> Branches:
    """Kernels along each axis side by side, the last axis first."""
    axes = reversed(range(layers.dims))
    return Branches(
        **{
            letter: ConvNormAct(layers, 384, 384, layers.along(axis, 3))
            for letter, axis in zip("abc", axes, strict=False)
        }
    )


def _width_of_e(layers: Layers) -> int:
    return 320 + 2 * layers.dims * 384 + 192
