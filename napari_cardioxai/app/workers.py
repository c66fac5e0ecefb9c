"""Long work beside the window: one job at a time, with progress and cancel.

What runs in a job touches neither the viewer nor a layer nor a widget: adding
a layer outside the main thread ends the process. It returns its result, and
`on_done` puts it on screen in the main thread.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app.session import JobState, Session, Status
from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.progress import Cancelled, Progress

Work = Callable[[Progress], Any]

_REPORTS_PER_SECOND = 20
_PATIENCE_AT_CLOSE_S = 30.0


class JobSignals(WorkerBaseSignals):
    """Signals of a job; all arrive in the main thread."""

    progressed = Signal(int, int, str)
    succeeded = Signal(object)
    cancelled = Signal()
    failed = Signal(object)


class Job(WorkerBase):
    """One call of library code in the thread pool.

    Its progress callback is also its way out: once cancelled, the callback
    raises `Cancelled` inside the library, which leaves nothing half-made.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(SignalsClass=JobSignals)
        self._work = work
        self._last_report = 0.0
        self.has_begun = False
        self.has_ended = threading.Event()

    def work(self) -> None:
        """Run in the pool thread."""
        self.has_begun = True
        try:
            self.report(0, 0, "")
            leave_a_core_to_the_window()
            result = self._work(self.report)
        except Cancelled:
            self.cancelled.emit()
        except Exception as error:  # noqa: BLE001  the main thread decides what it means
            self.failed.emit(error)
        else:
            self.succeeded.emit(result)
        finally:
            self.has_ended.set()

    def report(self, done: int, total: int, what: str) -> None:
        """Progress callback handed to the library."""
        if self.abort_requested:
            raise Cancelled
        now = time.monotonic()
        if what and (done >= total > 0 or now - self._last_report > 1 / _REPORTS_PER_SECOND):
            self._last_report = now
            self.progressed.emit(done, total, what)

    def stop(self, patience_s: float) -> bool:
        """Cancel and wait; True when the job has ended."""
        self.quit()
        return not self.has_begun or self.has_ended.wait(patience_s)


class JobRunner(QObject):
    """Runs one job at a time and tells the session about it."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Job | None = None
        self._on_done: Callable[[Any], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._name = ""

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None

    def start(
        self,
        name: str,
        work: Work,
        *,
        on_done: Callable[[Any], None],
        on_end: Callable[[], None] | None = None,
    ) -> bool:
        """Start a job unless one is running.

        Parameters
        ----------
        name
            What it does, as the status line begins: "Segmenting".
        work
            Called as `work(on_progress)` in a worker thread.
        on_done
            Called with its result in the main thread; not after a cancel or a failure.
        on_end
            Called in the main thread however the job ended, before `on_done`.

        Returns
        -------
        False when another job is running; nothing happens then.
        """
        if self._job is not None:
            return False
        job = Job(work)
        self._job, self._name, self._on_done, self._on_end = job, name, on_done, on_end
        job.progressed.connect(self._progressed)
        job.succeeded.connect(self._succeeded)
        job.cancelled.connect(self._cancelled)
        job.failed.connect(self._failed)
        self._session.set_status(Status(JobState.RUNNING, f"{name} …"))
        job.start()
        return True

    def cancel(self) -> None:
        """Ask the running job to stop at its next step."""
        if self._job is not None:
            self._job.quit()
            self._session.set_status(Status(JobState.RUNNING, f"{self._name}: stopping …"))

    def stop(self) -> bool:
        """Cancel and wait for the running job, when the window closes; True when it has ended."""
        job, self._job = self._job, None
        return job is None or job.stop(_PATIENCE_AT_CLOSE_S)

    def _progressed(self, done: int, total: int, what: str) -> None:
        if self._job is not None and not self._job.abort_requested:
            self._session.set_status(Status(JobState.RUNNING, f"{self._name}: {what}", done, total))

    def _end(self) -> bool:
        """Free the runner; False when the window has let go of the job already."""
        if self._job is None:
            return False
        self._job = None
        if self._on_end is not None:
            self._on_end()
        return True

    def _succeeded(self, result: Any) -> None:
        on_done = self._on_done
        if not self._end() or on_done is None:
            return
        try:
            on_done(result)
        except Exception as error:  # noqa: BLE001  the panel must not stay on "running"
            self._say_failed(error)
            return
        if self._session.status.state is JobState.RUNNING:
            self._session.set_status(Status(JobState.DONE, f"{self._name}: done."))

    def _cancelled(self) -> None:
        if self._end():
            self._session.set_status(
                Status(JobState.CANCELLED, f"{self._name}: cancelled; nothing was changed.")
            )

    def _failed(self, error: Exception) -> None:
        if self._end():
            self._say_failed(error)

    def _say_failed(self, error: Exception) -> None:
        if isinstance(error, CardioxaiError):
            self._session.set_status(Status(JobState.FAILED, sentence(str(error))))
            return
        text = f"{self._name} failed ({type(error).__name__}: {error}); details are in napari's notification."
        self._session.set_status(Status(JobState.FAILED, text))
        notification_manager.receive_error(type(error), error, error.__traceback__)


def sentence(text: str) -> str:
    """A message with a capital at its start and a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def leave_a_core_to_the_window() -> None:
    """Cap the threads that torch uses in this worker, if torch is there already.

    `segment` calls it again after importing torch; the number belongs to the calling thread.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
