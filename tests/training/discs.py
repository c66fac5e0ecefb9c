"""Bright discs on a darker textured ground, as files that a segmenter job can learn from."""

from pathlib import Path

import numpy as np
from imageio.v3 import imwrite

from napari_cardioxai.training.jobs.folder import TrainingJob

SMALL = {
    "structures": 1,
    "phantoms": 0,
    "taught": False,
    "start_share": 0.0,
    "network_params": {"channels": [4, 8, 16], "residual_units": 1, "dropout": 0.0},
    "crop": 48,
    "region": 64,
    "epochs": 4,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "ema_decay": 0.5,
    "precision": "32-true",
}
"""Values of `heart-unet` that train in seconds."""


def write_discs(folder: Path, *, patients: int = 4, pictures: int = 4) -> Path:
    """Pictures and masks under Sunnybrook's names."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:80, :80]
    for sub in ("images", "lv_masks"):
        (folder / sub).mkdir(parents=True)
    for patient in range(patients):
        for number in range(pictures):
            y, x, r = rng.uniform(34, 46), rng.uniform(34, 46), rng.uniform(8, 14)
            mask = (yy - y) ** 2 + (xx - x) ** 2 <= r**2
            image = rng.normal(60, 15, mask.shape) + 120 * mask
            name = f"SC-N-{patient:02}-IM-0001-{1 + 20 * number:04}.png"
            imwrite(folder / "images" / name, image.clip(0, 255).astype(np.uint8))
            imwrite(folder / "lv_masks" / name, (255 * mask).astype(np.uint8))
    return folder


def disc_job(folder: Path, *, data: Path, **changes) -> TrainingJob:
    """A job that learns discs in seconds."""
    values = {**SMALL, "kept_apart_percent": 25, **changes}
    return TrainingJob("heart-unet", values, folder / "models" / "discs", data, device="cpu")
