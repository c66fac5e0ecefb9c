"""Scans and labels as napari layers, and back.

napari gets (t, z, y, x) with `scale` and `translate` only: an axis-permuting
affine aborts the process and an oblique one is drawn wrongly, so the patient
affine travels in `metadata` for measuring and saving. Every layer carries
`units` and `axis_labels`, because one layer without switches them off for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.app.layer_styles import LABELS_STYLE, SCAN_STYLE
from napari_cardioxai.errors import LabelError, ScanError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

if TYPE_CHECKING:
    from napari.layers import Labels as LabelsLayer

# Written by this module into `layer.metadata`, read by it and by the writers.
METADATA_KEY = "napari_cardioxai"
AXIS_LABELS = ("phase", "slice", "y", "x")

LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True)
class LayerOrigin:
    """What a layer's array cannot say itself.

    It holds neither file names nor headers: layers are saved and shared, and
    paths may name a patient.

    Attributes
    ----------
    geometry, frame_times_ms, cycle_ms
        As in `Scan` and `Labels`.
    kind, name
        As in `Scan`.
    """

    geometry: Geometry
    frame_times_ms: np.ndarray | None = None
    cycle_ms: float | None = None
    kind: Kind = Kind.OTHER
    name: str = "scan"

    def placement(self, frames: int) -> dict[str, Any]:
        """`scale`, `translate`, `units` and `axis_labels` of a layer of this origin.

        Time is in ms and space in mm where the source says so. Where it does
        not, one step is one unit and the unit is napari's "pixel", so that no
        slider reads as a time or a distance that nobody measured. A single
        frame counts as ms: it has no time step to be wrong about, and volumes
        then share their units with cines.
        """
        times, spacing = self.frame_times_ms, self.geometry.spacing_mm
        interval, start, time_unit = 1.0, 0.0, "ms" if frames == 1 else "pixel"
        if times is not None and len(times) > 1:
            interval, start, time_unit = float(np.median(np.diff(times))), float(times[0]), "ms"
        scale = (interval, *(spacing or (1.0, 1.0, 1.0)))
        return {
            "scale": scale,
            "translate": (start, 0.0, 0.0, 0.0),
            "units": (time_unit, *(("mm",) * 3 if spacing else ("pixel",) * 3)),
            "axis_labels": AXIS_LABELS,
        }


def origin_of(metadata: Mapping[str, Any]) -> LayerOrigin | None:
    """The origin in a layer's metadata, or None for a layer that is not ours."""
    origin = metadata.get(METADATA_KEY)
    return origin if isinstance(origin, LayerOrigin) else None


def scan_to_layer(scan: Scan, *, contrast_limits: tuple[float, float] | None = None) -> LayerData:
    """Layer data tuple of a scan.

    Parameters
    ----------
    scan
        Shape (t, z, y, x).
    contrast_limits
        Limits over the whole cine, computed in a worker; found here when not given.

    See Also
    --------
    layer_to_scan : the inverse
    """
    origin = LayerOrigin(
        geometry=scan.geometry,
        frame_times_ms=scan.frame_times_ms,
        cycle_ms=scan.cycle_ms,
        kind=scan.kind,
        name=scan.name,
    )
    attributes = {
        "name": scan.name,
        "metadata": {METADATA_KEY: origin},
        "contrast_limits": contrast_limits or SCAN_STYLE.contrast_limits(scan),
        **origin.placement(scan.data.shape[0]),
        **SCAN_STYLE.as_kwargs(),
    }
    return scan.data, attributes, "image"


def layer_to_scan(data: Any, attributes: Mapping[str, Any]) -> Scan:
    """Scan of an image layer's data and attributes.

    Raises
    ------
    ScanError
        When the layer has other than 2 to 4 axes.

    See Also
    --------
    scan_to_layer : the inverse, but for the provenance, which layers do not carry
    """
    origin = origin_of(attributes.get("metadata", {})) or _origin_from_placement(attributes)
    array = _four_axes(data)
    if array is None:
        raise ScanError(
            f"the image layer '{attributes.get('name', '')}' has {np.ndim(data)} axes; "
            "a scan has (y, x), (slice, y, x) or (phase, slice, y, x)."
        )
    return Scan(
        data=array,
        geometry=origin.geometry,
        provenance=Provenance(source=Path()),
        kind=origin.kind,
        name=str(attributes.get("name", origin.name)),
        frame_times_ms=origin.frame_times_ms,
        cycle_ms=origin.cycle_ms,
    )


def labels_to_layer(labels: Labels, *, name: str = "labels") -> LayerData:
    """Layer data tuple of labels, structures named and coloured.

    See Also
    --------
    layer_to_labels : the inverse
    """
    origin = LayerOrigin(
        geometry=labels.geometry,
        frame_times_ms=labels.frame_times_ms,
        cycle_ms=labels.cycle_ms,
        name=name,
    )
    attributes = {
        "name": name,
        "metadata": {METADATA_KEY: origin},
        **origin.placement(labels.data.shape[0]),
        **LABELS_STYLE.as_kwargs(),
    }
    return labels.data, attributes, "labels"


def layer_to_labels(data: Any, attributes: Mapping[str, Any]) -> Labels:
    """Labels of a labels layer's data and attributes; the array is shared, not copied.

    Raises
    ------
    LabelError
        When the layer has other than 2 to 4 axes, or values above 255.

    See Also
    --------
    labels_to_layer : the inverse
    """
    origin = origin_of(attributes.get("metadata", {})) or _origin_from_placement(attributes)
    array = _four_axes(data)
    if array is None:
        raise LabelError(
            f"the labels layer '{attributes.get('name', '')}' has {np.ndim(data)} axes; "
            "labels have (y, x), (slice, y, x) or (phase, slice, y, x)."
        )
    if array.dtype != np.uint8:
        if array.size and (array.max() > 255 or array.min() < 0):
            raise LabelError(
                f"the labels layer '{attributes.get('name', '')}' holds the value {array.max()}; "
                "values from 0 to 255 can be kept."
            )
        array = array.astype(np.uint8)
    return Labels(
        data=array,
        geometry=origin.geometry,
        frame_times_ms=origin.frame_times_ms,
        cycle_ms=origin.cycle_ms,
    )


def labels_of(layer: LabelsLayer) -> Labels:
    """Labels of a napari layer; the array is shared."""
    return layer_to_labels(layer.data, {"metadata": layer.metadata, "name": layer.name})


def dress_as_labels(layer: LabelsLayer, scan: Scan) -> None:
    """Give a labels layer that napari made on the grid of a scan our origin, names and colours."""
    attributes = labels_to_layer(replace(blank_labels(scan), data=np.zeros((1,) * 4, np.uint8)))[1]
    layer.metadata = {**layer.metadata, **attributes["metadata"]}
    layer.colormap = attributes["colormap"]
    layer.features = attributes["features"]
    layer.opacity = attributes["opacity"]


def blank_labels(scan: Scan) -> Labels:
    """Empty labels on the grid of a scan."""
    return Labels(
        data=np.zeros(scan.data.shape, np.uint8),
        geometry=scan.geometry,
        frame_times_ms=scan.frame_times_ms,
        cycle_ms=scan.cycle_ms,
    )


def in_memory(scan: Scan) -> Scan:
    """The scan with its array decoded; call it in a worker."""
    return scan if isinstance(scan.data, np.ndarray) else replace(scan, data=np.asarray(scan.data))


def load_units() -> None:
    """Read the definitions of units that layers are given; call it in a worker.

    The first layer with units makes pint parse them, which would hold the
    window for a third of a second.
    """
    import pint

    pint.get_application_registry().parse_units("ms")


def _four_axes(data: Any) -> np.ndarray | None:
    array = np.asarray(data)
    if not 2 <= array.ndim <= 4:
        return None
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def _origin_from_placement(attributes: Mapping[str, Any]) -> LayerOrigin:
    """Origin of a layer that someone else made, as far as its scale and units tell."""
    units = [str(unit) for unit in attributes.get("units", ())]
    scale = [float(step) for step in attributes.get("scale", ())]
    if len(scale) < 3 or [unit for unit in units[-3:] if unit not in ("mm", "millimeter")]:
        return LayerOrigin(Geometry(spacing_mm=None))
    z, y, x = scale[-3:]
    affine = np.diag([-x, -y, z, 1.0])  # axial, as a supine patient lies, when nobody says
    return LayerOrigin(Geometry(spacing_mm=(z, y, x), affine=affine))
