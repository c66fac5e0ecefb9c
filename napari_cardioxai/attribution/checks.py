"""Which methods are valid for a network, and why the others are not.

A method that does not fit its network seldom fails: guided backpropagation
without ReLUs is the plain gradient, a class activation map on a grid of four
voxels is a blob. So the network is looked at before a map is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.attribution.gradients import RELU_NAMES
from napari_cardioxai.attribution.layers import SMALLEST_SIDE, FeatureMap, default_layer, maps_of
from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.relevance import Tracer
from napari_cardioxai.attribution.targets import Target

_OTHER_ACTIVATIONS = frozenset(
    {"leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "tanh"}
    | {"relu6", "softplus", "hardtanh"}
)
_GUIDED = ("guided-backprop", "guided-grad-cam", "guided-grad-cam++")
_WITHOUT_GRADIENT = ("occlusion", "supervoxel-occlusion", "score-cam", "layer")


@dataclass(frozen=True)
class NetworkFacts:
    """What one pass of a network tells.

    Attributes
    ----------
    output_shape
        Of one example.
    relus, other_activations
        Calls of ReLUs, modules or functions, and of other activations by name.
    feature_maps
        Layers whose outputs lie on a grid over the input.
    without_rule
        Functions that relevance propagation has no rule for.
    differentiable
        Whether the output depends on the input through gradients.
    mixes_examples
        Whether the batch changes what an example gets, as batch norm without
        running statistics does.
    finite
        Whether the output is.
    """

    output_shape: tuple[int, ...]
    relus: int
    other_activations: Mapping[str, int]
    feature_maps: tuple[FeatureMap, ...]
    without_rule: tuple[str, ...]
    differentiable: bool
    mixes_examples: bool
    finite: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a method may be used on a network.

    Attributes
    ----------
    method
        Name in the registry.
    valid
        False: the map would be wrong, or cannot be had.
    reason
        Why not; or what to bear in mind; "" when there is nothing to say.
    """

    method: str
    valid: bool
    reason: str = ""


def inspect_network(model: nn.Module, inputs: Tensor) -> NetworkFacts:
    """Look at a network while it reads one example.

    Parameters
    ----------
    model
        Is not changed.
    inputs
        Shape (b, c, *spatial), floating point; the first example is used.
    """
    with torch.inference_mode(False):
        network = private_copy(model)
        like = next((p for p in network.parameters() if p.is_floating_point()), inputs)
        x = inputs[:1].detach().clone().to(like.device, like.dtype)
        with torch.no_grad():
            maps = maps_of(network, x)
        calls = _Calls()
        with torch.enable_grad():
            with calls:
                output = network(x.clone().requires_grad_())
            tracer = Tracer("epsilon-plus", alpha=1.0)
            with tracer:
                network(tracer.entering(x.clone().requires_grad_()))
    return NetworkFacts(
        output_shape=tuple(output.shape[1:]),
        relus=sum(calls.counts.get(name, 0) for name in RELU_NAMES),
        other_activations={
            name: count for name, count in calls.counts.items() if name in _OTHER_ACTIVATIONS
        },
        feature_maps=tuple(maps),
        without_rule=tuple(sorted(tracer.unknown)),
        differentiable=output.requires_grad,
        mixes_examples=any(
            getattr(m, "running_mean", 0) is None
            for m in network.modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm)
        ),
        finite=bool(output.isfinite().all()),
    )


def check_methods(
    model: nn.Module, inputs: Tensor, *, layer: str | None = None, target: Target | None = None
) -> dict[str, Verdict]:
    """A verdict on every method of the registry for a network and an input like these.

    Parameters
    ----------
    model, inputs
        As for `inspect_network`.
    layer
        That class activation maps would use; None: the default one.
    target
        What is to be explained; None: something that every method can.
    """
    facts = inspect_network(model, inputs)
    return judge(facts, tuple(inputs.shape[2:]), layer=layer, target=target)


def judge(
    facts: NetworkFacts,
    shape: Sequence[int],
    *,
    layer: str | None = None,
    target: Target | None = None,
) -> dict[str, Verdict]:
    """Verdicts from what is known about a network.

    Parameters
    ----------
    facts
        Of the network.
    shape
        Spatial shape of the input.
    layer, target
        As for `check_methods`.
    """
    found = {name: _verdict(name, facts, shape, layer) for name in METHODS}
    if target is not None and not target.linear:
        reason = f"The {target.text} is no sum of the network's outputs; explain a logit instead."
        for name, entry in METHODS.items():
            if entry.family == "relevance":
                found[name] = Verdict(name, False, reason)
    return found


def _verdict(name: str, facts: NetworkFacts, shape: Sequence[int], layer: str | None) -> Verdict:
    if not facts.finite:
        return Verdict(name, False, "The network's output for this input is not finite.")
    if facts.mixes_examples:
        return Verdict(
            name,
            False,
            "A batch norm without running statistics lets examples of one pass influence each other.",
        )
    if not facts.differentiable and name not in _WITHOUT_GRADIENT:
        return Verdict(
            name, False, "No gradient reaches the input: the network rounds or indexes it."
        )
    remarks = []
    if name in _GUIDED:
        if facts.relus == 0:
            return Verdict(
                name, False, "There is no ReLU to guide; it would be the plain gradient."
            )
        if facts.other_activations:
            others = ", ".join(sorted(facts.other_activations))
            remarks.append(f"Only the ReLUs are guided, not {others}.")
    if METHODS[name].uses_layer:
        verdict = _layer_verdict(name, facts, shape, layer)
        if not verdict.valid:
            return verdict
        remarks.append(verdict.reason)
    if METHODS[name].family == "relevance" and facts.without_rule:
        return Verdict(name, False, f"There is no rule for {', '.join(facts.without_rule)}.")
    return Verdict(name, True, " ".join(r for r in remarks if r))


def _layer_verdict(
    name: str, facts: NetworkFacts, shape: Sequence[int], layer: str | None
) -> Verdict:
    if layer is None:
        chosen = default_layer(facts.feature_maps, shape)
        if chosen is None:
            return Verdict(name, False, "The network has no layer with a feature map.")
    else:
        named = [m for m in facts.feature_maps if m.name == layer]
        if not named:
            return Verdict(name, False, f"Layer {layer!r} has no feature map.")
        chosen = named[0]
    grid = " × ".join(map(str, chosen.shape))
    if chosen.smallest_side < min(SMALLEST_SIDE, *shape[-len(chosen.shape) :]):
        return Verdict(
            name,
            name == "layer",
            f"Layer {chosen.name} has only {grid} voxels; choose an earlier one.",
        )
    return Verdict(name, True, f"Layer {chosen.name}, {grid} voxels.")


class _Calls(TorchFunctionMode):
    """Counts functions by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))
