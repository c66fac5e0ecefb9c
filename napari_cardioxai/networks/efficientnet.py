"""EfficientNet-B0: inverted bottlenecks with squeeze and excitation (Tan and Le 2019)."""

from __future__ import annotations

from torch import Tensor, nn

from napari_cardioxai.networks.layers import Add, ConvNormAct, Layers, Multiply, initialise

# Expansion, side of the kernel, stride, channels that come and go, blocks: table 1 of the paper.
_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
_LAST = 1280


class SqueezeExcitation(nn.Module):
    """Weighs the channels by a small network of their means (Hu et al. 2018)."""

    def __init__(self, layers: Layers, channels: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = layers.mean_to()
        self.fc1 = layers.conv(channels, squeezed, 1, bias=True)
        self.activation = nn.SiLU()
        self.fc2 = layers.conv(squeezed, channels, 1, bias=True)
        self.scale_activation = nn.Sigmoid()
        self.multiply = Multiply()

    def forward(self, x: Tensor) -> Tensor:
        """The input, channels weighed between 0 and 1."""
        gate = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return self.multiply(x, self.scale_activation(gate))


class StochasticDepth(nn.Module):
    """In training, whole branches of some of the cases become 0 (Huang et al. 2016)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(probability)

    def forward(self, x: Tensor) -> Tensor:
        """The input, or where a case is dropped 0; what is kept grows accordingly."""
        if not self.training:
            return x
        return x * self.dropout(x.new_ones(len(x), *(1,) * (x.dim() - 1)))


class InvertedBottleneck(nn.Module):
    """Wider, each channel by itself, weighed, narrower again; a shortcut where shapes allow."""

    def __init__(
        self,
        layers: Layers,
        before: int,
        after: int,
        *,
        expansion: int,
        side: int,
        stride: int,
        drop: float,
    ) -> None:
        super().__init__()
        wide = before * expansion
        parts: list[nn.Module] = []
        if expansion != 1:
            parts.append(ConvNormAct(layers, before, wide, 1, act=nn.SiLU))
        parts += [
            ConvNormAct(layers, wide, wide, side, stride=stride, groups=wide, act=nn.SiLU),
            SqueezeExcitation(layers, wide, before // 4),
            ConvNormAct(layers, wide, after, 1, act=None),
        ]
        self.block = nn.Sequential(*parts)
        self.keeps_shape = stride == 1 and before == after
        if self.keeps_shape:
            self.stochastic_depth = StochasticDepth(drop)
            self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """What the block makes of it."""
        y = self.block(x)
        return self.add(x, self.stochastic_depth(y)) if self.keeps_shape else y


class EfficientNetB0(nn.Module):
    """EfficientNet-B0 as in torchvision and timm.

    Parameters
    ----------
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    dropout
        Probability before the last layer.
    stochastic_depth
        Probability with which the last block is left out in training; it
        rises linearly from 0 at the first.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        in_channels: int = 1,
        classes: int = 2,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims)
        total = sum(stage[-1] for stage in _STAGES)
        drops = (stochastic_depth * k / total for k in range(total))
        stages: list[nn.Module] = [
            ConvNormAct(layers, in_channels, _STAGES[0][3], 3, stride=2, act=nn.SiLU)
        ]
        for expansion, side, stride, before, after, count in _STAGES:
            stages.append(
                nn.Sequential(
                    *(
                        InvertedBottleneck(
                            layers,
                            after if k else before,
                            after,
                            expansion=expansion,
                            side=side,
                            stride=1 if k else stride,
                            drop=next(drops),
                        )
                        for k in range(count)
                    )
                )
            )
        stages.append(ConvNormAct(layers, _STAGES[-1][4], _LAST, 1, act=nn.SiLU))
        self.features = nn.Sequential(*stages)
        self.avgpool = layers.mean_to()
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(_LAST, classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))
