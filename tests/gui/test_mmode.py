"""The M-mode dock on a cine whose cavity's borders are known."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget

from .conftest import FRAMES, HALF_WIDTHS, INTERVAL_MS, SIDE, SPACING_MM, cavity_labels

ACROSS = np.array([[SIDE / 2 - 0.5, 2.0], [SIDE / 2 - 0.5, SIDE - 3.0]])  # (y, x) in pixels


@pytest.fixture
def mmode(window, study):
    from napari_cardioxai.app.widgets.mmode.dock import MModeDock

    window.open(study)
    dock = MModeDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="M-mode")
    return dock


def child(dock, name):
    found = dock.findChild(QWidget, name)
    assert found is not None, f"no control named {name}"
    return found


def draw(window, dock, ends):
    """Draw a line through the layer that the dock has made."""
    child(dock, "mmode_draw").click()
    dock.mmode.layer.add_lines(ends)
    window.wait(lambda: shows(dock, ends))


def shows(dock, ends):
    view = dock.mmode.view
    length = np.linalg.norm((ends[1] - ends[0]) * SPACING_MM[1:])
    return view is not None and np.isclose(view.intensity.distance_mm[-1], length)


def dark_to_bright_mm(values, distance_mm):
    """Where each column passes from wall to cavity, half way between the samples."""
    first = np.argmax(values > 500, axis=0)
    return (distance_mm[first - 1] + distance_mm[first]) / 2


def test_without_a_line_the_dock_says_what_to_do(window, mmode):
    assert "Draw line" in child(mmode, "mmode_hint").text()
    assert mmode.plot.isHidden()
    assert not child(mmode, "mmode_move").isEnabled()


def test_line_shows_the_cavity_where_it_is_in_every_phase(window, mmode):
    window.viewer.dims.set_current_step(1, 2)
    draw(window, mmode, ACROSS)
    seen = mmode.mmode.view.intensity
    assert seen.values.shape[1] == FRAMES
    assert list(seen.time_ms) == pytest.approx([INTERVAL_MS * t for t in range(FRAMES)])
    start = ACROSS[0, 1]
    true = [(SIDE // 2 - half - 0.5 - start) * SPACING_MM[2] for half in HALF_WIDTHS]
    found = dark_to_bright_mm(seen.values, seen.distance_mm)
    np.testing.assert_allclose(found, true, atol=SPACING_MM[2])
    assert mmode.plot.isVisibleTo(mmode)


def test_line_layer_keeps_the_units_of_the_window(window, mmode):
    draw(window, mmode, ACROSS)
    assert window.viewer.layers.units is not None
    layer = mmode.mmode.layer
    assert layer.ndim == 2
    assert tuple(layer.scale) == pytest.approx(SPACING_MM[1:])
    for phase in (0, 3):
        window.viewer.dims.set_current_step(0, phase)
        assert len(layer.data) == 1


def test_moving_the_line_and_the_slice_are_followed(window, mmode):
    window.viewer.dims.set_current_step(1, 2)
    draw(window, mmode, ACROSS)
    short = ACROSS * [[1, 1], [1, 0.5]]
    mmode.mmode.layer.data = [short]
    window.wait(lambda: shows(mmode, short))
    assert (mmode.mmode.view.intensity.values > 500).any()
    window.viewer.dims.set_current_step(1, 0)  # a slice without a cavity
    window.wait(lambda: mmode.mmode.view.slice_index == 0)
    assert not (mmode.mmode.view.intensity.values > 500).any()
    assert "Slice 1." in child(mmode, "mmode_where").text()


def test_new_line_replaces_the_old_one_and_is_then_movable(window, mmode):
    draw(window, mmode, ACROSS)
    child(mmode, "mmode_draw").click()
    layer = mmode.mmode.layer
    drag_on_canvas(layer, (10.0, 12.0), (60.0, 50.0))
    window.settle(0.2)
    assert len(layer.data) == 1
    np.testing.assert_allclose(layer.data[0] * SPACING_MM[1:], [(10, 12), (60, 50)], atol=0.1)
    assert layer.mode == "direct"
    window.wait(lambda: shows(mmode, layer.data[0]))


def drag_on_canvas(layer, start_mm, end_mm):
    """Press, move and release as napari's canvas passes them on."""
    from napari.utils.interactions import (
        mouse_move_callbacks,
        mouse_press_callbacks,
        mouse_release_callbacks,
    )

    event = MouseEvent("mouse_press", start_mm)
    mouse_press_callbacks(layer, event)
    for share in (0.5, 1.0):
        event.type = "mouse_move"
        event.position = tuple(np.array(start_mm) + share * np.subtract(end_mm, start_mm))
        event.pos = np.array(event.position)
        event.is_dragging = True
        mouse_move_callbacks(layer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(layer, event)


class MouseEvent:
    """What napari's mouse bindings read of an event."""

    def __init__(self, kind, position):
        self.type, self.position, self.pos = kind, position, np.array(position)
        self.is_dragging, self.modifiers, self.button, self.handled = False, (), 1, False
        self.dims_displayed, self.view_direction = [0, 1], None
        self.up_direction, self.source = None, None


def test_borders_of_labels_lie_where_the_labels_change(window, mmode, segmenter):
    from napari_cardioxai.app.widgets.mmode.plot import border_segments

    row, column = border_segments(np.array([[0, 0], [1, 0], [1, 0]], bool))
    pairs = {tuple(zip(row[k : k + 2], column[k : k + 2], strict=True)) for k in (0, 2, 4)}
    assert pairs == {((1, 0), (1, 1)), ((1, 1), (2, 1)), ((2, 1), (3, 1))}

    window.viewer.dims.set_current_step(1, 2)
    draw(window, mmode, ACROSS)
    assert mmode.mmode.view.labels is None
    window.child("segment").click()
    window.wait_for_job()
    window.wait(lambda: mmode.mmode.view.labels is not None)
    cavity = mmode.mmode.view.labels.values == 1
    widths = cavity.sum(axis=0)
    true = (cavity_labels()[:, 2, SIDE // 2] == 1).sum(axis=1)
    assert list(widths) == list(true)
    assert len(mmode.plot.borders[1].getData()[0]) > 0


def test_strokes_move_the_borders(window, mmode, segmenter):
    window.child("segment").click()
    window.wait_for_job()
    window.viewer.dims.set_current_step(1, 2)
    draw(window, mmode, ACROSS)
    row = np.arange(6, 10)
    y, x = np.meshgrid(np.arange(22, 26), row, indexing="ij")
    where = (np.full(y.size, 3), np.full(y.size, 2), y.ravel(), x.ravel())
    window.labels.data_setitem(where, 3)
    window.wait(lambda: (mmode.mmode.view.labels.values == 3).any())
    assert (mmode.mmode.view.labels.values == 3).any(axis=0).tolist() == [
        frame == 3 for frame in range(FRAMES)
    ]


def test_cursor_is_linked_both_ways(window, mmode):
    draw(window, mmode, ACROSS)
    window.viewer.dims.set_current_step(0, 4)
    assert mmode.plot.cursor_line.value() == pytest.approx(4 * INTERVAL_MS)
    mmode.plot.cursor_line.setValue(2 * INTERVAL_MS + 5)
    mmode.plot.cursor_line.sigDragged.emit(mmode.plot.cursor_line)
    assert window.viewer.dims.current_step[0] == 2


def test_removed_line_and_another_scan_leave_no_old_picture(window, mmode, study):
    draw(window, mmode, ACROSS)
    child(mmode, "mmode_remove").click()
    assert mmode.mmode.view is None and mmode.plot.isHidden()
    draw(window, mmode, ACROSS)
    window.open(study)
    assert mmode.mmode.view is None and mmode.mmode.layer is None
    assert all(layer.name != "M-mode line" for layer in window.viewer.layers)
