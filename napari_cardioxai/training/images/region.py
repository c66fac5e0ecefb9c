"""A second task for a classifier in training: to say where a region of interest lies.

A sign that takes a thousandth of a volume, such as the shrinking of a
hippocampus, is hardly found from the class alone: the gradient of a class says
"something in here", and hundreds of volumes are learnt by heart first. Where
label maps are at hand, the last feature maps are asked for the share of the
region in each of their cells as well. The map that answers is thrown away with
the training; the classifier that stays is the same network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from napari_cardioxai.errors import TrainingError

_POOLING = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_SMALL = 1e-6


class RegionTask(nn.Module):
    """A map over the last features of a network, and how wrong it is.

    Parameters
    ----------
    network
        Ends in a pooling layer over its last feature maps and what follows.
    example
        An input, shape (1, channels, ...).

    Raises
    ------
    TrainingError
        When the network pools no maps.
    """

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        pools = [module for module in network.modules() if isinstance(module, _POOLING)]
        if not pools:
            raise TrainingError(
                "this network pools no feature maps, so it cannot learn where a region lies."
            )
        self._pool = [pools[-1]]  # in a list: it stays a part of the network, not of this
        was_training = network.training
        with torch.no_grad(), self.watching() as seen:
            network.eval()(example)
        network.train(was_training)
        conv = nn.Conv2d if seen[0].dim() == 4 else nn.Conv3d
        self.map = conv(seen[0].shape[1], 1, 1)

    @contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Note the last feature maps of every pass."""
        seen: list[Tensor] = []

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0])

        handle = self._pool[0].register_forward_pre_hook(note)
        try:
            yield seen
        finally:
            handle.remove()

    def loss(self, features: Tensor, region: Tensor) -> Tensor:
        """Mean squared error of the share in each cell over its variance; 1 for a constant map.

        Parameters
        ----------
        features
            Last feature maps, shape (b, c, ...).
        region
            Share of each pixel, shape (b, 1, ...).
        """
        pool = nn.AdaptiveAvgPool2d if region.dim() == 4 else nn.AdaptiveAvgPool3d
        truth = pool(tuple(features.shape[2:]))(region)
        spread = truth.std() + _SMALL
        return (self.map(features.float()) - truth / spread).square().mean()
