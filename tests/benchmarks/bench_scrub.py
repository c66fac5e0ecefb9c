"""From a new place of a concept slider to the frame that is on the screen, without the screen."""

import time

import numpy as np
import torch

from napari_cardioxai.networks.latent import LatentHeart

MOVES = 200


def run() -> dict[str, float]:
    """Milliseconds for the visible frame (median, p95) and for the whole cycle (median).

    The network is a latent heart of the shipped size; its weights do not change
    the time.
    """
    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = LatentHeart().to(memory_format=torch.channels_last).eval()
    latent, change = torch.randn(1, 25, 128), torch.randn(25, 128)
    rng = np.random.default_rng(0)

    def shown(alpha: float, frames: slice) -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            moved = latent[:, frames] + alpha * change[frames]
            network.decode(moved).argmax(3).to(torch.uint8).numpy()
        return 1000 * (time.perf_counter() - start)

    for _ in range(10):
        shown(0.0, slice(0, 1))
    frame = [shown(float(rng.uniform(-3, 3)), slice(t, t + 1)) for t in rng.integers(0, 25, MOVES)]
    cycle = [shown(float(rng.uniform(-3, 3)), slice(0, 25)) for _ in range(20)]
    return {
        "median_ms": float(np.median(frame)),
        "p95_ms": float(np.percentile(frame, 95)),
        "cycle_median_ms": float(np.median(cycle)),
    }
