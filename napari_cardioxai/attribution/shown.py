"""What a window shows of an explained study, all that takes longer than a blink made beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from napari_cardioxai.attribution.by_region import PhaseCurves, phase_curves, region_peaks
from napari_cardioxai.attribution.explain import StudyMap, StudyMaps, with_regions
from napari_cardioxai.attribution.heat_boxes import HeatBox
from napari_cardioxai.attribution.layers import layer_heat_maps
from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.results import SUMMARY
from napari_cardioxai.attribution.subjects import Subject
from napari_cardioxai.attribution.summary_regions import Atlas, structure_atlas
from napari_cardioxai.progress import Progress, silent

Voxel = tuple[int, int, int, int]
_QUIET_PERCENTILE = 20


@dataclass(frozen=True, eq=False)
class ShownMaps:
    """Maps with what is drawn of them.

    Attributes
    ----------
    result
        All that is known of them.
    boxes
        By method, and the summary under `results.SUMMARY`.
    peaks
        By region: where in the scan (t, z, y, x) the summary is highest.
    curves
        By the names of the boxes; empty for a single frame or without labels.
    """

    result: StudyMaps
    boxes: Mapping[str, HeatBox]
    peaks: Mapping[int, Voxel]
    curves: Mapping[str, PhaseCurves]

    @classmethod
    def of(cls, result: StudyMaps) -> ShownMaps:
        """Cut boxes, find peaks and draw curves."""
        places = result.places
        boxes = {
            name: HeatBox.of(one.heat, places, METHODS[name].sign)
            for name, one in result.maps.items()
        }
        evidence = {name: _evidence(one) for name, one in result.maps.items()}
        if result.summary is not None:
            heat = result.summary.heat.astype(np.float32)
            boxes[SUMMARY], evidence[SUMMARY] = HeatBox.of(heat, places, "positive"), heat
        labels = result.subject.labels
        curves = {}
        if labels is not None and len(places.frames) > 1:
            atlas = structure_atlas(labels)
            structures = places.cut(atlas.data)
            curves = {
                name: phase_curves(part, structures, atlas.names, frames=places.frames)
                for name, part in evidence.items()
            }
        return cls(result, boxes, _peaks(result), curves)

    @property
    def peak(self) -> Voxel:
        """Where in the scan (t, z, y, x) the summary is highest."""
        box = self.boxes[SUMMARY]
        place = np.unravel_index(int(box.data.argmax()), box.data.shape)
        t, z, y, x = (start + int(k) for start, k in zip(box.start, place, strict=True))
        return t, z, y, x

    def with_atlas(self, atlas: Atlas) -> ShownMaps:
        """The same maps with the table of another atlas."""
        result = with_regions(self.result, atlas)
        return replace(self, result=result, peaks=_peaks(result))


def layer_boxes(
    subject: Subject, *, leaves: bool = True, on_progress: Progress = silent
) -> dict[str, HeatBox]:
    """How active each layer of a network is (Liu et al. 2021), in the order of its layers.

    Parameters
    ----------
    subject
        Whose network; every example is shown.
    leaves
        Only layers that are made of no others.
    on_progress
        Called per layer; may raise `Cancelled`.
    """
    boxes = {}
    parents = {name.rpartition(".")[0] for name, _ in subject.model.named_modules()}
    for one in layer_heat_maps(subject.model, subject.inputs, on_progress=on_progress):
        if leaves and one.layer.name in parents:
            continue
        heat = subject.to_scan(_plain(one.heat)).astype(np.float32)
        box = HeatBox.of(heat, subject.places, "positive")
        # A layer is active everywhere: what tells is where it is more so than elsewhere.
        limits = float(box.levels[_QUIET_PERCENTILE]), max(box.limits[1], 1e-30)
        boxes[one.layer.name] = replace(box, limits=limits)
    return boxes


def _plain(heat: Tensor) -> np.ndarray:
    values: np.ndarray = heat[:, 0].float().cpu().numpy()
    return values


def _evidence(one: StudyMap) -> np.ndarray:
    """What counts of a map: slopes of either sign, and shares that speak for the target."""
    return np.abs(one.heat) if one.kind == "slopes" else np.maximum(one.heat, 0)


def _peaks(result: StudyMaps) -> dict[int, Voxel]:
    if result.atlas is None or result.summary is None:
        return {}
    places = result.places
    regions = places.cut(result.atlas.data)
    found = region_peaks(result.summary.heat, regions, result.atlas.names)
    return {
        value: (places.frames[t], places.slices[z], y, x) for value, (t, z, y, x) in found.items()
    }
