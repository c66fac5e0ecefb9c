"""Residual blocks of the latent heart, and its way between pixels and patches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Down(nn.Module):
    """Residual block that halves both sides, (n, a, y, x) to (n, b, y/2, x/2).

    Starts as its strided skip alone: the last convolution is zero, which
    trains without normalisation layers.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 2, stride=2)
        self.relu2 = nn.ReLU()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Half the resolution."""
        return self.relu2(self.skip(x) + self.conv2(self.relu1(self.conv1(x))))


class Up(nn.Module):
    """Residual block that doubles both sides by depth-to-space, (n, a, y, x) to (n, b, 2y, 2x)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(before, 4 * after, 1)
        self.spread = nn.PixelShuffle(2)
        self.conv1 = nn.Conv2d(after, after, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.relu2 = nn.ReLU()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Twice the resolution."""
        wide = self.spread(self.widen(x))
        return self.relu2(wide + self.conv2(self.relu1(self.conv1(wide))))


class OneHot(nn.Module):
    """Labels (b, t, s, y, x) to their memberships (b, t, s, classes, y, x)."""

    values: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        values = torch.arange(classes, dtype=torch.uint8)[:, None, None]
        self.register_buffer("values", values, persistent=False)

    def forward(self, labels: Tensor) -> Tensor:
        """Ones and zeros in the type that the convolutions work in."""
        device = labels.device.type
        working = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else torch.get_default_dtype()
        )
        return (labels.unsqueeze(-3) == self.values).to(working)


class PatchesToPixels(nn.Module):
    """Channels that hold `patch` x `patch` pixels each, spread over the picture.

    (n, channels * slices * patch**2, y, x) to (n, slices, channels, y * patch,
    x * patch); the order of the incoming channels is channel, slice, row, column.
    """

    def __init__(self, *, channels: int, slices: int, patch: int) -> None:
        super().__init__()
        self.channels, self.slices, self.patch = channels, slices, patch

    def forward(self, coarse: Tensor) -> Tensor:
        """The picture."""
        n, _, y, x = coarse.shape
        parts = coarse.reshape(n, self.channels, self.slices, self.patch, self.patch, y, x)
        ordered = parts.permute(0, 2, 1, 5, 3, 6, 4)
        return ordered.reshape(n, self.slices, self.channels, y * self.patch, x * self.patch)


def pixels_to_patches(pictures: Tensor, patch: int) -> Tensor:
    """Pixels (n, s, y, x) in the order of the coarse picture, (n * y/patch * x/patch, s * patch**2).

    The inverse of `PatchesToPixels` for one channel.
    """
    n, s, y, x = pictures.shape
    parts = pictures.reshape(n, s, y // patch, patch, x // patch, patch)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, s * patch * patch)


class Dense(nn.Sequential):
    """Fully connected layers with a ReLU and dropout between them, none after the last."""

    def __init__(self, sizes: Sequence[int], *, dropout: float) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers[:-2])
