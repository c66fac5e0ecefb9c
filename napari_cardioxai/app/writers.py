"""How napari saves our layers: NIfTI on the grid and affine that they came with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_cardioxai.app.layers import layer_to_labels, layer_to_scan
from napari_cardioxai.scans.nifti import write_nifti


def write_labels_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer as NIfTI; returns the path written."""
    from napari_cardioxai.anatomy.label_files import write_labels

    write_labels(Path(path), layer_to_labels(data, attributes))
    return [path]


def write_image_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer as NIfTI; returns the path written."""
    scan = layer_to_scan(data, attributes)
    write_nifti(Path(path), scan.data, scan.geometry, frame_times_ms=scan.frame_times_ms)
    return [path]
