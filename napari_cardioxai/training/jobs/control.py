"""What a training job is told from outside, and the sign of life that it gives."""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import threading
import time
from types import TracebackType

from napari_cardioxai.training.jobs.folder import HEARTBEAT_S, Look, Order, RunFolder

_POLL_S = 0.2
_PATIENCE_S = 10.0


class JobControl:
    """Reads orders and keeps the run's heart beating while a job is at work.

    A training that is told to stop and takes no step for ten seconds, because
    it still prepares its data, is interrupted there as Ctrl-C would.

    Parameters
    ----------
    run
        Where orders are written.
    attached
        Whether to stop when standard input ends: whoever started the job holds
        the other end of it, and is gone then.

    Attributes
    ----------
    is_in_loop
        Whether the training takes steps now.
    has_stopped
        Whether it has heeded a cancel.
    """

    def __init__(self, run: RunFolder, *, attached: bool = False) -> None:
        self._run = run
        self._order = Order.RUN
        self._look = run.look()
        self._read_at = -_POLL_S
        self._is_over = threading.Event()
        self._is_alone = threading.Event()
        self._attached = attached
        self.has_stopped = False
        self.is_in_loop = False

    def __enter__(self) -> JobControl:
        self._run.beat()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()
        if self._attached:
            threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._heart.join()
        self._run.fall_silent()

    def order(self) -> Order:
        """What to do; the file is read a few times a second at most."""
        if self._is_alone.is_set():
            return Order.CANCEL
        self._read()
        return self._order

    def look(self) -> Look:
        """What the preview is to show."""
        self._read()
        return self._look

    def wait(self) -> None:
        """Let the time between two readings pass."""
        time.sleep(_POLL_S / 2)

    def _read(self) -> None:
        now = time.monotonic()
        if now - self._read_at >= _POLL_S:
            self._read_at = now
            self._order, self._look = self._run.order(), self._run.look()

    def _beat(self) -> None:
        asked_at: float | None = None
        while not self._is_over.wait(HEARTBEAT_S):
            self._run.beat()
            if self.order() is not Order.CANCEL or self.has_stopped:
                asked_at = None
            elif asked_at is None:
                asked_at = time.monotonic()
            elif time.monotonic() - asked_at > _PATIENCE_S:
                _thread.interrupt_main()
                return

    def _listen(self) -> None:
        # Not through `sys.stdin`: a thread that waits in its buffer aborts the interpreter's end.
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        self._is_alone.set()


def stay_in_background() -> None:
    """Ask the system to serve everything else first, where it allows that."""
    if sys.platform == "win32":
        import ctypes

        below_normal = 0x4000
        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), below_normal)
    else:
        os.nice(10)


def threads_beside_the_window() -> int:
    """How many cores a job may use: one is left to the window."""
    return max(1, (os.cpu_count() or 2) - 1)
