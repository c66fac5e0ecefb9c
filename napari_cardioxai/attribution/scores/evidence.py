"""What a heat map says for each voxel, on one scale of "more important", and who is asked about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress

Forward = Callable[[Tensor], Tensor]
"""The explained number of each example: (b, c, *spatial) to (b,)."""

Kind = Literal["shares", "slopes"]
"""What a voxel's value is: a share of the explained number, or how the number changes with the voxel."""

SLOPES = frozenset(
    {
        "gradient",
        "smoothgrad",
        "smoothgrad-squared",
        "guided-backprop",
        "guided-grad-cam",
        "guided-grad-cam++",
    }
)
"""Methods whose values are slopes; those of all others are taken for shares."""


def kind_of(method: str) -> Kind:
    """What the values of a method of the registry are."""
    return "slopes" if method in SLOPES else "shares"


def evidence_of(heat: NDArray | Tensor, kind: Kind) -> NDArray[np.float64]:
    """One number a voxel, higher where more speaks for the target.

    Parameters
    ----------
    heat
        Shape (c, *spatial).
    kind
        Shares are summed over the channels and keep their sign. Of slopes the
        largest magnitude over the channels is taken (Simonyan et al. 2013,
        section 3.1): a slope below zero matters as much as one above.

    Returns
    -------
    Shape (*spatial).
    """
    values = np.asarray(heat.detach().cpu() if isinstance(heat, Tensor) else heat, np.float64)
    return values.sum(0) if kind == "shares" else np.abs(values).max(0)


def ranked(evidence: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Flat voxel numbers, the most important first; those alike in random order.

    Parameters
    ----------
    evidence
        Shape (*spatial).
    rng
        Decides between equals: their order in memory would favour a corner.
    """
    flat = np.asarray(evidence, np.float64).ravel()
    shuffled = rng.permutation(flat.size)
    return shuffled[np.argsort(-flat[shuffled], kind="stable")]


def answers(
    forward: Forward,
    image_at: Callable[[int], Tensor],
    count: int,
    *,
    rows: int,
    what: str,
    on_progress: Progress,
) -> NDArray[np.float64]:
    """What a network answers to `count` images, made when their pass comes.

    Parameters
    ----------
    forward
        (b, c, *spatial) to (b,).
    image_at
        The k-th image, shape (c, *spatial).
    rows
        Images per pass.

    Returns
    -------
    Shape (count,).

    Raises
    ------
    AttributionError
        When an answer is not finite, or `forward` does not give one number an image.
    """
    found = np.empty(count)
    with torch.no_grad():
        for first in range(0, count, rows):
            on_progress(first, count, what)
            last = min(first + rows, count)
            said = forward(torch.stack([image_at(k) for k in range(first, last)]))
            if said.shape != (last - first,):
                raise AttributionError(
                    f"the explained number must be one an image, shape ({last - first},), not "
                    f"{tuple(said.shape)}."
                )
            found[first:last] = said.detach().double().cpu().numpy()
    on_progress(count, count, what)
    if not np.isfinite(found).all():
        raise AttributionError("the network's answer to a changed image is not finite.")
    return found


def checked_mask(mask: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask with something inside and something outside, on the grid of the map.

    Raises
    ------
    AttributionError
        When it is on another grid, empty or everywhere.
    """
    inside = np.asarray(mask) > 0
    if inside.shape != shape:
        raise AttributionError(
            f"the mask has shape {inside.shape}, the map {shape}; they must lie on one grid."
        )
    if not inside.any() or inside.all():
        there = "is empty" if not inside.any() else "covers the whole image"
        raise AttributionError(f"the mask {there}, so that no map can point at it.")
    return inside


def range_of(image: Tensor) -> float:
    """Highest less lowest value; 0 for a flat image."""
    spread = float(image.max() - image.min())
    return spread if math.isfinite(spread) else 0.0
