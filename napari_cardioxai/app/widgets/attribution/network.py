"""What every layer of a network sees, as small multiples (Liu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.attribution.tiles import Tiles

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.attribution.heat_boxes import HeatBox

ASK, ASKING = "Show what every layer sees", "Looking at every layer …"
_PARTS = 4  # of a layer's name, that are told


class NetworkSection(QWidget):
    """A button, then a tile a layer; how active it is, not what that means for the target."""

    asked = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.button = QPushButton(ASK)
        self.button.setObjectName("attribution_show_layers")
        self.button.clicked.connect(lambda _=False: self._ask())
        self.tiles = Tiles(desk, "attribution_network")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(self.tiles)

    def show_boxes(self, boxes: Mapping[str, HeatBox]) -> None:
        """Show a map of every layer; none brings the button back."""
        self.button.setEnabled(True)
        self.button.setText(ASK)
        self.button.setVisible(not boxes)
        self.tiles.setVisible(bool(boxes))
        self.tiles.show_boxes(boxes, {name: _short(name) for name in boxes})

    def _ask(self) -> None:
        self.button.setEnabled(False)
        self.button.setText(ASKING)
        self.asked.emit()


def _short(layer: str) -> str:
    """The last parts of a layer's name, with room to break lines."""
    parts = layer.split(".")
    return " . ".join((["…"] if len(parts) > _PARTS else []) + parts[-_PARTS:])
