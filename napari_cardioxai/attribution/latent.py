"""Latent classifiers as networks that attribution can enter: from frames to a logit, and back.

A latent heart reads labels, which have no gradient. Their memberships have:
one channel a class, ones and zeros. A map of memberships says, for each frame,
slice and pixel, how much being of its class there spoke for the decision.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.networks.latent import LatentHeart


class FramesToLogits(nn.Module):
    """A latent heart from its input to its logits.

    Takes memberships (b, classes, t, s, y, x), or of an image model
    intensities (b, 1, t, s, y, x), and gives (b, 1 + K): the primary logit and
    those of the K concepts. Target 0 is the disease, target k the k-th concept.

    Parameters
    ----------
    heart
        Shares its weights.
    """

    def __init__(self, heart: LatentHeart) -> None:
        super().__init__()
        self.heart = heart

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the decision and of the concepts."""
        frames = x.movedim(1, 3) if self.heart.reads == "labels" else x[:, 0]
        return _logits(self.heart, self.heart.encode(frames)[0])


class LatentToLogits(nn.Module):
    """A latent heart from its latents to its logits.

    Takes latents (b, latent, t), gives (b, 1 + K) as `FramesToLogits`; tells
    which unit of which frame a decision comes from.

    Parameters
    ----------
    heart
        Shares its weights.
    """

    def __init__(self, heart: LatentHeart) -> None:
        super().__init__()
        self.heart = heart

    def forward(self, z: Tensor) -> Tensor:
        """Logits of the decision and of the concepts."""
        return _logits(self.heart, z.transpose(1, 2))


def memberships(labels: Tensor, *, classes: int = 4) -> Tensor:
    """Labels (b, t, s, y, x) as (b, classes, t, s, y, x), ones and zeros.

    Raises
    ------
    AttributionError
        When a label is not below `classes`.
    """
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise AttributionError(
            f"labels to explain lie between 0 and {classes - 1}, not {int(labels.max())}."
        )
    return functional.one_hot(labels.long(), classes).movedim(-1, 1).float()


def through_decoder(heart: LatentHeart, latent: Tensor, *, logit: int = 0) -> Tensor:
    """How the decoded heart changes as the latents move towards a higher logit.

    The derivative of the decoder along the normalised gradient of the logit:
    where in the image the decision's direction acts.

    Parameters
    ----------
    heart
        With a decoder.
    latent
        Shape (b, frames, latent).
    logit
        0 the disease, k the k-th concept.

    Returns
    -------
    Change of the decoder's logits per unit of latent, (b, classes, t, s, y, x);
    of an image model of its intensities, (b, 1, t, s, y, x).

    Raises
    ------
    AttributionError
        When the model has no decoder or no such concept.
    """
    if not heart.has_decoder:
        raise AttributionError("this model has no decoder; its decision cannot be shown in images.")
    if not 0 <= logit <= len(heart.concept_slices):
        raise AttributionError(
            f"there is no logit {logit}: 0 is the decision, 1 to {len(heart.concept_slices)} the "
            "concepts."
        )
    network = private_copy(heart)
    assert isinstance(network, LatentHeart)
    with torch.inference_mode(False), torch.enable_grad():
        z = latent.detach().clone().to(network.posterior.weight).requires_grad_()
        (slope,) = torch.autograd.grad(_logits(network, z)[:, logit].sum(), z)
        length = slope.flatten(1).norm(dim=1).clamp_min(1e-30)
        towards = slope / length[:, None, None]
        change: Tensor = torch.func.jvp(network.decode, (z.detach(),), (towards,))[1]
    return change.movedim(3, 1) if heart.reads == "labels" else change[:, None]


def _logits(heart: LatentHeart, z: Tensor) -> Tensor:
    said = heart.classify(z)
    logit, concepts = said["logit"], said["concepts"]
    assert logit is not None
    return torch.cat([logit[:, None], *([] if concepts is None else [concepts])], 1)
