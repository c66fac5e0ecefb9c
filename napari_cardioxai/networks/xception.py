"""Xception: separable convolutions with shortcuts (Chollet 2017)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from napari_cardioxai.networks.layers import Add, Layers, initialise

_MIDDLE = 728


class SeparableConv(nn.Sequential):
    """A 3-pixel convolution of each channel by itself, then a 1-pixel one across channels."""

    def __init__(self, layers: Layers, before: int, after: int) -> None:
        super().__init__(
            OrderedDict(
                conv1=layers.conv(before, before, 3, groups=before),
                pointwise=layers.conv(before, after, 1),
            )
        )


class XceptionBlock(nn.Module):
    """Separable convolutions, each with its norm, beside a shortcut.

    Parameters
    ----------
    layers, before, after
        Dimensions; channels that come and go.
    count
        How many separable convolutions.
    stride
        2: halved by a maximum at the end.
    starts_active
        Whether a ReLU comes before the first convolution too.
    grows_last
        Whether the width changes at the last convolution and not at the first.
    """

    def __init__(
        self,
        layers: Layers,
        before: int,
        after: int,
        *,
        count: int = 3,
        stride: int = 1,
        starts_active: bool = True,
        grows_last: bool = False,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        width = before
        for k in range(count):
            wider = after if not grows_last or k == count - 1 else before
            if k or starts_active:
                parts.append(nn.ReLU())
            parts += [SeparableConv(layers, width, wider), layers.normalise(wider)]
            width = wider
        if stride != 1:
            parts.append(layers.max_pool(3, stride=stride, padding=1))
        self.rep = nn.Sequential(*parts)
        self.skip: nn.Module = nn.Identity()
        self.skipbn: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.skip = layers.conv(before, after, 1, stride=stride)
            self.skipbn = layers.normalise(after)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        return self.add(self.skipbn(self.skip(x)), self.rep(x))


class Xception(nn.Module):
    """Entry flow, eight middle blocks and exit flow of Chollet 2017, as timm's `legacy_xception`.

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
        layers = Layers(spatial_dims)
        self.conv1 = layers.conv(in_channels, 32, 3, stride=2, padding=0)
        self.bn1 = layers.normalise(32)
        self.act1 = nn.ReLU()
        self.conv2 = layers.conv(32, 64, 3, padding=0)
        self.bn2 = layers.normalise(64)
        self.act2 = nn.ReLU()
        entry = [
            XceptionBlock(layers, 64, 128, count=2, stride=2, starts_active=False),
            XceptionBlock(layers, 128, 256, count=2, stride=2),
            XceptionBlock(layers, 256, _MIDDLE, count=2, stride=2),
        ]
        middle = [XceptionBlock(layers, _MIDDLE, _MIDDLE) for _ in range(8)]
        last = XceptionBlock(layers, _MIDDLE, 1024, count=2, stride=2, grows_last=True)
        self.blocks = nn.Sequential(
            OrderedDict(
                (f"block{k}", block) for k, block in enumerate([*entry, *middle, last], start=1)
            )
        )
        self.conv3 = SeparableConv(layers, 1024, 1536)
        self.bn3 = layers.normalise(1536)
        self.act3 = nn.ReLU()
        self.conv4 = SeparableConv(layers, 1536, 2048)
        self.bn4 = layers.normalise(2048)
        self.act4 = nn.ReLU()
        self.global_pool = layers.mean_to()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.blocks(self.act2(self.bn2(self.conv2(x))))
        x = self.act3(self.bn3(self.conv3(x)))
        x = self.act4(self.bn4(self.conv4(x)))
        return self.fc(self.dropout(self.flatten(self.global_pool(x))))
