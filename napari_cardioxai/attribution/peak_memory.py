"""How much memory a piece of work takes at its highest."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_MIB = 2**20
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class PeakMemory:
    """Filled in when the work is done.

    Attributes
    ----------
    mib
        Above what was taken before; None where the system does not tell.
    """

    mib: float | None = None


@contextmanager
def peak_memory(device: str = "cpu") -> Iterator[PeakMemory]:
    """Measure the peak of resident memory, or of an accelerator's, during a block.

    Python's own tracing does not see the tensors. Linux can forget its high
    mark; elsewhere the mark of the whole process is compared, which misses a
    peak that is lower than an earlier one.

    Parameters
    ----------
    device
        Of the work.
    """
    found = PeakMemory()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = float(torch.cuda.memory_allocated())
        yield found
        found.mib = (torch.cuda.max_memory_allocated() - before) / _MIB
        return
    start = _forget_peak()
    yield found
    end = _peak_bytes()
    if start is not None and end is not None:
        found.mib = max(0.0, (end - start) / _MIB)


def _forget_peak() -> float | None:
    """What is taken now, in bytes, with the high mark brought down to it where that can be done."""
    _give_back_freed()
    try:
        _RESET.write_text("5")
        return _linux_bytes("VmRSS")
    except OSError:
        return _peak_bytes()


def _give_back_freed() -> None:
    """Hand freed memory back to the system: kept for later use it would hide what is taken again."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _peak_bytes() -> float | None:
    if _STATUS.exists():
        return _linux_bytes("VmHWM")
    if sys.platform == "win32":
        return None
    import resource

    # Kibibytes on Linux and the BSDs, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _linux_bytes(field: str) -> float | None:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) * 1024
    return None
