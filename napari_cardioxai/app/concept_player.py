"""Playing a concept: to and fro along it, at one phase or while the heart beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from qtpy.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal

from napari_cardioxai.app.playback import UNKNOWN_CYCLE_MS
from napari_cardioxai.concepts.sweep import to_and_fro

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk

TICK_MS = 50
SWEEP_MS = 4000.0  # from one end to the other and back


class Sweep(StrEnum):
    """What moves."""

    ALPHA = "the concept, at this phase"
    BOTH = "the concept and the heart together"


class ConceptPlayer(QObject):
    """Sweeps one concept between two ends; the others stay where they are.

    Where the heart is follows from the clock, as in `playback.Player`: where
    drawing is slow, steps are left out and the rhythm stays.
    """

    playing_changed = Signal(bool)

    def __init__(
        self, desk: Desk, show: Callable[[Mapping[str, float]], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._desk, self._show = desk, show
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._alphas: dict[str, float] = {}
        self._name, self._reach = "", (0.0, 0.0)
        self._sweep = Sweep.ALPHA
        self._first_phase = 0

    @property
    def is_playing(self) -> bool:
        """Whether a concept is swept."""
        return self._timer.isActive()

    def start(
        self, alphas: Mapping[str, float], name: str, reach: tuple[float, float], sweep: Sweep
    ) -> None:
        """Sweep a concept from where it is.

        Parameters
        ----------
        alphas
            Where the sliders stand.
        name
            Of the concept that moves.
        reach
            Its ends.
        sweep
            What moves.
        """
        self._desk.player.stop()
        self._alphas, self._name, self._reach, self._sweep = dict(alphas), name, reach, sweep
        self._first_phase = max(self._desk.phase, 0)
        self._clock.start()
        self._timer.start()
        self.playing_changed.emit(True)

    def stop(self) -> None:
        """Stand still; the whole cycle of where the heart is now follows."""
        if self._timer.isActive():
            self._timer.stop()
            self._desk.concepts.rest()
            self.playing_changed.emit(False)

    def _tick(self) -> None:
        live = self._desk.concepts
        if live.heart is None or not live.layers.are_there:
            self.stop()
            return
        elapsed = float(self._clock.elapsed())
        self._alphas[self._name] = to_and_fro(elapsed / SWEEP_MS, *self._reach)
        phase = None
        if self._sweep is Sweep.BOTH:
            frames = len(live.heart.restored)
            scan = self._desk.session.scan
            interval = None if scan is None else scan.frame_interval_ms
            interval = interval or UNKNOWN_CYCLE_MS / frames
            phase = (self._first_phase + int(elapsed / interval)) % frames
        self._show(self._alphas)
        live.sweep(self._alphas, phase)
