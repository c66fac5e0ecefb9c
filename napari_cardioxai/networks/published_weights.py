"""Weights that others trained, from a safetensors file with torchvision's or timm's names.

Most modules here are named as in one of the two libraries; what differs is
told by rules, each a pattern over our names and what the other library says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_cardioxai.errors import BundleError

SOURCES = ("torchvision", "timm")
_COUNTER = "num_batches_tracked"

Rules = tuple[tuple[str, str], ...]

_BRANCH = re.compile(r"^features\.(Mixed_\w+)\.(branch\w+?)\.(\d+)\.(.*)$")


@dataclass(frozen=True)
class _Naming:
    """How a library names the tensors of a network.

    Attributes
    ----------
    rules
        Patterns over our names and their replacements, applied in turn.
    ignored
        Pattern of names in the file that the network has no use for.
    """

    rules: Rules = ()
    ignored: str = r"$^"


_VGG_TIMM: Rules = (
    (r"^classifier\.0\.", "pre_logits.fc1."),
    (r"^classifier\.3\.", "pre_logits.fc2."),
    (r"^classifier\.6\.", "head.fc."),
)
_DENSENET = _Naming(
    (
        (r"(denselayer\d+)\.layers\.", r"\1."),
        (r"^class_layers\.out\.", "classifier."),
    )
)
_INCEPTION = _Naming(((r"^features\.", ""),), ignored=r"^AuxLogits\.")
_INCEPTION_RESNET = _Naming(
    (
        (r"^features\.", ""),
        (r"\.branches\.", "."),
        (r"\.branch0\.0\.(?=conv|bn)", ".branch0."),
        # The only first branch that is a chain of two there as well.
        (r"^mixed_7a\.branch0\.(?=conv|bn)", "mixed_7a.branch0.0."),
    )
)
_EFFICIENTNET_TORCHVISION = _Naming(
    (
        (r"\.conv\.(weight)$", r".0.\1"),
        (r"\.bn\.(\w+)$", r".1.\1"),
    )
)
_EFFICIENTNET_TIMM = _Naming(
    (
        (r"^features\.0\.conv\.", "conv_stem."),
        (r"^features\.0\.bn\.", "bn1."),
        (r"^features\.8\.conv\.", "conv_head."),
        (r"^features\.8\.bn\.", "bn2."),
        (r"^classifier\.1\.", "classifier."),
        # The first block does not widen: its convolutions count from the depthwise one.
        (r"^features\.1\.(\d)\.block\.0\.conv\.", r"blocks.0.\1.conv_dw."),
        (r"^features\.1\.(\d)\.block\.0\.bn\.", r"blocks.0.\1.bn1."),
        (r"^features\.1\.(\d)\.block\.1\.fc1\.", r"blocks.0.\1.se.conv_reduce."),
        (r"^features\.1\.(\d)\.block\.1\.fc2\.", r"blocks.0.\1.se.conv_expand."),
        (r"^features\.1\.(\d)\.block\.2\.conv\.", r"blocks.0.\1.conv_pw."),
        (r"^features\.1\.(\d)\.block\.2\.bn\.", r"blocks.0.\1.bn2."),
        *(
            rule
            for stage in range(2, 8)
            for rule in (
                (
                    rf"^features\.{stage}\.(\d)\.block\.0\.conv\.",
                    rf"blocks.{stage - 1}.\1.conv_pw.",
                ),
                (rf"^features\.{stage}\.(\d)\.block\.0\.bn\.", rf"blocks.{stage - 1}.\1.bn1."),
                (
                    rf"^features\.{stage}\.(\d)\.block\.1\.conv\.",
                    rf"blocks.{stage - 1}.\1.conv_dw.",
                ),
                (rf"^features\.{stage}\.(\d)\.block\.1\.bn\.", rf"blocks.{stage - 1}.\1.bn2."),
                (
                    rf"^features\.{stage}\.(\d)\.block\.2\.fc1\.",
                    rf"blocks.{stage - 1}.\1.se.conv_reduce.",
                ),
                (
                    rf"^features\.{stage}\.(\d)\.block\.2\.fc2\.",
                    rf"blocks.{stage - 1}.\1.se.conv_expand.",
                ),
                (
                    rf"^features\.{stage}\.(\d)\.block\.3\.conv\.",
                    rf"blocks.{stage - 1}.\1.conv_pwl.",
                ),
                (rf"^features\.{stage}\.(\d)\.block\.3\.bn\.", rf"blocks.{stage - 1}.\1.bn3."),
            )
        ),
    )
)
_NAMINGS: Mapping[tuple[str, str], _Naming] = {
    ("vgg16", "torchvision"): _Naming(),
    ("vgg19", "torchvision"): _Naming(),
    ("vgg16", "timm"): _Naming(_VGG_TIMM),
    ("vgg19", "timm"): _Naming(_VGG_TIMM),
    ("resnet50", "torchvision"): _Naming(),
    ("resnet50", "timm"): _Naming(),
    ("resnet50v2", "timm"): _Naming(),
    ("densenet121", "torchvision"): _DENSENET,
    ("densenet121", "timm"): _DENSENET,
    ("xception", "timm"): _Naming(((r"^blocks\.", ""),)),
    ("inceptionv3", "torchvision"): _INCEPTION,
    ("inceptionv3", "timm"): _INCEPTION,
    ("inceptionresnetv2", "timm"): _INCEPTION_RESNET,
    ("efficientnet-b0", "torchvision"): _EFFICIENTNET_TORCHVISION,
    ("efficientnet-b0", "timm"): _EFFICIENTNET_TIMM,
}


def published_names(name: str, source: str, network: nn.Module) -> dict[str, str]:
    """What a library calls each tensor of a two-dimensional network.

    Parameters
    ----------
    name
        A key of `classifiers.PUBLISHED`.
    source
        "torchvision" or "timm".
    network
        As `classifiers.classifier` builds it.

    Returns
    -------
    dict
        Our name to theirs.

    Raises
    ------
    BundleError
        When the library does not have the network.
    """
    if (name, source) not in _NAMINGS:
        known = ", ".join(f"{n} from {s}" for n, s in _NAMINGS)
        raise BundleError(f"names of {name} from {source} are not known; known are {known}.")
    rules = _NAMINGS[name, source].rules
    return {ours: _renamed(ours, rules) for ours in network.state_dict()}


def _renamed(ours: str, rules: Rules) -> str:
    if match := _BRANCH.match(ours):
        return _inception_name(*match.groups())
    for pattern, replacement in rules:
        ours = re.sub(pattern, replacement, ours)
    return ours


def _inception_name(block: str, branch: str, position: str, rest: str) -> str:
    """`branch3x3.1.a.conv` to `branch3x3_2a.conv`; chains of one and pools have no number."""
    number = str(int(position) + 1)
    fan = re.match(r"^([ab])\.(.*)$", rest)
    if fan:
        number, rest = number + fan[1], fan[2]
    alone = branch in ("branch1x1", "branch_pool") or (block, branch) == ("Mixed_6a", "branch3x3")
    return f"{block}.{branch}.{rest}" if alone else f"{block}.{branch}_{number}.{rest}"


def load_published_weights(network: nn.Module, name: str, file: Path) -> list[str]:
    """Fill a two-dimensional network with weights that others trained.

    A network of another number of input channels gets the sum of the first
    layer's weights over the channels of the file, shared evenly. One of
    another number of classes keeps its own last layer. Whose names the file
    has is found out.

    Parameters
    ----------
    network, name
        As `classifiers.classifier` built it, under this name.
    file
        Safetensors; anything else is refused.

    Returns
    -------
    Sentences about what was adapted, for the user.

    Raises
    ------
    BundleError
        When the file cannot be read or does not belong to the network.
    """
    if file.suffix not in ("", ".safetensors"):
        raise BundleError(f"{file.name} is refused: weights are read from .safetensors only.")
    if not file.is_file():
        raise BundleError(f"{file} does not exist; give a model folder or a .safetensors file.")
    try:
        found = load_file(file)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{file} is not a readable safetensors file.") from error
    found = {_today(key): value for key, value in found.items()}
    names, ignored = _best_fitting(name, network, found)
    state = network.state_dict()
    notes: list[str] = []
    last = list(state)[-2:]
    for ours, theirs in names.items():
        if theirs not in found:
            if ours.endswith(_COUNTER):
                continue
            raise BundleError(f"{file.name} is no {name}: it has no {theirs}.")
        values = _fitted(found[theirs], state[ours])
        if values is not None:
            state[ours] = values
        elif ours in last:
            notes.append(f"{theirs} is for other classes and was left out.")
        elif ours == next(iter(state)) and found[theirs].shape[2:] == state[ours].shape[2:]:
            state[ours] = _for_channels(found[theirs], state[ours].shape[1])
            notes.append(f"{theirs} was brought to {state[ours].shape[1]} input channels.")
        else:
            raise BundleError(
                f"{file.name} is no {name} as built: {theirs} has the shape "
                f"{tuple(found[theirs].shape)}, not {tuple(state[ours].shape)}."
            )
    if odd := [k for k in found.keys() - set(names.values()) if not re.search(ignored, k)]:
        raise BundleError(f"{file.name} is no {name}: it has {sorted(odd)[0]} too.")
    network.load_state_dict(state)
    return notes


def _best_fitting(
    name: str, network: nn.Module, found: Mapping[str, Tensor]
) -> tuple[dict[str, str], str]:
    """Names of the library that the file shares most with, and what of it is to be ignored."""
    known = [source for source in SOURCES if (name, source) in _NAMINGS]
    if not known:
        raise BundleError(f"published weights of {name} are not known.")
    candidates = [(published_names(name, source, network), source) for source in known]
    names, source = max(candidates, key=lambda c: len(found.keys() & set(c[0].values())))
    return names, _NAMINGS[name, source].ignored


def _today(key: str) -> str:
    """Names of DenseNet weights as torchvision wrote them before 0.4: `norm.1` for `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _fitted(theirs: Tensor, ours: Tensor) -> Tensor | None:
    """In our shape; a 1-pixel or whole-map convolution is a linear layer in other words."""
    if theirs.shape == ours.shape:
        return theirs.to(ours.dtype)
    same_layer = ours.dim() == 2 and theirs.dim() > 2 and theirs.shape[0] == ours.shape[0]
    if same_layer and theirs.numel() == ours.numel():
        return theirs.reshape(ours.shape).to(ours.dtype)
    return None


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    return (weight.sum(1, keepdim=True) / channels).repeat_interleave(channels, 1)


__all__ = ["SOURCES", "load_published_weights", "published_names"]
