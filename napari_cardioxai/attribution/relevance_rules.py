"""How relevance is shared out among the inputs of one layer.

A layer that is linear in its input passes on the relevance of each of its
units in proportion to contributions, input times weight. The rules differ in
which contributions count. Biases have no part in them, so they absorb nothing
(unless a rule says otherwise), and a unit to which nothing contributed, because
its value comes from its bias alone, shares out evenly: relevance is never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

_DEAD = 1e-12  # of the largest sum of contributions: below it, float32 says nothing


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A layer that is linear in its input.

    Attributes
    ----------
    apply
        Takes an input and a weight and gives the output without bias.
    weight
        None for layers without, such as average pooling, whose coefficients
        are not negative.
    channel_axis
        Of the weight's output channels.
    """

    apply: Callable[[Tensor, Tensor | None], Tensor]
    weight: Tensor | None = None
    channel_axis: int = 0

    def scaled(self, factor: Tensor) -> LinearMap:
        """With each output channel multiplied, as a normalisation behind the layer does."""
        assert self.weight is not None
        sides = [1] * self.weight.ndim
        sides[self.channel_axis] = -1
        return replace(self, weight=self.weight * factor.reshape(sides))

    def contributions(self, x: Tensor, *, sign: int) -> Contributions:
        """Those of one sign."""
        up, down = x.clamp_min(0), x.clamp_max(0)
        pairs: list[tuple[Tensor, Tensor | None]]
        if self.weight is None:
            pairs = [(up if sign > 0 else down, None)]
        else:
            raising, lowering = self.weight.clamp_min(0), self.weight.clamp_max(0)
            pairs = [(up, raising if sign > 0 else lowering)]
            if bool((down != 0).any()):
                pairs.append((down, lowering if sign > 0 else raising))
        return Contributions.of(self.apply, pairs)

    def evenly(self, relevance: Tensor, extent: Tensor) -> Tensor:
        """Share out evenly among all inputs that a unit sees, where `extent` is one."""
        ones = None if self.weight is None else torch.ones_like(self.weight)
        reach = Contributions.of(self.apply, [(extent, ones)])
        return reach.back(relevance / reach.total.clamp_min(1e-30))


@dataclass(frozen=True, eq=False)
class Contributions:
    """Sums of contributions per unit, and the way back from units to inputs.

    Attributes
    ----------
    total
        Per unit, of the output's shape.
    back
        Takes a factor per unit; gives each input the sum of its contributions
        times these.
    """

    total: Tensor
    back: Callable[[Tensor], Tensor]

    @classmethod
    def of(
        cls,
        apply: Callable[[Tensor, Tensor | None], Tensor],
        pairs: list[tuple[Tensor, Tensor | None]],
    ) -> Contributions:
        """Of the sum of several (input, weight) pairs through one layer."""
        leaves = [x.detach().requires_grad_() for x, _ in pairs]
        with torch.enable_grad():
            sums = [apply(leaf, w) for leaf, (_, w) in zip(leaves, pairs, strict=True)]

        def back(factor: Tensor) -> Tensor:
            slopes = torch.autograd.grad(sums, leaves, [factor] * len(sums))
            shares = [leaf.detach() * g for leaf, g in zip(leaves, slopes, strict=True)]
            return torch.stack(shares).sum(0) if len(shares) > 1 else shares[0]

        total = sums[0].detach()
        for other in sums[1:]:
            total = total + other.detach()
        return cls(total, back)

    def dead(self) -> Tensor:
        """Units without any contribution."""
        size = self.total.abs()
        return size <= _DEAD * size.max()


Rule = Callable[[LinearMap, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Takes the layer, its input, its output, the output's relevance and which units
stand for their negative contributions; gives the input's relevance."""


def alpha_beta(alpha: float) -> Rule:
    """R_i = sum_j (alpha z+_ij / z+_j - beta z-_ij / z-_j) R_j with beta = alpha - 1.

    alpha = 1 is the z-plus rule (Montavon et al. 2017, equation 8 with Bach et
    al. 2015, equation 60). Inputs below zero contribute through weights below
    zero. A unit that stands for its negative contributions has them swapped. A
    unit that lacks one kind gives everything to the other.
    """

    def rule(
        layer: LinearMap, x: Tensor, output: Tensor, relevance: Tensor, negative: Tensor
    ) -> Tensor:
        raising = layer.contributions(x, sign=1)
        if alpha == 1 and not bool(negative.any()):
            dead = raising.dead()
            kept = raising.back(
                torch.where(dead, 0, relevance / torch.where(dead, 1, raising.total))
            )
            return _with_orphans(layer, x, torch.where(dead, relevance, 0), kept)
        lowering = layer.contributions(x, sign=-1)
        no_rise, no_fall = raising.dead(), lowering.dead()
        major, minor = alpha * relevance, (1 - alpha) * relevance
        up = torch.where(negative, minor, major)
        down = torch.where(negative, major, minor)
        up, down = torch.where(no_fall, up + down, up), torch.where(no_fall, 0, down)
        up, down = torch.where(no_rise, 0, up), torch.where(no_rise, up + down, down)
        orphans = torch.where(no_rise & no_fall, down, 0)
        down = torch.where(no_rise & no_fall, 0, down)
        kept = raising.back(up / torch.where(no_rise, 1, raising.total))
        kept = kept + lowering.back(down / torch.where(no_fall, 1, lowering.total))
        return _with_orphans(layer, x, orphans, kept)

    return rule


def flat(extent: Tensor | None) -> Rule:
    """Evenly among all inputs of a unit (Lapuschkin et al. 2019, for a first layer).

    `extent` is one where the input lies and zero in its padding; None without padding.
    """

    def rule(
        layer: LinearMap, x: Tensor, output: Tensor, relevance: Tensor, negative: Tensor
    ) -> Tensor:
        return layer.evenly(relevance, torch.ones_like(x) if extent is None else extent)

    return rule


def epsilon(size: float) -> Rule:
    """R_i = sum_j (z_ij + b_j |z_ij| / sum_k |z_kj|) / (z_j + epsilon sign z_j) R_j.

    The epsilon rule (Bach et al. 2015, equation 58) with the bias shared out
    among the inputs by the size of their contributions, as its authors' toolbox
    does evenly. So nothing is absorbed, and the denominator is the unit's own
    value: leaving the bias out of it would blow up wherever a unit lives by its
    bias. `size` is a part of the largest |z_j|.
    """

    def rule(
        layer: LinearMap, x: Tensor, output: Tensor, relevance: Tensor, negative: Tensor
    ) -> Tensor:
        signed = Contributions.of(layer.apply, [(x, layer.weight)])
        weight = None if layer.weight is None else layer.weight.abs()
        sizes = Contributions.of(layer.apply, [(x.abs(), weight)])
        silent, orphaned = output.abs() <= _DEAD * output.abs().max(), sizes.dead()
        per_value = torch.where(silent, 0, relevance / stabilised(output, size))
        bias = (output - signed.total) * per_value
        by_size = torch.where(silent, relevance, bias) / torch.where(orphaned, 1, sizes.total)
        shared = signed.back(per_value) + sizes.back(torch.where(orphaned, 0, by_size))
        return _with_orphans(layer, x, torch.where(orphaned, relevance, 0), shared)

    return rule


def epsilon_with_bias(size: float, absorbed: list[Tensor]) -> Rule:
    """As `epsilon`, with the bias in the denominator; what it takes is added to `absorbed`."""

    def rule(
        layer: LinearMap, x: Tensor, output: Tensor, relevance: Tensor, negative: Tensor
    ) -> Tensor:
        shares = relevance / stabilised(output, size)
        received = Contributions.of(layer.apply, [(x, layer.weight)]).back(shares)
        absorbed.append(relevance.sum() - received.sum())
        return received

    return rule


def stabilised(values: Tensor, size: float) -> Tensor:
    """Away from zero by a part of the largest; zero counts as positive."""
    least = size * values.abs().max() + 1e-30
    return values + torch.where(values < 0, -least, least)


def split_sum(
    first: Tensor, second: Tensor, relevance: Tensor, *, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """Share out among two summands by what they add to the sum in its direction.

    The z-plus rule for a sum; proportional shares, which may be of opposite
    sign and any size, would blow up where the summands cancel. Where neither
    goes in the sum's direction, by magnitude.
    """
    a = torch.where(negative, -first, first).clamp_min(0)
    b = torch.where(negative, -second, second).clamp_min(0)
    none = a + b == 0
    a, b = torch.where(none, first.abs(), a), torch.where(none, second.abs(), b)
    share = torch.where(a + b == 0, 0.5, a / torch.where(a + b == 0, 1, a + b))
    return share * relevance, (1 - share) * relevance


def split_sum_proportionally(
    first: Tensor, second: Tensor, relevance: Tensor, *, size: float
) -> tuple[Tensor, Tensor]:
    """Share out among two summands in proportion (the epsilon rule for a sum)."""
    factor = relevance / stabilised(first + second, size)
    return first * factor, second * factor


class ByRule(torch.autograd.Function):
    """A linear layer that passes relevance instead of gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        compute: Callable[[], Tensor],
        layer: LinearMap,
        rule: Rule,
        negative: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """The true output, however it is computed."""
        output = compute()
        ctx.kept = (x.detach(), output.detach(), layer, rule, negative)
        return output

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor | None, ...]:
        """Relevance of the input."""
        x, output, layer, rule, negative = ctx.kept
        received = rule(layer, x, output, relevance[0], negative(output, relevance[0]))
        return received, None, None, None, None


class Passed(torch.autograd.Function):
    """An activation or normalisation: whatever it computes, relevance goes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """The true output."""
        return compute()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor | None, ...]:
        """The same relevance."""
        return relevance[0], None


class Shared(torch.autograd.Function):
    """Two signals that become one; a function says what each receives."""

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        second: Tensor,
        compute: Callable[[], Tensor],
        split: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> Tensor:
        """The true output."""
        output = compute()
        ctx.kept = (first.detach(), second.detach(), output.detach(), split)
        return output

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor | None, ...]:
        """What each receives, summed over axes along which it was repeated."""
        first, second, output, split = ctx.kept
        a, b = split(first.expand_as(output), second.expand_as(output), output, relevance[0])
        return a.sum_to_size(first.shape), b.sum_to_size(second.shape), None, None


def _with_orphans(layer: LinearMap, x: Tensor, orphans: Tensor, received: Tensor) -> Tensor:
    """Add the relevance of units to which nothing contributed, shared out evenly."""
    if not bool((orphans != 0).any()):
        return received
    return received + layer.evenly(orphans, torch.ones_like(x))
