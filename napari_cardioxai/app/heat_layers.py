"""Heat maps as layers over the scan: made once, then updated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer

from napari_cardioxai.app import napari_compat
from napari_cardioxai.app.layer_styles import HEAT_STYLES, LABELS_STYLE

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_cardioxai.app.session import Session
    from napari_cardioxai.attribution.heat_boxes import HeatBox

_BETWEEN_MS = 20
GROUP = "Attribution"
"""Stands before the name of every map's layer."""


@dataclass(frozen=True)
class Display:
    """How maps are drawn.

    Attributes
    ----------
    opacity
        0 to 1.
    percentile
        What is weaker is left out; 0 leaves all.
    contour
        Only the border of what is left.
    """

    opacity: float = 0.75
    percentile: float = 0.0
    contour: bool = False


class HeatLayers(QObject):
    """The layers of one viewer's maps.

    Limits are of the whole cine, about zero where the map has two signs; the
    data are cut to where the map says something, so a threshold costs little.
    """

    def __init__(self, viewer: Viewer, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._session = napari_compat.unwrapped(viewer), session
        self.display = Display()
        self.by_name: dict[str, Image] = {}
        self._boxes: dict[str, tuple[str, HeatBox]] = {}
        self._old: set[str] = set()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_BETWEEN_MS)
        self._soon.timeout.connect(self._keep_up)
        self._viewer.layers.events.removed.connect(self._on_removed)

    def show(self, boxes: Mapping[str, tuple[str, HeatBox]]) -> None:
        """Take over maps with their titles; what went before is updated, or goes."""
        self._boxes = dict(boxes)
        for name in [name for name in self.by_name if name not in boxes]:
            self._viewer.layers.remove(self.by_name[name])
        self._old = set(self.by_name)
        self._soon.start()

    def show_only(self, name: str) -> None:
        """Put one map on the scan and hide the others."""
        if name not in self._boxes:
            return
        if name not in self.by_name:
            self._make(name)
        elif name in self._old:
            self._update(name)
        for other, layer in self.by_name.items():
            layer.visible = other == name

    def _keep_up(self) -> None:
        """Make or update one layer that nobody looks at, then the next: each holds the window a while."""
        missing = next((name for name in self._boxes if name not in self.by_name), None)
        old = next(iter(self._old), None)
        if old is not None:
            self._update(old)
        elif missing is not None:
            self._make(missing, visible=False)
        else:
            return
        self._soon.start()

    def hide(self, names: set[str]) -> None:
        """Hide maps."""
        for name in names & self.by_name.keys():
            self.by_name[name].visible = False

    def clear(self) -> None:
        """Remove all maps."""
        self._boxes, self._old = {}, set()
        self.stop()
        for layer in list(self.by_name.values()):
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def stop(self) -> None:
        """Leave the layers as they are."""
        self._soon.stop()

    def set_display(self, display: Display) -> None:
        """Draw all maps in another way."""
        old, self.display = self.display, display
        for layer in self.by_name.values():
            layer.opacity = display.opacity
        if (old.percentile, old.contour) == (display.percentile, display.contour):
            return
        self._old = set(self.by_name)
        for name, layer in self.by_name.items():
            if layer.visible:
                self._update(name)
        self._soon.start()

    def drawn(self, name: str) -> np.ndarray | None:
        """What is drawn of a map, on the grid of its box."""
        if name not in self._boxes:
            return None
        box, display = self._boxes[name][1], self.display
        return box.outline(display.percentile) if display.contour else box.above(display.percentile)

    def _make(self, name: str, *, visible: bool = True) -> None:
        title, box = self._boxes[name]
        style = HEAT_STYLES[box.sign].as_kwargs()
        layer = Image(
            self.drawn(name),
            name=f"{GROUP}: {title}",
            contrast_limits=box.limits,
            visible=visible,
            **self._placement(box),
            **{**style, "opacity": self.display.opacity},
        )
        self.by_name[name] = layer
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._below_labels(layer)
        if active is not None:  # the labels that somebody paints on stay the chosen layer
            self._viewer.layers.selection.active = active

    def _update(self, name: str) -> None:
        self._old.discard(name)
        _, box = self._boxes[name]
        layer = self.by_name[name]
        layer.interpolation2d = "nearest" if self.display.contour else "linear"
        layer.data = self.drawn(name)
        layer.translate = self._placement(box)["translate"]
        if tuple(layer.contrast_limits) != box.limits:
            layer.contrast_limits_range = box.limits
            layer.contrast_limits = box.limits

    def _placement(self, box: HeatBox) -> dict[str, Any]:
        """Scale, place, units and names of axes, from the scan's layer."""
        scan = self._session.scan_layer
        assert scan is not None, "maps are of a scan"
        return {
            "scale": scan.scale,
            "translate": np.asarray(scan.translate) + np.asarray(box.start) * scan.scale,
            "units": scan.units,
            "axis_labels": scan.axis_labels,
        }

    def _below_labels(self, layer: Image) -> None:
        """Labels lie on top, as outlines: they say what the map lies on, and do not cover it."""
        layers, labels = self._viewer.layers, self._session.labels_layer
        if labels is None or labels not in layers:
            return
        layers.move(layers.index(layer), layers.index(labels))
        if not labels.contour:
            labels.contour = LABELS_STYLE.outline_width
            labels.opacity = LABELS_STYLE.outline_opacity

    def _on_removed(self, event: Any) -> None:
        for name, layer in list(self.by_name.items()):
            if layer is event.value:
                del self.by_name[name]
                self._old.discard(name)
