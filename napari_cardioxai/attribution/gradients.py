"""Methods that read the gradient at the input, or near it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from napari_cardioxai.attribution.base import Method, Sign, setting
from napari_cardioxai.attribution.job import Job
from napari_cardioxai.errors import AttributionError

RELU_NAMES = frozenset({"relu", "relu_"})
"""Names of the torch functions that every ReLU, module or not, ends in."""


@dataclass(frozen=True, eq=False)
class Gradient(Method):
    """How the number changes with each voxel: its gradient, with its sign.

    `attribute` gives (b, c, *spatial). Equals captum's `Saliency(abs=False)`.

    References
    ----------
    Simonyan et al. 2013, arXiv:1312.6034, section 3; the paper shows the
    magnitude, the largest over the channels.
    """

    name: ClassVar[str] = "gradient"
    title: ClassVar[str] = "Gradient"
    meaning: ClassVar[str] = "above zero: a brighter voxel speaks more for the target"
    source: ClassVar[str] = "Simonyan et al. 2013"

    def _heat(self, job: Job) -> Tensor:
        return input_gradients(job)


@dataclass(frozen=True, eq=False)
class InputXGradient(Method):
    """The input times its gradient: exact shares of a linear network with a baseline of zero.

    `attribute` gives (b, c, *spatial). Equals captum's `InputXGradient`.

    References
    ----------
    Shrikumar et al. 2016, arXiv:1605.01713, section 1.
    """

    name: ClassVar[str] = "input-x-gradient"
    title: ClassVar[str] = "Input × gradient"
    meaning: ClassVar[str] = "above zero: the voxel's value speaks for the target"
    source: ClassVar[str] = "Shrikumar et al. 2016"

    def _heat(self, job: Job) -> Tensor:
        return job.inputs * input_gradients(job)


@dataclass(frozen=True, eq=False)
class SmoothGrad(Method):
    """The mean gradient of noisy copies of the input.

    `attribute` gives (b, c, *spatial). The noise comes from an explicit
    generator, so that maps can be had again and threads do not disturb each
    other; captum's `NoiseTunnel` draws from torch's global one.

    Parameters
    ----------
    noise_percent
        Standard deviation, of the range of each example's values.
    samples
        Copies per example.

    References
    ----------
    Smilkov et al. 2017, arXiv:1706.03825, section 3 and 4.
    """

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    meaning: ClassVar[str] = "above zero: a brighter voxel speaks more for the target"
    source: ClassVar[str] = "Smilkov et al. 2017"
    squared: ClassVar[bool] = False

    noise_percent: float = setting(15.0, "Noise", 0.0, 100.0, unit="% of the range")
    samples: int = setting(25, "Noisy copies", 1, 1000)

    def _heat(self, job: Job) -> Tensor:
        b = len(job.inputs)
        scale = noise_scale(job.inputs, self.noise_percent)
        total = torch.zeros_like(job.inputs)

        def run(part: slice) -> tuple[Tensor, Tensor]:
            count = part.stop - part.start
            rows = torch.arange(part.start, part.stop, device=total.device) % b
            noisy = job.inputs[rows] + scale[rows] * normal(job, count)
            return rows, job.gradient(noisy, rows)

        for _, (rows, gradient) in job.in_parts(self.samples * b, run, what=self.title):
            total.index_add_(0, rows, gradient.square() if self.squared else gradient)
        return total / self.samples


@dataclass(frozen=True, eq=False)
class SquaredSmoothGrad(SmoothGrad):
    """The mean squared gradient of noisy copies of the input: where anything matters at all.

    `attribute` gives (b, c, *spatial), nowhere below zero.

    References
    ----------
    Hooker et al. 2019, arXiv:1806.10758, section 4.2 (SmoothGrad-squared).
    """

    name: ClassVar[str] = "smoothgrad-squared"
    title: ClassVar[str] = "SmoothGrad²"
    sign: ClassVar[Sign] = "positive"
    meaning: ClassVar[str] = "how strongly the voxel matters, for or against"
    source: ClassVar[str] = "Hooker et al. 2019"
    squared: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class GradientShap(Method):
    """Expected gradients: the mean of integrated gradients over baselines and noise, one sample each.

    A_i = E[(x_i - x'_i) dF/dx_i(x' + u (x - x'))] with u uniform in [0, 1], x
    with noise, x' one of the baselines. `attribute` gives (b, c, *spatial).
    The sum differs from F(x) - F(x') by the sampling. Unlike captum's, the
    samples go through the network in passes that fit into memory.

    Parameters
    ----------
    samples
        Per example.
    noise_percent
        Standard deviation of noise on the input, of the range of its values.

    References
    ----------
    Lundberg & Lee 2017, arXiv:1705.07874; Erion et al. 2019, arXiv:1906.10670,
    equation 3.
    """

    name: ClassVar[str] = "gradient-shap"
    title: ClassVar[str] = "Gradient SHAP"
    meaning: ClassVar[str] = (
        "above zero: the voxel speaks for the target, compared with the baseline"
    )
    source: ClassVar[str] = "Erion et al. 2019"
    uses_baseline: ClassVar[bool] = True

    samples: int = setting(25, "Samples", 1, 1000)
    noise_percent: float = setting(0.0, "Noise", 0.0, 100.0, unit="% of the range")

    def _heat(self, job: Job) -> Tensor:
        b = len(job.inputs)
        scale = noise_scale(job.inputs, self.noise_percent)
        baselines = torch.stack(job.baseline.values)
        total = torch.zeros_like(job.inputs)

        def run(part: slice) -> tuple[Tensor, Tensor]:
            count = part.stop - part.start
            rows = torch.arange(part.start, part.stop, device=total.device) % b
            x = job.inputs[rows] + scale[rows] * normal(job, count)
            which = torch.randint(len(baselines), (count,), generator=job.generator)
            base = baselines[which.to(total.device), rows]
            along = torch.rand(count, generator=job.generator, dtype=torch.float64).to(x)
            along = along.reshape(-1, *(1,) * (x.ndim - 1))
            return rows, (x - base) * job.gradient(base + along * (x - base), rows)

        for _, (rows, shares) in job.in_parts(self.samples * b, run, what=self.title):
            total.index_add_(0, rows, shares)
        return total / self.samples


@dataclass(frozen=True, eq=False)
class GuidedBackprop(Method):
    """The gradient with every ReLU letting through only what speaks for the target.

    Backwards a ReLU gives 1[x > 0] 1[g > 0] g. `attribute` gives (b, c,
    *spatial). ReLUs are caught when they are called, so that those without a
    module are guided too, and in-place or reused ones; with modules only it
    equals captum's `GuidedBackprop`. It hardly depends on the weights of the
    upper layers (Adebayo et al. 2018), so take it for edges that the network
    sees rather than for reasons that it has.

    Raises
    ------
    AttributionError
        When the network calls no ReLU; the map would be the plain gradient.

    References
    ----------
    Springenberg et al. 2014, arXiv:1412.6806, Figure 1.
    """

    name: ClassVar[str] = "guided-backprop"
    title: ClassVar[str] = "Guided backpropagation"
    meaning: ClassVar[str] = (
        "above zero: a brighter voxel raises features that speak for the target"
    )
    valid_for: ClassVar[str] = "networks with ReLUs"
    source: ClassVar[str] = "Springenberg et al. 2014"

    def _heat(self, job: Job) -> Tensor:
        return guided_gradients(job)


def input_gradients(job: Job, *, what: str = "gradient") -> Tensor:
    """Gradient of each example's number with respect to its input, (b, c, *spatial)."""
    rows = job.all_rows
    parts = job.in_parts(
        len(rows), lambda part: job.gradient(job.inputs[part], rows[part]), what=what
    )
    return torch.cat([gradient for _, gradient in parts])


def guided_gradients(job: Job) -> Tensor:
    """As `input_gradients`, through guided ReLUs.

    Raises
    ------
    AttributionError
        When there are none.
    """
    with GuidedRelus() as relus:
        heat = input_gradients(job, what="guided backpropagation")
    if relus.count == 0:
        raise AttributionError(
            "this network has no ReLU to guide; guided backpropagation would be its plain gradient."
        )
    return heat


class GuidedRelus(TorchFunctionMode):
    """Within it every ReLU, module or function, passes back positive gradients only.

    Attributes
    ----------
    count
        ReLUs that were called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Put a guided ReLU in place of a plain one."""
        if getattr(func, "__name__", "") not in RELU_NAMES:
            return func(*args, **(kwargs or {}))
        self.count += 1
        x = args[0] if args else (kwargs or {})["input"]
        return _GuidedRelu.apply(x)


class _GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x > 0)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (active,) = ctx.saved_tensors
        return gradients[0].clamp_min(0) * active


def noise_scale(inputs: Tensor, percent: float) -> Tensor:
    """Standard deviation of each example's noise, (b, 1, ...), from the range of its values."""
    flat = inputs.flatten(1)
    span = flat.amax(1) - flat.amin(1)
    return (percent / 100 * span).reshape(-1, *(1,) * (inputs.ndim - 1))


def normal(job: Job, count: int) -> Tensor:
    """Standard normal noise for `count` rows, drawn on the CPU so that devices agree."""
    shape = (count, *job.inputs.shape[1:])
    return torch.randn(shape, generator=job.generator, dtype=torch.float32).to(job.inputs)
