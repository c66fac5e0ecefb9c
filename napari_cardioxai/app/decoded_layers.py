"""The decoded heart in the viewer: made once, then only its voxels change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.layer_styles import (
    DECODED_STYLE,
    DIFFERENCE_STYLE,
    RECONSTRUCTION_STYLE,
    LabelsStyle,
    OutlineStyle,
)
from napari_cardioxai.app.layers import LayerOrigin, origin_of
from napari_cardioxai.concepts.difference import difference_labels

if TYPE_CHECKING:
    from napari.viewer import Viewer

DECODED, RECONSTRUCTION, DIFFERENCE = "decoded", "reconstruction", "difference"
_STYLES = {
    DECODED: DECODED_STYLE,
    RECONSTRUCTION: RECONSTRUCTION_STYLE,
    DIFFERENCE: DIFFERENCE_STYLE,
}
_BESIDE = -3  # layers a cell, from the top: ours, then the scan with its labels


class DecodedLayers(QObject):
    """Three layers on the grid of the scan: decoded, its reconstruction, and what differs.

    Adding one takes napari a tenth of a second, so that they come one after
    the other with the window alive between them. While they are there the
    study's own labels are hidden, or four hearts would lie on each other.
    """

    shown = Signal()
    gone = Signal()
    put_over = Signal()

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: dict[str, LabelsLayer] = {}
        self._hidden: LabelsLayer | None = None
        self._coming = 0
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def are_there(self) -> bool:
        """Whether all of them are in the viewer."""
        return len(self._layers) == len(_STYLES)

    def __getitem__(self, name: str) -> LabelsLayer:
        return self._layers[name]

    def show(self, restored: np.ndarray, labels: LabelsLayer) -> None:
        """Show a heart that nothing has been done to yet.

        Parameters
        ----------
        restored
            Its reconstruction on the grid of the scan, shape (t, z, y, x).
        labels
            The layer that it was made from; the new ones lie where it lies.
        """
        fits = self.are_there and self[DECODED].data.shape == restored.shape
        if fits:
            np.copyto(self[RECONSTRUCTION].data, restored)
            self[RECONSTRUCTION].refresh()
            self.set_cycle(restored)
            self.shown.emit()
            return
        self.remove()
        self._hidden = labels if labels.visible else None
        self._coming += 1
        turn = self._coming
        first = {
            DECODED: restored.copy(),
            DIFFERENCE: np.zeros_like(restored),
            RECONSTRUCTION: restored.copy(),
        }
        origin, active = origin_of(labels.metadata), self._viewer.layers.selection.active

        def add(names: list[str]) -> None:
            if turn != self._coming or labels not in self._viewer.layers:
                return
            name = names.pop(0)
            layer = _made(name, first[name], origin, labels)
            layer.visible = name != DIFFERENCE
            self._layers[name] = self._viewer.add_layer(layer)
            self._viewer.layers.selection.active = active
            if names:
                _soon(lambda: add(names))
                return
            if self._hidden is not None:
                self._hidden.visible = False
            self.shown.emit()

        _soon(lambda: add(list(first)))

    def set_frame(self, frame: int, data: np.ndarray, *, is_in_view: bool) -> None:
        """Put one decoded frame (z, y, x) in, and draw it if it is the one in view."""
        if self.are_there:
            self[DECODED].data[frame] = data
            self[DIFFERENCE].data[frame] = difference_labels(data, self[RECONSTRUCTION].data[frame])
            if is_in_view:
                self._draw()

    def set_cycle(self, data: np.ndarray, *, draw: bool = True) -> None:
        """Put a decoded cycle (t, z, y, x) in."""
        if self.are_there:
            np.copyto(self[DECODED].data, data)
            np.copyto(self[DIFFERENCE].data, difference_labels(data, self[RECONSTRUCTION].data))
            if draw:
                self._draw()

    def _draw(self) -> None:
        # Whoever listens to the list of layers would draw that anew, and with it the whole window.
        with self._viewer.layers.events.blocker():
            for name in (DECODED, DIFFERENCE):
                self[name].refresh(thumbnail=False, extent=False, highlight=False)

    def set_visible(self, name: str, visible: bool) -> None:
        """Show or hide one of them."""
        if self.are_there:
            self[name].visible = visible

    @property
    def are_beside(self) -> bool:
        """Whether they have a cell of their own."""
        grid = self._viewer.grid
        return bool(grid.enabled) and grid.stride == _BESIDE

    def set_beside(self, beside: bool) -> None:
        """Show them in a cell of their own beside the scan, or over it."""
        if beside == self.are_beside:
            return
        grid, layers = self._viewer.grid, self._viewer.layers
        for layer in self._layers.values():  # cells are filled from the top of the list
            layers.move(layers.index(layer), len(layers))
        grid.stride, grid.shape = (_BESIDE, (1, -1)) if beside else (1, (-1, -1))
        grid.enabled = beside
        self._viewer.reset_view()

    def remove(self) -> None:
        """Take them out; the study's labels come back into view."""
        self._coming += 1
        layers, self._layers = self._layers, {}
        if layers and self.are_beside:
            self.set_beside(False)
            self.put_over.emit()
        for layer in layers.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        hidden, self._hidden = self._hidden, None
        if hidden is not None and hidden in self._viewer.layers:
            hidden.visible = True

    def _on_removed(self, event: Any) -> None:
        """A person who removes one of them wants none of them."""
        if event.value in self._layers.values():
            self._layers = {k: v for k, v in self._layers.items() if v is not event.value}
            _soon(self._leave)

    def _leave(self) -> None:
        if not self.are_there:
            self.remove()
            self.gone.emit()


def _made(
    name: str, data: np.ndarray, origin: LayerOrigin | None, labels: LabelsLayer
) -> LabelsLayer:
    style: LabelsStyle = _STYLES[name]
    placement = (
        {"scale": labels.scale, "translate": labels.translate}
        if origin is None
        else origin.placement(len(data))
    )
    attributes = {
        "name": name,
        "metadata": dict(labels.metadata),
        **placement,
        **style.as_kwargs(),
    }
    layer = Layer.create(data, attributes, "labels")
    layer.editable = False
    if isinstance(style, OutlineStyle):
        layer.contour = style.outline_width  # napari takes it only afterwards
    return layer


def _soon(action: Callable[[], None]) -> None:
    QTimer.singleShot(0, action)
