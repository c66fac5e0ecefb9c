"""How maps are drawn on the scan."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QSlider, QWidget

from napari_cardioxai.app.heat_layers import Display

_MOST_PERCENT = 99


class DisplaySection(QWidget):
    """Opacity, threshold and contours; colours follow from the method."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.opacity = _slider("attribution_opacity", 100, round(100 * Display().opacity))
        self.percentile = _slider("attribution_threshold", _MOST_PERCENT, 0)
        self.contour = QCheckBox("Contours only")
        self.contour.setObjectName("attribution_contour")
        self._said = {self.opacity: QLabel(), self.percentile: QLabel()}
        self.key = QLabel()
        self.key.setObjectName("attribution_key")
        self.key.setWordWrap(True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (text, slider) in enumerate(
            (("Opacity", self.opacity), ("Show the top", self.percentile))
        ):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(self._said[slider], row, 2)
            self._said[slider].setMinimumWidth(44)
            slider.valueChanged.connect(lambda _: self._on_change())
        grid.addWidget(self.contour, 2, 0, 1, 3)
        grid.addWidget(self.key, 3, 0, 1, 3)
        self.percentile.setToolTip(
            "What is weaker, by percentile of the map's magnitude, is left out"
        )
        self.contour.setToolTip("The border of what the threshold leaves; half of the map at least")
        self.contour.toggled.connect(self._on_contour)
        self._show_values()

    @property
    def display(self) -> Display:
        """What is set."""
        return Display(
            self.opacity.value() / 100, float(self.percentile.value()), self.contour.isChecked()
        )

    def show_sign(self, sign: str, top: float) -> None:
        """Say what the colours of the map on the scan mean."""
        swatch = "<span style='color:{}'>■</span>&nbsp;{}"
        parts = [swatch.format("#ff6b00", "for the target")]
        if sign == "signed":
            parts.append(swatch.format("#2980ff", "against it"))
        scale = f"−{top:.2g} to {top:.2g}" if sign == "signed" else f"0 to {top:.2g}"
        ends = f"the same limits in every phase and slice ({scale})"
        self.key.setText(f"{' '.join(parts)}; {ends}")

    def _on_contour(self, contour: bool) -> None:
        if contour and self.percentile.value() < 50:
            self.percentile.setValue(90)  # the border of everything says nothing
        self._on_change()

    def _on_change(self) -> None:
        self._show_values()
        self.changed.emit(self.display)

    def _show_values(self) -> None:
        self._said[self.opacity].setText(f"{self.opacity.value()} %")
        self._said[self.percentile].setText(f"{100 - self.percentile.value()} %")


def _slider(name: str, most: int, value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setObjectName(name)
    slider.setRange(0, most)
    slider.setValue(value)
    return slider
