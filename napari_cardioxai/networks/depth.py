"""How deep a network is, counted on itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_WITH_WEIGHTS = ("ConvolutionBackward", "AddmmBackward", "LinearBackward", "MkldnnLinearBackward")


def depth_of(network: nn.Module, example: torch.Tensor) -> int:
    """Convolutions and linear layers on the longest way through a network.

    What gives VGG16 and ResNet50 their numbers; a separable convolution counts
    as two. Counted on the graph that a forward pass leaves behind.

    Parameters
    ----------
    network
        Its mode is restored.
    example
        An input, shape (b, channels, ...).
    """
    was_training = network.training
    try:
        with torch.enable_grad():
            root = network.eval()(example.detach().requires_grad_()).grad_fn
    finally:
        network.train(was_training)
    depth: dict[Any, int] = {}
    # Nodes are visited twice, the second time after all that they come from; some
    # graphs are deeper than the interpreter's stack.
    ahead: list[tuple[Any, bool]] = [(root, False)]
    while ahead:
        node, is_ready = ahead.pop()
        if node is None or node in depth:
            continue
        before = [source for source, _ in node.next_functions if source is not None]
        if not is_ready:
            ahead.append((node, True))
            ahead.extend((source, False) for source in before)
            continue
        own = int(type(node).__name__.rstrip("0123456789") in _WITH_WEIGHTS)
        depth[node] = own + max((depth[source] for source in before), default=0)
    return depth.get(root, 0)
