"""Models whose reasons are known, and studies for them."""

import numpy as np
import torch
from torch import nn

from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.bundles.card import ConceptSlice, LatentCard
from napari_cardioxai.cohorts.normalisation import NormalisationSpec
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Kind, Provenance, Scan
from tests.bundles.test_bundle import a_card

HEART = {
    "size": 80,
    "latent": 6,
    "channels": [4, 6],
    "patch": 8,
    "frame_units": 3,
    "hidden": [8],
    "concept_hidden": 4,
    "concepts": [[0, 2]],
    "decoder": False,
}


class Bright(nn.Module):
    """Sees a cavity where the mean of 3 x 3 pixels is above one half, and nothing else."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.smooth = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.scores = nn.Conv2d(4, classes, 1)
        with torch.no_grad():
            self.smooth.weight.fill_(1 / 9)
            self.scores.weight.zero_()
            self.scores.bias.zero_()
            self.scores.weight[1] = 2.0
            self.scores.bias[1] = -4.0

    def forward(self, x):
        return self.scores(self.relu(self.smooth(x)))


def save_bright(folder):
    card = a_card(network="bright", network_params={"classes": 2}, pixel_mm=1.5, region=48)
    save_bundle(folder, card, Bright().state_dict())
    return folder


def save_heart(folder, *, reads="labels"):
    """A latent classifier of random weights; one concept."""
    torch.manual_seed(0)
    params = {**HEART, "reads": reads}
    network = LatentHeart(**params)
    card = LatentCard(
        name=folder.name,
        title="random",
        network="latent-heart",
        network_params=params,
        normalisation=NormalisationSpec(),
        classes=("healthy", "diseased"),
        concepts=(ConceptSlice("large", 0, 2),),
        threshold={"value": 0.5},
        data="none",
        licence="CC0-1.0",
        split="none",
        results={},
        command="",
        recipe={},
        versions={},
        limits=(),
    )
    save_bundle(folder, card, network.state_dict())
    return folder


def a_scan(frames=2, slices=3, shape=(56, 52)):
    """Dark noise with a bright disc of radius 7 px; the middle slice has the largest."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    data = rng.normal(100, 10, (frames, slices, *shape))
    for z in range(slices):
        disc = (yy - 26) ** 2 + (xx - 28) ** 2 <= (7 - 2 * abs(z - slices // 2)) ** 2
        data[:, z][:, disc] += 900
    affine = np.diag([1.5, 1.5, 8.0, 1.0])
    return Scan(
        data.astype(np.float32),
        Geometry((8.0, 1.5, 1.5), affine),
        Provenance("made"),
        kind=Kind.SHORT_AXIS,
        frame_times_ms=np.arange(frames) * 40.0,
    )
