"""Folder to array against the bare loop of pydicom reads of the same files."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.samples import sample_path

REPETITIONS = 9


def run() -> dict[str, float]:
    """Median seconds of both, taken in turn, and their ratio."""
    folder = sample_path()
    files = [path for path in sorted(folder.rglob("*")) if path.suffix == ".dcm"]
    ours, bare = [], []
    for k in range(REPETITIONS + 1):
        pair = _seconds(lambda: load_scan(folder).data), _seconds(lambda: _bare_loop(files))
        if k:  # the first turn warms imports and the file cache
            ours.append(pair[0])
            bare.append(pair[1])
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "ours_s": statistics.median(ours),
        "bare_s": statistics.median(bare),
    }


def _bare_loop(files: list[Path]) -> list:
    return [pydicom.dcmread(path).pixel_array for path in files]


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
