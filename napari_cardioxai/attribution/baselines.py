"""What an input is compared with.

Half of what a path method shows is its baseline: on one 3-D network integrated
gradients put 74 % of their energy on a planted structure with a baseline of
zero and 8 % with the darkest value. So a baseline is chosen, not assumed, and
its words travel with the map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_cardioxai.attribution.blur import blurred, default_sigma_mm
from napari_cardioxai.errors import AttributionError

KINDS = ("zero", "mean", "blur", "black and white", "noise", "background")
"""Baselines that need nothing but the input. A normal subject's mean is `Baseline.normal`."""

NOISE_SAMPLES = 4
"""Draws of the "noise" baseline, whose maps are averaged."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """What an input is compared with, one or several of them; maps of several are averaged.

    Attributes
    ----------
    text
        In words, for the map's caption.
    values
        Each of shape (b or 1, c, *spatial), in the scale of the network's input.
    """

    text: str
    values: tuple[Tensor, ...]

    @classmethod
    def normal(cls, mean: Tensor, *, of: str = "normal subjects") -> Baseline:
        """The mean of normal subjects, on the grid of the input.

        Parameters
        ----------
        mean
            Shape (c, *spatial) or (1, c, *spatial).
        of
            Who they are, for the caption.
        """
        return cls(f"mean of {of}", (mean,))


Baselines = Baseline | str | float | Tensor | None
"""What methods take: a kind of `KINDS`, a constant, a tensor, a `Baseline`, or None for zero."""


def resolve_baselines(
    baselines: Baselines,
    inputs: Tensor,
    *,
    spacing_mm: Sequence[float | None],
    generator: torch.Generator,
) -> Baseline:
    """The baselines that a choice means for an input.

    Parameters
    ----------
    baselines
        "zero"; "mean": of each channel of each example; "blur": the input
        blurred until no structure is left; "black and white": its lowest and
        its highest value, two baselines; "noise": uniform between these,
        `NOISE_SAMPLES` draws; "background": memberships of labels, shape
        (b, classes, *spatial), that say background everywhere; a constant; a
        tensor (b or 1, c, *spatial) or (c, *spatial); or a `Baseline`.
    inputs
        Shape (b, c, *spatial).
    spacing_mm
        One entry a spatial axis, None for an axis that is not a length.
    generator
        Of the noise.

    Returns
    -------
    Baseline
        Values of the shape of `inputs`.

    Raises
    ------
    AttributionError
        For an unknown kind or a tensor of another shape.
    """
    chosen = _of_kind(baselines, inputs, spacing_mm=spacing_mm, generator=generator)
    return Baseline(chosen.text, tuple(_fitted(value, inputs) for value in chosen.values))


def _of_kind(
    baselines: Baselines,
    inputs: Tensor,
    *,
    spacing_mm: Sequence[float | None],
    generator: torch.Generator,
) -> Baseline:
    if isinstance(baselines, Baseline):
        return baselines
    if isinstance(baselines, Tensor):
        return Baseline("a given image", (baselines,))
    if isinstance(baselines, int | float):
        if not math.isfinite(baselines):
            raise AttributionError(f"a baseline of {baselines} is no image; give a finite number.")
        return Baseline(f"the value {baselines:g}", (torch.full_like(inputs, baselines),))
    axes = tuple(range(2, inputs.ndim))
    lowest, highest = inputs.flatten(1).amin(1), inputs.flatten(1).amax(1)
    per_example = (-1, *(1,) * (inputs.ndim - 1))
    match baselines:
        case None | "zero":
            return Baseline("zero", (torch.zeros_like(inputs),))
        case "mean":
            mean = inputs.mean(axes, keepdim=True).expand_as(inputs)
            return Baseline("the mean of the input", (mean,))
        case "blur":
            sigma_mm = default_sigma_mm(inputs.shape[2:], spacing_mm)
            blurry = blurred(inputs, sigma_mm, spacing_mm=spacing_mm, edges="reflect")
            return Baseline(f"the input blurred by {sigma_mm:.3g} mm", (blurry,))
        case "black and white":
            ends = (lowest, highest)
            both = tuple(v.reshape(per_example).expand_as(inputs) for v in ends)
            return Baseline("black and white, the lowest and the highest value", both)
        case "noise":
            draws = []
            for _ in range(NOISE_SAMPLES):
                draw = torch.rand(inputs.shape, generator=generator, dtype=torch.float32)
                span = (highest - lowest).reshape(per_example)
                draws.append(lowest.reshape(per_example) + span * draw.to(inputs))
            return Baseline(f"uniform noise, {NOISE_SAMPLES} draws", tuple(draws))
        case "background":
            if inputs.shape[1] == 1:
                raise AttributionError(
                    "background is a class of labels, and this is a picture; choose zero or another "
                    "baseline."
                )
            empty = torch.zeros_like(inputs)
            empty[:, 0] = 1
            return Baseline("background everywhere", (empty,))
    raise AttributionError(
        f"there is no baseline {baselines!r}; choose {', '.join(KINDS)}, a number or an image."
    )


def _fitted(value: Tensor, inputs: Tensor) -> Tensor:
    value = value.detach().to(inputs)
    if value.ndim == inputs.ndim - 1:
        value = value[None]
    if value.shape[1:] != inputs.shape[1:] or len(value) not in (1, len(inputs)):
        raise AttributionError(
            f"the baseline has shape {tuple(value.shape)}, the input {tuple(inputs.shape)}; they "
            "must be alike."
        )
    return value.expand_as(inputs)
