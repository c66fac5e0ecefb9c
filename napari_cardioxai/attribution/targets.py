"""What is explained: one number per example, read from the output of a network.

Always the network's own scale, the logit, never a probability: a softmax mixes
the evidence against all other classes into that for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_cardioxai.errors import AttributionError


class Target(ABC):
    """One number per example, from the output of a network.

    Attributes
    ----------
    needs_output
        Whether `fixed` has to be called with the output for the explained
        input before the target can be used.
    linear
        Whether the number is linear in the output, without a constant; layer-wise
        relevance propagation asks for that.
    """

    needs_output: bool = False
    linear: bool = True

    @property
    @abstractmethod
    def text(self) -> str:
        """What is explained, in words, for the map's caption."""

    def fixed(self, output: Tensor) -> Target:
        """The same target with what depends on the explained input settled, such as its region.

        Parameters
        ----------
        output
            For the explained inputs, first axis the examples.
        """
        return self

    @abstractmethod
    def __call__(self, output: Tensor, rows: Tensor) -> Tensor:
        """The numbers, shape (n,).

        Parameters
        ----------
        output
            Shape (n, ...).
        rows
            Which example of the explained batch each row of `output` belongs
            to, shape (n,): methods evaluate the network several times per example.
        """


@dataclass(frozen=True)
class ClassLogit(Target):
    """The logit of a class.

    Networks with one output, (n,) or (n, 1), have two classes: class 1 is its
    logit and class 0 is minus that.

    Attributes
    ----------
    index
        Of the class; one for all examples or one for each. None: the class
        that the network chooses for each.
    name
        Of the class, for the caption.
    """

    index: int | tuple[int, ...] | None = None
    name: str = ""

    @property
    def needs_output(self) -> bool:  # type: ignore[override]
        """Only when the network is to choose the class."""
        return self.index is None

    @property
    def text(self) -> str:
        """Such as "logit of class 3"."""
        if self.name:
            return f"logit of {self.name}"
        return (
            "logit of the predicted class" if self.index is None else f"logit of class {self.index}"
        )

    def fixed(self, output: Tensor) -> Target:
        """The class that the network chooses, where none was named."""
        if self.index is not None:
            return self
        logits = _two_columns(output)
        chosen = tuple(int(k) for k in logits.argmax(1))
        return replace(self, index=chosen if len(set(chosen)) > 1 else chosen[0])

    def __call__(self, output: Tensor, rows: Tensor) -> Tensor:
        """See `Target`."""
        logits = _two_columns(output)
        assert self.index is not None
        wanted = torch.as_tensor(self.index, device=output.device)
        if int(wanted.min()) < 0 or int(wanted.max()) >= logits.shape[1]:
            raise AttributionError(
                f"there is no class {self.index}: the network tells {logits.shape[1]} classes "
                "apart, counted from 0."
            )
        if wanted.ndim == 0:
            return logits[:, int(wanted)]
        if int(rows.max()) >= len(wanted):
            raise AttributionError(
                f"{len(wanted)} classes were named for {int(rows.max()) + 1} examples; name one "
                "for each, or one for all."
            )
        return logits.gather(1, wanted[rows][:, None])[:, 0]


@dataclass(frozen=True, eq=False)
class StructureLogit(Target):
    """How strongly a segmenter sees a structure: the sum of its logits over a region.

    The region is where the network finds the structure in the explained input
    (Seg-Grad-CAM, Vinogradova et al. 2020, equation 2), or a part of the image
    that somebody is interested in.

    Attributes
    ----------
    channel
        Of the network's output.
    region
        True where to look, shape (b or 1, *spatial); None: where the network
        finds the structure.
    name
        For the caption.
    """

    channel: int
    region: Tensor | None = None
    name: str = ""

    @property
    def needs_output(self) -> bool:  # type: ignore[override]
        """Only when the network is to find the region."""
        return self.region is None

    @property
    def text(self) -> str:
        """Such as "logit of structure 2 over its region"."""
        return f"logit of {self.name or f'structure {self.channel}'}, summed over its region"

    def fixed(self, output: Tensor) -> Target:
        """With the region where the network finds the structure.

        Raises
        ------
        AttributionError
            When it finds it nowhere.
        """
        if self.region is not None:
            return self
        _check_channel(output, self.channel)
        found = output.detach().argmax(1) == self.channel
        if not bool(found.flatten(1).any(1).all()):
            raise AttributionError(
                f"the network finds no {self.name or f'structure {self.channel}'} in this input; "
                "name a region to explain instead."
            )
        return replace(self, region=found)

    def __call__(self, output: Tensor, rows: Tensor) -> Tensor:
        """See `Target`."""
        _check_channel(output, self.channel)
        assert self.region is not None
        return _over_region(output[:, self.channel], self.region, rows)


@dataclass(frozen=True, eq=False)
class StructureVolume(Target):
    """A structure's volume as a segmenter sees it: its summed probability times the voxel's volume.

    Not linear in the logits, so layer-wise relevance propagation cannot explain it.

    Attributes
    ----------
    channel
        Of the network's output.
    voxel_ml
        Volume of one voxel, in mL; 1.0 gives voxels.
    region
        True where to count, shape (b or 1, *spatial); None: everywhere.
    name
        For the caption.
    """

    channel: int
    voxel_ml: float = 1.0
    region: Tensor | None = None
    name: str = ""
    linear = False

    @property
    def text(self) -> str:
        """Such as "volume of structure 1"."""
        where = "" if self.region is None else " in a region"
        return f"volume of {self.name or f'structure {self.channel}'}{where}"

    def __call__(self, output: Tensor, rows: Tensor) -> Tensor:
        """See `Target`."""
        _check_channel(output, self.channel)
        share = output.softmax(1)[:, self.channel]
        if self.region is not None:
            return self.voxel_ml * _over_region(share, self.region, rows)
        return self.voxel_ml * share.flatten(1).sum(1)


def as_target(target: Target | int | Sequence[int] | Tensor | None) -> Target:
    """The target that a plain number, one number per example, or None (the predicted class) means."""
    if isinstance(target, Target):
        return target
    if target is None or isinstance(target, int):
        return ClassLogit(target)
    if isinstance(target, Tensor):
        target = [int(k) for k in target.reshape(-1)]
    return ClassLogit(tuple(int(k) for k in target))


def _two_columns(output: Tensor) -> Tensor:
    """Logits (n, classes), two columns where the network has a single output."""
    if output.ndim == 1:
        output = output[:, None]
    if output.ndim != 2:
        raise AttributionError(
            f"the network's output of shape {tuple(output.shape)} is no list of classes; a network "
            "that labels pixels needs a structure as its target."
        )
    return output if output.shape[1] > 1 else torch.cat([-output, output], 1)


def _check_channel(output: Tensor, channel: int) -> None:
    if output.ndim < 3:
        raise AttributionError(
            f"the network's output of shape {tuple(output.shape)} labels no pixels; a classifier "
            "needs a class as its target."
        )
    if not 0 <= channel < output.shape[1]:
        raise AttributionError(
            f"there is no structure {channel}: the network has {output.shape[1]} channels, "
            "counted from 0."
        )


def _over_region(values: Tensor, region: Tensor, rows: Tensor) -> Tensor:
    """Sum within each example's region, (n, *spatial) to (n,)."""
    if region.shape[1:] != values.shape[1:]:
        raise AttributionError(
            f"the region has shape {tuple(region.shape[1:])}, the network's output "
            f"{tuple(values.shape[1:])}; they must be alike."
        )
    region = region.to(values.device)
    of_row = region.expand(len(values), *region.shape[1:]) if len(region) == 1 else region[rows]
    return torch.where(of_row, values, 0).flatten(1).sum(1)
