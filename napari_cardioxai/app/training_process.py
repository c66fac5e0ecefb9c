"""The process of one training, watched from the window."""

from __future__ import annotations

import sys
from typing import Any

from qtpy.QtCore import QObject, QProcess, QTimer, Signal

from napari_cardioxai.training.jobs.events import (
    EventLog,
    EventTail,
    TrainingState,
    crash_sentence,
)
from napari_cardioxai.training.jobs.folder import PRINTED, Order, RunFolder

POLL_MS = 200
MODULE = "napari_cardioxai.training.jobs"


class TrainingProcess(QObject):
    """Starts the job of a run folder, passes on what it tells, and says how it ended.

    It is a process of its own: its threads do not compete with the window's,
    and its crash is a sentence here.
    """

    told = Signal(object)  # events, in their order
    ended = Signal(object, str)  # TrainingState and a sentence

    def __init__(self, run: RunFolder, parent: QObject) -> None:
        super().__init__(parent)
        self.run = run
        self._tail = EventTail(run.events)
        while self._tail.new():
            pass  # what earlier attempts told
        self._last: dict[str, Any] = {}
        self._process = QProcess(self)
        self._process.setProgram(sys.executable)
        self._process.setArguments(["-m", MODULE, str(run.path), "--attached"])
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.setStandardOutputFile(str(run.path / PRINTED), QProcess.OpenModeFlag.Append)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._pass_on)

    def start(self) -> None:
        """Begin, or go on from the last checkpoint."""
        self.run.tell(Order.RUN)
        self._timer.start()
        self._process.start()

    def stop(self, patience_s: float) -> None:
        """Have it stop cleanly, and end it if it does not in time; blocks."""
        self.run.tell(Order.CANCEL)
        if not self._process.waitForFinished(round(1000 * patience_s)):
            self.kill()

    def kill(self) -> None:
        """End it at once; the last checkpoint stays."""
        self._process.kill()
        self._process.waitForFinished(5000)

    def _pass_on(self) -> bool:
        events = self._tail.new()
        for event in events:
            if event["event"] == "state":
                self._last = event
        if events:
            self.told.emit(events)
        return bool(events)

    def _on_finished(self, *_: object) -> None:
        self._timer.stop()
        while self._pass_on():
            pass
        state = TrainingState(self._last.get("state", TrainingState.IDLE))
        text = self._last.get("text", "")
        if state.is_active or state is TrainingState.IDLE:  # it went without a word
            state, text = TrainingState.FAILED, crash_sentence(self.run)
            EventLog(self.run).state(state, text)
            self.run.fall_silent()
        self.ended.emit(state, text)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._timer.stop()
            text = f"Python could not be started ({self._process.errorString()})."
            EventLog(self.run).state(TrainingState.FAILED, text)
            self.ended.emit(TrainingState.FAILED, text)
