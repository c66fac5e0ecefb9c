"""Work that follows edits: only the newest request counts, and never two at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.workers import Job, Work
from napari_cardioxai.errors import CardioxaiError

_PATIENCE_AT_CLOSE_S = 30.0


class LatestJob(QObject):
    """Repeats one piece of work beside the window whenever what it reads has changed.

    Unlike the jobs of `JobRunner` it blocks no button and tells the session
    nothing; who wants to show how far it is listens to `progressed`.

    Parameters
    ----------
    prepare
        Called in the main thread when the work is due; takes a snapshot and
        returns what to run in the worker, or None when there is nothing to do.
    on_done
        Called with the result in the main thread, unless a newer request has
        come meanwhile.
    delay_ms
        Between a request and its work.
    """

    failed = Signal(str)
    progressed = Signal(int, int, str)

    def __init__(
        self,
        prepare: Callable[[], Work | None],
        on_done: Callable[[Any], None],
        *,
        delay_ms: int,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._prepare = prepare
        self._on_done = on_done
        self._job: Job | None = None
        self._is_due = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay_ms)
        self._timer.timeout.connect(self._start)

    @property
    def is_busy(self) -> bool:
        """Whether a result is still to come."""
        return self._job is not None or self._timer.isActive()

    def after_rest(self) -> None:
        """Run once nothing has been asked for during the delay; what runs is of no use any more."""
        self.drop()
        self._timer.start()

    def soon(self) -> None:
        """Run within the delay; what runs is still shown, so that a drag has something to see."""
        if not self._timer.isActive():
            self._timer.start()

    def now(self) -> None:
        """As `soon`, without waiting for the window to be painted first."""
        self._timer.stop()
        self._start()

    def drop(self) -> None:
        """Forget what was asked for."""
        self._timer.stop()
        self._is_due = False
        if self._job is not None:
            self._job.quit()

    def close(self) -> bool:
        """Stop for good, when the window closes; True when the work has ended."""
        self.drop()
        job, self._job = self._job, None
        return job is None or job.stop(_PATIENCE_AT_CLOSE_S)

    def _start(self) -> None:
        if self._job is not None:
            self._is_due = True  # as soon as the running one has ended
            return
        work = self._prepare()
        if work is None:
            return
        job = self._job = Job(work)
        job.progressed.connect(self.progressed)
        job.succeeded.connect(lambda result: self._end(job, lambda: self._on_done(result)))
        job.cancelled.connect(lambda: self._end(job, lambda: None))
        job.failed.connect(lambda error: self._end(job, lambda: self._say(error)))
        job.start()

    def _end(self, job: Job, show: Callable[[], None]) -> None:
        if job is not self._job:
            return
        self._job = None
        if not job.abort_requested:
            show()
        if self._is_due:
            self._is_due = False
            self._start()

    def _say(self, error: Exception) -> None:
        self.failed.emit(str(error))
        if not isinstance(error, CardioxaiError):
            notification_manager.receive_error(type(error), error, error.__traceback__)
