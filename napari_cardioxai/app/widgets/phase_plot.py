"""A plot over the heart cycle, with a cursor that follows and drives the phase."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor

TIME_KNOWN, TIME_UNKNOWN = "Time after R wave (ms)", "Phase (time unknown)"


class PhasePlot(pg.PlotWidget):
    """Time to the right, one cursor.

    `phase_chosen` carries the frame under a drag or a click; it is emitted
    when the frame changes, not for every pixel of the way.
    """

    phase_chosen = Signal(int)

    def __init__(self, name: str, height: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFixedHeight(height)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setAntialiasing(True)
        self.getPlotItem().setContentsMargins(0, 6, 8, 0)
        self.cursor_line = pg.InfiniteLine(angle=90, movable=True)
        self.cursor_line.setZValue(10)
        self.cursor_line.setVisible(False)
        self.cursor_line.sigDragged.connect(self._on_drag)
        self.getPlotItem().addItem(self.cursor_line, ignoreBounds=True)
        self.scene().sigMouseClicked.connect(self._on_click)
        self._times = np.zeros(0)
        self._phase = -1

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        text, back = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        self.setBackground(back)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
        self.cursor_line.setPen(pg.mkPen(text, width=2, style=Qt.PenStyle.DashLine))
        self.cursor_line.setHoverPen(pg.mkPen(theme.highlight.as_hex(), width=3))
        self._colour(text, back)

    def _colour(self, text: QColor, back: QColor) -> None:
        """Colour what a kind of plot draws itself."""

    def _clear_times(self) -> None:
        self._times = np.zeros(0)
        self.cursor_line.setVisible(False)

    def _set_times(self, times_ms: np.ndarray | tuple[float, ...] | None, frames: int) -> None:
        """Put the frames on the axis, by their times or, where unknown, by their numbers."""
        timed = times_ms is not None and len(times_ms) == frames
        new = np.asarray(times_ms if timed else np.arange(1, frames + 1), float)
        if not np.array_equal(new, self._times):
            self._times = new
            item = self.getPlotItem()
            item.setLabel("bottom", TIME_KNOWN if timed else TIME_UNKNOWN)
            first, last = self._shown_times()
            item.setXRange(first, last, padding=0)
            self.cursor_line.setBounds((new[0], new[-1]))
        self.cursor_line.setVisible(True)
        self.show_phase(self._phase)

    def _shown_times(self) -> tuple[float, float]:
        gap = 0.02 * (self._times[-1] - self._times[0])
        return self._times[0] - gap, self._times[-1] + gap

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
