"""Where the decoded heart is shown, and what of it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from napari_cardioxai.app.decoded_layers import (
    DECODED,
    DIFFERENCE,
    RECONSTRUCTION,
    DecodedLayers,
)
from napari_cardioxai.app.layer_styles import DIFFERENCE_STYLE
from napari_cardioxai.app.widgets.train.form import SMALL

_BOXES = {
    DECODED: ("Decoded heart", "The heart as the sliders have it, filled"),
    RECONSTRUCTION: ("Outline of the redrawn", "Yellow: the heart with every slider at 0"),
    DIFFERENCE: ("Difference", "Voxels that have become something else, in its colour"),
}


class ViewSection(QWidget):
    """Over the scan or beside it; decoded heart, outline, difference."""

    def __init__(self, layers: DecodedLayers) -> None:
        super().__init__()
        self._layers = layers
        self.beside = QCheckBox("Beside the scan")
        self.beside.setObjectName("concepts_beside")
        self.beside.setToolTip("In a cell of its own instead of over the scan (napari's grid mode)")
        self.boxes = {}
        for name, (text, tip) in _BOXES.items():
            box = self.boxes[name] = QCheckBox(text)
            box.setObjectName(f"concepts_show_{name}")
            box.setToolTip(tip)
            box.toggled.connect(lambda on, name=name: layers.set_visible(name, on))
        key = QLabel(_key())
        key.setTextFormat(Qt.TextFormat.RichText)
        key.setStyleSheet(SMALL)
        key.setWordWrap(True)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for place, box in enumerate((*self.boxes.values(), self.beside)):
            grid.addWidget(box, place // 2, place % 2)
        grid.addWidget(key, 2, 0, 1, 2)
        self.beside.setChecked(layers.are_beside)
        self.beside.toggled.connect(layers.set_beside)
        layers.shown.connect(self._follow)
        layers.put_over.connect(self._on_over)
        if layers.are_there:
            self._follow()

    def _follow(self) -> None:
        """The layers are there: boxes say what of them is shown."""
        for name, box in self.boxes.items():
            box.blockSignals(True)
            box.setChecked(self._layers[name].visible)
            box.blockSignals(False)
        self._layers.set_beside(self.beside.isChecked())

    def _on_over(self) -> None:
        self.beside.blockSignals(True)
        self.beside.setChecked(False)
        self.beside.blockSignals(False)


def _key() -> str:
    colours = DIFFERENCE_STYLE.colours
    said = (
        f"<span style='color:{colours[v]}'>■</span> {DIFFERENCE_STYLE.names[v]}" for v in colours
    )
    return f"Difference: {', '.join(said)}. The study's own labels are hidden meanwhile."
