from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QPushButton

from napari_cardioxai.app.session import JobState

from .conftest import FRAMES, INTERVAL_MS, SIDE, SLICES, SPACING_MM, write_study


def drop(dock, *paths: Path) -> None:
    """Drop files on the dock as a file manager does."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(20, 20),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    dock.dropEvent(event)


def test_empty_dock_says_what_to_do_next(window):
    assert window.child("empty_state").text() == "Drop a study folder here or press Open"
    assert not window.child("segment").isEnabled()
    assert not window.child("save_labels").isEnabled()
    assert "research use only" in window.child("research_only").text()


def test_opened_cine_lies_in_ms_and_mm_on_named_axes(window, study):
    window.open(study)

    layer = window.session.scan_layer
    assert layer.data.shape == (FRAMES, SLICES, SIDE, SIDE)
    assert tuple(layer.scale) == pytest.approx((INTERVAL_MS, *SPACING_MM))
    assert [str(unit) for unit in layer.units] == ["millisecond"] + ["millimeter"] * 3
    assert tuple(layer.axis_labels) == ("phase", "slice", "y", "x")
    assert window.viewer.dims.axis_labels[:2] == ("phase", "slice")
    assert window.viewer.layers.units is not None  # None would mean: units disagree


def test_dropping_a_folder_opens_it(window, tmp_path):
    write_study(tmp_path / "a.nii.gz")
    drop(window.dock, tmp_path)
    window.wait_for_job()
    assert window.session.scan is not None
    assert window.child("series_list").count() == 1


def test_other_series_can_be_chosen_and_replaces_the_first(window, tmp_path):
    write_study(tmp_path / "a.nii.gz")
    write_study(tmp_path / "b.nii.gz", interval_s=0.02)
    window.open(tmp_path)
    first, other = window.session.series, 1 - window.session.series

    window.dock.open_section.series_chosen.emit(other)
    window.wait_for_job()

    assert (first, window.session.series) == (1 - other, other)
    assert window.child("series_list").currentRow() == other
    assert list(window.viewer.layers) == [window.session.scan_layer]


def test_file_that_is_no_scan_is_refused_in_one_sentence_and_the_next_one_opens(
    window, study, tmp_path
):
    nothing = tmp_path / "empty"
    nothing.mkdir()
    window.open(nothing)

    assert window.session.status.state is JobState.FAILED
    text = window.child("status").text()
    assert text.endswith(".")
    assert "Traceback" not in text
    window.open(study)
    assert window.session.scan is not None


def test_nothing_outside_the_worker_reads_files(window, study, monkeypatch):
    import threading

    from napari_cardioxai.scans import catalogue

    threads = []
    real = catalogue.find_series

    def find_series(*args, **kwargs):
        threads.append(threading.current_thread())
        return real(*args, **kwargs)

    monkeypatch.setattr(catalogue, "find_series", find_series)
    window.open(study)
    assert threads
    assert threading.main_thread() not in threads


def test_scan_that_napari_opened_itself_is_taken_over(window, study):
    from napari.layers import Layer

    from napari_cardioxai.app.readers import get_reader

    reader = get_reader(str(study))
    for data in reader(str(study)):
        window.viewer.add_layer(Layer.create(*data))
    assert window.session.scan is not None
    assert window.child("segment").isEnabled()


def test_orientation_letters_follow_the_displayed_axes(window, study):
    window.open(study)
    pairs = window.session.scan.geometry.orientation_letters()
    overlays = window.viewer.canvas.overlays

    def shown():
        return {
            edge: overlays[f"cardioxai_{edge}"].text
            for edge in ("top", "bottom", "left", "right")
            if overlays[f"cardioxai_{edge}"].visible
        }

    (z0, z1), (y0, y1), (x0, x1) = pairs
    assert {y0, y1} == {"A", "P"}
    assert shown() == {"top": y0, "bottom": y1, "left": x0, "right": x1}
    window.viewer.dims.order = (0, 2, 1, 3)
    assert shown() == {"top": z0, "bottom": z1, "left": x0, "right": x1}
    window.viewer.dims.order = (0, 1, 2, 3)
    window.viewer.scene.camera.orientation2d = ("up", "left")
    assert shown() == {"top": y1, "bottom": y0, "left": x1, "right": x0}
    window.viewer.dims.ndisplay = 3
    assert shown() == {}


def test_cine_plays_at_its_own_rate_and_stops(window, study):
    window.open(study)
    seen = []
    window.dock.desk.phase_changed.connect(seen.append)
    button: QPushButton = window.child("play")

    started = time.monotonic()
    button.click()
    window.wait(lambda: len(seen) >= FRAMES)
    button.click()
    elapsed_ms = 1000 * (time.monotonic() - started)
    count = len(seen)
    window.settle(0.3)

    # A slow machine may leave frames out, but the heart must not beat too fast.
    assert count <= elapsed_ms / INTERVAL_MS + 1
    assert len(seen) == count
    assert button.text() == "Play"


def test_unknown_time_is_said_and_plays_one_cycle_a_second(window, tmp_path):
    window.open(write_study(tmp_path / "timeless.nii.gz", interval_s=0.0))
    assert window.session.scan.frame_times_ms is None
    assert "1 s a cycle" in window.child("play_rate").text()
    assert str(window.session.scan_layer.units[0]) == "pixel"
    window.child("play").click()
    assert window.dock.desk.player.is_playing
    window.child("play").click()


def test_contrast_is_the_same_for_every_frame(window, study):
    window.open(study)
    before = tuple(window.session.scan_layer.contrast_limits)
    window.viewer.dims.set_current_step(0, 3)
    assert tuple(window.session.scan_layer.contrast_limits) == before
    assert before[1] <= np.max(window.session.scan.data)


def test_dock_fits_900_pixels(window, study, segmenter):
    window.open(study)
    window.child("segment").click()
    window.wait_for_job()
    assert window.dock.minimumSizeHint().height() < 700
    scroll = window.child("study_scroll")
    assert scroll.widget().width() <= scroll.viewport().width()


def test_main_job_ends_in_a_picture_of_the_whole_window(
    make_napari_viewer, study, segmenter, tmp_path, monkeypatch
):
    from imageio.v3 import imread

    from napari_cardioxai.app.window import WINDOW_SIZE, screenshot_main_job

    monkeypatch.setattr("napari_cardioxai.app.actions.StudyActions.list_choices", lambda self: None)
    picture = screenshot_main_job(study, tmp_path / "out" / "window.png")
    height, width = imread(picture).shape[:2]
    assert segmenter.finished == 1
    assert (width, height) == WINDOW_SIZE


def test_main_job_that_fails_says_why(make_napari_viewer, tmp_path, monkeypatch):
    from napari_cardioxai.app.window import screenshot_main_job
    from napari_cardioxai.errors import CardioxaiError

    monkeypatch.setattr("napari_cardioxai.app.actions.StudyActions.list_choices", lambda self: None)
    with pytest.raises(CardioxaiError):
        screenshot_main_job(tmp_path, tmp_path / "window.png")
    assert not (tmp_path / "window.png").exists()
