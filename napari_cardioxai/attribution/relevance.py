"""Layer-wise relevance propagation for networks as they are.

The rules are put in place of layers while the network runs: a function mode of
torch sees every convolution, sum and activation at the moment it is called,
whether a module, a plain function or an operator calls it, once or many times,
in place or not. So there are no canonisers per architecture, no hooks, and no
weights to change and to restore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from napari_cardioxai.attribution.base import Method, choices, setting
from napari_cardioxai.attribution.job import NO_GRADIENT, Job
from napari_cardioxai.attribution.relevance_rules import (
    ByRule,
    LinearMap,
    Passed,
    Shared,
    alpha_beta,
    epsilon,
    epsilon_with_bias,
    flat,
    split_sum,
    split_sum_proportionally,
    stabilised,
)
from napari_cardioxai.errors import AttributionError

Composite = Literal[
    "epsilon-plus", "epsilon-plus-flat", "z-plus", "alpha-beta", "alpha-beta-flat", "epsilon"
]
COMPOSITES: tuple[Composite, ...] = (
    "epsilon-plus",
    "epsilon-plus-flat",
    "z-plus",
    "alpha-beta",
    "alpha-beta-flat",
    "epsilon",
)


@dataclass(frozen=True, eq=False)
class RelevancePropagation(Method):
    """The logit handed back from layer to layer, until every voxel has its share.

    `attribute` gives (b, c, *spatial); each map sums to the logit. Normalisation
    behind a convolution is folded into it; activations and other normalisations
    pass relevance through; max-pooling gives it to the winner, average pooling
    and means in proportion; a sum shares out by what each summand adds in the
    sum's direction; a gate gets nothing, its signal everything. Units of
    networks whose activations let negative values through stand for their
    negative contributions where they are below zero. What has no rule (matrix
    products of two signals, recurrence) passes plain gradients, and is noted.

    Parameters
    ----------
    composite
        "epsilon-plus": z-plus rule for convolutions, epsilon rule for dense
        layers; "epsilon-plus-flat": with the flat rule where the input enters,
        for inputs whose zero means nothing; "z-plus" everywhere; "alpha-beta"
        instead of z-plus, with and without flat; "epsilon" everywhere, with
        biases that take their part, which is input times gradient of a network
        of ReLUs.
    alpha
        Of the alpha-beta rule; beta is one less.

    Raises
    ------
    AttributionError
        When the target is not linear in the network's output.

    References
    ----------
    Bach et al. 2015, doi:10.1371/journal.pone.0130140; composites: Montavon et
    al. 2019, doi:10.1007/978-3-030-28954-6_10; Kohlbrenner et al. 2020,
    arXiv:1910.09840.
    """

    name: ClassVar[str] = "lrp"
    title: ClassVar[str] = "Layer-wise relevance propagation"
    meaning: ClassVar[str] = "above zero: the voxel's share of the logit speaks for the target"
    valid_for: ClassVar[str] = "convolutional and dense networks; not recurrence or attention"
    source: ClassVar[str] = "Bach et al. 2015"
    shares_out: ClassVar[bool] = True

    composite: Composite = field(
        default="epsilon-plus", metadata=choices("Rules", COMPOSITES), kw_only=True
    )
    alpha: float = setting(2.0, "Alpha of the alpha-beta rule", 1.0, 10.0)

    def _heat(self, job: Job) -> Tensor:
        return relevance(job, composite=self.composite, alpha=self.alpha)


def relevance(job: Job, *, composite: Composite = "epsilon-plus", alpha: float = 2.0) -> Tensor:
    """The share of every voxel in the logit, (b, c, *spatial).

    Raises
    ------
    AttributionError
        When the target is not linear in the network's output.
    """
    if not job.target.linear:
        raise AttributionError(
            f"relevance propagation cannot share out the {job.target.text}, which is no sum of the "
            "network's outputs; explain the logit of the structure instead."
        )
    rows = job.all_rows
    maps, logits, taken, unknown = [], [], [], set()

    def run(part: slice) -> None:
        heat, logit, absorbed, missing = _propagated(
            job, part, rows, composite=composite, alpha=alpha
        )
        maps.append(heat)
        logits.append(logit)
        taken.append(absorbed)
        unknown.update(missing)

    # A pass keeps the inputs of all layers and needs their positive parts on the way back.
    at_once = max(1, job.rows_at_once(len(rows)) // 3)
    if composite == "epsilon":
        at_once = 1  # the biases' part is counted per example
    for _ in job.in_parts(len(rows), run, what="relevance propagation", rows=at_once):
        pass
    heat, logit = torch.cat(maps), torch.cat(logits)
    job.__dict__.setdefault("value", logit)
    job.to_share = logit
    absorbed = torch.stack(taken).reshape(-1) if composite == "epsilon" else torch.zeros_like(logit)
    job.missed = heat.flatten(1).double().sum(1) + absorbed - logit
    _say_what_happened(job, heat, logit, absorbed, unknown)
    return heat


def _propagated(
    job: Job, part: slice, rows: Tensor, *, composite: Composite, alpha: float
) -> tuple[Tensor, Tensor, Tensor, set[str]]:
    """Relevance, logit, what biases took, and functions without a rule."""
    x = job.inputs[part].clone().requires_grad_()
    tracer = Tracer(composite, alpha=alpha)
    with tracer:
        output = job.network(tracer.entering(x))
    if not output.requires_grad:
        raise AttributionError(NO_GRADIENT)
    if tracer.in_place:
        _check_same(job, x, output)
    end = output.detach().requires_grad_()
    number = job.target(end, rows[part])
    (slope,) = torch.autograd.grad(number.sum(), end)
    (heat,) = torch.autograd.grad(output, x, end.detach() * slope, allow_unused=True)
    if heat is None:
        raise AttributionError(NO_GRADIENT)
    absorbed = torch.stack(tracer.absorbed).sum() if tracer.absorbed else heat.new_zeros(())
    return heat, number.detach(), absorbed, tracer.unknown


def _check_same(job: Job, x: Tensor, output: Tensor) -> None:
    """In-place functions were replaced; a network that relies on the side effect computes otherwise."""
    with torch.no_grad():
        plain = job.network(x.detach().clone())
    if not torch.allclose(plain, output, rtol=1e-3, atol=1e-4):
        raise AttributionError(
            "this network changes tensors in place and reads them under another name; relevance "
            "cannot follow it."
        )


def _say_what_happened(
    job: Job, heat: Tensor, logit: Tensor, absorbed: Tensor, unknown: set[str]
) -> None:
    size = logit.abs().clamp_min(1e-12)
    if unknown:
        job.note(
            f"There is no rule for {', '.join(sorted(unknown))}; plain gradients went through, and "
            "the shares do not sum to the logit."
        )
    if float(absorbed.abs().max()) > 0:
        job.note(
            f"The biases took {float((100 * absorbed / logit.sign() / size).mean()):.0f} % of the "
            "logit."
        )
    bulk = float((heat.abs().flatten(1).sum(1) / size).max())
    if bulk > 100:
        job.note(
            f"Shares for and against are {bulk:.0f} times the logit and nearly cancel; the map is "
            "unstable."
        )


_DIMS = ("1d", "2d", "3d")
_CONVOLUTIONS = frozenset(f"conv{d}" for d in _DIMS)
_TRANSPOSED = frozenset(f"conv_transpose{d}" for d in _DIMS)
_AVERAGES = frozenset(
    {"mean", "sum", "interpolate", "upsample"}
    | {f"{kind}{d}" for kind in ("avg_pool", "adaptive_avg_pool") for d in _DIMS}
)
_SOFT_GATES = frozenset({"sigmoid", "hardsigmoid", "softmax"})
_RECTIFIERS = frozenset({"relu", "relu6", "softplus", "threshold", "square", "abs", "exp"})
_LEAKY = frozenset(
    {"leaky_relu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"}
    | {"hardswish", "tanh", "hardtanh", "softsign", "logsigmoid", "tanhshrink", "softshrink"}
    | {"clamp", "clamp_min", "clamp_max", "clip", "neg", "sqrt", "rsqrt", "pow"}
)
_NORMS = frozenset({"instance_norm", "group_norm", "layer_norm", "rms_norm", "local_response_norm"})
_DROPOUTS = frozenset(
    {"dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"}
    | {f"dropout{d}" for d in _DIMS}
)
# Plain gradients of these move relevance without changing its sum.
_REARRANGING = frozenset(
    {"view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "permute"}
    | {"transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "squeeze", "unsqueeze"}
    | {"contiguous", "clone", "to", "type", "type_as", "float", "double", "half", "__get__"}
    | {"split", "split_with_sizes", "chunk", "unbind", "tensor_split", "__getitem__", "narrow"}
    | {"select", "index_select", "gather", "cat", "concat", "concatenate", "stack", "pad"}
    | {"expand", "expand_as", "repeat", "tile", "pixel_shuffle", "pixel_unshuffle"}
    | {"channel_shuffle", "roll", "flip", "detach", "requires_grad_", "__setitem__", "unfold"}
    | {"max", "amax", "maximum", "where", "masked_fill", "identity"}
    | {f"{kind}{d}" for kind in ("max_pool", "adaptive_max_pool") for d in _DIMS}
    | {f"{kind}{d}_with_indices" for kind in ("max_pool", "adaptive_max_pool") for d in _DIMS}
    | {"boolean_dispatch", "fn"}
)


@dataclass(frozen=True, eq=False)
class _Mark:
    """What is known about a tensor on its way.

    Attributes
    ----------
    is_input
        Nothing but the network's input, perhaps in another order.
    is_gate
        Values that weight a signal.
    made_by
        The input and the layer whose output it is, for folding.
    units
        Of the layers whose outputs it holds, normalised or joined, but not yet
        activated.
    extent
        Of the network's input: ones where it lies, zeros where it was padded;
        None where it was not.
    """

    is_input: bool = False
    is_gate: bool = False
    made_by: tuple[Tensor, LinearMap] | None = None
    units: tuple[_Units, ...] = ()
    extent: Tensor | None = None


@dataclass(eq=False)
class _Units:
    """The units of one layer in one call.

    Attributes
    ----------
    rectified
        Whether a ReLU follows, so that those below zero have no effect.
    """

    rectified: bool = False

    def negative(self, output: Tensor, relevance: Tensor) -> Tensor:
        """Units that stand for their negative contributions.

        Where values below zero reach the next layer, all that are below zero;
        before a ReLU only what speaks against its own class.
        """
        below = output < 0
        return below & (relevance < 0) if self.rectified else below


class Tracer(TorchFunctionMode):
    """Within it the layers of a network pass relevance backwards instead of gradients.

    Attributes
    ----------
    absorbed
        What biases took, one number a layer, after the way back.
    unknown
        Functions that a signal went through and that have no rule.
    in_place
        Whether a function was to work in place; it did not.
    """

    def __init__(self, composite: Composite, *, alpha: float) -> None:
        super().__init__()
        self.absorbed: list[Tensor] = []
        self.unknown: set[str] = set()
        self.in_place = False
        self.everywhere_epsilon = composite == "epsilon"
        size = 1e-6
        conv = alpha_beta(alpha if composite.startswith("alpha-beta") else 1.0)
        dense = conv if composite == "z-plus" else epsilon(size)
        if self.everywhere_epsilon:
            conv = dense = epsilon_with_bias(size, self.absorbed)
        self._size = size
        self._conv, self._dense, self._average = conv, dense, conv
        if composite.startswith("alpha-beta"):
            self._average = alpha_beta(1.0)
        self._flat_entrance = composite.endswith("flat")

    def entering(self, x: Tensor) -> Tensor:
        """The input as the network receives it, in a copy that it may work on."""
        inside = x.clone()
        _mark(inside, _Mark(is_input=True))
        return inside

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Put the rule in place of the function."""
        kwargs = kwargs or {}
        name = _plain_name(func)
        signals = [a for a in (*args, *kwargs.values()) if _is_signal(a)]
        if not signals and not _holds_signal(args):
            return func(*args, **kwargs)
        if _works_in_place(func, kwargs):
            self.in_place = True
            func, kwargs = _out_of_place(func, kwargs)
        if name in _REARRANGING:
            result = func(*args, **kwargs)
            extent = None
            if name == "pad" and _marks(args[0]).is_input:
                within = _marks(args[0]).extent
                inside = torch.ones_like(args[0]) if within is None else within
                extent = torch.nn.functional.pad(
                    inside, args[1] if len(args) > 1 else kwargs["pad"]
                )
            return _carry_marks(args, result, extent=extent)
        handled = self._handled(name, func, list(args), kwargs)
        if handled is not None:
            return handled
        result = func(*args, **kwargs)
        if _holds_signal((result,)):
            self.unknown.add(name)
        return result

    def _handled(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        if name in _CONVOLUTIONS or name in _TRANSPOSED or name == "linear":
            return self._layer(name, func, args, kwargs)
        if name in _DROPOUTS:
            return args[0]
        if name == "batch_norm":
            return self._batch_norm(func, args, kwargs)
        if name in _NORMS:
            return self._norm(name, func, args, kwargs)
        if name in _SOFT_GATES:
            gate = _pass(args, partial(func, *args, **kwargs))
            return None if gate is None else _mark(gate, _Mark(is_gate=True))
        if name in _LEAKY or name in _RECTIFIERS:
            if name in _RECTIFIERS:
                for units in _marks(args[0]).units:
                    units.rectified = True
            return _pass(args, partial(func, *args, **kwargs))
        if name in _AVERAGES and _is_signal(args[0]):
            layer = LinearMap(lambda x, _: func(x, *args[1:], **kwargs))
            units = _Units()
            pooled: Tensor = ByRule.apply(
                args[0], partial(func, *args, **kwargs), layer, self._average, units.negative
            )
            return _mark(pooled, _Mark(units=(units, *_marks(args[0]).units)))
        if name in ("add", "sub", "rsub"):
            return self._sum(name, func, args, kwargs)
        if name in ("mul", "div", "true_divide"):
            return self._product(name, func, args, kwargs)
        if name in ("matmul", "mm", "addmm"):
            return self._matrix(name, func, args, kwargs)
        return None

    def _layer(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        bound = dict(zip(("input", "weight", "bias"), args, strict=False))
        bound.update({k: kwargs[k] for k in ("input", "weight", "bias") if k in kwargs})
        x, weight = bound["input"], bound["weight"]
        if not _is_signal(x) or _is_signal(weight):
            return None
        rest, named = args[3:], {k: v for k, v in kwargs.items() if k not in bound}
        layer = LinearMap(
            lambda a, w: func(a, w, None, *rest, **named),
            weight,
            channel_axis=1 if name in _TRANSPOSED else 0,
        )
        output = self._by_rule(x, partial(func, *args, **kwargs), layer, dense=name == "linear")
        grouped = name in _TRANSPOSED and weight.shape[1] != output.shape[1]
        return output if grouped else _mark(output, replace(_marks(output), made_by=(x, layer)))

    def _by_rule(
        self, x: Tensor, compute: Callable[[], Tensor], layer: LinearMap, *, dense: bool
    ) -> Tensor:
        rule = self._dense if dense else self._conv
        if self._flat_entrance and _marks(x).is_input:
            rule = flat(_marks(x).extent)
        units = _Units()
        made: Tensor = ByRule.apply(x, compute, layer, rule, units.negative)
        return _mark(made, _Mark(units=(units,)))

    def _batch_norm(self, func: Callable, args: list[Any], kwargs: dict[str, Any]) -> Tensor | None:
        names = (
            "input",
            "running_mean",
            "running_var",
            "weight",
            "bias",
            "training",
            "momentum",
            "eps",
        )
        bound = {**dict(zip(names, args, strict=False)), **kwargs}
        x, var = bound["input"], bound.get("running_var")
        compute = partial(func, *args, **kwargs)
        if not _is_signal(x):
            return None
        if var is None:
            return _kept_units(x, _pass([x], compute))
        factor = (var + bound.get("eps", 1e-5)).rsqrt()
        if bound.get("weight") is not None:
            factor = factor * bound["weight"]
        return self._folded(x, compute, factor)

    def _norm(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        x, compute = args[0], partial(func, *args, **kwargs)
        place = {"instance_norm": 3, "group_norm": 2}.get(name)
        weight = None
        if place is not None:
            weight = args[place] if len(args) > place else kwargs.get("weight")
        # Dividing by a deviation changes no share; only the sign of the weight does.
        if self.everywhere_epsilon:
            return self._scaled(x, compute, _norm_factor(name, x, compute))
        if weight is not None and bool((weight < 0).any()):
            return self._folded(x, compute, weight)
        return _kept_units(x, _pass([x], compute))

    def _folded(self, x: Tensor, compute: Callable[[], Tensor], factor: Tensor) -> Tensor | None:
        """A scale per channel, folded into the layer that made its input where there is one."""
        made_by = _marks(x).made_by
        if made_by is not None:
            before, layer = made_by
            dense = layer.weight is not None and layer.weight.ndim == 2
            return self._by_rule(before, compute, layer.scaled(factor), dense=dense)
        if self.everywhere_epsilon:
            return self._scaled(x, compute, factor.reshape(1, -1, *(1,) * (x.ndim - 2)))
        return _kept_units(x, _pass([x], compute))

    def _scaled(self, x: Tensor, compute: Callable[[], Tensor], factor: Tensor) -> Tensor:
        """A scale and a shift by numbers taken as constants; the shift takes its part as a bias."""
        units = _Units()
        scale = LinearMap(lambda a, _: a * factor)
        made: Tensor = ByRule.apply(x, compute, scale, self._conv, units.negative)
        return _mark(made, _Mark(units=(units,)))

    def _sum(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        compute = partial(func, *args, **kwargs)
        both = args[:2] if len(args) > 1 else [args[0], kwargs["other"]]
        if not all(_is_signal(a) for a in both):
            passed = _pass(both, compute)
            return _kept_units(next(a for a in both if _is_signal(a)), passed)
        units = _Units()
        factors = {"add": (1.0, 1.0), "sub": (1.0, -1.0), "rsub": (-1.0, 1.0)}[name]
        by = float(kwargs.get("alpha", 1.0))

        def split(a: Tensor, b: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
            a, b = factors[0] * a, by * factors[1] * b
            if self.everywhere_epsilon:
                return split_sum_proportionally(a, b, relevance, size=self._size)
            return split_sum(a, b, relevance, negative=units.negative(output, relevance))

        made: Tensor = Shared.apply(both[0], both[1], compute, split)
        summed = (units, *_marks(both[0]).units, *_marks(both[1]).units)
        return _mark(made, _Mark(units=summed))

    def _product(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        compute = partial(func, *args, **kwargs)
        both = args[:2] if len(args) > 1 else [args[0], kwargs["other"]]
        if not all(_is_signal(a) for a in both):
            return _pass(both, compute)
        first = _share_of_first(both[0], both[1]) if name == "mul" else 1.0

        def split(a: Tensor, b: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
            return first * relevance, (1 - first) * relevance

        made: Tensor = Shared.apply(both[0], both[1], compute, split)
        return made

    def _matrix(
        self, name: str, func: Callable, args: list[Any], kwargs: dict[str, Any]
    ) -> Tensor | None:
        """A signal times a weight; the product of two signals has no rule."""
        if name == "addmm":
            bias, x, weight = args[:3]
            if _is_signal(weight) or _is_signal(bias) or not _is_signal(x):
                return None
            layer = LinearMap(lambda a, w: torch.mm(a, cast(Tensor, w)), weight, channel_axis=1)
        else:
            x, weight = args[:2]
            if _is_signal(weight) or not _is_signal(x):
                return None
            layer = LinearMap(lambda a, w: func(a, w), weight, channel_axis=weight.ndim - 1)
        return self._by_rule(x, partial(func, *args, **kwargs), layer, dense=True)


def _share_of_first(first: Tensor, second: Tensor) -> float:
    """1 when the first factor is the signal, 0 when it is the gate, a half when nobody can tell."""
    a, b = _marks(first).is_gate, _marks(second).is_gate
    if a != b:
        return 0.0 if a else 1.0
    if first.numel() != second.numel():
        return 1.0 if first.numel() > second.numel() else 0.0
    return 0.5


def _pass(args: Sequence[Any], compute: Callable[[], Tensor]) -> Tensor | None:
    """Relevance straight through the one signal among the arguments; None where shapes change."""
    signals = [a for a in args if _is_signal(a)]
    if len(signals) != 1:
        return None
    output: Tensor = Passed.apply(signals[0], compute)
    return output if output.shape == signals[0].shape else None


def _is_signal(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _holds_signal(values: Sequence[Any]) -> bool:
    return any(_is_signal(v) or (isinstance(v, tuple | list) and _holds_signal(v)) for v in values)


def _plain_name(func: Callable) -> str:
    """The function's name without the marks of its in-place and operator forms."""
    name = getattr(func, "__name__", type(func).__name__)
    if name in ("__get__", "__getitem__", "__setitem__"):
        return name
    plain = name.strip("_")
    operators = {
        "iadd": "add", "radd": "add", "isub": "sub", "rsub": "rsub", "imul": "mul", "rmul": "mul",
        "truediv": "div", "itruediv": "div", "rmatmul": "matmul", "subtract": "sub",
        "multiply": "mul", "divide": "div",
    }  # fmt: skip
    return operators.get(plain, plain)


def _works_in_place(func: Callable, kwargs: dict[str, Any]) -> bool:
    name = getattr(func, "__name__", "")
    plain = name.removesuffix("_").removesuffix("_")
    known = _LEAKY | _RECTIFIERS | _SOFT_GATES | {"add", "sub", "mul", "div"}
    return bool(kwargs.get("inplace")) or (name.endswith("_") and plain in known)


def _out_of_place(func: Callable, kwargs: dict[str, Any]) -> tuple[Callable, dict[str, Any]]:
    """The same function, leaving its input alone."""
    name = getattr(func, "__name__", "")
    if kwargs.get("inplace"):
        return func, {**kwargs, "inplace": False}
    plain = name[:-1]
    home = next((h for h in (torch, torch.nn.functional, torch.Tensor) if hasattr(h, plain)), None)
    return (getattr(home, plain) if home is not None else func), kwargs


def _mark(tensor: Tensor, mark: _Mark) -> Tensor:
    tensor._attribution_mark = mark  # type: ignore[attr-defined]
    return tensor


def _marks(tensor: Tensor) -> _Mark:
    found: _Mark = getattr(tensor, "_attribution_mark", _Mark())
    return found


def _kept_units(before: Tensor, after: Tensor | None) -> Tensor | None:
    """What only passed a normalisation still holds the same units."""
    return None if after is None else _mark(after, _Mark(units=_marks(before).units))


def _norm_factor(name: str, x: Tensor, compute: Callable[[], Tensor]) -> Tensor:
    """By what a normalisation multiplies, from what it did to the values: (y - y') / (x - x')."""
    y = compute()
    axes = tuple(range(2, x.ndim)) if name in ("instance_norm", "group_norm") else (-1,)
    middle = x - x.mean(axes, keepdim=True)
    slope = (middle * (y - y.mean(axes, keepdim=True))).sum(axes, keepdim=True)
    return (slope / middle.square().sum(axes, keepdim=True).clamp_min(1e-30)).detach()


def _carry_marks(args: Sequence[Any], result: Any, *, extent: Tensor | None = None) -> Any:
    """What is only rearranged remains the input, or a gate."""
    sources: list[Tensor] = []
    for value in args:
        sources += [
            v for v in (value if isinstance(value, tuple | list) else [value]) if _is_signal(v)
        ]
    if not sources:
        return result
    kept = _Mark(
        is_input=all(_marks(s).is_input for s in sources),
        is_gate=all(_marks(s).is_gate for s in sources),
        units=tuple(units for s in sources for units in _marks(s).units),
        extent=extent,
    )
    for one in result if isinstance(result, tuple | list) else [result]:
        if isinstance(one, Tensor):
            _mark(one, kept)
    return result


__all__ = ["COMPOSITES", "Composite", "RelevancePropagation", "Tracer", "relevance", "stabilised"]
