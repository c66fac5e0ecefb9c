"""From a new place of a concept slider to the frame that is on the screen, in the real window."""

import importlib.util
import time
from pathlib import Path

import numpy as np

MOVES, WARM_UP = 150, 10
STEP_SD = 0.1
LONGEST_S = 60.0


def run() -> dict[str, float]:
    """Milliseconds from a slider's step to the decoded frame in view, drawn; and their parts.

    The sample scan with a drawn heart, the shipped model, the Concepts dock
    with everything it shows by itself. `p95_ms` and `median_ms` are until the
    window has been painted with the frame and has no event left to handle;
    where OpenGL is software that is mostly its drawing. `layer_...` is until
    the voxels are in the layer and napari has been told to draw them: what a
    graphics card leaves of the whole. `held_ms` is the longest that a step kept
    the window from anything else before it was painted. `decode_ms` and
    `restore_ms` run in the worker, `update_ms` puts the voxels into the layers,
    `draw_ms` is a repaint of the window by itself; `cycle_ms` is from a step
    until the whole cycle is decoded, measured and shown. `cpu_ms` is what one
    step costs this process altogether, software OpenGL included: on a busy
    machine it says more than the clock does.
    """
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    from napari_cardioxai.app.window import (
        open_window,
        process_events,
        process_until,
        wait_for_job,
    )
    from napari_cardioxai.scans.samples import sample_path

    viewer = open_window(sample_path())
    wait_for_job(viewer)
    dock = shown_heart(viewer)
    live, heart = dock.live, dock.live.heart
    slider = dock.sliders.sliders["low PER"].slider
    loop = QEventLoop()
    arrived = [0.0]

    def note() -> None:
        arrived.append(time.perf_counter())
        loop.quit()

    live.frame_shown.connect(note)
    # To and fro between -2 and 2 standard deviations, as a hand does it.
    there = 2 - np.abs((np.arange(1, MOVES + WARM_UP + 1) * STEP_SD + 2) % 8 - 4)
    taken, in_layer, held, spent = [], [], [], []
    for alpha in there:
        started, before = time.perf_counter(), time.process_time()
        slider.setValue(round(alpha * 20))
        held.append(1000 * (time.perf_counter() - started))
        if arrived[-1] < started:  # later than the window waits for it
            loop.exec_()
        QApplication.processEvents()  # the canvas
        taken.append(1000 * (time.perf_counter() - started))
        in_layer.append(1000 * (arrived[-1] - started))
        spent.append(1000 * (time.process_time() - before))
    process_events(0.5)
    started = time.perf_counter()
    slider.setValue(slider.value() + 3)
    process_until(lambda: live.is_current, LONGEST_S)
    cycle_ms = 1000 * (time.perf_counter() - started)
    process_events(0.5)
    latent, phase = heart.at({"low PER": 1.0}), dock.desk.phase
    pair = heart.classifier.decode(latent[None, list(heart.cine.transform.between(phase))])[0]
    frame = heart.frame(latent, phase)

    def redraw() -> None:
        live.layers["decoded"].refresh()
        QApplication.processEvents()

    figures = {
        "p95_ms": float(np.percentile(taken[WARM_UP:], 95)),
        "median_ms": float(np.median(taken[WARM_UP:])),
        "layer_p95_ms": float(np.percentile(in_layer[WARM_UP:], 95)),
        "layer_median_ms": float(np.median(in_layer[WARM_UP:])),
        "held_ms": float(np.max(held[WARM_UP:])),
        "cpu_ms": float(np.median(spent[WARM_UP:])),
        "decode_ms": _median(
            lambda: heart.classifier.decode(latent[None, list(heart.cine.transform.between(phase))])
        ),
        "restore_ms": _median(lambda: heart.cine.transform.restore_frame(pair, phase)),
        "update_ms": _median(lambda: live.layers.set_frame(phase, frame, is_in_view=True)),
        "draw_ms": _median(redraw),
        "cycle_ms": cycle_ms,
    }
    dock.desk.session.set_dirty(False)
    viewer.close()
    return figures


def shown_heart(viewer):
    """The Concepts dock with a drawn heart shown by the shipped model."""
    from napari_cardioxai.app.desk import desk_of
    from napari_cardioxai.app.window import process_until

    desk = desk_of(viewer)
    scan = desk.session.scan
    desk.actions.start_blank()
    layer = desk.session.labels_layer
    drawn = _drawn_heart().beating_heart(scan.data.shape, scan.geometry.spacing_mm)
    where = np.nonzero(drawn)
    layer.data_setitem(where, drawn[where])
    layer.refresh()
    _, dock = viewer.window.add_plugin_dock_widget("napari-cardioxai", "Concepts")
    live = dock.live
    live.choose("clough")
    if not process_until(lambda: live.loaded is not None, LONGEST_S):
        raise RuntimeError("the shipped model was not read in time")
    live.start()
    if not process_until(lambda: live.readout is not None and not live.is_busy, LONGEST_S):
        raise RuntimeError(f"the heart was not drawn in time: {live.reason}")
    return dock


def _median(work, times: int = 25) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))


def _drawn_heart():
    """The heart that the tests of the window draw."""
    file = Path(__file__).parents[1] / "gui" / "drawn_heart.py"
    spec = importlib.util.spec_from_file_location("drawn_heart", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
