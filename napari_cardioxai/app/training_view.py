"""The run that is looked at: its curves and its pictures, whether it runs or not."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.training_process import POLL_MS
from napari_cardioxai.training.jobs.events import Curves, EventTail
from napari_cardioxai.training.jobs.folder import Look, RunFolder
from napari_cardioxai.training.jobs.previews import LATEST


class ShownRun(QObject):
    """Follows the events of one run folder in portions that no frame notices.

    Attributes
    ----------
    run
        Which one; None: none.
    curves
        Its figures.
    """

    run_changed = Signal(object)
    curves_changed = Signal(object)
    preview_made = Signal(object)  # path of the file

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.run: RunFolder | None = None
        self.curves = Curves()
        self._tail: EventTail | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._follow)

    def show(self, path: Path | None) -> None:
        """Look at another run."""
        self.run = None if path is None else RunFolder(path)
        self.curves = Curves()
        self._tail = None if self.run is None else EventTail(self.run.events)
        self.run_changed.emit(self.run)
        self.curves_changed.emit(self.curves)
        if self.run is not None and (self.run.previews / LATEST).is_file():
            self.preview_made.emit(self.run.previews / LATEST)
        self.wake()

    def wake(self) -> None:
        """Follow on: there is something new."""
        if not self._timer.isActive():
            self._timer.start()

    def set_look(self, look: Look) -> None:
        """Choose what its preview is made of from now on."""
        if self.run is not None:
            self.run.set_look(look)

    def close(self) -> None:
        """Stop following."""
        self._timer.stop()

    def _follow(self) -> None:
        events = [] if self._tail is None or self.run is None else self._tail.new()
        changed = [self.curves.add(event) for event in events]
        if any(changed):
            self.curves_changed.emit(self.curves)
        if self.run is not None and any(event["event"] == "preview" for event in events):
            self.preview_made.emit(self.run.previews / LATEST)
        if not events and (self.run is None or not self.run.is_alive):
            self._timer.stop()
