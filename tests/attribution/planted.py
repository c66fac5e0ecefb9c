"""Pictures and volumes in which one structure decides and everything else does not."""

from functools import cache

import numpy as np
import torch
from torch import nn

SIDE = {2: 16, 3: 8}


def planted(count, axes, *, seed):
    """Noise, a frame of any brightness in every image, and in class 1 a brighter ball off the middle.

    Images (n, 1, *spatial), labels (n,), and where the ball is or would be (n, *spatial).
    """
    rng = np.random.default_rng(seed)
    side = SIDE[axes]
    shape = (side,) * axes
    images = rng.normal(0, 0.1, (count, 1, *shape))
    labels = rng.integers(0, 2, count)
    masks = np.zeros((count, *shape), bool)
    places = np.indices(shape)
    border = ((places == 1) | (places == side - 2)).any(0)
    for k in range(count):
        centre = side / 2 + rng.choice([-1, 1], axes) * rng.uniform(0.12, 0.18, axes) * side
        away = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
        masks[k] = away <= side / {2: 8, 3: 4.5}[axes]
        images[k, 0][border] += rng.uniform(0, 1.2)
        images[k, 0][masks[k]] += 2 * labels[k]
    return torch.from_numpy(images).float(), torch.from_numpy(labels), masks


@cache
def trained(axes):
    """A small network that tells whether there is a ball, and on how many new images it is right.

    A fifth of what it learns from are empty images of class 0, so that the
    absence of everything is nothing strange to it.
    """
    torch.manual_seed(0)
    conv = (nn.Conv2d, nn.Conv3d)[axes - 2]
    pool = (nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)[axes - 2]
    network = nn.Sequential(
        conv(1, 4, 3, padding=1),
        nn.ReLU(),
        conv(4, 4, 1),
        nn.ReLU(),
        pool(1),
        nn.Flatten(),
        nn.Linear(4, 1),
        nn.Flatten(0),
    )
    images, labels, _ = planted(40, axes, seed=1)
    images[:8], labels[:8] = 0, 0
    optimiser = torch.optim.Adam(network.parameters(), 5e-2)
    for _ in range(120):
        loss = nn.functional.binary_cross_entropy_with_logits(network(images), labels.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval().requires_grad_(False)
    fresh, truth, _ = planted(40, axes, seed=2)
    return network, float(((network(fresh) > 0) == (truth == 1)).float().mean())
