"""How far two pictures are from each other as a trained segmenter sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import ResidualUnit
from torch import Tensor, nn
from torch.nn import functional

from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import BundleError

LEVELS = 3  # halvings of the resolution; deeper ones no longer see edges
_EPS = 1e-6


class PerceptualDistance(nn.Module):
    """Mean squared distance of unit-length feature vectors, summed over levels.

    A squared error of pixels is least where everything uncertain is averaged;
    features of edges and textures are then missing, and this tells. The
    features come from a network that reads hearts, since there is none for
    everyday pictures that would know them better.

    Parameters
    ----------
    levels
        Modules that follow each other, each with the features of one level.

    References
    ----------
    Johnson et al. 2016 (ECCV); Zhang et al. 2018 (CVPR), eq. 1 with weights of one.
    """

    def __init__(self, levels: Sequence[nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.requires_grad_(False).eval()

    @classmethod
    def of_segmenter(
        cls, model: str = DEFAULT_SEGMENTER, *, levels: int = LEVELS
    ) -> PerceptualDistance:
        """The first levels of a segmenter's encoder.

        Raises
        ------
        BundleError
            When the model is no residual U-Net.
        """
        network = Segmenter.load(model, device="cpu").network
        units = [module for module in network.modules() if isinstance(module, ResidualUnit)]
        if len(units) < levels:
            raise BundleError(f"{model} is no residual U-Net; its levels cannot compare pictures.")
        return cls(units[:levels])

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """Mean over pictures, shape (); gradients reach `made`.

        Parameters
        ----------
        made, true
            Standardised intensities, shape (n, 1, y, x), sides multiples of 2 to
            the number of levels.
        """
        with torch.no_grad():
            wanted = self.features(true)
        distances = [
            (a - b).square().sum(1).mean() for a, b in zip(self.features(made), wanted, strict=True)
        ]
        return torch.stack(distances).sum()

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Of every level, each vector over the channels of length one; (n, channels, y, x) each."""
        found = []
        for level in self.levels:
            pictures = level(pictures)
            found.append(functional.normalize(pictures.float(), dim=1, eps=_EPS))
        return found
