"""What is explained: a network with its input and target, and the way back to the scan.

Methods and scores never know where an image came from; `pictures`, `cycles`
and `images` make subjects from scans, labels and models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.attribution.baselines import Baselines
from napari_cardioxai.attribution.scores.evidence import Forward
from napari_cardioxai.attribution.targets import Target
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Scan

Indices = tuple[int, ...] | Literal["all"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """What of a study is to be explained; every kind of model takes from it what it reads.

    Attributes
    ----------
    scan, labels
        Of the study; which of them a kind of model needs is in `study.KINDS`.
        Labels beside a scan are for regions and for where evidence should lie.
    target
        A structure, class or concept by its name; None: what the kind of
        model takes by default.
    frames, slices
        Indices, where pictures are explained one by one; slices None: the one
        with most of the structure.
    truth
        True where the evidence should lie, on the grid of the study, shape (t
        or 1, z, y, x).
    """

    scan: Scan | None = None
    labels: Labels | None = None
    target: str | None = None
    frames: Indices = (0,)
    slices: Indices | None = None
    truth: NDArray | None = None


@dataclass(frozen=True)
class Places:
    """Which pictures of a scan were explained.

    Attributes
    ----------
    shape
        Of the scan, (t, z, y, x).
    frames, slices
        Indices into it.
    """

    shape: tuple[int, int, int, int]
    frames: tuple[int, ...]
    slices: tuple[int, ...]

    def cut(self, data: NDArray) -> NDArray:
        """The explained pictures, (t or 1, z, y, x) to (frames, slices, y, x)."""
        frames = [0] * len(self.frames) if len(data) == 1 else list(self.frames)
        return data[np.ix_(frames, list(self.slices))]

    def on_scan(self, part: NDArray) -> NDArray[np.float32]:
        """Pictures (frames, slices, y, x) on the whole scan, zero where nothing was explained."""
        whole = np.zeros(self.shape, np.float32)
        whole[np.ix_(self.frames, self.slices)] = part
        return whole


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, its input and its target, with the way back to the scan.

    Attributes
    ----------
    model
        Takes `inputs`.
    inputs
        Shape (b, c, *spatial).
    target
        What is explained.
    baseline, scored_against
        For methods when none is asked for, and what the scores exchange voxels with.
    spacing_mm
        One entry a spatial axis.
    scored
        The example whose maps are scored.
    truth, truth_text
        Where the evidence for that example should lie, shape (*spatial), and
        who says so; None where nobody knows.
    probability, right
        As in `scores.table.Case`; None where there is none.
    has_detail
        Whether blurring the input means anything.
    geometry, frame_times_ms, cycle_ms, places
        Of the scan.
    to_scan
        Maps (b, *spatial) to (frames, slices, y, x).
    labels
        On the scan's grid, for regions; None where there are none.
    notes
        Sentences for the reader.
    """

    model: nn.Module
    inputs: Tensor
    target: Target
    baseline: Baselines
    scored_against: Baselines
    spacing_mm: tuple[float | None, ...]
    scored: int
    truth: NDArray | None
    truth_text: str
    probability: Forward | None
    right: Forward | None
    has_detail: bool
    geometry: Geometry
    frame_times_ms: NDArray | None
    cycle_ms: float | None
    places: Places
    to_scan: Callable[[NDArray], NDArray]
    labels: Labels | None
    notes: tuple[str, ...] = ()


def mask_or_none(mask: NDArray | None) -> NDArray | None:
    """A mask, if it tells inside from outside."""
    return mask if mask is not None and mask.any() and not mask.all() else None
