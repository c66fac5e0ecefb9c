"""A subject's example on the bench: everything that is measured of its maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.attribution.base import Method
from napari_cardioxai.attribution.baselines import Baselines, resolve_baselines
from napari_cardioxai.attribution.blur import blurred, default_sigma_mm
from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.scores.evidence import evidence_of, kind_of
from napari_cardioxai.attribution.scores.randomisation import Randomisation, randomise_parameters
from napari_cardioxai.attribution.scores.sensitivity import max_sensitivity
from napari_cardioxai.attribution.scores.table import Case
from napari_cardioxai.attribution.subjects import Subject
from napari_cardioxai.progress import Progress, silent

STAGES = 6
"""Of the cascade of random weights, and noisy copies for max-sensitivity."""

_BATCH = 8


@dataclass(frozen=True, eq=False)
class Bench:
    """The example whose maps are scored, and its target settled.

    Attributes
    ----------
    case
        What scores read.
    job
        On the example alone.
    seed
        Of everything random.
    """

    case: Case
    job: Job
    seed: int

    @property
    def rounds(self) -> int:
        """How many measurements of a map count their own progress."""
        curves = (self.case.probability, self.case.right)
        informed = 0 if self.case.blurred is None else sum(one is not None for one in curves)
        return len(("insertion", "deletion", "infidelity")) + informed

    @classmethod
    def of(cls, subject: Subject, *, seed: int, memory_mib: float) -> Bench:
        """Take the scored example of a subject; `memory_mib` is for the passes of its network."""
        image = subject.inputs[subject.scored : subject.scored + 1]
        generator = torch.Generator().manual_seed(seed)
        job = Job.begin(
            subject.model,
            image,
            subject.target,
            baselines=subject.scored_against,
            spacing_mm=subject.spacing_mm,
            generator=generator,
            on_progress=silent,
            memory_mib=memory_mib,
        )
        against = resolve_baselines(
            subject.scored_against, image, spacing_mm=subject.spacing_mm, generator=generator
        )
        blurry = None
        if subject.has_detail:
            sigma_mm = default_sigma_mm(image.shape[2:], subject.spacing_mm)
            blurry = blurred(image, sigma_mm, spacing_mm=subject.spacing_mm, edges="reflect")[0]

        def forward(x: Tensor) -> Tensor:
            return job.values_of(x, torch.zeros(len(x), dtype=torch.long, device=x.device))

        case = Case(
            image=image[0],
            forward=forward,
            baseline=against.values[0][0],
            baseline_text=against.text,
            blurred=blurry,
            spacing_mm=subject.spacing_mm,
            truth=subject.truth,
            truth_text=subject.truth_text,
            probability=subject.probability,
            right=subject.right,
            rows=_BATCH,
        )
        return cls(case, job, seed)

    def randomised(
        self, method: Method, baseline: Baselines, *, stages: int, on_progress: Progress
    ) -> Randomisation:
        """How the method's map changes with the weights."""
        kind = kind_of(method.name)
        explain = self._explainer(method, baseline)

        def evidence(model: nn.Module) -> NDArray:
            return evidence_of(explain(self.job.inputs, model)[0], kind)

        return randomise_parameters(
            evidence,
            method.model,
            generator=torch.Generator().manual_seed(self.seed),
            stages=stages,
            on_progress=on_progress,
        )

    def sensitivity(self, method: Method, baseline: Baselines, *, on_progress: Progress) -> float:
        """How far the method's map moves with a little noise."""
        explain = self._explainer(method, baseline)
        return max_sensitivity(
            lambda x: explain(x, method.model),
            self.case.image,
            generator=torch.Generator().manual_seed(self.seed),
            samples=STAGES,
            on_progress=on_progress,
        )

    def _explainer(
        self, method: Method, baseline: Baselines
    ) -> Callable[[Tensor, nn.Module], Tensor]:
        cheaper: dict[str, Any] = {}
        if {"steps", "most_steps"} <= {one.name for one in fields(method)}:
            # A rank correlation needs no more steps than the method begins with.
            cheaper["most_steps"] = method.settings()["steps"]

        def explain(x: Tensor, model: nn.Module) -> Tensor:
            return replace(method, model=model, **cheaper).attribute(
                x, self.job.target, baselines=baseline, spacing_mm=self.job.spacing_mm
            )

        return explain
