"""Small work that the window waits for: what is shown, and how long it is waited for."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QObject

from napari_cardioxai.app.prompt_job import PATIENCE_S, PromptJob
from napari_cardioxai.errors import CardioxaiError


class Asked:
    """A job whose work ends when its gate is opened."""

    def __init__(self, qtbot) -> None:
        self.parent, self.qtbot = QObject(), qtbot
        self.shown: list[int] = []
        self.gates: dict[int, threading.Event] = {}
        self.begun: list[int] = []
        self.number = 0
        self.job = PromptJob(self._prepare, self.shown.append, parent=self.parent)

    def _prepare(self):
        number, gate = self.number, self.gates.setdefault(self.number, threading.Event())

        def work() -> int:
            self.begun.append(number)
            gate.wait(10)
            return number

        return work

    def ask(self, number: int, *, is_quick: bool = False) -> float:
        """Seconds that the caller was held up."""
        self.number = number
        if is_quick:
            self.gates.setdefault(number, threading.Event()).set()
        started = time.monotonic()
        self.job.now()
        return time.monotonic() - started

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.job.is_busy, timeout=10_000)


@pytest.fixture
def asked(qtbot):
    made = Asked(qtbot)
    yield made
    for gate in made.gates.values():
        gate.set()
    assert made.job.close()


def test_quick_work_is_shown_before_the_request_returns(asked, monkeypatch):
    monkeypatch.setattr("napari_cardioxai.app.prompt_job.PATIENCE_S", 10.0)  # a busy machine
    asked.ask(1, is_quick=True)
    assert asked.shown == [1] and not asked.job.is_busy


def test_slow_work_holds_the_window_up_once_and_only_its_newest_request_follows(asked):
    assert PATIENCE_S < 0.05, "the window is never blocked longer"
    assert asked.ask(1) >= PATIENCE_S
    held_up = asked.ask(2) + asked.ask(3)
    assert held_up < PATIENCE_S, "nobody waits while something is under way"
    assert asked.shown == [] and asked.job.is_busy
    for gate in asked.gates.values():
        gate.set()
    asked.settle()
    assert asked.shown == [1, 3] and asked.begun == [1, 3], "what was passed meanwhile is left out"


def test_what_was_dropped_is_not_shown(asked):
    asked.ask(1)
    asked.ask(2)
    asked.job.drop()
    assert not asked.job.is_busy
    for gate in asked.gates.values():
        gate.set()
    asked.ask(3, is_quick=True)
    asked.settle()
    assert asked.shown == [3] and 2 not in asked.begun


@pytest.mark.parametrize("delay_s", [0.0, 3 * PATIENCE_S])
def test_a_failure_is_told_in_its_own_words_whenever_it_comes(qtbot, delay_s):
    def work() -> None:
        time.sleep(delay_s)
        raise CardioxaiError("there is no such frame.")

    parent, told = QObject(), []
    job = PromptJob(lambda: work, lambda _: told.append("shown"), parent=parent)
    job.failed.connect(told.append)
    job.now()
    qtbot.waitUntil(lambda: not job.is_busy, timeout=10_000)
    assert told == ["there is no such frame."]
    assert job.close()


def test_nothing_to_do_leaves_it_idle(qtbot):
    parent = QObject()
    job = PromptJob(lambda: None, lambda _: None, parent=parent)
    job.now()
    assert not job.is_busy and job.close()
