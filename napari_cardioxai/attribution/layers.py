"""What the layers of a network show: their feature maps on the input's grid.

Liu et al. 2021 read a segmenter by a heat map of every layer; class activation
maps weight the same feature maps by what they mean for the target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from napari_cardioxai.attribution.base import Method, Sign
from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.attribution.job import Job, outputs_of
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

SMALLEST_SIDE = 8
"""Voxels; on a coarser feature map a class activation map is one blob."""

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class FeatureMap:
    """A layer whose output lies on a grid over the input.

    Attributes
    ----------
    name, kind
        Of the module, such as "layer2.0.conv1" and "Conv3d".
    channels
        Of its output.
    shape
        Of its grid; for networks that read frame by frame without the frames.
    calls
        How often it is called in one pass.
    """

    name: str
    kind: str
    channels: int
    shape: tuple[int, ...]
    calls: int

    @property
    def smallest_side(self) -> int:
        """In voxels of its grid."""
        return min(self.shape)


@dataclass(frozen=True, eq=False)
class LayerHeat:
    """How active a layer is, where.

    Attributes
    ----------
    layer
        Which one.
    heat
        Mean magnitude over its channels, on the input's grid, (b, 1, *spatial).
    """

    layer: FeatureMap
    heat: Tensor


@dataclass(frozen=True, eq=False)
class LayerActivation(Method):
    """How active one layer is: the mean magnitude over its channels, brought to the input's grid.

    It says what the layer sees, not what it means for the target.
    `attribute` gives (b, 1, *spatial), nowhere below zero.

    Parameters
    ----------
    layer
        Name or module; None: `default_layer`.

    Raises
    ------
    AttributionError
        When the network has no such layer, or its output lies on no grid.

    References
    ----------
    Liu et al. 2021, the heat maps of their layers.
    """

    name: ClassVar[str] = "layer"
    title: ClassVar[str] = "Layer activation"
    sign: ClassVar[Sign] = "positive"
    meaning: ClassVar[str] = "how active the layer is, whatever for"
    valid_for: ClassVar[str] = "networks with feature maps"
    source: ClassVar[str] = "Liu et al. 2021"

    layer: str | nn.Module | None = field(default=None, kw_only=True, repr=False)

    def _heat(self, job: Job) -> Tensor:
        _, module = layer_of(job, self.layer)
        with torch.no_grad():
            rows = job.all_rows
            parts = []
            for part, maps in job.in_parts(
                len(rows), lambda p: _caught(job, module, p), what="layer activation"
            ):
                frames = as_frames(maps, part.stop - part.start)
                parts.append(onto_grid(frames.abs().mean(2), job.shape))
        return torch.cat(parts)


def feature_maps(model: nn.Module, inputs: Tensor) -> list[FeatureMap]:
    """Layers whose outputs lie on a grid over the input, in the order in which they end last.

    Parameters
    ----------
    model
        Is not changed.
    inputs
        Shape (b, c, *spatial); the first example is used.
    """
    return maps_of(private_copy(model), inputs[:1])


def maps_of(network: nn.Module, example: Tensor) -> list[FeatureMap]:
    """As `feature_maps`, of a private network and one example (1, c, *spatial)."""
    seen: dict[str, list[Tensor]] = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                # A layer that is used again stands where it was used last.
                seen[name] = [*seen.pop(name, []), output]

        return hook

    with ExitStack() as stack, torch.no_grad():
        for name, module in network.named_modules():
            if name:
                stack.callback(module.register_forward_hook(note(name)).remove)
        network(example.clone())
    kinds = dict(network.named_modules())
    found = []
    for name, outputs in seen.items():
        grid = _grid(outputs, tuple(example.shape[2:]), examples=1)
        if grid is not None:
            kind = type(kinds[name]).__name__
            found.append(FeatureMap(name, kind, outputs[0].shape[1], grid, len(outputs)))
    return found


def default_layer(maps: Sequence[FeatureMap], shape: Sequence[int]) -> FeatureMap | None:
    """The layer for class activation maps: the last of the coarsest that is not too coarse.

    Parameters
    ----------
    maps
        Of a network, in order.
    shape
        Spatial shape of the input.

    Returns
    -------
    The last layer on the coarsest grid with at least `SMALLEST_SIDE` voxels a
    side; where all are coarser, the last on the finest grid; None without any.
    """
    coarser = [m for m in maps if math.prod(m.shape) < math.prod(shape[-len(m.shape) :])] or maps
    fine_enough = [m for m in coarser if m.smallest_side >= SMALLEST_SIDE]
    if fine_enough:
        size = min(math.prod(m.shape) for m in fine_enough)
        return [m for m in fine_enough if math.prod(m.shape) == size][-1]
    if not coarser:
        return None
    size = max(math.prod(m.shape) for m in coarser)
    return [m for m in coarser if math.prod(m.shape) == size][-1]


def layer_heat_maps(
    model: nn.Module,
    inputs: Tensor,
    *,
    layers: Sequence[str] | None = None,
    on_progress: Progress = silent,
) -> Iterator[LayerHeat]:
    """How active each layer is, one map after the other, from one pass.

    Safe beside a running training: the network is read, never changed.

    Parameters
    ----------
    model
        Explained in evaluation mode, and left in its own.
    inputs
        Shape (b, c, *spatial).
    layers
        Names; None: all that have feature maps.
    on_progress
        Called per layer; may raise `Cancelled`.

    Raises
    ------
    AttributionError
        When a layer is unknown or has no feature map.
    """
    network = private_copy(model)
    like = next((p for p in network.parameters() if p.is_floating_point()), inputs)
    x = inputs.detach().to(like.device, like.dtype)
    known = {m.name: m for m in maps_of(network, x[:1])}
    wanted = list(known) if layers is None else list(layers)
    if unknown := [name for name in wanted if name not in known]:
        raise AttributionError(f"the network has no layer with feature maps named {unknown[0]!r}.")
    modules = dict(network.named_modules())
    kept: dict[str, list[Tensor]] = {}

    def note(name: str) -> Any:
        # Only the mean over the channels is kept, so that all layers fit into memory.
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            kept.setdefault(name, []).append(output.abs().mean(1, keepdim=True))

        return hook

    with torch.no_grad():
        with ExitStack() as stack:
            for name in wanted:
                stack.callback(modules[name].register_forward_hook(note(name)).remove)
            network(x.clone())
        for done, name in enumerate(wanted):
            on_progress(done, len(wanted), "layers")
            frames = as_frames(kept.pop(name), len(x))
            yield LayerHeat(known[name], onto_grid(frames[:, :, 0], tuple(x.shape[2:])))
    on_progress(len(wanted), len(wanted), "layers")


def layer_of(job: Job, layer: str | nn.Module | None) -> tuple[FeatureMap, nn.Module]:
    """A layer of the job's network with its private module; noted when it was chosen or is coarse.

    Raises
    ------
    AttributionError
        When there is no such layer, or it lies on no grid over the input.
    """
    maps = maps_of(job.network, job.inputs[:1])
    if layer is None:
        chosen = default_layer(maps, job.shape)
        if chosen is None:
            raise AttributionError("this network has no layer with a feature map.")
        job.note(f"Layer {chosen.name}, {' × '.join(map(str, chosen.shape))} voxels.")
    else:
        name, _ = job.module(layer)
        named = [m for m in maps if m.name == name]
        if not named:
            raise AttributionError(f"the output of layer {name!r} lies on no grid over the input.")
        chosen = named[0]
    _note_coarse(job, chosen.name, chosen.shape)
    return chosen, job.module(chosen.name)[1]


def check_grid(job: Job, name: str, outputs: Sequence[Tensor], *, examples: int) -> None:
    """Judge a layer by what it has just given, which saves the pass that `layer_of` takes.

    Raises
    ------
    AttributionError
        When its output lies on no grid over the input.
    """
    grid = _grid(outputs, job.shape, examples=examples)
    if grid is None:
        raise AttributionError(f"the output of layer {name!r} lies on no grid over the input.")
    _note_coarse(job, name, grid)


def _note_coarse(job: Job, name: str, grid: tuple[int, ...]) -> None:
    if min(grid) < SMALLEST_SIDE:
        job.note(f"Layer {name} has only {' × '.join(map(str, grid))} voxels; the map is coarse.")


def as_frames(outputs: Sequence[Tensor], examples: int) -> Tensor:
    """Feature maps call by call to (examples, frames, channels, *grid).

    A network that reads a cine frame by frame calls a layer with examples and
    frames in one axis, perhaps in several parts. A layer that is used again on
    the same frames counts by its last use.
    """
    together = torch.cat(list(outputs)) if len(outputs) > 1 else outputs[0]
    if len(outputs) > 1 and all(len(o) == examples for o in outputs):
        together = outputs[-1]
    return together.unflatten(0, (examples, -1))


def onto_grid(maps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Maps on a layer's grid, (b, frames, *grid), on the input's: (b, 1, *shape).

    Linear interpolation. Frames are the leading axes of the input's grid, the
    layer's grid its trailing ones; between them (slices that the network reads
    as channels) the map repeats.
    """
    b, frames = maps.shape[:2]
    axes = maps.ndim - 2
    fine = nn.functional.interpolate(
        maps.reshape(b * frames, 1, *maps.shape[2:]),
        shape[len(shape) - axes :],
        mode=_MODES[axes],
        align_corners=False,
    )
    leading = _leading_axes(frames, shape, axes)
    between = len(shape) - axes - leading
    fine = fine.reshape(b, 1, *shape[:leading], *(1,) * between, *shape[len(shape) - axes :])
    return fine.expand(b, 1, *shape).contiguous()


def _leading_axes(frames: int, shape: Sequence[int], axes: int) -> int:
    """How many leading axes of the input hold `frames` pictures in all."""
    for leading in range(len(shape) - axes + 1):
        if math.prod(shape[:leading]) == frames:
            return leading
    raise AttributionError(
        f"a layer with {frames} pictures of {axes} axes does not fit an input of shape {tuple(shape)}."
    )


def _grid(
    outputs: Sequence[Tensor], shape: tuple[int, ...], *, examples: int
) -> tuple[int, ...] | None:
    """The grid of a layer's output over an input of this shape; None when it has none."""
    if not outputs:
        return None
    axes = outputs[0].ndim - 2
    if not 1 <= axes <= min(3, len(shape)):
        return None
    if axes == 1 < len(shape):
        return None  # a list of features over frames, such as a linear layer's, is no grid
    grid = tuple(outputs[0].shape[2:])
    if any(tuple(o.shape[1:]) != tuple(outputs[0].shape[1:]) for o in outputs):
        return None
    if math.prod(grid) < 2 or any(g > s for g, s in zip(grid, shape[-axes:], strict=True)):
        return None
    pictures = examples if all(len(o) == examples for o in outputs) else sum(map(len, outputs))
    frames, odd = divmod(pictures, examples)
    if odd:
        return None
    try:
        _leading_axes(frames, shape, axes)
    except AttributionError:
        return None
    return grid


def _caught(job: Job, module: nn.Module, part: slice) -> list[Tensor]:
    with outputs_of(module) as outputs:
        job.network(job.inputs[part].clone())
    return list(outputs)
