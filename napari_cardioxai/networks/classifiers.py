"""Image classifiers by name: nine published networks, a small one for brains, and the user's own.

All take (b, channels, y, x), or (b, channels, z, y, x) in three dimensions, and
return logits (b, classes). They are built of explicit modules, see `layers`.

A network of your own becomes one of them in two ways, and so works in bundles,
on the command line and in the window:

- for the running program, `register_classifier("my-net", build)`;
- for good, by an entry point of the group `napari_cardioxai.classifiers` in
  your package's `pyproject.toml`::

      [project.entry-points."napari_cardioxai.classifiers"]
      my-net = "my_package.networks:build"

`build(*, spatial_dims, in_channels, classes, **params)` returns the module.
`bundles.image_classifier.save_image_classifier` writes it as a bundle. A bundle
carries the name and the arguments, never code: it opens where the package that
brings the name is installed. Guided backpropagation and layer-wise relevance
need activations that are modules, each used once and not in place;
`attribution_obstacles` says what of that a network does not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Protocol

import torch
from monai.networks.nets import DenseNet
from torch import nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.efficientnet import EfficientNetB0
from napari_cardioxai.networks.inception import InceptionV3
from napari_cardioxai.networks.inception_resnet import InceptionResNetV2
from napari_cardioxai.networks.layers import Layers
from napari_cardioxai.networks.resnet import BrainResNet, ResNet, ResNetV2
from napari_cardioxai.networks.vgg import Vgg
from napari_cardioxai.networks.xception import Xception

ENTRY_POINTS = "napari_cardioxai.classifiers"


class Build(Protocol):
    """Makes a network; arguments beyond these have defaults."""

    def __call__(
        self, *, spatial_dims: int, in_channels: int, classes: int, **params: Any
    ) -> nn.Module:
        """The network with random weights."""


def densenet121(
    *, spatial_dims: int = 2, in_channels: int = 1, classes: int = 2, dropout: float = 0.0
) -> DenseNet:
    """DenseNet121 (Huang et al. 2017), MONAI's.

    Parameters
    ----------
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    dropout
        Probability after each dense layer.
    """
    return DenseNet(
        spatial_dims=Layers(spatial_dims).dims,
        in_channels=in_channels,
        out_channels=classes,
        act=("relu", {"inplace": False}),
        dropout_prob=dropout,
    )


PUBLISHED: Mapping[str, Callable[..., nn.Module]] = {
    "vgg16": partial(Vgg, (2, 2, 3, 3, 3)),
    "vgg19": partial(Vgg, (2, 2, 4, 4, 4)),
    "resnet50": ResNet,
    "resnet50v2": ResNetV2,
    "densenet121": densenet121,
    "xception": Xception,
    "inceptionv3": InceptionV3,
    "inceptionresnetv2": InceptionResNetV2,
    "efficientnet-b0": EfficientNetB0,
}
"""The nine networks that Brima and Atemkeng 2024 compare."""

SMALLEST_SIDE: Mapping[str, int] = {
    "vgg16": 32,
    "vgg19": 32,
    "densenet121": 29,
    "xception": 7,
    "inceptionv3": 75,
    "inceptionresnetv2": 75,
}
"""Pixels that each side of the input must have at least; the other networks take any."""

_own: dict[str, Callable[..., nn.Module]] = {}


class _Classifiers(Mapping[str, Callable[..., nn.Module]]):
    """Published, own and installed networks; looks for installed ones when asked for a name."""

    def __getitem__(self, name: str) -> Callable[..., nn.Module]:
        if name in PUBLISHED:
            return PUBLISHED[name]
        if name == "brain3d":
            return BrainResNet
        if name in _own:
            return _own[name]
        for point in entry_points(group=ENTRY_POINTS, name=name):
            return point.load()
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        installed = (point.name for point in entry_points(group=ENTRY_POINTS))
        return iter(dict.fromkeys([*PUBLISHED, "brain3d", *_own, *installed]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


CLASSIFIERS: Mapping[str, Callable[..., nn.Module]] = _Classifiers()
"""Architectures by the name that a model card carries."""


def register_classifier(name: str, build: Callable[..., nn.Module]) -> None:
    """Give a network of your own a name for as long as the program runs.

    Parameters
    ----------
    name
        New; registering it again replaces the earlier one.
    build
        See `Build`.

    Raises
    ------
    BundleError
        When one of ours has the name.
    """
    if name in PUBLISHED or name == "brain3d":
        raise BundleError(f"{name!r} is the name of a network that comes along; choose another.")
    _own[name] = build


def classifier(
    name: str, *, spatial_dims: int = 2, in_channels: int = 1, classes: int, **params: Any
) -> nn.Module:
    """Build a classifier with random weights from torch's global generator.

    Parameters
    ----------
    name
        A key of `CLASSIFIERS`.
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    params
        What else the architecture takes.

    Raises
    ------
    BundleError
        When there is no such network, or it cannot be built like this.
    """
    if name not in CLASSIFIERS:
        raise BundleError(f"there is no network {name!r}; known are {', '.join(CLASSIFIERS)}.")
    if in_channels < 1 or classes < 2:
        raise BundleError(
            f"{name} needs a channel and two classes, not {in_channels} and {classes}."
        )
    try:
        return CLASSIFIERS[name](
            spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, **params
        )
    except TypeError as error:
        raise BundleError(f"{name} cannot be built ({error}).") from error


def last_linear(network: nn.Module) -> nn.Linear:
    """The layer that makes the logits; what it takes is the embedding of the input.

    Raises
    ------
    BundleError
        When the network has no linear layer.
    """
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise BundleError("the network has no linear layer, so it has no embedding.")
    return linear[-1]


def attribution_obstacles(network: nn.Module, example: torch.Tensor) -> list[str]:
    """Why some attribution methods would be silently wrong on a network.

    Parameters
    ----------
    network
        Is run once, in evaluation mode; its mode is restored.
    example
        An input, shape (b, channels, ...).

    Returns
    -------
    One sentence for each module that works in place or is used more than once;
    empty when there is none. Activations called as functions leave no trace
    here.
    """
    calls: dict[str, int] = {}
    leaves = [(n, m) for n, m in network.named_modules() if not list(m.children())]

    def counting(name: str) -> Callable[..., None]:
        def count(*_: Any) -> None:
            calls[name] = calls.get(name, 0) + 1

        return count

    hooks = [module.register_forward_hook(counting(name)) for name, module in leaves]
    was_training = network.training
    try:
        network.eval()
        with torch.inference_mode():
            network(example)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    said = [f"{n} works in place." for n, m in leaves if getattr(m, "inplace", False)]
    return said + [f"{n} is used {c} times in one pass." for n, c in calls.items() if c > 1]
