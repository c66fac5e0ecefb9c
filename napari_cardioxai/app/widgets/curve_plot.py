"""The volume-time curve with a cursor that follows and drives the phase."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QFont

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.report.style import STRUCTURE_COLOURS

_HEIGHT = 175


class CurvePlot(pg.PlotWidget):
    """Left-ventricular volume over the cycle.

    `phase_chosen` carries the frame under a drag or a click; it is emitted
    when the frame changes, not for every pixel of the way.
    """

    phase_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("curve")
        self.setFixedHeight(_HEIGHT)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setAntialiasing(True)
        item = self.getPlotItem()
        item.setContentsMargins(0, 6, 8, 0)
        self._curve = item.plot([], [], symbol="o", symbolSize=5)
        self._marks = pg.ScatterPlotItem(size=11, symbol="d")
        item.addItem(self._marks)
        self._names = [pg.TextItem(name) for name in ("ED", "ES")]
        for name in self._names:
            name.setVisible(False)
            item.addItem(name, ignoreBounds=True)
        self.cursor_line = pg.InfiniteLine(angle=90, movable=True)
        self.cursor_line.setZValue(10)
        self.cursor_line.sigDragged.connect(self._on_drag)
        item.addItem(self.cursor_line, ignoreBounds=True)
        self.scene().sigMouseClicked.connect(self._on_click)
        self._times = np.zeros(0)
        self._phase = -1
        self.show_nothing()

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        text, back = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        self.setBackground(back)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
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
        self.cursor_line.setPen(pg.mkPen(text, width=2, style=Qt.PenStyle.DashLine))
        self.cursor_line.setHoverPen(pg.mkPen(theme.highlight.as_hex(), width=3))

    def show_nothing(self) -> None:
        """Empty the plot."""
        self._times = np.zeros(0)
        self._curve.setData([], [])
        self._marks.setData([], [])
        for label in (*self._names, self.cursor_line):
            label.setVisible(False)

    def show_curve(self, measurements: Measurements) -> None:
        """Draw the curve of a cine with its end-diastole and end-systole."""
        volumes = measurements.volume_ml
        if volumes is None or len(volumes) < 2:
            self.show_nothing()
            return
        times = measurements.frame_times_ms
        timed = times is not None and len(times) == len(volumes)
        new = np.asarray(times if timed else np.arange(1, len(volumes) + 1), float)
        if not np.array_equal(new, self._times):
            self._times = new
            self._name_axes(timed)
        self._curve.setData(self._times, volumes)
        self._set_limits(np.asarray(volumes))
        self._mark(measurements)
        self.cursor_line.setVisible(True)
        self.show_phase(self._phase)

    def _name_axes(self, timed: bool) -> None:
        item = self.getPlotItem()
        item.setLabel("left", "LV volume (mL)")
        item.setLabel("bottom", "Time after R wave (ms)" if timed else "Phase (time unknown)")
        gap = 0.02 * (self._times[-1] - self._times[0])
        item.setXRange(self._times[0] - gap, self._times[-1] + gap, padding=0)
        self.cursor_line.setBounds((self._times[0], self._times[-1]))

    def _set_limits(self, volumes: np.ndarray) -> None:
        """Limits that leave room for the marks and stay while strokes change little."""
        top = 20.0 * np.ceil(volumes.max() * 1.15 / 20.0 + 1e-9)
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

    def show_phase(self, phase: int) -> None:
        """Move the cursor to a frame."""
        self._phase = phase
        if 0 <= phase < len(self._times) and not self.cursor_line.moving:
            self.cursor_line.setValue(self._times[phase])

    def _choose(self, position: float) -> None:
        if not len(self._times):
            return
        phase = int(np.argmin(np.abs(self._times - position)))
        if phase != self._phase:
            self._phase = phase
            self.phase_chosen.emit(phase)

    def _on_drag(self, line: pg.InfiniteLine) -> None:
        self._choose(line.value())

    def _on_click(self, event: object) -> None:
        view = self.getPlotItem().getViewBox()
        if view.sceneBoundingRect().contains(event.scenePos()):
            self._choose(view.mapSceneToView(event.scenePos()).x())
