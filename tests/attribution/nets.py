"""Small networks with weights from a seed, and inputs for them."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def with_statistics(network: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms that do something, and weights that are reproducible."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            n = module.num_features
            module.running_mean.copy_(0.1 * torch.randn(n, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(n, generator=generator))
            module.weight.data.copy_(1.5 * torch.rand(n, generator=generator) - 0.3)
            module.bias.data.copy_(0.2 * torch.randn(n, generator=generator))
    return network


def a_network(dims: int = 2, *, classes: int = 3, seed: int = 0, bias: bool = True) -> nn.Module:
    """Two convolutions with batch norms and modules for everything."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        CONV[dims](1, 4, 3, padding=1, bias=bias),
        NORM[dims](4),
        nn.ReLU(),
        MAX_POOL[dims](2),
        CONV[dims](4, 6, 3, padding=1, bias=bias),
        nn.ReLU(inplace=True),
        POOL[dims](1),
        nn.Flatten(),
        nn.Linear(6, classes, bias=bias),
    )
    return with_statistics(network, seed).eval()


class Awkward(nn.Module):
    """A residual network that reuses one in-place ReLU, adds in place and works with functions."""

    def __init__(self, dims: int = 3, width: int = 6):
        super().__init__()
        self.stem = CONV[dims](1, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(NORM[dims](width) for _ in range(5))
        self.convs = nn.ModuleList(CONV[dims](width, width, 3, padding=1) for _ in range(4))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(width, 3)
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norms[0](self.stem(x)))
        for k in (0, 2):
            y = functional.relu(self.norms[k + 1](self.convs[k](x)))
            y = self.norms[k + 2](self.convs[k + 1](y))
            y += x
            x = self.relu(y)
        return self.head(x.mean(tuple(range(2, 2 + self.dims))))


def an_awkward_network(dims: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return with_statistics(Awkward(dims), seed).eval()


def a_segmenter(dims: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    widths = pairwise((1, 4, 4))
    layers = [m for a, b in widths for m in (CONV[dims](a, b, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, CONV[dims](4, 3, 1)).eval()


def an_image(dims: int = 2, *, side: int = 16, examples: int = 1, seed: int = 1) -> Tensor:
    """Noise with a bright block."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(examples, 1, *(side,) * dims, generator=generator)
    x[(..., *(slice(side // 4, side // 2),) * dims)] += 1.5
    return x


def state_of(network: nn.Module) -> dict:
    """Everything about a network that an explanation must leave alone."""
    return {
        "weights": {k: v.clone() for k, v in network.state_dict().items()},
        "addresses": {k: v.data_ptr() for k, v in network.state_dict().items()},
        "gradients": {k: (p.requires_grad, p.grad) for k, p in network.named_parameters()},
        "modules": {
            name: (
                id(m),
                m.training,
                getattr(m, "inplace", None),
                len(m._forward_hooks),
                len(m._forward_pre_hooks),
                len(m._backward_hooks),
                len(m._backward_pre_hooks),
                sorted(m.__dict__),
            )
            for name, m in network.named_modules()
        },
    }


def assert_untouched(network: nn.Module, before: dict) -> None:
    after = state_of(network)
    for key in ("addresses", "gradients", "modules"):
        assert after[key] == before[key]
    for name, value in before["weights"].items():
        assert torch.equal(after["weights"][name], value), name
