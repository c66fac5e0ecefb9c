"""A private copy of a network: same weights in memory, its own modules.

Attribution needs to hook modules, to switch off dropout and in-place
activations. Doing that to the user's network would change it for whoever else
runs it at the same moment, and leave it changed after a crash. Restoring
afterwards does not help a second thread, and a lock would have to be taken by
everybody who ever calls the network, the training loop included. So every
explanation works on modules of its own, which share the weights: making them
costs a fraction of a millisecond per module and no memory, needs no lock, and
there is nothing to restore.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from napari_cardioxai.errors import AttributionError

_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")


def private_copy(network: nn.Module) -> nn.Module:
    """The same function in modules of its own, in evaluation mode, without in-place activations.

    Weights share memory with the original and never ask for gradients; buffers
    are copied, because some modules count in them. Forward hooks stay, since
    they may be part of what the network computes; backward hooks go, since
    they could only falsify gradients.

    Parameters
    ----------
    network
        Any module that is not scripted; a compiled one is taken apart again.

    Raises
    ------
    AttributionError
        When the network is scripted: its modules live outside Python.
    """
    network = getattr(network, "_orig_mod", network)
    with torch.inference_mode(False):
        copied: nn.Module = _Copier().convert(network)
    for module in copied.modules():
        attributes = module.__dict__
        attributes["training"] = False
        if isinstance(attributes.get("inplace"), bool):
            attributes["inplace"] = False
        if isinstance(module, nn.RNNBase):
            # cuDNN differentiates recurrent layers in training mode only; without dropout
            # both modes compute the same.
            attributes["training"] = True
            attributes["dropout"] = 0.0
    return copied


class _Copier:
    """Converts values, each object once, so that shared modules and weights stay shared."""

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        if id(value) in self.seen:
            return self.seen[id(value)]
        if isinstance(value, torch.jit.ScriptModule):
            raise AttributionError(
                "a scripted network cannot be explained: its modules live outside Python; load "
                "the network that it was made from."
            )
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor):
            return self._keep(value, _alias(value))
        if isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
            return MethodType(value.__func__, self.convert(value.__self__))
        if type(value) is partial:
            return partial(self.convert(value.func), *value.args, **value.keywords)
        if type(value) in (dict, OrderedDict):
            return self._dict(value)
        if type(value) in (list, tuple):
            return self._keep(value, type(value)(self.convert(v) for v in list(value)))
        return value

    def _module(self, module: nn.Module) -> nn.Module:
        copied = object.__new__(type(module))
        self._keep(module, copied)
        for name, value in dict(module.__dict__).items():
            if name == "_buffers":
                value = {k: None if b is None else self._buffer(b) for k, b in value.items()}
            elif name in _BACKWARD_HOOKS:
                value = OrderedDict()
            else:
                value = self.convert(value)
            copied.__dict__[name] = value
        return copied

    def _buffer(self, buffer: Tensor) -> Tensor:
        if id(buffer) not in self.seen:
            self._keep(buffer, buffer.detach().clone())
        kept: Tensor = self.seen[id(buffer)]
        return kept

    def _dict(self, value: dict) -> dict:
        copied = self._keep(value, type(value)())
        for key, entry in value.copy().items():
            copied[key] = self.convert(entry)
        return copied

    def _keep(self, original: Any, copied: Any) -> Any:
        self.seen[id(original)] = copied
        return copied


def _alias(tensor: Tensor) -> Tensor:
    """The same memory outside of any graph; inference tensors are copied, for graphs refuse them."""
    plain = tensor.clone() if tensor.is_inference() else tensor.detach()
    return nn.Parameter(plain, requires_grad=False) if isinstance(tensor, nn.Parameter) else plain
