"""Opening the window: for a person, and for a picture of the main job."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cardioxai.app.torch_first import import_torch_before_qt
from napari_cardioxai.errors import CardioxaiError

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_cardioxai.app.session import Status
    from napari_cardioxai.app.widgets.study.dock import StudyDock

PLUGIN, WIDGET = "napari-cardioxai", "Study"
WINDOW_SIZE = (1600, 950)
_LONGEST_JOB_S = 900.0


def launch(path: Path | None = None, *, run_main_job: bool = False) -> None:
    """Open the window and stay until it is closed.

    Parameters
    ----------
    path
        A study to open, or None for an empty window.
    run_main_job
        Whether to segment it as soon as it is open.
    """
    import_torch_before_qt()
    import napari

    viewer = open_window(path)
    if run_main_job:
        segment_when_open(viewer)
    napari.run()


def show_main_job(path: Path) -> None:
    """Open the window, run the main job in it and leave it open."""
    launch(path, run_main_job=True)


def open_window(path: Path | None = None) -> Viewer:
    """A viewer with the Study dock, opening a study if one is given."""
    import_torch_before_qt()
    import napari

    viewer = napari.Viewer(title="CardioXAI", show_welcome_screen=path is None)
    viewer.window.resize(*WINDOW_SIZE)
    dock = study_dock(viewer)
    if path is not None:
        dock.open(Path(path))
    return viewer


def study_dock(viewer: Viewer) -> StudyDock:
    """The Study dock of a viewer, added if it is not there."""
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    return dock


def segment_when_open(
    viewer: Viewer, *, model: str | None = None, on_end: Callable[[], None] | None = None
) -> None:
    """Segment the study that is being opened, then show the heart at end-diastole.

    It follows the session's status instead of waiting, so the window stays a
    window all along. `on_end` is called once, also when a step fails or is
    cancelled; the panel then says why.
    """
    from napari_cardioxai.app.session import JobState
    from napari_cardioxai.bundles import DEFAULT_SEGMENTER

    dock = study_dock(viewer)
    session = dock.session

    def follow(status: Status) -> None:
        if status.state is JobState.DONE and session.scan is None:
            return  # the study is read and not on screen yet
        if status.state is JobState.DONE and session.labels_layer is None:
            dock.actions.segment(model or DEFAULT_SEGMENTER, "auto")
        elif status.state in (JobState.DONE, JobState.CANCELLED, JobState.FAILED):
            session.status_changed.disconnect(follow)
            show_end_diastole(viewer)
            if on_end is not None:
                on_end()

    session.status_changed.connect(follow)


def show_end_diastole(viewer: Viewer) -> None:
    """Step to end-diastole and to the slice with most left ventricle in it."""
    import numpy as np

    from napari_cardioxai.app.session import session_of

    session = session_of(viewer)
    found, layer = session.measurements, session.labels_layer
    if found is None or layer is None:
        return
    frame = found.ed_frame or 0
    areas = np.count_nonzero(layer.data[frame] == 1, axis=(1, 2))
    offset = viewer.dims.ndim - 4
    viewer.dims.set_current_step((offset, offset + 1), (frame, int(np.argmax(areas))))


def screenshot_main_job(path: Path, picture: Path, *, model: str | None = None) -> Path:
    """Run the main job in the real window and save a picture of all of it.

    Needs a display; a virtual one (Xvfb) is enough.

    Returns
    -------
    The picture's path.

    Raises
    ------
    CardioxaiError
        When a step fails; the message is the one on the panel.
    """
    viewer = open_window(path)
    try:
        ended: list[bool] = []
        segment_when_open(viewer, model=model, on_end=lambda: ended.append(True))
        process_until(lambda: ended, _LONGEST_JOB_S)
        wait_for_job(viewer)
        process_events(0.5)
        picture.parent.mkdir(parents=True, exist_ok=True)
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
    finally:
        viewer.close()
    return picture


def wait_for_job(viewer: Viewer, *, longest_s: float = _LONGEST_JOB_S) -> None:
    """Keep the window alive until the running job has ended.

    Raises
    ------
    CardioxaiError
        When it failed or took too long.
    """
    from napari_cardioxai.app.desk import desk_of
    from napari_cardioxai.app.session import JobState

    desk = desk_of(viewer)
    if not process_until(lambda: not desk.actions.jobs.is_running, longest_s):
        raise CardioxaiError(f"the job did not end within {longest_s:.0f} s.")
    if desk.session.status.state is JobState.FAILED:
        raise CardioxaiError(desk.session.status.text)


def process_until(condition: Callable[[], Any], longest_s: float) -> bool:
    """Run the event loop until something holds; False when it does not in time."""
    deadline = time.monotonic() + longest_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        process_events(0.02)
    return True


def process_events(seconds: float) -> None:
    """Run the event loop for a while."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(max(1, round(1000 * seconds)), loop.quit)
    loop.exec_()
