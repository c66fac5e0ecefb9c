"""Max-sensitivity: how far a map moves when the image hardly does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_cardioxai.attribution.scores.evidence import range_of
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent


def max_sensitivity(
    explain: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    generator: torch.Generator,
    radius_percent: float = 2.0,
    samples: int = 10,
    on_progress: Progress = silent,
) -> float:
    """Largest change of a map among neighbours of the image, relative to the map.

    max over y of ‖A(y) - A(x)‖ / ‖A(x)‖, with y - x uniform in a cube.

    Parameters
    ----------
    explain
        Maps of images: (b, c, *spatial) to (b, c or 1, *spatial).
    image
        Shape (c, *spatial).
    generator
        Of the neighbours, on the CPU.
    radius_percent
        Half the side of the cube, in percent of the image's range (0.02 of
        images between 0 and 1 in the reference code).
    samples
        Neighbours; the maximum is a lower bound of the true one.
    on_progress
        Called per neighbour; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When the map of the image is zero everywhere.

    References
    ----------
    Yeh et al. 2019, definition 3.1; relative as in captum.
    """
    there = explain(image[None])[0].double()
    size = float(there.norm())
    if size == 0:
        raise AttributionError("the map is zero everywhere; there is nothing to compare with.")
    radius = radius_percent / 100 * range_of(image)
    largest = 0.0
    for k in range(samples):
        on_progress(k, samples, "sensitivity")
        step = (2 * torch.rand(image.shape, generator=generator) - 1) * radius
        moved = explain((image + step.to(image))[None])[0].double()
        largest = max(largest, float((moved - there).norm()) / size)
    on_progress(samples, samples, "sensitivity")
    return largest
