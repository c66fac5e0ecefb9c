"""Methods that add up gradients on a way from a baseline to the input.

All keep running sums: their memory does not depend on the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from napari_cardioxai.attribution.base import Method, choices, setting
from napari_cardioxai.attribution.blur import Edges, blurred, default_sigma_mm
from napari_cardioxai.attribution.job import Job

_FIRST_STEPS = 16
_ABOVE = "above zero: the voxel speaks for the target, compared with {}"


@dataclass(frozen=True, eq=False)
class IntegratedGradients(Method):
    """Gradients along the straight line from the baseline, times how far each voxel goes.

    A_i = (x_i - x'_i) ∫ dF/dx_i(x' + a (x - x')) da over a in [0, 1], by
    Gauss-Legendre quadrature. The steps are doubled until the map sums to
    F(x) - F(x') within `tolerance_percent`, each example for itself; what did
    not get there is noted. `attribute` gives (b, c, *spatial).

    Parameters
    ----------
    steps
        To begin with; each is one gradient.
    tolerance_percent
        Of |F(x) - F(x')|. 0: take `steps`, whatever comes of it.
    most_steps
        Where doubling ends.

    References
    ----------
    Sundararajan et al. 2017, arXiv:1703.01365, equation 1; completeness is
    its proposition 1.
    """

    name: ClassVar[str] = "ig"
    title: ClassVar[str] = "Integrated gradients"
    meaning: ClassVar[str] = _ABOVE.format("the baseline")
    source: ClassVar[str] = "Sundararajan et al. 2017"
    uses_baseline: ClassVar[bool] = True
    shares_out: ClassVar[bool] = True

    steps: int = setting(_FIRST_STEPS, "Steps", 1, 4096)
    tolerance_percent: float = setting(1.0, "Completeness within", 0.0, 100.0, unit="%")
    most_steps: int = setting(512, "At most", 1, 65536, unit="steps")

    def _heat(self, job: Job) -> Tensor:
        return averaged_over_baselines(job, self._from)

    def _from(self, job: Job, baseline: Tensor, to_share: Tensor | None) -> Tensor:
        ways = job.inputs - baseline

        def round_of(steps: int, examples: Tensor) -> Tensor:
            places, weights = _gauss_legendre(steps)
            total = torch.zeros_like(job.inputs[examples])

            def run(part: slice) -> tuple[Tensor, Tensor]:
                index = torch.arange(part.start, part.stop)
                step, k = index // len(examples), (index % len(examples)).to(total.device)
                rows = examples[k]
                a, w = (_column(v[step], total) for v in (places, weights))
                return k, w * job.gradient(baseline[rows] + a * ways[rows], rows)

            what = f"{self.title}, {steps} steps"
            for _, (k, weighted) in job.in_parts(steps * len(examples), run, what=what):
                total.index_add_(0, k, weighted)
            return total * ways[examples]

        return doubled_until_complete(
            job,
            round_of,
            to_share=to_share,
            steps=self.steps,
            most_steps=self.most_steps,
            tolerance_percent=self.tolerance_percent,
        )


@dataclass(frozen=True, eq=False)
class GuidedIntegratedGradients(Method):
    """Integrated gradients on a way that avoids steep places.

    At every step only the voxels with the smallest gradients move towards the
    input, as far as it takes to bring the L1 distance down by its share, and
    no voxel leaves a band around the straight line. Steps follow each other,
    so only examples share a pass. In float64, as the paper's code; the
    quantile is taken by selection instead of sorting. `attribute` gives
    (b, c, *spatial).

    Parameters
    ----------
    steps
        Gradients; the paper's code takes 200.
    fraction_percent
        Share of the voxels that move at once.
    distance_percent
        Half the width of the band; 0 is integrated gradients (left sums),
        100 has no band.

    References
    ----------
    Kapishnikov et al. 2021, arXiv:2106.09788, algorithm 1 and equation 7.
    """

    name: ClassVar[str] = "guided-ig"
    title: ClassVar[str] = "Guided integrated gradients"
    meaning: ClassVar[str] = _ABOVE.format("the baseline")
    source: ClassVar[str] = "Kapishnikov et al. 2021"
    uses_baseline: ClassVar[bool] = True
    shares_out: ClassVar[bool] = True

    steps: int = setting(50, "Steps", 1, 4096)
    fraction_percent: float = setting(25.0, "Voxels at once", 0.1, 100.0, unit="%")
    distance_percent: float = setting(2.0, "Distance from the line", 0.0, 100.0, unit="%")

    def _heat(self, job: Job) -> Tensor:
        return averaged_over_baselines(job, self._from)

    def _from(self, job: Job, baseline: Tensor, to_share: Tensor | None) -> Tensor:
        walks = [
            _GuidedWalk(
                x.flatten(),
                start.flatten(),
                steps=self.steps,
                fraction=self.fraction_percent / 100,
                distance=self.distance_percent / 100,
            )
            for x, start in zip(job.inputs, baseline, strict=True)
        ]
        shape, rows = job.inputs.shape, job.all_rows
        for step in range(self.steps):
            job.on_progress(step, self.steps, self.title)
            x = torch.stack([walk.x for walk in walks]).reshape(shape).to(job.inputs)
            for part, gradients in job.in_parts(len(x), partial(_gradient_of_part, job, x, rows)):
                for walk, gradient in zip(walks[part], gradients, strict=True):
                    walk.go(step, gradient.flatten())
        job.on_progress(self.steps, self.steps, self.title)
        heat = torch.stack([walk.shares for walk in walks]).reshape(shape).to(job.inputs)
        note_completeness(job, heat, to_share)
        return heat


@dataclass(frozen=True, eq=False)
class BlurIntegratedGradients(Method):
    """Gradients along the way from a blurred input to the sharp one; there is no baseline to choose.

    A_i = -∫ dF/dx_i(x_s) dx_s,i/ds ds over the width s of the blur from 0 to
    its largest, with a Gaussian of the same width in mm in every direction.
    The width grows with the square of the step, so that fine structure gets
    its share of the steps; each takes the gradient halfway and the exact
    difference of its ends, and the steps are doubled until the map sums to
    F(x) - F(blurred x). The paper's code blurs two axes, in pixels, with steps
    of equal width and the gradient at their sharper end. `attribute` gives
    (b, c, *spatial).

    Parameters
    ----------
    widest_mm
        Standard deviation of the widest blur; 0: 0.22 of the smallest extent.
    steps, tolerance_percent, most_steps
        As for integrated gradients.
    edges
        What lies beyond the image; the paper takes zero.

    References
    ----------
    Xu et al. 2020, arXiv:2004.03383, equation 3.
    """

    name: ClassVar[str] = "blur-ig"
    title: ClassVar[str] = "Blur integrated gradients"
    meaning: ClassVar[str] = _ABOVE.format("its blurred surroundings")
    source: ClassVar[str] = "Xu et al. 2020"
    shares_out: ClassVar[bool] = True

    widest_mm: float = setting(0.0, "Widest blur, 0 for 0.22 of the image", 0.0, 1e4, unit="mm")
    steps: int = setting(_FIRST_STEPS, "Steps", 1, 4096)
    tolerance_percent: float = setting(1.0, "Completeness within", 0.0, 100.0, unit="%")
    most_steps: int = setting(256, "At most", 1, 65536, unit="steps")
    edges: Edges = field(
        default="zero", metadata=choices("Beyond the image", ("zero", "reflect")), kw_only=True
    )

    def _heat(self, job: Job) -> Tensor:
        widest = self.widest_mm or default_sigma_mm(job.shape, job.spacing_mm)

        def at(share: float, examples: Tensor) -> Tensor:
            return blurred(
                job.inputs[examples],
                widest * share**2,
                spacing_mm=job.spacing_mm,
                edges=self.edges,
            )

        def round_of(steps: int, examples: Tensor) -> Tensor:
            total = torch.zeros_like(job.inputs[examples])
            rows_at_once = job.rows_at_once(steps * len(examples))
            group = max(1, rows_at_once // len(examples))
            what = f"{self.title}, {steps} steps"
            sharp = at(0.0, examples)
            for first in range(0, steps, group):
                job.on_progress(first, steps, what)
                last = min(first + group, steps)
                halfway = torch.cat([at((k + 0.5) / steps, examples) for k in range(first, last)])
                rows = examples.repeat(last - first)
                parts = job.in_parts(len(rows), partial(_gradient_of_part, job, halfway, rows))
                gradients = torch.cat([g for _, g in parts]).unflatten(0, (-1, len(examples)))
                for k, gradient in zip(range(first, last), gradients, strict=True):
                    blurrier = at((k + 1) / steps, examples)
                    total += gradient * (sharp - blurrier)
                    sharp = blurrier
            job.on_progress(steps, steps, what)
            return total

        to_share = job.above(at(1.0, job.all_rows)) if job.adds_up else None
        heat = doubled_until_complete(
            job,
            round_of,
            to_share=to_share,
            steps=self.steps,
            most_steps=self.most_steps,
            tolerance_percent=self.tolerance_percent,
        )
        if to_share is not None:
            job.to_share, job.missed = to_share, heat.flatten(1).sum(1) - to_share
        return heat

    def _baseline_text(self, job: Job) -> str:
        widest = self.widest_mm or default_sigma_mm(job.shape, job.spacing_mm)
        return f"the input blurred by {widest:.3g} mm"


def averaged_over_baselines(
    job: Job, method: Callable[[Job, Tensor, Tensor | None], Tensor]
) -> Tensor:
    """The mean map over the job's baselines, and how far it is from complete.

    Parameters
    ----------
    job
        The explanation under way.
    method
        Takes the job, a baseline (b, c, *spatial) and what is to be shared out,
        (b,) or None when nobody asks, and gives a map.
    """
    heat = torch.zeros_like(job.inputs)
    shared = torch.zeros(len(heat), dtype=heat.dtype, device=heat.device)
    for baseline in job.baseline.values:
        to_share = job.above(baseline) if job.adds_up else None
        heat += method(job, baseline, to_share) / len(job.baseline.values)
        if to_share is not None:
            shared = shared + to_share / len(job.baseline.values)
    if job.adds_up:
        job.to_share, job.missed = shared, heat.flatten(1).sum(1) - shared
    return heat


def doubled_until_complete(
    job: Job,
    round_of: Callable[[int, Tensor], Tensor],
    *,
    to_share: Tensor | None,
    steps: int,
    most_steps: int,
    tolerance_percent: float,
) -> Tensor:
    """Double the steps of the examples whose maps do not sum to what there is to share out.

    Parameters
    ----------
    job
        The explanation under way.
    round_of
        Takes a number of steps and the indices of examples, and gives their maps.
    to_share
        What each example's map must sum to, shape (b,); None: nobody asks.
    steps, most_steps, tolerance_percent
        First and last number of steps, and when to stop.
    """
    heat = torch.zeros_like(job.inputs)
    open_examples = job.all_rows
    while True:
        heat[open_examples] = round_of(steps, open_examples)
        if to_share is None or tolerance_percent == 0:
            return heat
        missed = heat.flatten(1).double().sum(1) - to_share
        # Where there is next to nothing to share out, percent of it mean nothing.
        floor = 1e-4 * (1 + job.value.abs())
        wide = missed.abs() > tolerance_percent / 100 * torch.maximum(to_share.abs(), floor)
        open_examples = wide.nonzero()[:, 0]
        if len(open_examples) == 0:
            return heat
        if 2 * steps > most_steps:
            job.note(
                f"After {steps} steps the map misses what it should sum to by "
                f"{float((100 * missed / to_share).abs().max()):.1f} %; take more steps or another "
                "baseline."
            )
            return heat
        steps *= 2


def note_completeness(job: Job, heat: Tensor, to_share: Tensor | None) -> None:
    """Say so when a map whose steps are fixed misses its sum by more than 5 %."""
    if to_share is None:
        return
    missed = (heat.flatten(1).sum(1) - to_share).abs()
    percent = float((100 * missed / to_share.abs().clamp_min(1e-12)).max())
    if percent > 5:
        job.note(f"The map misses what it should sum to by {percent:.1f} %; take more steps.")


class _GuidedWalk:
    """One example's way from its baseline to the input, flattened, in float64.

    Attributes
    ----------
    x
        Where it stands.
    shares
        What each voxel has collected.
    """

    def __init__(
        self, end: Tensor, start: Tensor, *, steps: int, fraction: float, distance: float
    ) -> None:
        self.start, self.end = start.double(), end.double()
        self.way = self.end - self.start
        self.x = self.start.clone()
        self.shares = torch.zeros_like(self.x)
        self.steps, self.distance = steps, distance
        self.rank = int(fraction * (len(self.x) - 1)) + 1
        self.length = float(self.way.abs().sum())

    def go(self, step: int, gradient: Tensor) -> None:
        """One step, with the gradient at `x`."""
        if self.length == 0:
            return
        slope = gradient.double()
        steepness = slope.abs()
        alpha = (step + 1) / self.steps
        lowest = self.start + max(alpha - self.distance, 0.0) * self.way
        highest = self.start + min(alpha + self.distance, 1.0) * self.way
        wanted = self.length * (1 - alpha)
        gamma = float("inf")
        while gamma > 1:
            # Voxels that fell behind the band catch up with it.
            behind = (lowest - self.x) * self.way.sign() > 0
            self._move(torch.where(behind, lowest, self.x), slope)
            current = float((self.x - self.end).abs().sum())
            if current - wanted <= 1e-9 * max(abs(current), abs(wanted), 1.0):
                return
            steepness = steepness.masked_fill(self.x == highest, float("inf"))
            threshold = steepness.kthvalue(self.rank).values
            moving = (steepness <= threshold) & steepness.isfinite()
            reach = float(((self.x - highest).abs() * moving).sum())
            if not bool(moving.any()):
                return
            gamma = (current - wanted) / reach if reach > 0 else float("inf")
            target = highest if gamma > 1 else self.x + gamma * (highest - self.x)
            self._move(torch.where(moving, target, self.x), slope)

    def _move(self, x: Tensor, slope: Tensor) -> None:
        self.shares += (x - self.x) * slope
        self.x = x


def _gradient_of_part(job: Job, x: Tensor, rows: Tensor, part: slice) -> Tensor:
    return job.gradient(x[part], rows[part])


@lru_cache(maxsize=32)
def _gauss_legendre(steps: int) -> tuple[Tensor, Tensor]:
    """Places in [0, 1] and weights that sum to 1, float64."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    return torch.from_numpy((places + 1) / 2), torch.from_numpy(weights / 2)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like).reshape(-1, *(1,) * (like.ndim - 1))
