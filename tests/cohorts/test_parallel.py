import math
import os
import time

import pytest

from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Cancelled


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_progress_counts_them(workers):
    seen = []
    found = each_in_order(
        math.sqrt,
        [k * k for k in range(30)],
        what="roots",
        workers=workers,
        on_progress=lambda *step: seen.append(step),
    )
    assert list(found) == list(range(30))
    assert seen[0] == (0, 30, "roots") and seen[-1] == (30, 30, "roots")
    assert seen == sorted(seen)


def test_a_cancel_while_waiting_stops_at_once():
    started = time.monotonic()

    def stop(done, total, what):
        if time.monotonic() - started > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(each_in_order(time.sleep, [0.5] * 200, what="naps", workers=2, on_progress=stop))
    # One task of eight is waited for, not the hundred seconds of all of them.
    assert time.monotonic() - started < 60


def test_a_process_that_is_ended_is_one_sentence():
    with pytest.raises(CohortError, match="ended from outside"):
        list(each_in_order(os._exit, [3] * 2, what="exits", workers=2))


def test_an_error_of_the_function_is_passed_on():
    with pytest.raises(ValueError, match="domain"):
        list(each_in_order(math.sqrt, [1.0, -1.0], what="roots", workers=1))
