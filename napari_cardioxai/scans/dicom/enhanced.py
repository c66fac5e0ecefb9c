"""Frames of enhanced multi-frame objects, whose facts lie in functional groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from napari_cardioxai.scans.dicom.frame import (
    Frame,
    component_of,
    directions_of,
    pair_of,
    window_of,
)
from napari_cardioxai.scans.dicom.header import moment_ms

_TIME_DIMENSIONS = {
    tag_for_keyword(keyword)
    for keyword in (
        "TemporalPositionIndex",
        "TemporalPositionTimeOffset",
        "NominalCardiacTriggerDelayTime",
        "ActualCardiacTriggerDelayTime",
        "NominalPercentageOfCardiacPhase",
        "TriggerTime",
    )
}


@dataclass(frozen=True)
class _Groups:
    """Functional groups of one frame, with the shared ones to fall back on."""

    own: Dataset
    shared: Dataset

    def value(self, group: str, keyword: str) -> Any:
        for item in (self.own, self.shared):
            sequence = item.get(group)
            if sequence and sequence[0].get(keyword) is not None:
                return sequence[0].get(keyword)
        return None

    def numbers(self, group: str, keyword: str) -> tuple[float, ...]:
        value = self.value(group, keyword)
        try:
            values = () if value is None else tuple(np.atleast_1d(value).astype(float).tolist())
        except ValueError:
            return ()
        return values if np.isfinite(values).all() else ()

    def per_frame(self, keyword: str) -> tuple[float, ...]:
        """Values of a keyword in whichever group of this frame has it."""
        for element in self.own:
            if element.VR == "SQ" and element.value and element.value[0].get(keyword) is not None:
                return self.numbers(element.keyword, keyword)
        return ()

    def given(self, places: Mapping[str, tuple[str, str]]) -> dict[str, float]:
        """The first number at each place; those that have none are left out."""
        found = {name: self.numbers(*place) for name, place in places.items()}
        return {name: values[0] for name, values in found.items() if values}


_FIELDS = {
    "thickness_mm": ("PixelMeasuresSequence", "SliceThickness"),
    "slope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "intercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "cycle_ms": ("CardiacSynchronizationSequence", "RRIntervalTimeNominal"),
}
# Older and converted objects keep these in frame content or among what found no place.
_MISPLACED = (
    "TriggerTime",
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "NominalCardiacTriggerDelayTime",
)
_FRAME_KEYS = {
    "TemporalPositionIndex": ("FrameContentSequence", "TemporalPositionIndex"),
} | {
    keyword: ("CardiacSynchronizationSequence", keyword)
    for keyword in (
        "NominalPercentageOfCardiacPhase",
        "NominalCardiacTriggerDelayTime",
        "ActualCardiacTriggerDelayTime",
    )
}


def enhanced_frames(dataset: Dataset, common: dict[str, Any]) -> Iterator[Frame]:
    """Frames of an enhanced object: each value from its own groups, else from the shared ones."""
    shared = (list(dataset.get("SharedFunctionalGroupsSequence") or ()) or [Dataset()])[0]
    pointers = [d.get("DimensionIndexPointer") for d in dataset.get("DimensionIndexSequence") or ()]
    time_dimension = next((k for k, tag in enumerate(pointers) if tag in _TIME_DIMENSIONS), None)
    first = common["keys"].get("InstanceNumber", 0.0) * 1e6
    for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups = _Groups(own, shared)
        timed = groups.given(_FRAME_KEYS)
        if not timed:
            found = {keyword: groups.per_frame(keyword) for keyword in _MISPLACED}
            timed = {keyword: values[0] for keyword, values in found.items() if values}
        keys = common["keys"] | {"InstanceNumber": first + number + 1} | timed
        acquired = moment_ms(str(groups.value("FrameContentSequence", "FrameAcquisitionDateTime")))
        if np.isfinite(acquired):
            keys["AcquisitionTime"] = acquired
        indices = groups.numbers("FrameContentSequence", "DimensionIndexValues")
        if time_dimension is not None and len(indices) > time_dimension:
            keys["DimensionIndexValues"] = indices[time_dimension]
        values = groups.given(_FIELDS) | {"number": number, "keys": keys}
        yield Frame(**(common | values | _enhanced_values(groups, common)))


def _enhanced_values(groups: _Groups, common: dict[str, Any]) -> dict[str, Any]:
    """Fields of `Frame` that are not single numbers."""
    values: dict[str, Any] = {}
    position = groups.numbers("PlanePositionSequence", "ImagePositionPatient")
    if len(position) == 3:
        values["position"] = np.array(position)
    directions = directions_of(
        groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient")
    )
    if directions is not None:
        values["directions"] = directions
    spacing = pair_of(groups.numbers("PixelMeasuresSequence", "PixelSpacing"))
    if spacing:
        values["pixel_mm"] = spacing
    window = window_of(
        groups.numbers("FrameVOILUTSequence", "WindowCenter"),
        groups.numbers("FrameVOILUTSequence", "WindowWidth"),
    )
    if window:
        values["window"] = window
    frame_type = groups.value("MRImageFrameTypeSequence", "FrameType")
    if frame_type:
        part = groups.value("MRImageFrameTypeSequence", "ComplexImageComponent") or ""
        values["component"] = component_of("\\".join(frame_type), str(part))
    echo_ms = groups.numbers("MREchoSequence", "EffectiveEchoTime")
    if echo_ms:
        values["contrast"] = (echo_ms[0], common["contrast"][1])
    return values
