"""Work so small that the window waits a moment for it and is painted once, with the result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app.workers import leave_a_core_to_the_window
from napari_cardioxai.errors import CardioxaiError

PATIENCE_S = 0.025
_PATIENCE_AT_CLOSE_S = 30.0


class PromptJob(QObject):
    """Repeats one small piece of work; only the newest request counts, and never two at once.

    A thread stands ready for it. A request waits at most `PATIENCE_S` for its
    result, because a window that is painted meanwhile takes longer than that
    and is old already. What takes longer comes as with `LatestJob`, and nobody
    waits while something is under way.

    Parameters
    ----------
    prepare
        Called in the main thread; returns what to run in the worker, or None
        when there is nothing to do.
    on_done
        Called with the result in the main thread, also when a newer request
        has come meanwhile, so that a drag has something to see.
    """

    failed = Signal(str)
    _ended = Signal(object)

    def __init__(
        self,
        prepare: Callable[[], Callable[[], Any] | None],
        on_done: Callable[[Any], None],
        *,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._prepare, self._on_done = prepare, on_done
        self._thread = ThreadPoolExecutor(1, initializer=leave_a_core_to_the_window)
        self._asked: list[Future] = []  # of which the last one may not have begun
        self._ended.connect(self._end)

    @property
    def is_busy(self) -> bool:
        """Whether a result is still to come."""
        return bool(self._asked)

    def now(self) -> None:
        """Run, and show the result at once if it is there in time."""
        work = self._prepare()
        if work is None:
            return
        self._asked = [one for one in self._asked if not one.cancel()]
        is_first = not self._asked
        future = self._thread.submit(work)
        self._asked.append(future)
        if is_first and wait([future], PATIENCE_S).done:
            self._end(future)
        else:
            future.add_done_callback(self._ended.emit)

    def drop(self) -> None:
        """Forget what was asked for."""
        for future in self._asked:
            future.cancel()
        self._asked = []

    def close(self) -> bool:
        """Stop for good, when the window closes; True when the work has ended."""
        running = [one for one in self._asked if not one.cancel()]
        self._asked = []
        return not wait(running, _PATIENCE_AT_CLOSE_S).not_done

    def _end(self, future: Future) -> None:
        if future.cancelled() or future not in self._asked:
            return
        self._asked.remove(future)
        error = future.exception()
        if error is None:
            self._on_done(future.result())
            return
        self.failed.emit(str(error))
        if not isinstance(error, CardioxaiError):
            notification_manager.receive_error(type(error), error, error.__traceback__)
