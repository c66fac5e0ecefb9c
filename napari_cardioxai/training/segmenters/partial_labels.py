"""A segmentation loss for pictures in which only some structures were contoured."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMOOTH = 1.0


class PartialLabelLoss(nn.Module):
    """Soft Dice plus cross-entropy, each over what a picture's labels can tell.

    In a picture where a structure was never contoured, its pixels lie in the
    background: the structure's probability is added to the background's before
    anything is compared (the marginal loss of Shi et al. 2021). With every
    structure known it is the usual sum of Dice and cross-entropy.

    What the marginal loss leaves open a teacher may fill: inside such a
    background the classes are held to the shares that it gives them, so that
    what was learnt before is not unlearnt (Li and Hoiem 2016, eq. 3).

    Parameters
    ----------
    picture_by_picture
        Dice of each picture, then their mean. Taken over a whole batch it is
        decided by the large cavities, and nearly closed ones are hardly learnt.
    """

    def __init__(self, *, picture_by_picture: bool = False) -> None:
        super().__init__()
        self.picture_by_picture = picture_by_picture

    def forward(
        self, logits: Tensor, label: Tensor, known: Tensor, *, taught: Tensor | None = None
    ) -> Tensor:
        """Mean loss of a batch.

        Parameters
        ----------
        logits
            Scores, shape (batch, classes, y, x); class 0 is the background.
        label
            Class of each pixel, shape (batch, 1, y, x), int64.
        known
            Which classes were contoured, shape (batch, classes), bool; the
            background is always known.
        taught
            Scores of the teacher for the same pictures, of the shape of `logits`.
        """
        # In logarithms throughout: a network that is sure and wrong must still feel it.
        logs = functional.log_softmax(logits, 1)
        background = logs.masked_fill(~_possible(known), -torch.inf).logsumexp(1, keepdim=True)
        logs = torch.cat([background, logs[:, 1:]], 1)
        entropy = -logs.gather(1, label).mean()
        merged = logs.exp()
        truth = functional.one_hot(label[:, 0], logits.shape[1]).movedim(-1, 1)
        counted = known[:, 1:].to(merged.dtype)
        overlap = (merged * truth).sum((2, 3))[:, 1:] * counted
        sizes = (merged + truth).sum((2, 3))[:, 1:] * counted
        if not self.picture_by_picture:
            overlap, sizes = overlap.sum(0, keepdim=True), sizes.sum(0, keepdim=True)
            counted = counted.amax(0, keepdim=True)
        missed = (1 - (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)) * counted
        present = counted.any(0)
        loss = entropy + (missed.sum(0)[present] / counted.sum(0)[present]).mean()
        return loss if taught is None else loss + _unlearnt(logits, taught, label, known)


def _unlearnt(logits: Tensor, taught: Tensor, label: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy to the teacher's shares of background and hidden classes, where these are possible."""
    possible = _possible(known)
    shares = functional.softmax(taught.masked_fill(~possible, -torch.inf), 1)
    mine = functional.log_softmax(logits.masked_fill(~possible, -torch.inf), 1)
    each = -(shares * mine.masked_fill(~possible, 0)).sum(1)
    # With every class known the background stands alone and its entropy is zero.
    return (each * (label[:, 0] == 0)).mean()


def _possible(known: Tensor) -> Tensor:
    """What a background may be: itself, or a class that was not contoured; (batch, classes, 1, 1)."""
    possible = ~known
    possible[:, 0] = True
    return possible[:, :, None, None]
