"""What the line of the M-mode dock sees of the decoded heart and of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.mmode.plot import MModePlot, border_segments
from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.mmode import MMode
    from napari_cardioxai.app.desk import Desk

NO_LINE = "Draw a line across the heart to compare the decoded walls with the labels over time."
OTHER_SLICE = "The line lies in a slice that the model does not draw."
KEY = "Coloured lines: borders of the decoded heart. Dotted: borders of the labels."
_HEIGHT = 230


class ConceptMModeSection(QWidget):
    """The plot, or how to get one."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.plot, self.draw = ConceptMModePlot(), QPushButton("Draw a line")
        self.draw.setObjectName("concepts_line")
        self._hint, self._key = QLabel(NO_LINE), QLabel(KEY)
        self._key.setStyleSheet(SMALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for label in (self._hint, self._key):
            label.setWordWrap(True)
        for widget in (self._hint, self.draw, self._key, self.plot):
            layout.addWidget(widget)
        self.draw.clicked.connect(lambda _=False: desk.mmode.draw())
        self.plot.phase_chosen.connect(desk.go_to_phase)
        desk.phase_changed.connect(self.plot.show_phase)
        self.plot.show_phase(desk.phase)

    def show_line(self, decoded: MMode | None) -> None:
        """Draw what the line sees of scan, labels and decoded heart, or say what to do."""
        view, layer = self._desk.mmode.view, self._desk.session.scan_layer
        has_line = self._desk.mmode.has_line
        is_shown = decoded is not None and view is not None and layer is not None
        for widget in (self.plot, self._key):
            widget.setVisible(is_shown)
        self._hint.setVisible(not is_shown)
        self._hint.setText(OTHER_SLICE if has_line else NO_LINE)
        self.draw.setVisible(not has_line)
        if is_shown:
            limits = tuple(layer.contrast_limits)
            self.plot.show_both(view.intensity, decoded, view.labels, limits)


class ConceptMModePlot(MModePlot):
    """Borders of the decoded heart in colours, those of the labels dotted, on the scan."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("concepts_mmode")
        self.setFixedHeight(_HEIGHT)
        pen = pg.mkPen("white", width=1.5, style=Qt.PenStyle.DotLine)
        self.original = {value: pg.PlotCurveItem(pen=pen, connect="pairs") for value in (1, 2, 3)}
        for border in self.original.values():
            self.getPlotItem().addItem(border, ignoreBounds=True)

    def show_both(
        self,
        found: MMode,
        decoded: MMode,
        labels: MMode | None,
        limits: tuple[float, float],
    ) -> None:
        """Draw the scan along the line, the decoded heart and the labels."""
        self.show_mmode(found, decoded, limits)
        rows, frames = found.values.shape
        first, last = self._shown_times()
        step = found.distance_mm[-1] / max(rows - 1, 1)
        for value, border in self.original.items():
            values = np.zeros((1, 1)) if labels is None else labels.values
            row, column = border_segments(values == value)
            border.setData(first + column * (last - first) / frames, (row - 0.5) * step)

    def show_nothing(self) -> None:
        """Empty the plot."""
        super().show_nothing()
        for border in self.original.values():
            border.setData([], [])
