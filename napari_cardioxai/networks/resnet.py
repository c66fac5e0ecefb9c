"""Residual networks: ResNet50 (He et al. 2016a), ResNet50V2 (2016b), and a small one for brains."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from napari_cardioxai.networks.layers import Add, Layers, initialise

_EXPANSION = 4
_STAGES_OF_50 = (3, 4, 6, 3)


class Bottleneck(nn.Module):
    """1, 3 and 1 pixel wide convolutions beside a shortcut, ReLU after the sum.

    The stride is that of the 3-pixel convolution, as in torchvision and timm.
    """

    def __init__(self, layers: Layers, before: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        after = width * _EXPANSION
        self.conv1 = layers.conv(before, width, 1)
        self.bn1 = layers.normalise(width)
        self.relu1 = nn.ReLU()
        self.conv2 = layers.conv(width, width, 3, stride=stride)
        self.bn2 = layers.normalise(width)
        self.relu2 = nn.ReLU()
        self.conv3 = layers.conv(width, after, 1)
        self.bn3 = layers.normalise(after)
        self.downsample = _shortcut(layers, before, after, stride)
        self.add = Add()
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        return self.relu3(self.add(self.downsample(x), self.bn3(self.conv3(y))))


class BasicBlock(nn.Module):
    """Two 3-pixel convolutions beside a shortcut, ReLU after the sum."""

    def __init__(self, layers: Layers, before: int, after: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = layers.conv(before, after, 3, stride=stride)
        self.bn1 = layers.normalise(after)
        self.relu1 = nn.ReLU()
        self.conv2 = layers.conv(after, after, 3)
        self.bn2 = layers.normalise(after)
        self.downsample = _shortcut(layers, before, after, stride)
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.add(self.downsample(x), y))


def _shortcut(layers: Layers, before: int, after: int, stride: int) -> nn.Module:
    """The input itself, or where shapes change a 1-pixel convolution of it."""
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(layers.conv(before, after, 1, stride=stride), layers.normalise(after))


class ResNet(nn.Module):
    """ResNet of bottlenecks, by default with the 50 layers of He et al. 2016a.

    Parameters
    ----------
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    blocks
        How many in each stage; each stage but the first halves the resolution.
    norm
        "batch" or "group".
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        in_channels: int = 1,
        classes: int = 2,
        blocks: Sequence[int] = _STAGES_OF_50,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims, norm)
        self.conv1 = layers.conv(in_channels, 64, 7, stride=2)
        self.bn1 = layers.normalise(64)
        self.relu = nn.ReLU()
        self.maxpool = layers.max_pool(3, stride=2, padding=1)
        before = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            stack = []
            for k in range(count):
                stride = 2 if stage and not k else 1
                stack.append(Bottleneck(layers, before, width, stride=stride))
                before = width * _EXPANSION
            self.add_module(f"layer{stage + 1}", nn.Sequential(*stack))
        self.stages = len(blocks)
        self.avgpool = layers.mean_to()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(before, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.flatten(self.avgpool(x)))


class PreactBottleneck(nn.Module):
    """Bottleneck with norm and ReLU before each convolution and nothing after the sum.

    A shortcut that changes shape starts from the activated input, as in the
    authors' code and in timm.
    """

    def __init__(self, layers: Layers, before: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        after = width * _EXPANSION
        self.norm1 = layers.normalise(before)
        self.relu1 = nn.ReLU()
        self.conv1 = layers.conv(before, width, 1)
        self.norm2 = layers.normalise(width)
        self.relu2 = nn.ReLU()
        self.conv2 = layers.conv(width, width, 3, stride=stride)
        self.norm3 = layers.normalise(width)
        self.relu3 = nn.ReLU()
        self.conv3 = layers.conv(width, after, 1)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                OrderedDict(conv=layers.conv(before, after, 1, stride=stride))
            )
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        active = self.relu1(self.norm1(x))
        kept = x if self.downsample is None else self.downsample(active)
        y = self.relu2(self.norm2(self.conv1(active)))
        return self.add(kept, self.conv3(self.relu3(self.norm3(self.conv2(y)))))


class ResNetV2(nn.Module):
    """ResNet50 with activation before the convolutions (He et al. 2016b).

    As timm's `resnetv2_50`; Keras's ResNet50V2 has 19,008 biases besides,
    before norms or sums where they change little.

    Parameters
    ----------
    spatial_dims, in_channels, classes, blocks, norm
        As for `ResNet`.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 2,
        in_channels: int = 1,
        classes: int = 2,
        blocks: Sequence[int] = _STAGES_OF_50,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims, norm)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=layers.conv(in_channels, 64, 7, stride=2),
                pool=layers.max_pool(3, stride=2, padding=1),
            )
        )
        before = 64
        stages = []
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            stack = []
            for k in range(count):
                stride = 2 if stage and not k else 1
                stack.append(PreactBottleneck(layers, before, width, stride=stride))
                before = width * _EXPANSION
            stages.append(nn.Sequential(OrderedDict(blocks=nn.Sequential(*stack))))
        self.stages = nn.Sequential(*stages)
        self.norm = layers.normalise(before)
        self.relu = nn.ReLU()
        self.head = nn.Sequential(
            OrderedDict(pool=layers.mean_to(), flatten=nn.Flatten(), fc=nn.Linear(before, classes))
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        return self.head(self.relu(self.norm(self.stages(self.stem(x)))))


class BrainResNet(nn.Module):
    """A small residual classifier of T1-weighted volumes.

    A stem of stride 2 and one stage of basic blocks for each width, each
    halving the resolution; a million weights where ResNet50 in 3-D has 46. Group
    norms by default, because volumes come in small batches.

    Parameters
    ----------
    spatial_dims, in_channels, classes
        3, or 2 for slices; channels of the input; logits.
    channels
        Width of each stage; multiples of 8.
    blocks
        Basic blocks per stage.
    norm
        "group" or "batch".
    dropout
        Probability before the last layer.
    """

    def __init__(
        self,
        *,
        spatial_dims: int = 3,
        in_channels: int = 1,
        classes: int = 2,
        channels: Sequence[int] = (16, 32, 64, 128),
        blocks: int = 1,
        norm: str = "group",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims, norm)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=layers.conv(in_channels, channels[0], 3, stride=2),
                bn=layers.normalise(channels[0]),
                relu=nn.ReLU(),
            )
        )
        stack = []
        before = channels[0]
        for stage, width in enumerate(channels):
            for k in range(blocks):
                stride = 2 if stage and not k else 1
                stack.append(BasicBlock(layers, before, width, stride=stride))
                before = width
        self.stages = nn.Sequential(*stack)
        self.head = nn.Sequential(
            OrderedDict(
                pool=layers.mean_to(),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                fc=nn.Linear(before, classes),
            )
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        return self.head(self.stages(self.stem(x)))
