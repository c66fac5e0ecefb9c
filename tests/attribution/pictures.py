"""Image classifiers whose reasons are known, and pictures and volumes for them."""

import numpy as np
import torch
from torch import nn

from napari_cardioxai.bundles.image_classifier import save_image_classifier
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Provenance, Scan

CLASSES = ("empty", "lesion")
LESION = (30, 22, 34)  # centre (z, y, x) in a volume; pictures have the last two
RADIUS = 5


def bright_spot(*, spatial_dims, in_channels, classes):
    """Says "lesion" the louder, the more voxels of a smoothed image are above 0.5, and nothing else."""
    conv = (nn.Conv2d, nn.Conv3d)[spatial_dims - 2]
    pool = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[spatial_dims - 2]
    network = nn.Sequential(
        conv(in_channels, 2, 3, padding=1),
        nn.ReLU(),
        pool(1),
        nn.Flatten(),
        nn.Linear(2, classes),
    )
    with torch.no_grad():
        network[0].weight.fill_(1 / 3**spatial_dims / in_channels)
        network[0].bias.fill_(-0.5)
        network[4].weight.copy_(torch.tensor([[-2000.0, -2000.0], [2000.0, 2000.0]]))
        network[4].bias.copy_(torch.tensor([0.5, -0.5]))
    return network


def save_bright_spot(folder, size):
    """A bundle of `bright_spot`; `networks.classifiers._own` must know it under that name."""
    params = {"spatial_dims": len(size), "in_channels": 1, "classes": 2}
    save_image_classifier(
        folder,
        bright_spot(**params),
        architecture="bright-spot",
        network_params=params,
        spec=InputSpec(size, intensities="range"),
        classes=CLASSES,
        title="Bright spots",
        data="none",
        licence="CC0-1.0",
        split="none",
    )
    return folder


def lesion_mask(shape):
    """A ball or disc."""
    grid = np.indices(shape)
    centre = np.array(LESION[-len(shape) :]).reshape(-1, *(1,) * len(shape))
    return ((grid - centre) ** 2).sum(0) <= RADIUS**2


def a_picture(shape=(56, 64), *, spacing_mm=None):
    """Grey noise with a bright disc; volumes with a ball."""
    rng = np.random.default_rng(0)
    data = rng.normal(80, 5, shape) + 150 * lesion_mask(shape)
    stored = data.reshape((1,) * (4 - len(shape)) + shape).astype(np.float32)
    affine = None if spacing_mm is None else np.diag([*spacing_mm[::-1], 1.0])
    return Scan(stored, Geometry(spacing_mm, affine), Provenance("made"), name="spot")
