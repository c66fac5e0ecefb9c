"""Playing a cine at the rate at which the heart beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal

from napari_cardioxai.app import napari_compat

if TYPE_CHECKING:
    from napari.viewer import Viewer

UNKNOWN_CYCLE_MS = 1000.0


class Player(QObject):
    """Steps the phase axis in real time.

    The frame to show follows from the clock, not from counting ticks: where
    drawing is slower than the heart, frames are left out and the rhythm stays.
    """

    playing_changed = Signal(bool)

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_compat.unwrapped(viewer)
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tick)
        self._interval_ms = 0.0
        self._frames = 0
        self._first = 0
        self._shown = 0

    @property
    def is_playing(self) -> bool:
        """Whether the cine runs."""
        return self._timer.isActive()

    def start(self, interval_ms: float, frames: int) -> None:
        """Play on from the current frame, `interval_ms` per frame."""
        if frames < 2:
            return
        self._interval_ms, self._frames = interval_ms, frames
        self._anchor()
        self._timer.start(max(1, round(interval_ms)))
        self.playing_changed.emit(True)

    def stop(self) -> None:
        """Stand still."""
        if self._timer.isActive():
            self._timer.stop()
            self.playing_changed.emit(False)

    def _phase_axis(self) -> int:
        return self._viewer.dims.ndim - 4

    def _anchor(self) -> None:
        self._first = self._shown = int(self._viewer.dims.current_step[self._phase_axis()])
        self._clock.start()

    def _tick(self) -> None:
        axis = self._phase_axis()
        if axis < 0:
            self.playing_changed.emit(False)
            return
        if int(self._viewer.dims.current_step[axis]) != self._shown:
            self._anchor()  # someone moved the slider: go on from there
        elapsed = self._clock.nsecsElapsed() / 1e6
        self._shown = (self._first + int(elapsed / self._interval_ms)) % self._frames
        self._viewer.dims.set_current_step(axis, self._shown)
        spent = self._clock.nsecsElapsed() / 1e6
        self._timer.start(max(1, round(self._interval_ms - spent % self._interval_ms)))
