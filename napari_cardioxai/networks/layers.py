"""Layers that image classifiers are made of, in two or three dimensions.

Attribution follows a signal module by module. So every activation, pooling and
joining of branches here is a module of its own that is passed once per forward
pass, and none works in place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

from napari_cardioxai.errors import BundleError

Side = int | tuple[int, ...]
NORMS = ("batch", "group")
_GROUPS = 8


@dataclass(frozen=True)
class Layers:
    """Makes layers of a number of dimensions.

    Attributes
    ----------
    dims
        2 for pictures (b, c, y, x), 3 for volumes (b, c, z, y, x).
    norm
        "batch", or "group" with 8 groups, which small batches can bear.
    eps
        Added to the variance.

    Raises
    ------
    BundleError
        For other dimensions or norms.
    """

    dims: int
    norm: str = "batch"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise BundleError(f"a classifier has 2 or 3 dimensions, not {self.dims!r}.")
        if self.norm not in NORMS:
            raise BundleError(f"a norm is {' or '.join(NORMS)}, not {self.norm!r}.")

    def conv(
        self,
        before: int,
        after: int,
        side: Side,
        *,
        stride: int = 1,
        padding: Side | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Module:
        """Convolution; it keeps the size, but for its stride, where no padding is given."""
        kernel = (side,) * self.dims if isinstance(side, int) else side
        around = tuple(k // 2 for k in kernel) if padding is None else padding
        return Conv[Conv.CONV, self.dims](
            before, after, kernel, stride=stride, padding=around, groups=groups, bias=bias
        )

    def normalise(self, channels: int) -> nn.Module:
        """The norm over `channels`."""
        if self.norm == "group":
            return nn.GroupNorm(_GROUPS, channels, eps=self.eps)
        return Norm[Norm.BATCH, self.dims](channels, eps=self.eps)

    def max_pool(self, side: int, *, stride: int, padding: int = 0) -> nn.Module:
        """Maximum over a window."""
        return Pool[Pool.MAX, self.dims](side, stride=stride, padding=padding)

    def mean_around(self, *, count_padding: bool = True) -> nn.Module:
        """Mean over 3 pixels each way that keeps the size."""
        if self.dims == 3 and count_padding:
            # torch's own padding in 3-D refuses maps below 3 pixels, which 2-D takes.
            return nn.Sequential(nn.ConstantPad3d(1, 0.0), nn.AvgPool3d(3, stride=1))
        return Pool[Pool.AVG, self.dims](3, stride=1, padding=1, count_include_pad=count_padding)

    def mean_to(self, side: int = 1) -> nn.Module:
        """Means over as many parts as `side` each way, whatever the size."""
        return Pool[Pool.ADAPTIVEAVG, self.dims](side)

    def along(self, axis: int, length: int) -> tuple[int, ...]:
        """A kernel that is `length` long on one axis and 1 on the others."""
        return tuple(length if k == axis else 1 for k in range(self.dims))


class ConvNormAct(nn.Sequential):
    """Convolution `conv`, its norm `bn` and its activation `act`.

    Parameters
    ----------
    layers
        Of which dimensions and norm.
    before, after, side, stride, padding, groups
        As for `Layers.conv`.
    act
        The activation; none when None. A new ReLU by default.
    """

    def __init__(
        self,
        layers: Layers,
        before: int,
        after: int,
        side: Side,
        *,
        stride: int = 1,
        padding: Side | None = None,
        groups: int = 1,
        act: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        parts: list[tuple[str, nn.Module]] = [
            (
                "conv",
                layers.conv(before, after, side, stride=stride, padding=padding, groups=groups),
            ),
            ("bn", layers.normalise(after)),
        ]
        if act is not None:
            parts.append(("act", act()))
        super().__init__(OrderedDict(parts))


class Add(nn.Module):
    """Two branches of equal shape become their sum, the second times `scale`."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, kept: Tensor, added: Tensor) -> Tensor:
        """The sum."""
        return kept + (added if self.scale == 1.0 else added * self.scale)


class Multiply(nn.Module):
    """A signal and its gate, which may be one value a channel, become their product."""

    def forward(self, signal: Tensor, gate: Tensor) -> Tensor:
        """The product."""
        return signal * gate


class Concatenate(nn.Module):
    """Branches of equal size become one, channels behind each other."""

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """All channels."""
        return torch.cat(list(branches), 1)


class Branches(nn.Module):
    """Several ways for the same input, whose channels are put behind each other.

    Parameters
    ----------
    branches
        By their names, in their order.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        self.names = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)
        self.join = Concatenate()

    def forward(self, x: Tensor) -> Tensor:
        """All channels of all branches."""
        return self.join([getattr(self, name)(x) for name in self.names])


def initialise(network: nn.Module) -> None:
    """Kaiming's normal weights for convolutions, a small normal for linear layers, no biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
