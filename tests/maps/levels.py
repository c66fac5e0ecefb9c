"""Bright and dark pictures, and an untrained network for them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_cardioxai.bundles.image_classifier import save_image_classifier
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.networks.classifiers import classifier

SIDE = 24
EACH = 6
CLASSES = ("dark", "bright")
PARAMS = {"spatial_dims": 2, "in_channels": 1, "classes": 2, "channels": [8, 16]}


def write_pictures(folder: Path) -> Path:
    """Six of each class; the first dark one is broken."""
    rng = np.random.default_rng(0)
    for kind, level in zip(CLASSES, (30, 200), strict=True):
        (folder / kind).mkdir(parents=True)
        for k in range(EACH):
            picture = np.clip(rng.normal(level, 25, (SIDE, SIDE)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / kind / f"{k}.png")
    (folder / "dark" / "0.png").write_bytes(b"no picture")
    return folder


def save_model(folder: Path) -> Path:
    """Save the network as a bundle."""
    torch.manual_seed(0)
    save_image_classifier(
        folder,
        classifier("brain3d", **PARAMS).eval(),
        architecture="brain3d",
        network_params=PARAMS,
        spec=InputSpec((SIDE, SIDE)),
        classes=CLASSES,
        title="levels",
        data="",
        licence="",
        split="",
    )
    return folder
