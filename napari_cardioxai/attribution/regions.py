"""Methods that judge whole regions: cover them up, or rank them by what lies in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from captum.attr import FeatureAblation, Occlusion
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.attribution.base import Method, setting
from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.oversegmentation import (
    Regions,
    listed,
    oversegmentations,
    supervoxels,
)
from napari_cardioxai.attribution.paths import IntegratedGradients
from napari_cardioxai.errors import AttributionError

DILATION = 5.0
"""Voxels by which regions of pictures are grown, as the XRAI paper's code does."""

_COVERED = "above zero: covering the place lowers the target"


@dataclass(frozen=True, eq=False)
class OcclusionMap(Method):
    """How far the number falls when a window of the input is covered, averaged over windows.

    By captum's `Occlusion`. The window is the same in mm in every direction.
    Covered voxels take the baseline's values; several baselines are averaged.
    `attribute` gives (b, 1, *spatial).

    Parameters
    ----------
    window_percent
        Side of the window, of the smallest extent; of axes that are no length,
        of their number of frames.
    stride_percent
        Step of the window, of its side.

    References
    ----------
    Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2.
    """

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    meaning: ClassVar[str] = _COVERED
    valid_for: ClassVar[str] = "any network"
    source: ClassVar[str] = "Zeiler & Fergus 2014"
    uses_baseline: ClassVar[bool] = True

    window_percent: float = setting(25.0, "Window", 1.0, 100.0, unit="% of the smallest extent")
    stride_percent: float = setting(50.0, "Step", 5.0, 100.0, unit="% of the window")

    def _heat(self, job: Job) -> Tensor:
        window = self.window(job)
        strides = [max(1, round(side * self.stride_percent / 100)) for side in window]
        places = [
            math.ceil(max(0, length - side) / step) + 1
            for length, side, step in zip(job.shape, window, strides, strict=True)
        ]
        channels = job.inputs.shape[1]
        heat = torch.zeros_like(job.inputs)
        for baseline in job.baseline.values:
            ablation = _Counted(job, math.prod(places), what=self.title)
            maps = Occlusion(ablation).attribute(
                job.inputs,
                sliding_window_shapes=(channels, *window),
                strides=(channels, *strides),
                baselines=baseline,
                perturbations_per_eval=ablation.at_once,
            )
            heat += maps / len(job.baseline.values)
        return heat[:, :1]

    def window(self, job: Job) -> list[int]:
        """Sides of the window in voxels."""
        extents = [
            n * step for n, step in zip(job.shape, job.spacing_mm, strict=True) if step and n > 1
        ]
        side_mm = self.window_percent / 100 * min(extents, default=1.0)
        return [
            max(1, min(n, round(side_mm / step if step else n * self.window_percent / 100)))
            for n, step in zip(job.shape, job.spacing_mm, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class SupervoxelOcclusion(Method):
    """How far the number falls when a supervoxel is covered.

    By captum's `FeatureAblation`. Regions follow the edges of the image, so
    that whole structures disappear instead of squares of them. `attribute`
    gives (b, 1, *spatial), the same value all over a region.

    Parameters
    ----------
    count
        Supervoxels per example.
    labels
        Label image (*spatial) to cover region by region instead, such as the
        study's own structures; every value present is one region.

    Raises
    ------
    AttributionError
        When the labels have another shape.

    References
    ----------
    Zeiler & Fergus 2014, arXiv:1311.2901; regions: Achanta et al. 2012,
    doi:10.1109/TPAMI.2012.120.
    """

    name: ClassVar[str] = "supervoxel-occlusion"
    title: ClassVar[str] = "Occlusion by supervoxel"
    meaning: ClassVar[str] = "above zero: covering the region lowers the target"
    valid_for: ClassVar[str] = "any network"
    source: ClassVar[str] = "Zeiler & Fergus 2014"
    uses_baseline: ClassVar[bool] = True

    count: int = setting(200, "Supervoxels", 2, 10000)
    labels: NDArray | None = field(default=None, kw_only=True, repr=False)

    def _heat(self, job: Job) -> Tensor:
        heats = []
        for row, x in enumerate(job.inputs):
            labels = torch.from_numpy(self._regions(job, x)).to(x.device)
            heat = torch.zeros_like(x[None])
            for baseline in job.baseline.values:
                ablation = _Counted(job, int(labels.max()) + 1, what=self.title, row=row)
                maps = FeatureAblation(ablation).attribute(
                    x[None],
                    baselines=baseline[row : row + 1],
                    feature_mask=labels[None, None].expand_as(x[None]),
                    perturbations_per_eval=ablation.at_once,
                )
                heat += maps / len(job.baseline.values)
            heats.append(heat[0, :1])
        return torch.stack(heats)

    def _regions(self, job: Job, x: Tensor) -> NDArray[np.int64]:
        if self.labels is not None:
            if tuple(self.labels.shape) != job.shape:
                raise AttributionError(
                    f"the regions have shape {tuple(self.labels.shape)}, the input {job.shape}; "
                    "they must be alike."
                )
            return np.unique(self.labels, return_inverse=True)[1].reshape(job.shape)
        image = x.cpu().numpy()
        if len(job.shape) <= 3:
            cut = supervoxels(image, count=self.count, spacing_mm=job.spacing_mm)
        else:
            scales = oversegmentations(image, spacing_mm=job.spacing_mm)
            cut = min(scales, key=lambda labels: abs(int(labels.max()) + 1 - self.count))
        return cut.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Xrai(Method):
    """Regions of the image, ranked by the density of attribution that each adds.

    Regions on several scales compete: again and again the one whose voxels
    that are not yet taken have the highest mean attribution is taken, and its
    voxels get that mean. Sums and counts of all regions are kept up to date
    instead of being taken anew. Attribution is integrated gradients unless
    given; channels are added (the paper's code takes the largest, which loses
    completeness). The paper's baselines are `baselines="black and white"`; on
    normalised MRI, whose zero is the mean, zero localised far better.
    `attribute` gives (b, 1, *spatial).

    Parameters
    ----------
    keep_percent
        Of the image's area, the best ranked; the rest becomes zero.
    smallest
        Voxels that a region must add to be taken.
    steps
        Of integrated gradients, to begin with.
    dilation
        Voxels by which regions are grown; None: 5 for pictures, none for
        volumes and cines.
    segments
        Label images (*spatial) to rank instead, each cutting the image whole,
        such as AHA segments.
    attribution
        To rank by, (b, c or 1, *spatial), instead of integrated gradients.

    Raises
    ------
    AttributionError
        When segments or attribution have another shape.

    References
    ----------
    Kapishnikov et al. 2019, arXiv:1906.02825, algorithm 1.
    """

    name: ClassVar[str] = "xrai"
    title: ClassVar[str] = "XRAI"
    meaning: ClassVar[str] = "mean share of the region's voxels: above zero for the target"
    source: ClassVar[str] = "Kapishnikov et al. 2019"
    uses_baseline: ClassVar[bool] = True
    fast: ClassVar[bool] = False

    keep_percent: float = setting(100.0, "Keep the best", 0.1, 100.0, unit="% of the image")
    smallest: int = setting(50, "Smallest region", 1, 100000, unit="voxels")
    steps: int = setting(16, "Steps of integrated gradients", 1, 4096)
    dilation: float | None = setting(None, "Growth of regions", 0.0, 50.0, unit="voxels")
    segments: Sequence[NDArray] | None = field(default=None, kw_only=True, repr=False)
    attribution: Tensor | None = field(default=None, kw_only=True, repr=False)

    def _heat(self, job: Job) -> Tensor:
        shares = self._shares(job).sum(1).cpu().numpy().astype(np.float64)
        heats = np.empty((len(shares), 1, *job.shape), np.float32)
        for row, of_row in enumerate(shares):
            job.on_progress(row, len(shares), "ranking regions")
            ranked = rank_fast if self.fast else rank_regions
            regions = self._regions(job, row)
            heat = ranked(of_row.ravel(), regions, smallest=self.smallest).reshape(job.shape)
            heats[row, 0] = keep_best(heat, self.keep_percent)
        job.on_progress(len(shares), len(shares), "ranking regions")
        return torch.from_numpy(heats).to(job.inputs)

    def _shares(self, job: Job) -> Tensor:
        if self.attribution is None:
            method = IntegratedGradients(self.model, steps=self.steps, memory_mib=self.memory_mib)
            heat = method._heat(job)
            job.missed = job.to_share = None  # of the map below, not of its source
            return heat
        if tuple(self.attribution.shape[2:]) != job.shape or len(self.attribution) != len(
            job.inputs
        ):
            raise AttributionError(
                f"the attribution to rank by has shape {tuple(self.attribution.shape)}, the input "
                f"{tuple(job.inputs.shape)}; they must be alike."
            )
        return self.attribution

    def _regions(self, job: Job, row: int) -> Regions:
        grown = self.dilation
        if grown is None:
            grown = DILATION if len(job.shape) == 2 and self.segments is None else 0.0
        if self.segments is None:
            image = job.inputs[row].cpu().numpy()
            return listed(oversegmentations(image, spacing_mm=job.spacing_mm), grown_by=grown)
        for labels in self.segments:
            if tuple(labels.shape) != job.shape:
                raise AttributionError(
                    f"the segments have shape {tuple(labels.shape)}, the input {job.shape}; they "
                    "must be alike."
                )
        numbered = [
            np.unique(labels, return_inverse=True)[1].reshape(job.shape).astype(np.int32)
            for labels in self.segments
        ]
        return listed(numbered, grown_by=grown)


@dataclass(frozen=True, eq=False)
class FastXrai(Xrai):
    """As XRAI, with regions ranked once, by the mean attribution of all their voxels.

    Keeps the best 30 % of the image by default. `attribute` gives
    (b, 1, *spatial).

    References
    ----------
    The `fast` algorithm of the code of Kapishnikov et al. 2019.
    """

    name: ClassVar[str] = "fast-xrai"
    title: ClassVar[str] = "Fast XRAI"
    fast: ClassVar[bool] = True

    keep_percent: float = setting(30.0, "Keep the best", 0.1, 100.0, unit="% of the image")


def rank_regions(
    attribution: NDArray[np.float64], regions: Regions, *, smallest: int
) -> NDArray[np.float64]:
    """Take regions by the mean attribution of the voxels that each would add.

    Parameters
    ----------
    attribution
        Per voxel, flat.
    regions
        Competing; may overlap.
    smallest
        A region that would add fewer voxels is dropped.

    Returns
    -------
    Per voxel the mean attribution of what was added with it; voxels that no
    region took share their own mean.
    """
    owners = regions.owners
    counts = regions.sizes.astype(np.float64)
    sums = np.bincount(owners, attribution[regions.voxels], len(regions))
    # For every voxel the regions that it lies in, voxel after voxel.
    by_voxel = np.argsort(regions.voxels, kind="stable")
    memberships = owners[by_voxel]
    first = np.searchsorted(regions.voxels[by_voxel], np.arange(len(attribution) + 1))
    heat = np.full(len(attribution), -np.inf)
    open_regions = np.ones(len(regions), bool)
    while True:
        open_regions &= counts >= smallest
        if not open_regions.any():
            break
        density = np.where(open_regions, sums / np.maximum(counts, 1), -np.inf)
        best = int(density.argmax())
        voxels = regions[best]
        new = voxels[np.isneginf(heat[voxels])]
        heat[new] = attribution[new].mean()
        open_regions[best] = False
        touched = memberships[_ranges(first[new], first[new + 1])]
        often = first[new + 1] - first[new]
        counts -= np.bincount(touched, minlength=len(regions))
        sums -= np.bincount(touched, np.repeat(attribution[new], often), len(regions))
    return _with_rest(heat, attribution)


def rank_fast(
    attribution: NDArray[np.float64], regions: Regions, *, smallest: int
) -> NDArray[np.float64]:
    """Take regions in the order of the mean attribution of all their voxels.

    Parameters and result as for `rank_regions`.
    """
    sums = np.bincount(regions.owners, attribution[regions.voxels], len(regions))
    heat = np.full(len(attribution), -np.inf)
    for best in np.argsort(-sums / regions.sizes, kind="stable"):
        voxels = regions[best]
        new = voxels[np.isneginf(heat[voxels])]
        if len(new) >= smallest:
            heat[new] = attribution[new].mean()
    return _with_rest(heat, attribution)


def keep_best(heat: NDArray[np.float64], percent: float) -> NDArray[np.float64]:
    """The map where it is highest, on `percent` of the image; zero elsewhere."""
    if percent >= 100:
        return heat
    return np.where(heat >= np.percentile(heat, 100 - percent), heat, 0)


class _Counted:
    """The number to explain, as captum calls it: with any number of changed inputs, counted.

    captum repeats the whole batch for every changed input, so row i belongs to
    example i modulo b.
    """

    def __init__(self, job: Job, passes: int, *, what: str, row: int | None = None) -> None:
        self.job, self.what, self.row = job, what, row
        self.examples = len(job.inputs) if row is None else 1
        self.total = passes * self.examples
        self.at_once = max(1, job.rows_at_once(self.total) // self.examples)
        self.done = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.job.on_progress(min(self.done, self.total), self.total, self.what)
        rows = torch.arange(len(x), device=x.device) % self.examples
        if self.row is not None:
            rows = rows + self.row
        self.done += len(x)
        return self.job.values_of(x, rows)


def _ranges(starts: NDArray, ends: NDArray) -> NDArray[np.int64]:
    """All integers of [start, end) of each pair, one after the other."""
    lengths = ends - starts
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def _with_rest(heat: NDArray[np.float64], attribution: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = np.isneginf(heat)
    if rest.any():
        heat[rest] = attribution[rest].mean()
    return heat
