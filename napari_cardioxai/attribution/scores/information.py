"""Performance information curves: how soon the answer is back as the image gets its detail back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from torch import Tensor

from napari_cardioxai.attribution.scores.evidence import Forward, answers, range_of, ranked
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

REVEALED = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.13, 0.21, 0.34, 0.5, 0.75)
"""Parts of the image that get their detail back; those of the reference code."""

_POINTS = 1001


@dataclass(frozen=True, eq=False)
class InformationCurve:
    """Performance against information.

    Attributes
    ----------
    information
        0 the blurred image, 1 the image, by their size when compressed; shape (1001,).
    performance
        0 as for the blurred image, 1 as for the image; shape (1001,).
    area
        Under the curve, 0 to 1.
    """

    information: NDArray[np.float64]
    performance: NDArray[np.float64]
    area: float


def information_curve(
    performance: Forward,
    image: Tensor,
    evidence: NDArray,
    *,
    blurred: Tensor,
    rng: np.random.Generator,
    revealed: Sequence[float] = REVEALED,
    rows: int = 8,
    on_progress: Progress = silent,
) -> InformationCurve:
    """Give the most important voxels of a blurred image their detail back, step by step.

    With the probability of the class as `performance` it is the softmax
    information curve (SIC), with 1 for a right answer and 0 for a wrong one the
    accuracy information curve (AIC). The performance reached so far counts, so
    that the curve never falls.

    The reference code fills what is hidden by interpolation from a random
    percent of the pixels and compresses to lossless WebP, which knows two
    dimensions; here it is the blurred image, and deflate on 8 bits.

    Parameters
    ----------
    performance
        (b, c, *spatial) to (b,).
    image, blurred
        Shape (c, *spatial); the second without the detail.
    evidence
        Shape (*spatial).
    rng
        Decides between voxels that are alike.
    revealed
        Parts of the voxels, growing, above 0 and below 1.
    rows
        Images per pass.
    on_progress
        Called per pass; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When blurring does not lower the performance, or leaves as much information.

    References
    ----------
    Kapishnikov et al. 2019 (XRAI), section 4.2.
    """
    total = evidence.size
    place = np.empty(total, np.int64)
    place[ranked(evidence, rng)] = np.arange(total)
    order = torch.from_numpy(place).reshape(image.shape[1:]).to(image.device)
    counts = [0, *(max(1, round(part * total)) for part in revealed), total]
    low, span = float(image.min()), range_of(image)
    sizes = np.empty(len(counts))

    def image_at(k: int) -> Tensor:
        mixed = torch.where(order < counts[k], image, blurred)
        sizes[k] = compressed_bytes(mixed, low=low, span=span)
        return mixed

    reached = answers(
        performance, image_at, len(counts), rows=rows, what="information", on_progress=on_progress
    )
    if not reached[-1] > reached[0]:
        raise AttributionError(
            "the network does as well on the blurred image as on the image, so that no detail "
            "can be told to matter."
        )
    if not sizes[-1] > sizes[0]:
        raise AttributionError("the blurred image holds as much information as the image.")
    x = np.clip((sizes - sizes[0]) / (sizes[-1] - sizes[0]), 0, 1)
    y = np.clip((reached - reached[0]) / (reached[-1] - reached[0]), 0, 1)
    y = np.maximum.accumulate(y)
    grid = np.linspace(0, 1, _POINTS)
    curve = np.interp(grid, *_by_information(x, y))
    return InformationCurve(grid, curve, float(trapezoid(curve, grid)))


def compressed_bytes(image: Tensor, *, low: float, span: float) -> int:
    """Size of an image as 8 bits a voxel after deflate, an estimate of its information.

    Parameters
    ----------
    image
        Any shape.
    low, span
        What becomes 0, and how much more 255.
    """
    scaled = (image - low) / (span or 1.0) * 255
    grey = scaled.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return len(zlib.compress(np.ascontiguousarray(grey).tobytes(), 9))


def _by_information(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Points in the order of their information, the highest performance for each."""
    order = np.lexsort((y, x))
    x, y = x[order], np.maximum.accumulate(y[order])
    last = np.append(x[1:] != x[:-1], True)
    return x[last], y[last]
