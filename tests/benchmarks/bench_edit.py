"""Stroke to updated ejection fraction in the window."""

import importlib.util
import time
from pathlib import Path

import numpy as np

STROKES = 120


def run() -> dict[str, float]:
    """Milliseconds from the start of a stroke to the new figure in the dock, drawn."""
    from qtpy.QtWidgets import QApplication

    from napari_cardioxai.app.window import open_window, process_events, study_dock, wait_for_job
    from napari_cardioxai.scans.samples import sample_path

    viewer = open_window(sample_path())
    wait_for_job(viewer)
    scan, _ = _play().labelled(viewer)
    session = study_dock(viewer).session
    layer = session.labels_layer
    frames, slices, height, width = scan.data.shape
    updates: list[float] = []
    session.measurements_changed.connect(lambda: updates.append(time.perf_counter()))
    rng = np.random.default_rng(0)
    taken = []
    for k in range(STROKES + 10):
        frame, z = int(rng.integers(frames)), slices // 2
        viewer.dims.set_current_step((0, 1), (frame, z))
        process_events(0.03)
        count = len(updates)
        # An eraser mark inside the cavity or a brush mark outside: each changes the volume.
        y, x = (int(v) for v in (rng.integers(8, height // 4), rng.integers(8, width // 4)))
        started = time.perf_counter()
        layer.paint((frame, z, y, x), 0 if layer.data[frame, z, y, x] == 1 else 1)
        while len(updates) == count:
            QApplication.processEvents()
        QApplication.processEvents()
        if k >= 10:
            taken.append(1000 * (time.perf_counter() - started))
    session.set_dirty(False)
    viewer.close()
    return {"median_ms": float(np.median(taken)), "p95_ms": float(np.percentile(taken, 95))}


def _play():
    """The neighbouring benchmark, which draws the same labels."""
    spec = importlib.util.spec_from_file_location(
        "bench_play", Path(__file__).with_name("bench_play.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
