"""What all methods have in common: one call, one result, and the job between them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from napari_cardioxai.attribution.baselines import Baselines
from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.targets import Target
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Progress, silent

Sign = Literal["signed", "positive"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """A heat map and what has to be said beside it.

    Attributes
    ----------
    method
        Name in the registry.
    heat
        Shape (b, c or 1, *spatial), on the grid of the input; higher means
        more for the target, below zero against it.
    value
        The number that was explained, shape (b,).
    target, baseline
        In words; the baseline is "" where the method has none.
    completeness_percent
        For methods that share the number out among the voxels: by how many
        percent of what there was to share their sum misses it, the worst
        example; None for methods that do not claim to.
    seconds
        What it took.
    settings
        Of the method, by name.
    notes
        Sentences for the reader, such as what did not converge.
    """

    method: str
    heat: Tensor
    value: Tensor
    target: str
    baseline: str
    completeness_percent: float | None
    seconds: float
    settings: dict[str, Any]
    notes: tuple[str, ...]


def choices(label: str, values: tuple) -> dict[str, Any]:
    """Metadata of a field with a name and the values that it can take."""
    return {"label": label, "choices": values}


def setting(default: Any, label: str, low: float, high: float, *, unit: str = "") -> Any:
    """A field that a form can show: a name, a unit and limits."""
    return field(
        default=default,
        metadata={"label": label, "unit": unit, "min": low, "max": high},
        kw_only=True,
    )


@dataclass(frozen=True, eq=False)
class Method(ABC):
    """A way to say where in the input a decision comes from.

    A method never changes the network that it explains, and may be used from
    several threads at once: each call works on modules of its own that share
    the weights (`copies.private_copy`).

    Parameters
    ----------
    model
        Takes (b, c, *spatial) and gives what the target reads. It is explained
        in evaluation mode, whatever mode it is in.
    memory_mib
        How much the passes of the network may take at once; the number of
        inputs per pass follows from it.
    seed
        Of the random numbers, where there are any and no generator is given.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    sign: ClassVar[Sign] = "signed"
    meaning: ClassVar[str]
    valid_for: ClassVar[str] = "any network that its input's gradient can cross"
    source: ClassVar[str]
    uses_baseline: ClassVar[bool] = False
    shares_out: ClassVar[bool] = False

    model: nn.Module
    memory_mib: float = setting(512.0, "Memory for passes", 16, 1e6, unit="MiB")
    seed: int = setting(0, "Random seed", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for one in fields(self):
            _check_setting(one.name, getattr(self, one.name), one.metadata)

    def attribute(
        self,
        inputs: Tensor,
        target: Target | int | Sequence[int] | Tensor | None = None,
        *,
        baselines: Baselines = None,
        spacing_mm: Sequence[float | None] | None = None,
        generator: torch.Generator | None = None,
        on_progress: Progress = silent,
    ) -> Tensor:
        """The heat map of each example.

        Parameters
        ----------
        inputs
            Shape (b, c, *spatial), any number of spatial axes: (b, c, y, x),
            (b, c, z, y, x), a cine as (b, c, t, y, x) or with its frames as b.
        target
            What is explained: a `Target`, a class for all examples or one for
            each, or None for the class that the network chooses.
        baselines
            What the input is compared with, see `baselines.resolve_baselines`;
            zero when not given. Methods without `uses_baseline` take no notice.
        spacing_mm
            Voxel spacing, one entry a spatial axis, None for an axis that is
            no length, such as time. Not given: 1 mm everywhere.
        generator
            Of random numbers, on the CPU; a new one with `seed` when not given.
        on_progress
            Called between passes of the network; may raise `Cancelled`.

        Returns
        -------
        Shape (b, c, *spatial), or (b, 1, *spatial) where the method does not
        tell channels apart; on the device of `inputs`.

        Raises
        ------
        AttributionError
            When the input, the target, the baseline or the network do not
            allow it.
        """
        job = self._job(
            inputs, target, baselines, spacing_mm, generator=generator, on_progress=on_progress
        )
        return self._run(job).to(inputs.device)

    def explain(
        self,
        inputs: Tensor,
        target: Target | int | Sequence[int] | Tensor | None = None,
        *,
        baselines: Baselines = None,
        spacing_mm: Sequence[float | None] | None = None,
        generator: torch.Generator | None = None,
        on_progress: Progress = silent,
    ) -> Explanation:
        """As `attribute`, with what has to be said beside the map.

        Parameters, shapes and errors are those of `attribute`; one more pass
        of the network tells the number that was explained.
        """
        started = time.perf_counter()
        job = self._job(
            inputs, target, baselines, spacing_mm, generator=generator, on_progress=on_progress
        )
        heat = self._run(job)
        return Explanation(
            method=self.name,
            heat=heat.to(inputs.device),
            value=job.value.to(inputs.device),
            target=job.target.text,
            baseline=self._baseline_text(job),
            completeness_percent=job.completeness_percent,
            seconds=time.perf_counter() - started,
            settings=self.settings(),
            notes=tuple(job.notes),
        )

    def settings(self) -> dict[str, Any]:
        """Every setting of the method by its name, as a record that can be saved."""
        return {
            one.name: getattr(self, one.name) for one in fields(self) if "label" in one.metadata
        }

    @abstractmethod
    def _heat(self, job: Job) -> Tensor:
        """The map, shape (b, c or 1, *spatial), on the job's device."""

    def _job(
        self,
        inputs: Tensor,
        target: Target | int | Sequence[int] | Tensor | None,
        baselines: Baselines,
        spacing_mm: Sequence[float | None] | None,
        *,
        generator: torch.Generator | None,
        on_progress: Progress,
    ) -> Job:
        return Job.begin(
            self.model,
            inputs,
            target,
            baselines=baselines,
            spacing_mm=spacing_mm,
            generator=generator or torch.Generator().manual_seed(self.seed),
            on_progress=on_progress,
            memory_mib=self.memory_mib,
        )

    def _run(self, job: Job) -> Tensor:
        # Callers may sit in inference mode or under autocast; neither may reach our passes.
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(job.inputs.device.type, enabled=False),
        ):
            heat = self._heat(job).detach()
        if not bool(heat.isfinite().all()):
            raise AttributionError(
                f"the map of {self.title} is not finite; the network overflows on this input."
            )
        return heat

    def _baseline_text(self, job: Job) -> str:
        return job.baseline.text if self.uses_baseline else ""


def _check_setting(name: str, value: Any, metadata: Any) -> None:
    if "choices" in metadata and value not in metadata["choices"]:
        raise AttributionError(
            f"{name} cannot be {value!r}; choose {', '.join(map(str, metadata['choices']))}."
        )
    if "min" in metadata and value is not None:
        low, high = metadata["min"], metadata["max"]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AttributionError(f"{name} must be a number, not {value!r}.")
        if not low <= value <= high:
            unit = f" {metadata['unit']}" if metadata["unit"] else ""
            raise AttributionError(
                f"{name} must lie between {low:g} and {high:g}{unit}, not at {value:g}."
            )
