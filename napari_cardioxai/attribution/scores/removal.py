"""Insertion and deletion: how the answer changes as the important voxels come or go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from torch import Tensor

from napari_cardioxai.attribution.scores.evidence import Forward, answers, ranked
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

STEPS = 50
ALIKE = 0.05
"""Of the run of the answers: what image and baseline must differ by for a scale between them."""
Kind = Literal["deletion", "insertion"]


@dataclass(frozen=True, eq=False)
class RemovalCurve:
    """Answers of a network while voxels of its input are exchanged.

    Attributes
    ----------
    fraction
        Part of the voxels exchanged so far, 0 to 1, shape (n,).
    value
        The explained number, shape (n,).
    whole, empty
        The number for the image and for the baseline.
    baseline
        What voxels are exchanged with, in words.
    """

    fraction: NDArray[np.float64]
    value: NDArray[np.float64]
    whole: float
    empty: float
    baseline: str

    @property
    def area(self) -> float:
        """Under the curve, by trapezoids, in units of the explained number."""
        return float(trapezoid(self.value, self.fraction))

    @property
    def relative_area(self) -> float:
        """Area on a scale where the baseline's answer is 0 and the image's 1; NaN where they are alike.

        Alike they are when they differ by less than `ALIKE` of what the answers
        between them run through: a model that says of an empty image what it
        says of this one cannot be followed from one to the other.
        """
        span = self.whole - self.empty
        run = np.ptp([self.whole, self.empty, *self.value])
        if abs(span) <= max(ALIKE * run, 1e-9 * max(abs(self.whole), abs(self.empty), 1e-300)):
            return float("nan")
        return (self.area - self.empty) / span

    @property
    def overshoot(self) -> float:
        """How far answers leave the range between both ends, in parts of it; NaN where these are alike."""
        low, high = sorted((self.whole, self.empty))
        if not high - low > 1e-9 * max(abs(low), abs(high), 1e-300):
            return float("nan")
        beyond = max(float(self.value.max()) - high, low - float(self.value.min()))
        return max(0.0, beyond) / (high - low)


def removal_curve(
    kind: Kind,
    forward: Forward,
    image: Tensor,
    evidence: NDArray,
    *,
    baseline: Tensor,
    baseline_text: str,
    rng: np.random.Generator,
    steps: int = STEPS,
    rows: int = 8,
    on_progress: Progress = silent,
) -> RemovalCurve:
    """Exchange voxels between image and baseline, the most important first.

    Parameters
    ----------
    kind
        "deletion" puts the baseline's voxels into the image, low areas are
        good; "insertion" the image's into the baseline, high areas are good.
    forward
        (b, c, *spatial) to (b,).
    image, baseline
        Shape (c, *spatial); a voxel is exchanged in all channels at once.
    evidence
        Shape (*spatial), higher for more important.
    baseline_text
        The baseline in words; half of what the curve shows depends on it.
    rng
        Decides between voxels that are alike.
    steps
        In how many equal parts.
    rows
        Images per pass of the network.
    on_progress
        Called per pass; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When image, baseline and map do not lie on one grid.

    References
    ----------
    Petsiuk et al. 2018 (RISE), section 4.1 and algorithm 1; there the
    probability is watched, here the explained number itself.
    """
    if tuple(baseline.shape) != tuple(image.shape) or evidence.shape != tuple(image.shape[1:]):
        raise AttributionError(
            f"image {tuple(image.shape)}, baseline {tuple(baseline.shape)} and map "
            f"{evidence.shape} do not lie on one grid."
        )
    total = evidence.size
    counts = np.unique(np.rint(np.linspace(0, total, steps + 1)).astype(np.int64))
    place = np.empty(total, np.int64)
    place[ranked(evidence, rng)] = np.arange(total)
    order = torch.from_numpy(place).reshape(image.shape[1:]).to(image.device)
    first, then = (baseline, image) if kind == "insertion" else (image, baseline)

    def image_at(k: int) -> Tensor:
        return torch.where(order < int(counts[k]), then, first)

    value = answers(forward, image_at, len(counts), rows=rows, what=kind, on_progress=on_progress)
    whole, empty = (value[-1], value[0]) if kind == "insertion" else (value[0], value[-1])
    return RemovalCurve(counts / total, value, float(whole), float(empty), baseline_text)


def faithfulness(insertion: RemovalCurve, deletion: RemovalCurve) -> float:
    """Relative area of insertion less that of deletion; 1 is good, 0 says nothing.

    Beyond 1 the answers to half-changed images leave the range between both
    ends: the network has never seen the like, and the number is to be doubted.
    """
    return insertion.relative_area - deletion.relative_area
