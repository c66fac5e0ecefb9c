"""Where every convolution of a network looks, while it learns (Liu et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class LayerHeat:
    """What one convolution answers to one picture.

    Attributes
    ----------
    name
        The layer's own name where it has a short one, else its number in the
        order of the calculation.
    module
        Its path in the network.
    shape
        Maps, rows and columns of its output; in volumes maps, slices, rows and columns.
    heat
        Mean over the maps, upsampled to the picture, 0 or more, shape (y, x)
        or (z, y, x).
    """

    name: str
    module: str
    shape: tuple[int, ...]
    heat: NDArray[np.float32]


def layer_heat(
    network: nn.Module, image: Tensor, *, by: str = "activation"
) -> tuple[Tensor, list[LayerHeat]]:
    """Run a network on one picture and read the heat of every convolution.

    The network is as it was afterwards: mode, gradients and weights.

    Parameters
    ----------
    network
        Takes (1, c, y, x) and returns logits (1, classes, y, x), or (1, classes)
        for the whole picture; or likewise in three dimensions.
    image
        The picture, shape (1, c, y, x) or (1, c, z, y, x).
    by
        "activation": the mean over maps of the absolute activation;
        "gradient": of activation times the gradient of the summed evidence for
        the structures where they are predicted, or for the class, as Grad-CAM weighs it
        (Selvaraju et al. 2017) but pixel by pixel.

    Returns
    -------
    Logits, detached, and one heat per convolution in the order in which they ran.
    """
    modules: dict[nn.Module, str] = {
        module: name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d)
    }
    seen: list[tuple[str, Tensor]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((modules[module], output))

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        with _evaluated(network), torch.set_grad_enabled(by == "gradient"):
            logits = network(image)
            values = [output for _, output in seen]
            if by == "gradient":
                gradients = torch.autograd.grad(_evidence(logits), values, allow_unused=True)
                values = [
                    torch.zeros_like(v) if g is None else v * g
                    for v, g in zip(values, gradients, strict=True)
                ]
    finally:
        for handle in handles:
            handle.remove()
    heats = []
    for number, ((module_name, _), value) in enumerate(zip(seen, values, strict=True), start=1):
        mean = value.detach().float().abs().mean(1, keepdim=True)
        mode = "bilinear" if mean.dim() == 4 else "trilinear"
        full = functional.interpolate(mean, image.shape[2:], mode=mode)[0, 0]
        name = module_name if "." not in module_name else f"conv {number}"
        heats.append(LayerHeat(name, module_name, tuple(value.shape[1:]), full.cpu().numpy()))
    return logits.detach(), heats


def _evidence(logits: Tensor) -> Tensor:
    """Sum of the winning structure's logits where a structure wins; of the first one where none does.

    Of a classifier the winning class's logit.
    """
    if logits.dim() == 2:
        return logits.max(1).values.sum()
    winner = logits.argmax(1, keepdim=True)
    found = winner > 0
    if not found.any():
        return logits[:, 1].sum()
    return logits.gather(1, winner)[found].sum()


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; each part gets its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training
