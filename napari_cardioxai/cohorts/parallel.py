"""The same work for many subjects, on every core, in order, and cancelled when asked."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

PER_TASK = 8
FEW = 24  # items that are done sooner than processes have started
_LISTEN_S = 0.1  # how long a cancel may wait

Item = TypeVar("Item")
Result = TypeVar("Result")


def each_in_order(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    what: str,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> Iterator[Result]:
    """Results of a function for every item, in the order of the items.

    Parameters
    ----------
    function
        Of a module's top level, so that other processes can find it.
    items
        Small enough to be sent to them.
    what
        What is worked on, for `on_progress`.
    workers
        Processes; by default one per core, and none for a few items.

    Raises
    ------
    CohortError
        When a process is ended from outside.
    Cancelled
        From within `on_progress`; nothing goes on in the background then.
    """
    total = len(items)
    count = workers or (1 if total < FEW else os.cpu_count() or 1)
    on_progress(0, total, what)
    if count <= 1:
        for done, item in enumerate(items, start=1):
            yield function(item)
            on_progress(done, total, what)
        return
    tasks = [items[k : k + PER_TASK] for k in range(0, total, PER_TASK)]
    context = multiprocessing.get_context("spawn")  # the only way that every platform has
    pool = ProcessPoolExecutor(min(count, len(tasks)), mp_context=context)
    try:
        done = 0
        for future in [pool.submit(_several, function, task) for task in tasks]:
            while not wait([future], timeout=_LISTEN_S).done:
                on_progress(done, total, what)
            for result in _result(future):
                done += 1
                yield result
            on_progress(done, total, what)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[list[Result]]) -> list[Result]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise CohortError(
            "a process that read the cohort was ended from outside, most likely for want of "
            "memory; free some and try again."
        ) from error


def _several(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
