"""Maps averaged over noisy copies of the input, for methods other than the gradient."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from napari_cardioxai.attribution.base import Method, setting
from napari_cardioxai.attribution.baselines import Baseline, resolve_baselines
from napari_cardioxai.attribution.gradients import noise_scale, normal
from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.paths import (
    BlurIntegratedGradients,
    GuidedIntegratedGradients,
    IntegratedGradients,
)
from napari_cardioxai.progress import Progress

_SOURCE = "Smilkov et al. 2017, section 3.2"


@dataclass(frozen=True, eq=False)
class Smoothed(Method):
    """A method's mean map over noisy copies of the input.

    The map is that of the method; its sum is the mean over the copies of what
    each had to share out, so completeness is not claimed.

    Parameters
    ----------
    noise_percent
        Standard deviation, of the range of each example's values.
    samples
        Copies per example; each costs as much as the method itself.

    References
    ----------
    Smilkov et al. 2017, arXiv:1706.03825, section 3.2.
    """

    noise_percent: float = setting(15.0, "Noise", 0.0, 100.0, unit="% of the range")
    samples: int = setting(10, "Noisy copies", 1, 1000)
    steps: int = setting(16, "Steps", 1, 4096)

    @abstractmethod
    def _method(self) -> Method:
        """What is averaged."""

    def _heat(self, job: Job) -> Tensor:
        method = self._method()
        self._settle_baseline(job)
        scale = noise_scale(job.inputs, self.noise_percent)
        total = torch.zeros_like(job.inputs)
        examples = len(total)
        # Copies share passes: steps that have to follow each other would otherwise go alone.
        at_once = max(1, job.rows_at_once(self.samples * examples) // examples)
        for first in range(0, self.samples, at_once):
            copies = range(first, min(first + at_once, self.samples))
            noisy = [job.inputs + scale * normal(job, examples) for _ in copies]
            step = _part(job.on_progress, copies, self.samples)
            sample = job.for_copies(torch.cat(noisy), on_progress=step)
            total += method._heat(sample).unflatten(0, (len(copies), examples)).sum(0)
        return total / self.samples

    def _settle_baseline(self, job: Job) -> None:
        """Every copy is compared with the same baseline, made from the clean input."""
        if self.uses_baseline:
            job.baseline_choice = job.baseline


@dataclass(frozen=True, eq=False)
class SmoothIntegratedGradients(Smoothed):
    """Integrated gradients, averaged over noisy copies. `attribute` gives (b, c, *spatial)."""

    name: ClassVar[str] = "smooth-ig"
    title: ClassVar[str] = "Smooth integrated gradients"
    meaning: ClassVar[str] = IntegratedGradients.meaning
    source: ClassVar[str] = f"{IntegratedGradients.source}; {_SOURCE}"
    uses_baseline: ClassVar[bool] = True

    def _method(self) -> Method:
        return IntegratedGradients(
            self.model, steps=self.steps, tolerance_percent=0, memory_mib=self.memory_mib
        )


@dataclass(frozen=True, eq=False)
class SmoothGuidedIntegratedGradients(Smoothed):
    """Guided integrated gradients, averaged over noisy copies. `attribute` gives (b, c, *spatial)."""

    name: ClassVar[str] = "smooth-guided-ig"
    title: ClassVar[str] = "Smooth guided integrated gradients"
    meaning: ClassVar[str] = GuidedIntegratedGradients.meaning
    source: ClassVar[str] = f"{GuidedIntegratedGradients.source}; {_SOURCE}"
    uses_baseline: ClassVar[bool] = True

    steps: int = setting(50, "Steps", 1, 4096)

    def _method(self) -> Method:
        return GuidedIntegratedGradients(self.model, steps=self.steps, memory_mib=self.memory_mib)


@dataclass(frozen=True, eq=False)
class SmoothBlurIntegratedGradients(Smoothed):
    """Blur integrated gradients, averaged over noisy copies. `attribute` gives (b, c, *spatial)."""

    name: ClassVar[str] = "smooth-blur-ig"
    title: ClassVar[str] = "Smooth blur integrated gradients"
    meaning: ClassVar[str] = BlurIntegratedGradients.meaning
    source: ClassVar[str] = f"{BlurIntegratedGradients.source}; {_SOURCE}"

    steps: int = setting(32, "Steps", 1, 4096)

    def _method(self) -> Method:
        return BlurIntegratedGradients(
            self.model, steps=self.steps, tolerance_percent=0, memory_mib=self.memory_mib
        )

    def _baseline_text(self, job: Job) -> str:
        return self._method()._baseline_text(job)


@dataclass(frozen=True, eq=False)
class SmoothBlurGuided(Smoothed):
    """Guided integrated gradients from the blurred input, averaged over noisy copies.

    The way avoids steep places, starts where blur integrated gradients starts
    (each noisy copy, blurred by 0.22 of the smallest extent), and is walked
    for several noisy copies. Papers show such a map without a formula; this is
    ours. `attribute` gives (b, c, *spatial).
    """

    name: ClassVar[str] = "smooth-blur-guided"
    title: ClassVar[str] = "Smooth blur-guided integrated gradients"
    meaning: ClassVar[str] = BlurIntegratedGradients.meaning
    source: ClassVar[str] = (
        f"{GuidedIntegratedGradients.source}, {BlurIntegratedGradients.source}; {_SOURCE}"
    )

    steps: int = setting(50, "Steps", 1, 4096)

    def _method(self) -> Method:
        return GuidedIntegratedGradients(self.model, steps=self.steps, memory_mib=self.memory_mib)

    def _heat(self, job: Job) -> Tensor:
        return super()._heat(replace(job, baseline_choice="blur"))

    def _baseline_text(self, job: Job) -> str:
        blur: Baseline = resolve_baselines(
            "blur", job.inputs, spacing_mm=job.spacing_mm, generator=job.generator
        )
        return blur.text


def _part(on_progress: Progress, copies: range, of: int) -> Progress:
    """Progress of some of several equal parts, as progress of the whole."""

    def report(done: int, total: int, what: str) -> None:
        share = len(copies) * 100 * done // total if total else 0
        on_progress(
            100 * copies.start + share, 100 * of, f"{what}, copies up to {copies.stop} of {of}"
        )

    return report
