"""How a map is spread over the cycle: one curve a structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.app.widgets.phase_plot import PhasePlot
from napari_cardioxai.report.style import STRUCTURE_COLOURS

if TYPE_CHECKING:
    from napari_cardioxai.app.live_attribution import LiveAttribution
    from napari_cardioxai.attribution.by_region import PhaseCurves

_HEIGHT = 180
_ELSEWHERE, _GREY = "elsewhere", "#9aa4ad"
_COLOURS = {STRUCTURE_NAMES[value]: colour for value, colour in STRUCTURE_COLOURS.items()}


class AttributionPlot(PhasePlot):
    """Part of the map in each structure, phase by phase."""

    def __init__(self) -> None:
        super().__init__("attribution_curve", _HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "Part of the map (%)")
        self.lines = {
            name: item.plot([], [], pen=pg.mkPen(colour, width=2))
            for name, colour in {**_COLOURS, _ELSEWHERE: _GREY}.items()
        }

    def show_curves(self, curves: PhaseCurves, times_ms: np.ndarray | None, frames: int) -> None:
        """Draw the curves of one map."""
        self._set_times(times_ms, frames)
        top = 0.0
        for name, line in self.lines.items():
            values = curves.percent.get(name)
            if values is None:
                line.setData([], [])
                continue
            line.setData(self._times[list(curves.frames)], values)
            top = max(top, float(values.max()))
        self.getPlotItem().setYRange(0.0, 1.1 * top or 1.0, padding=0)

    def _colour(self, text: QColor, back: QColor) -> None:
        self.lines[_ELSEWHERE].setPen(pg.mkPen(_GREY, width=2, style=Qt.PenStyle.DotLine))


class CurveSection(QWidget):
    """The curves of the map on the scan, and which colour is which structure."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = AttributionPlot()
        self.key = QLabel()
        self.key.setWordWrap(True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.key)
        layout.addWidget(self.plot)

    def show_map(self, live: LiveAttribution, name: str) -> bool:
        """Draw a map's curves; False when it has none."""
        curves = None if live.shown is None else live.shown.curves.get(name)
        if curves is None:
            return False
        subject = live.shown.result.subject
        self.plot.show_curves(curves, subject.frame_times_ms, subject.places.shape[0])
        parts = []
        for structure, values in curves.percent.items():
            colour = _COLOURS.get(structure, _GREY)
            parts.append(
                f"<span style='color:{colour}'>●</span>&nbsp;{structure.replace(' ', '&nbsp;')}"
                f"&nbsp;{values.sum():.0f}&nbsp;%"
            )
        self.key.setText(f"{live.title(name)}, of what speaks for the target: {'  '.join(parts)}")
        return True
