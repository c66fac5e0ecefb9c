"""Frames per second with image, labels and curve cursor against bare napari layers."""

import statistics
import time

import numpy as np

ROUNDS = 7
FRAMES_A_ROUND = 40


def run() -> dict[str, float]:
    """Median frames per second of both windows, taken in turn, and their ratio."""
    import napari
    from qtpy.QtWidgets import QWidget

    from napari_cardioxai.app.window import WINDOW_SIZE, open_window, process_events, wait_for_job
    from napari_cardioxai.scans.samples import sample_path

    ours = open_window(sample_path())
    wait_for_job(ours)
    scan, labels = labelled(ours)
    bare = napari.Viewer(show_welcome_screen=False)
    bare.window.resize(*WINDOW_SIZE)
    # An empty dock as wide as ours, so that both canvases have the same size.
    blank = QWidget()
    blank.setFixedWidth(ours.window.dock_widgets["Study (napari-cardioxai)"].width())
    bare.window.add_dock_widget(blank, name="blank")
    bare.add_image(np.asarray(scan.data))
    bare.add_labels(labels.copy())
    bare.dims.set_current_step(1, scan.data.shape[1] // 2)
    process_events(1.0)
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for k in range(ROUNDS + 1):
        for name, viewer in (("ours", ours), ("bare", bare)):
            rate = frames_per_second(viewer)
            if k:  # the first turn warms both
                rates[name].append(rate)
    bare.close()
    ours.close()
    ratios = [a / b for a, b in zip(rates["ours"], rates["bare"], strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "ours_fps": statistics.median(rates["ours"]),
        "bare_fps": statistics.median(rates["bare"]),
    }


def labelled(viewer):
    """Scan and label array of a window, after drawing a beating disc into new labels."""
    from napari_cardioxai.app.window import process_events, study_dock

    dock = study_dock(viewer)
    scan = dock.session.scan
    frames, _, height, width = scan.data.shape
    y, x = np.mgrid[:height, :width]
    from_centre = np.hypot(y - height / 2, x - width / 2)
    data = np.zeros(scan.data.shape, np.uint8)
    for t in range(frames):
        radius = (0.13 + 0.03 * np.cos(2 * np.pi * t / frames)) * height
        data[t, 1:-1][:, from_centre < radius + 6] = 2
        data[t, 1:-1][:, from_centre < radius] = 1
    dock.actions.start_blank()
    layer = dock.session.labels_layer
    where = np.nonzero(data)
    layer.data_setitem(where, data[where])
    layer.refresh()
    process_events(1.0)
    dock.session.set_dirty(False)
    return scan, data


def frames_per_second(viewer) -> float:
    """Step through the phases, each drawn, and count."""
    from qtpy.QtWidgets import QApplication

    axis = viewer.dims.ndim - 4
    frames = viewer.dims.nsteps[axis]
    started = time.perf_counter()
    for k in range(FRAMES_A_ROUND):
        viewer.dims.set_current_step(axis, k % frames)
        QApplication.processEvents()
        QApplication.processEvents()
    return FRAMES_A_ROUND / (time.perf_counter() - started)
