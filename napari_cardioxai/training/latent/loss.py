"""The terms of the latent hearts' loss, each on its own.

Clough et al. 2019 and Puyol-Antón et al. 2020: reconstruction + beta KL + gamma
BCE + sum over concepts of alpha BCE. Neither says whether cross-entropy and KL
are sums or means; here both are of a whole frame, as in the evidence bound
(Kingma and Welling 2014, equation 10), the cross-entropy summed over its pixels
and the KL over its latent units. With means over pixels instead, beta 0.2 would
leave nothing in the latent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_cardioxai.networks.latent_blocks import pixels_to_patches


class _PatchCrossEntropy(torch.autograd.Function):
    """Sum of -log softmax at the target; (m, classes, k) logits, (m, k) targets.

    The gradient is kept as softmax - one-hot in one buffer, which takes half
    the time of log-softmax, NLL and their two backward passes on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        shares = torch.softmax(logits, 1, dtype=torch.float32)
        index = target.unsqueeze(1)
        loss = -shares.gather(1, index).clamp_min(torch.finfo(torch.float32).tiny).log().sum()
        if ctx.needs_input_grad[0]:
            minus_one = shares.new_full((1, 1, 1), -1.0).expand(index.shape)
            ctx.save_for_backward(shares.scatter_add_(1, index, minus_one))
            ctx.dtype = logits.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * grad_outputs[0]).to(ctx.dtype), None


def patch_cross_entropy(coarse: Tensor, labels: Tensor, *, classes: int, patch: int) -> Tensor:
    """Cross-entropy summed over pixels, before the patches are spread over the picture.

    Equal to `functional.cross_entropy(to_pixels(coarse), labels, reduction="sum")`.

    Parameters
    ----------
    coarse
        One part of `LatentHeart.decode_patches`, shape (n, classes * s * patch**2, y, x).
    labels
        Integers, shape (n, s, y * patch, x * patch).
    """
    rows = coarse.permute(0, 2, 3, 1)
    logits = rows.reshape(-1, classes, rows.shape[-1] // classes)
    return _PatchCrossEntropy.apply(logits, pixels_to_patches(labels, patch).long())


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, exp(log_variance)) from N(0, 1), summed over the last axis, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


def known_bce(logits: Tensor, truth: Tensor, *, positive_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy over those whose truth is known, summed over columns.

    Parameters
    ----------
    logits, truth
        Shape (b,) or (b, K); truth is 0, 1 or NaN.
    positive_weight
        Weight of positives, shape () or (K,).

    Returns
    -------
    The mean over known subjects of each column, added up; 0 for a column
    without any. Shape ().
    """
    logits, truth = logits.reshape(len(logits), -1), truth.reshape(len(truth), -1)
    known = ~torch.isnan(truth)
    each = functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(truth), pos_weight=positive_weight, reduction="none"
    )
    return ((each * known).sum(0) / known.sum(0).clamp_min(1)).sum()
