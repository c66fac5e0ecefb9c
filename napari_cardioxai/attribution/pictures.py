"""Pictures of a scan as a segmenter reads them: what is explained of a structure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.attribution.scores.evidence import Forward
from napari_cardioxai.attribution.subjects import (
    Indices,
    Places,
    Question,
    Subject,
    mask_or_none,
)
from napari_cardioxai.attribution.targets import StructureLogit, StructureVolume, Target
from napari_cardioxai.bundles.card import SegmenterCard
from napari_cardioxai.bundles.segmenter import BATCH, PicturesToLogits, Segmenter, View
from napari_cardioxai.cohorts.slices import normalise
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.scans.scan import Scan

LOGIT = " logit"
"""Ends the name of a target that is a structure's summed logit and not its volume."""

_SHORT_NAMES = {"lv": 1, "myo": 2, "rv": 3}


def structure_targets(card: SegmenterCard) -> dict[str, tuple[str, ...]]:
    """Names of what can be explained of a segmenter, by what they are."""
    names = tuple(STRUCTURE_NAMES[s] for s in sorted(card.structures.values()))
    return {"volume": names, "logit": tuple(name + LOGIT for name in names)}


def pictures_of(segmenter: Segmenter, question: Question) -> Subject:
    """Pictures of a scan as a segmenter reads them, each an example.

    Parameters
    ----------
    segmenter
        A loaded bundle.
    question
        With any kind of scan. The target is one of `structure_targets`, in any
        case, or "LV", "MYO", "RV", or None for the volume of the first. Without
        slices it is the one in which the network finds most of the structure
        in the first of the frames. Without labels regions are what the network
        finds, and without truth the structure is where the labels say.

    Raises
    ------
    AttributionError
        When the target, a frame or a slice does not exist, or the network
        finds the structure in none of the pictures.
    """
    scan, labels, truth = question.scan, question.labels, question.truth
    assert scan is not None, "checked at the door"
    aim = _Aim.named(question.target, segmenter)
    looked = _Looked.of(scan, segmenter)
    count, depth = scan.data.shape[:2]
    times = _checked(question.frames, count, "frame")
    found = np.zeros(scan.data.shape, np.uint8)
    # One frame of the whole stack tells the wall's segments, and where most of the structure is.
    stack = Places(scan.data.shape, times[:1], tuple(range(depth)))
    seen = looked.structures(looked.logits(looked.pictures(stack.slices, stack.frames)))
    found[times[0]] = looked.on_scan(seen, stack)[0]
    wanted = question.slices
    chosen = (aim.largest(seen),) if wanted is None else _checked(wanted, depth, "slice")
    places = Places(scan.data.shape, times, chosen)
    inputs = looked.pictures(places.slices, places.frames)
    logits = looked.logits(inputs)
    found[np.ix_(times, chosen)] = looked.on_scan(looked.structures(logits), places)
    own = labels or Labels(found, scan.geometry, scan.frame_times_ms, scan.cycle_ms)
    regions = logits.argmax(1) == aim.channel
    if not bool(regions.any()):
        raise AttributionError(
            f"{segmenter.card.name} finds no {aim.name} in the pictures asked for; choose another "
            "frame or slice."
        )
    scored = int(regions.flatten(1).sum(1).argmax())
    notes = list(looked.notes)
    if len(inputs) > 1:
        z, t = divmod(scored, len(times))
        notes.append(f"Scores are of frame {times[t] + 1}, slice {chosen[z] + 1}.")
    by = "the network's own labels" if labels is None else "the given labels"
    evidence = own.data == aim.structure if truth is None else truth
    return Subject(
        model=looked.model,
        inputs=inputs,
        target=aim.target(looked.voxel_ml),
        baseline="zero",
        scored_against="blur",
        spacing_mm=looked.pixel_mm,
        scored=scored,
        truth=mask_or_none(looked.examples(evidence, places)[scored] > 0),
        truth_text=f"{aim.name} of {by}" if truth is None else "the given mask",
        probability=_mean_probability(looked.model, aim.channel, regions[scored]),
        right=_kept_share(looked.model, aim.channel, regions[scored]),
        has_detail=True,
        geometry=scan.geometry,
        frame_times_ms=scan.frame_times_ms,
        cycle_ms=scan.cycle_ms,
        places=places,
        to_scan=lambda maps: looked.on_scan(maps, places),
        labels=own,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Aim:
    """What of a segmenter is explained."""

    channel: int
    structure: int
    is_logit: bool

    @classmethod
    def named(cls, target: str | None, segmenter: Segmenter) -> _Aim:
        channels = {label: channel for channel, label in segmenter.card.structures.items()}
        if target is None:
            structure = min(channels)
            return cls(channels[structure], structure, False)
        wish = target.strip().lower()
        is_logit = wish.endswith(LOGIT)
        wish = wish.removesuffix(LOGIT)
        for structure, channel in channels.items():
            if wish == STRUCTURE_NAMES[structure].lower() or _SHORT_NAMES.get(wish) == structure:
                return cls(channel, structure, is_logit)
        raise AttributionError(
            f"{segmenter.card.name} has no target {target!r}; it has "
            f"{', '.join(chain(*structure_targets(segmenter.card).values()))}."
        )

    @property
    def name(self) -> str:
        return STRUCTURE_NAMES[self.structure]

    def target(self, voxel_ml: float) -> Target:
        if self.is_logit:
            return StructureLogit(self.channel, name=self.name)
        return StructureVolume(self.channel, voxel_ml, name=self.name)

    def largest(self, stack: NDArray) -> int:
        """Slice with most of the structure, the middle one where there is none, (z, y, x)."""
        areas = (stack == self.structure).sum((1, 2))
        return int(areas.argmax()) if areas.any() else len(areas) // 2


@dataclass(frozen=True, eq=False)
class _Looked:
    """A scan through the eyes of a segmenter; examples run over frames, then over slices."""

    scan: Scan
    segmenter: Segmenter
    view: View
    model: PicturesToLogits

    @classmethod
    def of(cls, scan: Scan, segmenter: Segmenter) -> _Looked:
        view = segmenter.view(np.asarray(scan.data), spacing_mm=scan.geometry.spacing_mm)
        return cls(scan, segmenter, view, PicturesToLogits(segmenter.network, view.size))

    @property
    def pixel_mm(self) -> tuple[float, float]:
        spacing = self.scan.geometry.spacing_mm
        return (1.0, 1.0) if spacing is None else spacing[1:]

    @property
    def voxel_ml(self) -> float:
        volume = self.scan.geometry.voxel_volume_mm3
        return 1.0 if volume is None else volume / 1000

    @property
    def notes(self) -> tuple[str, ...]:
        if self.scan.geometry.spacing_mm is not None:
            return ()
        return ("The pixel size is unknown: lengths are in pixels and volumes in voxels.",)

    def pictures(self, slices: tuple[int, ...], frames: tuple[int, ...]) -> Tensor:
        """Shape (slices * frames, 1, y, x), one scale a slice over the whole cycle."""
        found = []
        for z in slices:
            cine = np.asarray(self.scan.data[:, z])[..., self.view.rows, self.view.columns]
            found.append(normalise(cine)[list(frames)])
        return torch.from_numpy(np.concatenate(found))[:, None].to(self.segmenter.device)

    def logits(self, pictures: Tensor) -> Tensor:
        """Shape (b, classes, y, x)."""
        with torch.inference_mode():
            return torch.cat([self.model(part).float() for part in pictures.split(BATCH)])

    def structures(self, logits: Tensor) -> NDArray[np.uint8]:
        """Structure labels, shape (b, y, x)."""
        table = np.zeros(logits.shape[1], np.uint8)
        for channel, structure in self.segmenter.card.structures.items():
            table[channel] = structure
        return table[logits.argmax(1).cpu().numpy()]

    def on_scan(self, maps: NDArray, places: Places) -> NDArray:
        """Of the examples, (b, y, x) of the view, as (frames, slices, y, x) of the scan."""
        whole = np.zeros((len(places.frames), len(places.slices), *places.shape[2:]), maps.dtype)
        stacked = maps.reshape(len(places.slices), len(places.frames), *maps.shape[1:])
        whole[..., self.view.rows, self.view.columns] = stacked.swapaxes(0, 1)
        return whole

    def examples(self, data: NDArray, places: Places) -> NDArray:
        """The inverse: (t or 1, z, y, x) of the scan as (b, y, x) of the view."""
        part = places.cut(data)[..., self.view.rows, self.view.columns].swapaxes(0, 1)
        return part.reshape(-1, *part.shape[2:])


def _checked(wanted: Indices, count: int, what: str) -> tuple[int, ...]:
    if wanted == "all":
        return tuple(range(count))
    for index in wanted:
        if not 0 <= index < count:
            raise AttributionError(
                f"there is no {what} {index + 1}: the scan has {count}, counted from 1."
            )
    return wanted


def _mean_probability(model: nn.Module, channel: int, region: Tensor) -> Forward:
    def probability(x: Tensor) -> Tensor:
        share: Tensor = model(x).softmax(1)[:, channel]
        return share[:, region].mean(1)

    return probability


def _kept_share(model: nn.Module, channel: int, region: Tensor) -> Forward:
    def right(x: Tensor) -> Tensor:
        kept: Tensor = model(x).argmax(1) == channel
        return kept[:, region].float().mean(1)

    return right
