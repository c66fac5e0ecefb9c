"""Class activation maps: feature maps of one layer, weighted by what they mean for the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from napari_cardioxai.attribution.base import Method, Sign, setting
from napari_cardioxai.attribution.gradients import guided_gradients
from napari_cardioxai.attribution.job import Job, outputs_of
from napari_cardioxai.attribution.layers import as_frames, check_grid, layer_of, onto_grid
from napari_cardioxai.attribution.relevance import relevance
from napari_cardioxai.errors import AttributionError

_POSITIVE = "where the layer sees what speaks for the target"
_NETWORKS = "networks with feature maps of at least 8 voxels a side"


@dataclass(frozen=True, eq=False)
class GradCam(Method):
    """Feature maps of a layer, weighted by their mean gradients, without what speaks against.

    ReLU(sum_k a_k A_k) with a_k the mean of dF/dA_k over the grid (and over
    the frames, where the network reads a cine frame by frame), interpolated
    linearly. `attribute` gives (b, 1, *spatial), nowhere below zero. Equals
    captum's `LayerGradCam(relu_attributions=True)`.

    Parameters
    ----------
    layer
        Name or module; None: the last on the coarsest grid of at least 8
        voxels a side (`layers.default_layer`).

    Raises
    ------
    AttributionError
        When there is no such layer, it lies on no grid, or the target does not
        depend on it.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2; for segmenters
    Vinogradova et al. 2020, arXiv:2002.11434, equation 2.
    """

    name: ClassVar[str] = "grad-cam"
    title: ClassVar[str] = "Grad-CAM"
    sign: ClassVar[Sign] = "positive"
    meaning: ClassVar[str] = _POSITIVE
    valid_for: ClassVar[str] = _NETWORKS
    source: ClassVar[str] = "Selvaraju et al. 2017"

    layer: str | nn.Module | None = field(default=None, kw_only=True, repr=False)

    def _heat(self, job: Job) -> Tensor:
        return activation_map(job, self.layer, grad_cam_weights, what=self.title)


@dataclass(frozen=True, eq=False)
class GradCamPlusPlus(Method):
    """As Grad-CAM, with each place weighted so that small objects count as much as large ones.

    With g = dF/dA_k: alpha = g² / (2 g² + (sum A_k) g³), weight = sum of
    alpha ReLU(g) over the grid. The paper explains exp(F), which multiplies
    every weight by the same factor exp(F) and overflows; it is left out, which
    changes the map by that factor alone. `attribute` gives (b, 1, *spatial),
    nowhere below zero.

    Parameters
    ----------
    layer
        As for `GradCam`.

    Raises
    ------
    AttributionError
        As for `GradCam`.

    References
    ----------
    Chattopadhay et al. 2018, arXiv:1710.11063, equations 11, 12 and 19.
    """

    name: ClassVar[str] = "grad-cam++"
    title: ClassVar[str] = "Grad-CAM++"
    sign: ClassVar[Sign] = "positive"
    meaning: ClassVar[str] = _POSITIVE
    valid_for: ClassVar[str] = _NETWORKS
    source: ClassVar[str] = "Chattopadhay et al. 2018"

    layer: str | nn.Module | None = field(default=None, kw_only=True, repr=False)

    def _heat(self, job: Job) -> Tensor:
        return activation_map(job, self.layer, grad_cam_plus_plus_weights, what=self.title)


@dataclass(frozen=True, eq=False)
class GuidedGradCam(GradCam):
    """Guided backpropagation where Grad-CAM looks: their product.

    `attribute` gives (b, c, *spatial). Grad-CAM is interpolated linearly;
    captum's takes the nearest voxel unless told otherwise.

    Raises
    ------
    AttributionError
        As for `GradCam`, and when the network has no ReLU.

    References
    ----------
    Selvaraju et al. 2017, arXiv:1610.02391, section 3.2.
    """

    name: ClassVar[str] = "guided-grad-cam"
    title: ClassVar[str] = "Guided Grad-CAM"
    sign: ClassVar[Sign] = "signed"
    meaning: ClassVar[str] = (
        "above zero: a brighter voxel speaks for the target, where the layer looks"
    )
    valid_for: ClassVar[str] = f"{_NETWORKS}, and ReLUs"

    def _heat(self, job: Job) -> Tensor:
        return super()._heat(job) * guided_gradients(job)


@dataclass(frozen=True, eq=False)
class GuidedGradCamPlusPlus(GradCamPlusPlus):
    """Guided backpropagation where Grad-CAM++ looks: their product.

    `attribute` gives (b, c, *spatial).

    Raises
    ------
    AttributionError
        As for `GradCam`, and when the network has no ReLU.

    References
    ----------
    Chattopadhay et al. 2018, arXiv:1710.11063, section 3.4.
    """

    name: ClassVar[str] = "guided-grad-cam++"
    title: ClassVar[str] = "Guided Grad-CAM++"
    sign: ClassVar[Sign] = "signed"
    meaning: ClassVar[str] = (
        "above zero: a brighter voxel speaks for the target, where the layer looks"
    )
    valid_for: ClassVar[str] = f"{_NETWORKS}, and ReLUs"

    def _heat(self, job: Job) -> Tensor:
        return super()._heat(job) * guided_gradients(job)


@dataclass(frozen=True, eq=False)
class RelevanceGradCamPlusPlus(GradCamPlusPlus):
    """Layer-wise relevance where Grad-CAM++ looks: their product.

    `attribute` gives (b, c, *spatial). The map of Grad-CAM++ is brought to a
    largest value of 1 first, so that the product is in units of relevance.

    Raises
    ------
    AttributionError
        As for `GradCam` and `RelevancePropagation`.

    References
    ----------
    Chattopadhay et al. 2018 and Bach et al. 2015; the product as guided
    Grad-CAM++ takes it.
    """

    name: ClassVar[str] = "lrp-grad-cam++"
    title: ClassVar[str] = "Layer-wise relevance Grad-CAM++"
    sign: ClassVar[Sign] = "signed"
    meaning: ClassVar[str] = "above zero: the voxel's share of the logit, where the layer looks"
    source: ClassVar[str] = "Bach et al. 2015, Chattopadhay et al. 2018"

    def _heat(self, job: Job) -> Tensor:
        looks = super()._heat(job)
        largest = looks.flatten(1).amax(1).clamp_min(1e-30)
        shares = relevance(job)
        job.missed = job.to_share = None  # the product shares nothing out any more
        return shares * looks / largest.reshape(-1, *(1,) * (looks.ndim - 1))


@dataclass(frozen=True, eq=False)
class ScoreCam(Method):
    """Feature maps of a layer, weighted by what the network says when it sees nothing else.

    Each channel, brought to the input's grid and to [0, 1], masks the input;
    weights are the softmax over the channels of F(masked) - F(zero); negative
    parts of the weighted sum are cut. Needs no gradient. `attribute` gives
    (b, 1, *spatial), nowhere below zero.

    Parameters
    ----------
    layer
        As for `GradCam`.
    channels
        At most so many, those that vary most; each costs a pass per example.

    Raises
    ------
    AttributionError
        As for `GradCam`.

    References
    ----------
    Wang et al. 2020, arXiv:1910.01279, definitions 3 and 4.
    """

    name: ClassVar[str] = "score-cam"
    title: ClassVar[str] = "Score-CAM"
    sign: ClassVar[Sign] = "positive"
    meaning: ClassVar[str] = _POSITIVE
    valid_for: ClassVar[str] = _NETWORKS
    source: ClassVar[str] = "Wang et al. 2020"

    layer: str | nn.Module | None = field(default=None, kw_only=True, repr=False)
    channels: int = setting(256, "Channels at most", 1, 65536)

    def _heat(self, job: Job) -> Tensor:
        _, module = layer_of(job, self.layer)
        heats = []
        with torch.no_grad():
            empty = job.values_of(torch.zeros_like(job.inputs), job.all_rows)
            for row in range(len(job.inputs)):
                with outputs_of(module) as outputs:
                    job.network(job.inputs[row : row + 1].clone())
                maps = as_frames(outputs, 1)[0].transpose(0, 1)  # (channels, frames, *grid)
                heats.append(self._of_example(job, row, maps, empty[row]))
        return torch.stack(heats)

    def _of_example(self, job: Job, row: int, maps: Tensor, empty: Tensor) -> Tensor:
        spread = maps.flatten(1).amax(1) - maps.flatten(1).amin(1)
        if len(maps) > self.channels:
            job.note(f"The {self.channels} of {len(maps)} channels that vary most.")
            strongest = spread.topk(self.channels).indices
            maps, spread = maps[strongest], spread[strongest]
        low = maps.flatten(1).amin(1)
        per_channel = (-1, *(1,) * (maps.ndim - 1))
        masks = (maps - low.reshape(per_channel)) / spread.clamp_min(1e-30).reshape(per_channel)
        x = job.inputs[row : row + 1]

        def score(part: slice) -> Tensor:
            masked = x * onto_grid(masks[part], job.shape)
            return job.scalar(masked, job.all_rows[row].expand(len(masked)))

        scores = torch.cat([s for _, s in job.in_parts(len(masks), score, what=self.title)])
        weights = (scores - empty).softmax(0).reshape(per_channel)
        heat = (weights * maps).sum(0, keepdim=True).clamp_min(0)
        return onto_grid(heat, job.shape)[0]


def activation_map(
    job: Job,
    layer: str | nn.Module | None,
    weights: Callable[[Tensor, Tensor], Tensor],
    *,
    what: str,
) -> Tensor:
    """ReLU of the weighted sum of a layer's feature maps, on the input's grid, (b, 1, *spatial).

    Parameters
    ----------
    job, layer
        The explanation under way; the layer's name or module, or None.
    weights
        Takes feature maps and their gradients, (b, frames, channels, *grid),
        and gives a weight a channel, (b, 1, channels, 1, ...).
    what
        For the progress.

    Raises
    ------
    AttributionError
        When the target does not depend on the layer.
    """
    name, module = job.module(layer_of(job, None)[0].name if layer is None else layer)
    rows = job.all_rows

    def run(part: slice) -> Tensor:
        count = part.stop - part.start
        with outputs_of(module) as outputs:
            number = job.scalar(job.inputs[part], rows[part])
        check_grid(job, name, outputs, examples=count)
        slopes: tuple[Tensor | None, ...] = (None,)
        if number.requires_grad:
            slopes = torch.autograd.grad(number.sum(), outputs, allow_unused=True)
        if any(slope is None for slope in slopes):
            raise AttributionError(f"the {job.target.text} does not depend on layer {name!r}.")
        maps = as_frames([o.detach() for o in outputs], count)
        gradients = as_frames([s for s in slopes if s is not None], count)
        return onto_grid((weights(maps, gradients) * maps).sum(2).clamp_min(0), job.shape)

    return torch.cat([heat for _, heat in job.in_parts(len(rows), run, what=what)])


def grad_cam_weights(maps: Tensor, gradients: Tensor) -> Tensor:
    """The mean gradient of each channel (Selvaraju et al. 2017, equation 1)."""
    return gradients.mean(_places(maps), keepdim=True)


def grad_cam_plus_plus_weights(maps: Tensor, gradients: Tensor) -> Tensor:
    """Chattopadhay et al. 2018, equation 19, without exp(F)."""
    places = _places(maps)
    square = gradients.square()
    below = 2 * square + maps.sum(places, keepdim=True) * square * gradients
    alpha = torch.where(below == 0, 0, square / torch.where(below == 0, 1, below))
    return (alpha * gradients.clamp_min(0)).sum(places, keepdim=True)


def _places(maps: Tensor) -> tuple[int, ...]:
    """Axes of frames and grid in (b, frames, channels, *grid)."""
    return (1, *range(3, maps.ndim))
