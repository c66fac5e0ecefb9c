"""One explanation under way: a private network, its scalar, and passes that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from napari_cardioxai.attribution.baselines import Baseline, Baselines, resolve_baselines
from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.attribution.targets import Target, as_target
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress

_MIB = 2**20
_WORKING_SET_MIB = 64.0
_FEWEST_ROWS = 4

T = TypeVar("T")

_MEASURED: WeakKeyDictionary[nn.Module, dict[tuple, int]] = WeakKeyDictionary()
"""Bytes of one row's pass, by network and kind of input; a stale entry costs time, never a result."""


@dataclass(eq=False)
class Job:
    """What a method works with.

    Attributes
    ----------
    network
        A private copy; methods may hook it.
    inputs
        Shape (b, c, *spatial), outside of any graph, on the network's device.
    target
        Settled for these inputs.
    spacing_mm
        One entry a spatial axis, None for an axis that is no length.
    generator, on_progress, memory_mib
        As given to the method.
    notes
        Sentences for the reader.
    missed, to_share
        Per example: what the sum of the map misses of what there was to share
        out, and that; None until a method has measured it.
    adds_up
        Whether anybody asks how far the map is from adding up; False saves the
        passes that would tell.
    copies
        How many times the examples stand in `inputs`, all of them each time.
    """

    original: nn.Module
    network: nn.Module
    inputs: Tensor
    target: Target
    baseline_choice: Baselines
    spacing_mm: tuple[float | None, ...]
    generator: torch.Generator
    on_progress: Progress
    memory_mib: float
    notes: list[str] = field(default_factory=list)
    missed: Tensor | None = None
    to_share: Tensor | None = None
    rows_per_pass: int | None = None
    adds_up: bool = True
    copies: int = 1

    @classmethod
    def begin(
        cls,
        model: nn.Module,
        inputs: Tensor,
        target: Any,
        *,
        baselines: Baselines,
        spacing_mm: Sequence[float | None] | None,
        generator: torch.Generator,
        on_progress: Progress,
        memory_mib: float,
    ) -> Job:
        """Check what was given, and copy the network.

        Raises
        ------
        AttributionError
            When the input is no float image, the spacing does not fit, or the
            target does not.
        """
        on_progress(0, 0, "starting")
        original = getattr(model, "_orig_mod", model)
        with torch.inference_mode(False), torch.no_grad():
            network = private_copy(original)
            checked = _checked_inputs(inputs, network)
            job = cls(
                original=original,
                network=network,
                inputs=checked,
                target=as_target(target),
                baseline_choice=baselines,
                spacing_mm=_checked_spacing(spacing_mm, checked.ndim - 2),
                generator=generator,
                on_progress=on_progress,
                memory_mib=memory_mib,
            )
            if job.target.needs_output:
                parts = [out for _, out in job.in_parts(len(checked), job._output, rows=1)]
                job.target = job.target.fixed(torch.cat(parts))
        return job

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the input."""
        return tuple(self.inputs.shape[2:])

    @cached_property
    def baseline(self) -> Baseline:
        """What the input is compared with, of the input's shape."""
        return resolve_baselines(
            self.baseline_choice,
            self.inputs,
            spacing_mm=self.spacing_mm,
            generator=self.generator,
        )

    @cached_property
    def value(self) -> Tensor:
        """The number to explain for each example, shape (b,)."""
        return self.values_of(self.inputs, self.all_rows)

    @property
    def all_rows(self) -> Tensor:
        """0 to b - 1."""
        return torch.arange(len(self.inputs), device=self.inputs.device)

    @property
    def completeness_percent(self) -> float | None:
        """By how much the worst example's sum misses what there was to share out."""
        if self.missed is None or self.to_share is None:
            return None
        return float((100 * self.missed.abs() / self.to_share.abs().clamp_min(1e-12)).max())

    def for_copies(self, inputs: Tensor, *, on_progress: Progress) -> Job:
        """The same job for changed copies of the examples, whose maps need not add up.

        Each copy is compared with its example's baseline where that is settled;
        the notes are the new job's own.

        Parameters
        ----------
        inputs
            Shape (copies * b, c, *spatial), copy after copy.
        on_progress
            Of the new job.
        """
        copies = len(inputs) // len(self.inputs)
        choice = self.baseline_choice
        if isinstance(choice, Baseline):
            times = (copies, *(1,) * (inputs.ndim - 1))
            choice = Baseline(choice.text, tuple(v.repeat(times) for v in choice.values))
        return replace(
            self,
            inputs=inputs,
            baseline_choice=choice,
            on_progress=on_progress,
            notes=[],
            missed=None,
            to_share=None,
            adds_up=False,
            copies=copies * self.copies,
        )

    def note(self, sentence: str) -> None:
        """Tell the reader, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def scalar(self, x: Tensor, rows: Tensor) -> Tensor:
        """The number to explain, (n, c, *spatial) to (n,); `rows` says whose input each is."""
        # The network may work in place on what it is given.
        return self.target(self.network(x.clone()), rows % (len(self.inputs) // self.copies))

    def above(self, other: Tensor) -> Tensor:
        """By how much the number for the inputs exceeds that for others of their shape, (b,)."""
        rows = self.all_rows
        if "value" in self.__dict__:
            return self.value - self.values_of(other, rows)
        # In one pass: a single small volume takes longer than several at once.
        both = self.values_of(torch.cat([self.inputs, other]), rows.repeat(2))
        self.value, below = both[: len(rows)], both[len(rows) :]
        return self.value - below

    def values_of(self, x: Tensor, rows: Tensor) -> Tensor:
        """As `scalar`, outside of any graph and in passes that fit into memory."""
        with torch.no_grad():
            parts = [
                v for _, v in self.in_parts(len(x), lambda part: self.scalar(x[part], rows[part]))
            ]
        return torch.cat(parts)

    def gradient(self, x: Tensor, rows: Tensor) -> Tensor:
        """Of the number with respect to the input, (n, c, *spatial), in one pass.

        Raises
        ------
        AttributionError
            When no gradient reaches the input.
        """
        x = x.detach().requires_grad_()
        number = self.scalar(x, rows)
        if not number.requires_grad:
            raise AttributionError(NO_GRADIENT)
        (gradient,) = torch.autograd.grad(number.sum(), x, allow_unused=True)
        if gradient is None:
            raise AttributionError(NO_GRADIENT)
        return gradient

    def in_parts(
        self,
        total: int,
        run: Callable[[slice], T],
        *,
        what: str = "",
        rows: int | None = None,
    ) -> Iterator[tuple[slice, T]]:
        """Run over `total` rows in passes that fit into memory.

        Parameters
        ----------
        total
            Number of rows.
        run
            Takes a slice of them.
        what
            For the progress; without it the steps are not reported.
        rows
            At once; None: as many as the memory allows.

        Raises
        ------
        AttributionError
            When the memory does not suffice for a single row.
        """
        step = rows if rows is not None else self.rows_at_once(total)
        first = 0
        while first < total:
            if what:
                self.on_progress(first, total, what)
            # Alike in size: a last pass of one row would cost as much as a full one.
            passes = math.ceil((total - first) / step)
            part = slice(first, first + math.ceil((total - first) / passes))
            try:
                result = run(part)
            except torch.OutOfMemoryError as error:
                if step == 1:
                    raise AttributionError(
                        f"{self.inputs.device} has too little memory for one pass of the network; "
                        "explain on the CPU, or a smaller input."
                    ) from error
                step = max(1, step // 2)
                self.rows_per_pass = step
                if self.inputs.is_cuda:
                    torch.cuda.empty_cache()
                continue
            yield part, result
            first = part.stop
        if what:
            self.on_progress(total, total, what)

    def rows_at_once(self, total: int) -> int:
        """How many rows of a pass with gradients fit into the budget, measured on one row."""
        if total <= 1:
            return 1
        if self.rows_per_pass is None:
            per_row = self._bytes_per_row()
            rows = self.memory_mib * _MIB / max(per_row, 1)
            if self.inputs.device.type == "cpu":
                # More than a processor's cache holds at once makes every row slower.
                rows = min(rows, max(_FEWEST_ROWS, _WORKING_SET_MIB * _MIB / max(per_row, 1)))
            self.rows_per_pass = max(1, math.floor(rows))
        return min(self.rows_per_pass, total)

    def _bytes_per_row(self) -> int:
        """Measured once for a network and inputs of a kind: the pass costs as much as a map of some methods."""
        known = _MEASURED.setdefault(self.original, {})
        x = self.inputs
        kind = (tuple(x.shape[1:]), x.dtype, str(x.device), type(self.target))
        if kind not in known:
            known[kind] = _bytes_of_a_pass(self)
        return known[kind]

    def module(self, layer: str | nn.Module) -> tuple[str, nn.Module]:
        """The private twin of a layer of the user's network, and its name.

        Raises
        ------
        AttributionError
            When the network has no such layer.
        """
        named = dict(self.network.named_modules(remove_duplicate=False))
        if isinstance(layer, str):
            name = layer
        else:
            names = [n for n, m in self.original.named_modules() if m is layer]
            if not names:
                raise AttributionError(
                    f"the layer {type(layer).__name__} is no part of this network."
                )
            name = names[0]
        if name not in named:
            raise AttributionError(f"the network has no layer {name!r}.")
        return name, named[name]

    def _output(self, part: slice) -> Tensor:
        return self.network(self.inputs[part].clone())


NO_GRADIENT = (
    "no gradient reaches the input: the network rounds or indexes it; give memberships instead "
    "of labels, or use occlusion."
)


@contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a private module gives, call by call, safe from in-place work after it."""
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return None
        if torch.is_grad_enabled() and output.is_floating_point() and not output.requires_grad:
            output.requires_grad_()  # the graph need not begin before the layer
        outputs.append(output)
        return output.clone()

    handle = module.register_forward_hook(keep)
    try:
        yield outputs
    finally:
        handle.remove()


def _bytes_of_a_pass(job: Job) -> int:
    """Memory that one row's pass with gradients holds, in bytes.

    What autograd keeps of the forward pass, and twice the largest of it for
    the gradients on their way back.
    """
    weights = {p.untyped_storage().data_ptr() for p in job.network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        number = job.scalar(job.inputs[:1].detach().requires_grad_(), job.all_rows[:1])
    largest = max(kept.values(), default=job.inputs[:1].nbytes)
    del number
    return sum(kept.values()) + 3 * largest


def _checked_inputs(inputs: Tensor, network: nn.Module) -> Tensor:
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise AttributionError(
            "an input to explain is a floating-point tensor; labels come as memberships, one "
            "channel a class."
        )
    if inputs.ndim < 3 or 0 in inputs.shape:
        raise AttributionError(
            f"an input to explain has axes (example, channel, space ...), not shape "
            f"{tuple(inputs.shape)}."
        )
    if not bool(inputs.isfinite().all()):
        raise AttributionError("the input has values that are not finite.")
    like = next((p for p in network.parameters() if p.is_floating_point()), inputs)
    return inputs.detach().clone().to(like.device, like.dtype)


def _checked_spacing(
    spacing_mm: Sequence[float | None] | None, axes: int
) -> tuple[float | None, ...]:
    if spacing_mm is None:
        return (1.0,) * axes
    steps = tuple(None if s is None else float(s) for s in spacing_mm)
    if len(steps) != axes or any(s is not None and not 0 < s < math.inf for s in steps):
        raise AttributionError(
            f"spacing_mm must be {axes} lengths above 0, or None for an axis that is no length; "
            f"not {tuple(spacing_mm)}."
        )
    return steps
