"""Samples in napari's File menu."""

from __future__ import annotations

from napari_cardioxai.app.layers import LayerData


def sunnybrook_cine() -> list[LayerData]:
    """Real short-axis cine of the Sunnybrook Cardiac Data (CC0)."""
    from napari_cardioxai.app.layers import scan_to_layer
    from napari_cardioxai.scans.catalogue import load_scan
    from napari_cardioxai.scans.samples import sample_path

    return [scan_to_layer(load_scan(sample_path("sunnybrook-cine")))]
