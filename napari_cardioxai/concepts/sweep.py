"""To and fro along a concept."""

from __future__ import annotations


def to_and_fro(share: float, low: float, high: float) -> float:
    """Where a sweep is: from 0 up to `high`, down to `low` and back to 0, at an even speed.

    Parameters
    ----------
    share
        Of one sweep; goes on after 1 with the next.
    low, high
        Its ends, below and above 0.
    """
    gone = (share % 1.0) * 2 * (high - low)
    if gone <= high:
        return gone
    if gone <= 2 * high - low:
        return 2 * high - gone
    return gone - 2 * (high - low)
