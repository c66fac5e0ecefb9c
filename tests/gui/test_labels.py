from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.app.session import JobState
from napari_cardioxai.errors import BundleError

from .conftest import HALF_WIDTHS, VOXEL_ML, cavity_labels, cavity_volume_ml

EDV_ML, ESV_ML = cavity_volume_ml(0), cavity_volume_ml(3)
EF = 100 * (EDV_ML - ESV_ML) / EDV_ML


@pytest.fixture
def segmented(window, study, segmenter):
    window.open(study)
    window.child("segment").click()
    window.wait_for_job()
    return window


def paint_square(window, frame, *, value=1, z=2, half=3):
    """Set a square of cavity in one slice through napari's own editing."""
    low, high = 4, 4 + 2 * half
    y, x = np.meshgrid(np.arange(low, high), np.arange(low, high), indexing="ij")
    where = (np.full(y.size, frame), np.full(y.size, z), y.ravel(), x.ravel())
    window.labels.data_setitem(where, value)
    return y.size


def answer(monkeypatch, button):
    """Answer the question about unsaved edits; returns how often it was asked."""
    asked = []

    def ask(parent):
        asked.append(True)
        return button

    monkeypatch.setattr("napari_cardioxai.app.desk.ask_about_edits", ask)
    return asked


def test_segmenting_shows_the_known_volumes(segmented):
    found = segmented.session.measurements
    assert (found.edv_ml, found.esv_ml) == pytest.approx((EDV_ML, ESV_ML))
    assert found.ef_percent == pytest.approx(EF)
    assert (found.ed_frame, found.es_frame) == (0, 3)
    assert f"{EF:.0f}" in segmented.child("headline").text()
    assert "A note of the model." in segmented.child("notes").text()
    x, y = segmented.child("curve").getPlotItem().listDataItems()[0].getData()
    assert list(y) == pytest.approx([cavity_volume_ml(frame) for frame in range(6)])
    assert list(np.diff(x)) == pytest.approx([50.0] * 5)


def test_segmenting_runs_beside_the_window(segmented, segmenter):
    assert segmenter.finished == 1
    assert threading.main_thread() not in segmenter.threads


def test_labels_lie_on_the_scan(segmented):
    scan, labels = segmented.session.scan_layer, segmented.labels
    assert tuple(labels.scale) == tuple(scan.scale)
    assert labels.units == scan.units
    assert labels.axis_labels == scan.axis_labels
    assert segmented.viewer.layers.units is not None


def test_structures_are_named_and_coloured(segmented):
    features = segmented.labels.features.set_index("index")["structure"]
    assert features[1] == "LV cavity"
    red, green, blue = (segmented.labels.get_color(value)[:3] for value in (1, 2, 3))
    assert np.argmax(red) == 0
    assert np.argmax(green) == 1
    assert np.argmax(blue) == 2


def test_cancel_leaves_the_labels_as_they_were(segmented, segmenter):
    before = segmented.labels.data.copy()
    segmenter.steps, segmenter.pause_s = 1000, 0.01
    segmented.child("segment").click()
    segmented.wait(lambda: segmented.session.status.total > 0)
    segmented.child("cancel").click()
    segmented.wait_for_job()

    assert segmented.session.status.state is JobState.CANCELLED
    np.testing.assert_array_equal(segmented.labels.data, before)
    assert segmented.labels.editable
    assert segmenter.finished == 1
    assert segmented.child("segment").isEnabled()


def test_user_error_is_one_sentence_and_the_panel_stays_usable(window, study, segmenter):
    window.open(study)
    segmenter.error = BundleError("the model is incomplete")
    window.child("segment").click()
    window.wait_for_job()
    assert window.child("status").text() == "The model is incomplete."
    segmenter.error = None
    window.child("segment").click()
    window.wait_for_job()
    assert window.session.measurements is not None


def test_fault_of_ours_is_a_notification_and_the_panel_stays_usable(window, study, segmenter):
    from napari.utils.notifications import notification_manager

    window.open(study)
    segmenter.error = ZeroDivisionError("a fault")
    notification_manager.records.clear()
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    try:
        window.child("segment").click()
        window.wait_for_job()
    finally:
        notification_manager.notification_ready.disconnect(seen.append)
    assert window.session.status.state is JobState.FAILED
    assert "a fault" in window.child("status").text()
    assert any("a fault" in str(notice) for notice in seen)
    segmenter.error = None
    window.child("segment").click()
    window.wait_for_job()
    assert window.session.measurements is not None


def test_stroke_changes_ef_to_what_measuring_anew_gives(segmented):
    voxels = paint_square(segmented, 3)
    segmented.settle()
    found = segmented.session.measurements
    assert found.volume_ml[3] == pytest.approx(ESV_ML + voxels * VOXEL_ML)
    scan = segmented.session.scan
    anew = measure(
        Labels(np.asarray(segmented.labels.data), scan.geometry, scan.frame_times_ms, scan.cycle_ms)
    )
    assert found.ef_percent == pytest.approx(anew.ef_percent)
    assert found.lvm_g == pytest.approx(anew.lvm_g)
    assert segmented.session.dirty


def test_brush_stroke_in_view_is_measured(segmented):
    segmented.viewer.dims.set_current_step((0, 1), (3, 2))
    segmented.settle()
    before = segmented.session.measurements.volume_ml
    segmented.labels.paint((3, 2, 4, 4), 1)
    segmented.settle()
    after = segmented.session.measurements.volume_ml
    painted = np.count_nonzero(segmented.labels.data[3, 2, :10, :10] == 1)
    assert painted > 0
    assert after[3] - before[3] == pytest.approx(painted * VOXEL_ML)
    assert after[:3] + after[4:] == before[:3] + before[4:]


def test_undo_and_redo_take_the_measurements_along(segmented):
    paint_square(segmented, 3)
    segmented.settle()
    edited = segmented.session.measurements.ef_percent
    segmented.viewer.dims.set_current_step(0, 5)  # undo elsewhere than where the stroke was
    segmented.labels.undo()
    segmented.settle()
    assert segmented.session.measurements.ef_percent == pytest.approx(EF)
    assert not segmented.session.dirty
    segmented.labels.redo()
    segmented.settle()
    assert segmented.session.measurements.ef_percent == pytest.approx(edited)
    assert segmented.session.dirty


def test_segmenting_again_is_one_step_that_undo_takes_back(segmented, monkeypatch):
    answer(monkeypatch, QMessageBox.StandardButton.Discard)
    layer = segmented.labels
    paint_square(segmented, 3)
    layer.data_setitem((np.array([1]), np.array([1]), np.array([0]), np.array([0])), 3)
    edited = layer.data.copy()
    segmented.child("segment").click()
    segmented.wait_for_job()
    assert segmented.labels is layer
    np.testing.assert_array_equal(layer.data, cavity_labels())
    layer.undo()
    segmented.settle()
    np.testing.assert_array_equal(layer.data, edited)
    assert segmented.session.measurements.volume_ml[3] > ESV_ML


def test_stepping_through_the_cine_is_no_edit(segmented):
    segmented.wait(lambda: segmented.session.walls is not None)  # they come late, and are news
    shown = []
    segmented.session.measurements_changed.connect(lambda: shown.append(1))
    for frame in (1, 2, 3, 0):
        segmented.viewer.dims.set_current_step(0, frame)
        segmented.settle(0.02)
    assert not shown
    assert not segmented.session.dirty


def test_cursor_follows_the_slider_and_drives_it(segmented):
    curve = segmented.child("curve")
    segmented.viewer.dims.set_current_step(0, 4)
    segmented.settle()
    assert curve.cursor_line.value() == pytest.approx(4 * 50.0)

    curve.cursor_line.setValue(2 * 50.0 + 12.0)
    curve.cursor_line.sigDragged.emit(curve.cursor_line)
    segmented.settle()
    assert segmented.viewer.dims.current_step[0] == 2


def test_saved_labels_open_again_as_they_were(segmented, tmp_path, monkeypatch):
    paint_square(segmented, 3, value=3)
    segmented.settle()
    before, ef = segmented.labels.data.copy(), segmented.session.measurements.ef_percent
    path = tmp_path / "labels.nii.gz"
    segmented.dock.save_section.labels_path_chosen.emit(path)
    segmented.wait_for_job()
    assert not segmented.session.dirty

    asked = answer(monkeypatch, QMessageBox.StandardButton.Cancel)
    segmented.viewer.layers.remove(segmented.labels)
    assert segmented.session.measurements is None
    segmented.dock.segment_section.labels_chosen.emit(path)
    segmented.wait_for_job()
    assert not asked
    np.testing.assert_array_equal(segmented.labels.data, before)
    assert segmented.session.measurements.ef_percent == pytest.approx(ef)


def test_table_and_report_are_written(segmented, tmp_path):
    import json

    segmented.dock.save_section.table_path_chosen.emit(tmp_path / "m.json")
    segmented.wait_for_job()
    segmented.dock.save_section.table_path_chosen.emit(tmp_path / "m.csv")
    segmented.wait_for_job()
    segmented.dock.save_section.report_path_chosen.emit(tmp_path / "report.html")
    segmented.wait_for_job()
    assert json.loads((tmp_path / "m.json").read_text())["ef_percent"] == pytest.approx(EF)
    assert "ejection fraction" in (tmp_path / "m.csv").read_text()
    assert "<html" in (tmp_path / "report.html").read_text()[:500].lower()


def test_saving_where_nothing_can_be_written_keeps_the_edits_marked(segmented, tmp_path):
    paint_square(segmented, 3)
    segmented.settle()
    (tmp_path / "file").write_text("")
    segmented.dock.save_section.labels_path_chosen.emit(tmp_path / "file" / "labels.nii.gz")
    segmented.wait_for_job()
    assert segmented.session.status.state is JobState.FAILED
    assert segmented.session.dirty


@pytest.mark.parametrize("verb", ["open", "segment", "load"])
def test_unsaved_edits_are_kept_when_the_reader_says_cancel(segmented, study, monkeypatch, verb):
    asked = answer(monkeypatch, QMessageBox.StandardButton.Cancel)
    paint_square(segmented, 3)
    segmented.settle()
    before = segmented.labels.data.copy()
    if verb == "open":
        segmented.dock.open(study)
    elif verb == "segment":
        segmented.child("segment").click()
    else:
        segmented.dock.segment_section.labels_chosen.emit(study)
    segmented.wait_for_job()
    assert len(asked) == 1
    np.testing.assert_array_equal(segmented.labels.data, before)


def test_unsaved_edits_are_saved_first_when_the_reader_says_save(
    segmented, study, tmp_path, monkeypatch
):
    path = tmp_path / "kept.nii.gz"
    answer(monkeypatch, QMessageBox.StandardButton.Save)
    monkeypatch.setattr("napari_cardioxai.app.desk.ask_for_labels_path", lambda *_: path)
    paint_square(segmented, 3)
    segmented.settle()
    segmented.dock.open(study)
    segmented.wait(lambda: path.exists() and segmented.labels is None)
    assert segmented.session.scan is not None


def test_closing_the_window_asks_about_unsaved_edits(segmented, monkeypatch):
    asked = answer(monkeypatch, QMessageBox.StandardButton.Cancel)
    paint_square(segmented, 3)
    segmented.settle()
    segmented.dock.desk.window.close()
    assert len(asked) == 1
    assert segmented.dock.desk.window.isVisible()


def test_closing_during_a_job_stops_the_job(window, study, segmenter):
    window.open(study)
    segmenter.steps, segmenter.pause_s = 3000, 0.01
    window.child("segment").click()
    window.wait(lambda: window.session.status.total > 0)
    started = time.monotonic()
    window.viewer.close()
    assert time.monotonic() - started < 5
    assert segmenter.finished == 0
    assert not window.dock.actions.jobs.is_running


def test_drawing_by_hand_starts_on_empty_labels(window, study):
    window.open(study)
    window.child("blank_labels").click()
    assert window.session.measurements is None
    assert "LV cavity" in window.child("results_empty").text()
    side = 2 * HALF_WIDTHS[0]
    y, x = np.mgrid[0:side, 0:side].reshape(2, -1)
    for frame in (0, 1):
        z, t = np.full(y.size, 1), np.full(y.size, frame)
        window.labels.data_setitem((t, z, y, x), 1)
    window.settle()
    assert window.session.measurements.volume_ml[0] == pytest.approx(y.size * VOXEL_ML)


def test_labels_of_another_scan_are_refused(window, study, tmp_path):
    import nibabel

    window.open(study)
    other = np.ones((5, 5, 3), np.uint8)
    nibabel.save(nibabel.Nifti1Image(other, np.eye(4)), tmp_path / "other.nii.gz")
    window.dock.segment_section.labels_chosen.emit(tmp_path / "other.nii.gz")
    window.wait_for_job()
    assert window.session.status.state is JobState.FAILED
    assert window.labels is None


def test_labels_from_naparis_own_button_are_measured_too(window, study):
    window.open(study)
    window.viewer.layers.selection.active = window.session.scan_layer
    scan = window.session.scan_layer
    layer = window.viewer.add_labels(
        cavity_labels(), scale=scan.scale, units=scan.units, axis_labels=scan.axis_labels
    )
    assert window.labels is layer
    paint_square(window, 3)
    window.settle()
    assert window.session.measurements.edv_ml == pytest.approx(EDV_ML)
    assert np.argmax(layer.get_color(1)[:3]) == 0
