"""What a layer says about hearts, and how the decision depends on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.progress import Progress, silent

CONCEPT_LAYER = "concept_layer"
LATENT = "latent"
"""The latents of the whole cycle, frame after frame."""
_FRAME = "latent frame "
_BATCH = 64


@dataclass(frozen=True)
class LayerReading:
    """Activations of one layer and the gradients of the decision there.

    Attributes
    ----------
    layer
        Its name.
    activations
        One row a subject, shape (n, p).
    gradients
        Of the primary logit with respect to them, shape (n, p).
    logit
        Shape (n,).
    """

    layer: str
    activations: NDArray[np.float64]
    gradients: NDArray[np.float64]
    logit: NDArray[np.float64]

    def rows(self, indices: NDArray[np.intp]) -> LayerReading:
        """Some of the subjects."""
        return LayerReading(
            self.layer, self.activations[indices], self.gradients[indices], self.logit[indices]
        )


def layer_names(classifier: LatentClassifier) -> list[str]:
    """Layers that `read_layer` knows, the one where concepts are read by default first."""
    frames = [f"{_FRAME}{k + 1}" for k in range(classifier.network.frames)]
    return [CONCEPT_LAYER, LATENT, *_modules(classifier.network), *frames]


def read_layer(
    classifier: LatentClassifier,
    latent: NDArray,
    layer: str = CONCEPT_LAYER,
    *,
    on_progress: Progress = silent,
) -> LayerReading:
    """Activations and gradients of the logit at a layer of the classifier.

    Parameters
    ----------
    classifier, latent
        The model, and latents of whole cycles, shape (n, T, latent).
    layer
        "concept_layer" (64 units), "latent" (the whole cycle), "latent frame 7"
        (one frame, counted from 1), or the name of a module of the classifier,
        whose outputs of all frames are laid side by side.
    on_progress
        Called per batch; may raise `Cancelled`.

    Raises
    ------
    BundleError
        When the model has no such layer.
    """
    check_layer(classifier, layer)
    parts: list[tuple[NDArray, NDArray, NDArray]] = []
    for first in range(0, len(latent), _BATCH):
        part = np.ascontiguousarray(latent[first : first + _BATCH], np.float32)
        parts.append(_read(classifier.network, torch.from_numpy(part).to(classifier.device), layer))
        on_progress(min(first + _BATCH, len(latent)), len(latent), f"reading {layer}")
    activations, gradients, logit = (np.concatenate(one) for one in zip(*parts, strict=True))
    return LayerReading(layer, activations, gradients, logit)


def activations_at(network: LatentHeart, z: Tensor, layer: str) -> Tensor:
    """Activations of a layer, differentiable in `z` (n, T, latent), shape (n, p)."""
    return _forward(network, z, layer)[0].flatten(1)


def frame_of(layer: str) -> int | None:
    """Which frame, from 0, a layer such as "latent frame 7" is; None for all others."""
    return int(layer.removeprefix(_FRAME)) - 1 if layer.startswith(_FRAME) else None


def check_layer(classifier: LatentClassifier, layer: str) -> None:
    """Refuse a layer that is not there.

    Raises
    ------
    BundleError
        With the names of those that are.
    """
    if layer not in layer_names(classifier):
        known = [CONCEPT_LAYER, LATENT, *_modules(classifier.network)]
        raise BundleError(
            f"{classifier.card.name} has no layer {layer!r}; choose from {', '.join(known)}, or "
            f'"{_FRAME}1" to "{_FRAME}{classifier.network.frames}".'
        )


def _modules(network: LatentHeart) -> list[str]:
    """Modules between the latents and the decision, in their order."""
    roots = {
        "frame_layer": network.frame_layer,
        "over_time": network.over_time,
        "trunk": network.trunk,
    }
    return [
        f"{name}.{inner}" if inner else name
        for name, root in roots.items()
        for inner, module in root.named_modules()
        if not isinstance(module, nn.LSTM)  # its output is no single tensor
    ]


def _read(network: LatentHeart, z: Tensor, layer: str) -> tuple[NDArray, NDArray, NDArray]:
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        activations, logit = _forward(network, z, layer)
        # Subjects do not meet in the classifier, so one backward pass serves all of them.
        (gradients,) = torch.autograd.grad(logit.sum(), activations)
    return (
        activations.detach().flatten(1).double().cpu().numpy(),
        gradients.flatten(1).double().cpu().numpy(),
        logit.detach().double().cpu().numpy(),
    )


def _forward(network: LatentHeart, z: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Activations of a layer, in the graph of the logit, and the logit."""
    if layer == LATENT:
        return z, _logit(network, z)
    frame = frame_of(layer)
    if frame is not None:
        chosen = z[:, frame].clone()
        rest = torch.cat([z[:, :frame], chosen[:, None], z[:, frame + 1 :]], 1)
        return chosen, _logit(network, rest)
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        seen.append(made)

    handle = network.get_submodule(layer).register_forward_hook(keep)
    try:
        logit = _logit(network, z)
    finally:
        handle.remove()
    return seen[-1], logit


def _logit(network: LatentHeart, z: Tensor) -> Tensor:
    """The primary logit alone; concept classifiers are not asked."""
    return network.decision(
        network.concept_layer(network.trunk(network.over_time(network.frame_layer(z))))
    )
