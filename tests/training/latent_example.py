"""A cohort of rings that beat, small enough to learn from in seconds; also run on its own to be killed."""

import sys
from pathlib import Path

import numpy as np

from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.recipe import CloughRecipe, side_by_side
from napari_cardioxai.training.latent.training import train_latent

SMALL = CloughRecipe(
    latent=8,
    channels=(8, 12),
    frame_units=4,
    dropout=0.1,
    concepts=side_by_side(["large"], length=3),
    vae_epochs=6,
    primary_epochs=2,
    concept_epochs=3,
    batch_size=2,
    frames_per_subject=5,
    learning_rate=6e-3,
    schedule="one-cycle",
    shift_px=1,
    precision="32-true",
)


def beating_rings(count: int, *, seed: int = 0, smooth: bool = False) -> TrainingData:
    """LV, wall and a block of RV; label: weak contraction; concept: large, unknown for every fifth.

    A smooth beat ends where it began, as a recording must to be taken.
    """
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:80, :80] - 39.5
    phase = np.sin(np.pi * np.arange(25) / 25) ** (2 if smooth else 1)
    sequences = np.zeros((count, 25, 3, 80, 80), np.uint8)
    weak, large = rng.random(count) < 0.5, rng.random(count) < 0.5
    for k in range(count):
        radius = 14.0 + 4 * large[k] + rng.normal(0, 0.5)
        strength = (0.12 if weak[k] else 0.4) + rng.normal(0, 0.02)
        for t in range(25):
            inner = radius * (1 - strength * phase[t])
            distance = np.hypot(yy, xx)
            picture = np.where((xx < -20) & (np.abs(yy) < 12), 3, 0)
            picture[distance < inner + 7] = 2
            picture[distance < inner] = 1
            sequences[k, t] = picture
    concept = large.astype(float)
    concept[::5] = np.nan
    return TrainingData.of(sequences, labels=weak.astype(float), concepts=concept[:, None])


if __name__ == "__main__":
    train_latent(
        SMALL, beating_rings(16), beating_rings(6, seed=1), run_dir=Path(sys.argv[1]), device="cpu"
    )
