"""The volume-time curve."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtGui import QColor, QFont

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.app.widgets.phase_plot import PhasePlot
from napari_cardioxai.report.style import STRUCTURE_COLOURS

_HEIGHT = 175


class CurvePlot(PhasePlot):
    """Left-ventricular volume over the cycle."""

    def __init__(self) -> None:
        super().__init__("curve", _HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "LV volume (mL)")
        self._curve = item.plot([], [], symbol="o", symbolSize=5)
        self._marks = pg.ScatterPlotItem(size=11, symbol="d")
        item.addItem(self._marks)
        self._names = [pg.TextItem(name) for name in ("ED", "ES")]
        for name in self._names:
            name.setVisible(False)
            item.addItem(name, ignoreBounds=True)
        self.show_nothing()

    def _colour(self, text: QColor, back: QColor) -> None:
        colour = QColor(STRUCTURE_COLOURS[1])
        self._curve.setPen(pg.mkPen(colour, width=2))
        self._curve.setSymbolBrush(colour)
        self._curve.setSymbolPen(None)
        self._marks.setBrush(text)
        self._marks.setPen(pg.mkPen(back))
        font = QFont()
        font.setBold(True)
        for label in self._names:
            label.setColor(text)
            label.setFont(font)

    def show_nothing(self) -> None:
        """Empty the plot."""
        self._clear_times()
        self._curve.setData([], [])
        self._marks.setData([], [])
        for label in self._names:
            label.setVisible(False)

    def show_curve(self, measurements: Measurements) -> None:
        """Draw the curve of a cine with its end-diastole and end-systole."""
        volumes = measurements.volume_ml
        if volumes is None or len(volumes) < 2:
            self.show_nothing()
            return
        self._set_times(measurements.frame_times_ms, len(volumes))
        self._curve.setData(self._times, volumes)
        self._set_limits(np.asarray(volumes))
        self._mark(measurements)

    def _set_limits(self, volumes: np.ndarray) -> None:
        """Limits that leave room for the marks and stay while strokes change little."""
        top = 20.0 * np.ceil(volumes.max() * 1.25 / 20.0 + 1e-9)
        low, high = self.getPlotItem().viewRange()[1]
        if (low, high) != (0.0, top):
            self.getPlotItem().setYRange(0.0, top, padding=0)

    def _mark(self, measurements: Measurements) -> None:
        volumes = measurements.volume_ml or ()
        frames = [f for f in (measurements.ed_frame, measurements.es_frame) if f is not None]
        self._marks.setData(self._times[frames], [volumes[f] for f in frames])
        late = 0.8 * len(volumes)  # names of late frames stand to the left, inside the plot
        for label, frame, below in zip(self._names, frames, (1.1, -0.25), strict=False):
            label.setVisible(True)
            label.setAnchor((1.1 if frame > late else -0.1, below))
            label.setPos(self._times[frame], volumes[frame])
        for label in self._names[len(frames) :]:
            label.setVisible(False)
