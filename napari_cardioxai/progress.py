"""How long work reports itself, and how it is cancelled.

A function that takes time accepts `on_progress` and calls it between steps.
Whoever passed it may raise `Cancelled` from inside: the function lets it
through, having left no half-made result behind. One mechanism serves Ctrl-C,
the Cancel button and the closing of the window.
"""

from __future__ import annotations

from typing import Protocol


class Cancelled(Exception):
    """The user asked the running job to stop."""


class Progress(Protocol):
    """Called as `on_progress(done, total, what)`; `total` is 0 when unknown."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Take note, or raise `Cancelled`."""


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""
