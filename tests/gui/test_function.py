"""The Function dock on a beating ring whose volume, rates and wall are closed forms."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from qtpy.QtWidgets import QInputDialog, QWidget

PHASES, SLICES, SIDE = 12, 8, 80
SPACING_MM = (8.0, 1.0, 1.0)
INTERVAL_MS = 70.0
CYCLE_MS = PHASES * INTERVAL_MS
INNER_ED_MM, INNER_ES_MM, OUTER_MM = 18.0, 12.0, 26.0
BEARING = (1, 2, 3, 4, 5, 6)  # slices with a ventricle
# The cavity's cross-section is a cosine in time, so its volume is one too.
SQUARES = (INNER_ED_MM**2 + INNER_ES_MM**2) / 2, (INNER_ED_MM**2 - INNER_ES_MM**2) / 2
HEIGHT_MM = len(BEARING) * SPACING_MM[0]


def volume_ml(time_ms):
    """Volume of the cavity at a time."""
    wave = np.cos(2 * np.pi * np.asarray(time_ms) / CYCLE_MS)
    return np.pi * (SQUARES[0] + SQUARES[1] * wave) * HEIGHT_MM / 1000


STEEPEST_ML_S = np.pi * SQUARES[1] * HEIGHT_MM / 1000 * 2 * np.pi / (CYCLE_MS / 1000)


def ring_labels() -> np.ndarray:
    """Cavity in muscle, the right ventricle to the left of it; shape (t, z, y, x)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(y, x)
    labels = np.zeros((PHASES, SLICES, SIDE, SIDE), np.uint8)
    for t in range(PHASES):
        square = SQUARES[0] + SQUARES[1] * np.cos(2 * np.pi * t / PHASES)
        picture = np.zeros((SIDE, SIDE), np.uint8)
        picture[(radius < OUTER_MM + 9) & (x < -8)] = 3
        picture[radius < OUTER_MM] = 2
        picture[radius**2 < square] = 1
        labels[t, list(BEARING)] = picture
    return labels


def write(path, data):
    z, y, x = SPACING_MM
    image = nibabel.Nifti1Image(data.transpose(3, 2, 1, 0), np.diag([-x, -y, z, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = INTERVAL_MS / 1000
    nibabel.save(image, path)
    return path


@pytest.fixture
def function(window, tmp_path):
    """The dock of an open scan without labels."""
    from napari_cardioxai.app.widgets.function.dock import FunctionDock

    labels = ring_labels()
    texture = np.random.default_rng(0).normal(0, 5, labels.shape)
    scan = np.choose(labels, (100, 900, 300, 850)) + texture
    window.open(write(tmp_path / "scan.nii.gz", scan.astype(np.int16)))
    dock = FunctionDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Function")
    window.settle(0.1)
    return dock


def load(window, tmp_path, data):
    path = write(tmp_path / "labels.nii.gz", data)
    window.dock.segment_section.labels_chosen.emit(path)
    window.wait_for_job()
    catch_up(window)
    return path


def catch_up(window):
    window.settle(0.05)
    window.wait(lambda: not window.dock.actions.function.is_busy)


def child(dock, name):
    found = dock.findChild(QWidget, name)
    assert found is not None, f"no control named {name}"
    return found


def set_voxels(window, frame, z, rows, columns, value):
    y, x = (index.ravel() for index in np.meshgrid(rows, columns, indexing="ij"))
    window.labels.data_setitem((np.full(y.size, frame), np.full(y.size, z), y, x), value)


def test_empty_states_say_what_to_do(window, function, tmp_path):
    assert "Segment, load labels or draw" in child(function, "function_empty").text()
    cavity_only = np.where(ring_labels() == 1, 1, 0).astype(np.uint8)
    load(window, tmp_path, cavity_only)
    for name in ("bullseye_empty", "wall_empty"):
        assert child(function, name).text().endswith("missing: Myocardium and RV cavity.")
    assert function.bullseye.bullseye.isHidden() and function.walls.plot.isHidden()
    assert not function.curves.rates.isHidden(), "volumes need the cavity alone"


def test_curves_and_marks_are_those_of_the_closed_form(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    times = INTERVAL_MS * np.arange(PHASES)
    x, y = function.curves.volumes.points["LV"].getData()
    np.testing.assert_allclose(x, times)
    np.testing.assert_allclose(y, volume_ml(times), rtol=0.03)
    x, y = function.curves.rates.marks.getData()
    marks = dict(zip(("PER", "PFR"), zip(x, y, strict=True), strict=False))
    assert marks["PER"][1] == pytest.approx(-STEEPEST_ML_S, rel=0.08)
    assert marks["PFR"][1] == pytest.approx(STEEPEST_ML_S, rel=0.08)
    assert marks["PER"][0] == pytest.approx(CYCLE_MS / 4, abs=INTERVAL_MS)
    assert marks["PFR"][0] == pytest.approx(3 * CYCLE_MS / 4, abs=INTERVAL_MS)
    named = [name.toPlainText() for name in function.curves.rates.names if name.isVisible()]
    assert named == ["PER", "PFR"], "one wave of filling has no atrial peak and no diastasis"
    assert "Fused" in child(function, "rate_note").text()
    right = function.curves.volumes.points["RV"].getData()[1]
    true = (ring_labels() == 3).sum(axis=(1, 2, 3)) * np.prod(SPACING_MM) / 1000
    np.testing.assert_allclose(right, true)


def test_bullseye_shows_the_wall_of_the_ring(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    ed, es = OUTER_MM - INNER_ED_MM, OUTER_MM - INNER_ES_MM
    section = function.bullseye
    for key, value, near in (
        ("wall_ed_mm", ed, 0.4),
        ("wall_es_mm", es, 0.4),
        ("thickening_percent", 100 * (es - ed) / ed, 8),
    ):
        section.quantity.setCurrentIndex(section.quantity.findData(key))
        shown = section.bullseye.describe(7)
        assert shown.startswith("Segment 8, mid anteroseptal: ")
        assert float(shown.split(": ")[1].split()[0]) == pytest.approx(value, abs=near)
    assert section.bullseye.describe(16) == "Segment 17, apex: not shown by these slices"


def test_bullseye_lies_as_readers_know_it(function):
    bullseye = function.bullseye.bullseye
    bullseye.resize(360, 250)
    middle = bullseye.centre_of(16)
    assert bullseye.segment_at(middle) == 16
    for segment, right, up in (
        (0, 0, 1),  # basal anterior above
        (1, -1, 1),  # anteroseptal to the upper left
        (2, -1, -1),
        (3, 0, -1),  # inferior below
        (4, 1, -1),  # inferolateral to the lower right
        (11, 1, 1),
        (13, -1, 0),  # apical septal to the left
        (15, 1, 0),
    ):
        place = bullseye.centre_of(segment) - middle
        assert np.sign(np.round([place.x(), -place.y()])).tolist() == [right, up]
        assert bullseye.segment_at(bullseye.centre_of(segment)) == segment
    assert bullseye.segment_at(bullseye.rect().topLeft().toPointF()) is None


def test_wall_curves_follow_the_slice_in_view_and_its_edits(window, function, tmp_path):
    window.viewer.dims.set_current_step((0, 1), (0, 2))
    load(window, tmp_path, ring_labels())
    session = window.session
    true = OUTER_MM - np.sqrt(
        SQUARES[0] + SQUARES[1] * np.cos(2 * np.pi * np.arange(PHASES) / PHASES)
    )
    first = session.wall_curves
    assert first.slice_index == 2
    np.testing.assert_allclose(first.thickness_mm, np.repeat(true[:, None], 6, 1), atol=0.4)

    window.viewer.dims.set_current_step(1, 3)
    window.wait(lambda: session.wall_curves.slice_index == 3)
    assert child(function, "wall_key").text().startswith("Slice 4, mid")

    # The wall of one phase grows outwards, in slice 4 alone.
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rows, columns = np.nonzero((np.hypot(y, x) < OUTER_MM + 3) & (np.hypot(y, x) >= OUTER_MM))
    window.labels.data_setitem((np.full(rows.size, 4), np.full(rows.size, 3), rows, columns), 2)
    window.settle(0.1)
    catch_up(window)
    grown = session.wall_curves.thickness_mm - true[:, None]
    np.testing.assert_allclose(grown[4], 3.0, atol=0.5)
    np.testing.assert_allclose(np.delete(grown, 4, axis=0), 0.0, atol=0.4)

    window.viewer.dims.set_current_step(1, 2)
    window.wait(lambda: session.wall_curves.slice_index == 2)
    assert session.wall_curves is first, "nothing changed there, so nothing was measured anew"
    window.viewer.dims.set_current_step(1, 0)
    window.wait(lambda: session.wall_curves is None)
    assert "no LV" in child(function, "wall_empty").text()


def test_volumes_follow_a_stroke_at_once_and_walls_after_it(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    session, walls = window.session, window.session.walls
    before = session.measurements
    set_voxels(window, 6, 2, np.arange(38, 42), np.arange(38, 42), 0)
    window.settle(0.05)
    lost = 16 * np.prod(SPACING_MM) / 1000
    assert session.measurements.volume_ml[6] == pytest.approx(before.volume_ml[6] - lost)
    assert session.measurements.wall_ed_mm == before.wall_ed_mm, "rows do not flicker"
    catch_up(window)
    assert session.walls is not walls
    y = function.curves.volumes.points["LV"].getData()[1]
    assert y[6] == pytest.approx(session.measurements.volume_ml[6])


def test_cursors_are_linked_both_ways(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    plots = (function.curves.volumes, function.curves.rates, function.walls.plot)
    window.viewer.dims.set_current_step((0, 1), (5, 2))
    catch_up(window)
    for phase, plot in enumerate(plots, start=7):
        assert plot.cursor_line.value() == pytest.approx(
            INTERVAL_MS * window.viewer.dims.current_step[0]
        )
        plot.cursor_line.setValue(INTERVAL_MS * phase + 9)
        plot.cursor_line.sigDragged.emit(plot.cursor_line)
        assert window.viewer.dims.current_step[0] == phase


def test_reference_table_names_the_range_and_says_what_is_outside(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    table = function.reference.table
    rows = {
        table.item(r, 0).text(): [table.item(r, c).text() for c in (1, 2, 3)]
        for r in range(table.rowCount())
    }
    # Petersen 2017: women 61 ± 5 %, men 58 ± 5 %, and 1.96 standard deviations.
    ef = 100 * (1 - INNER_ES_MM**2 / INNER_ED_MM**2)
    assert rows["LV ejection fraction"] == [f"{ef:.0f}", "48–71", "%"]
    assert rows["LV end-diastolic volume"][0] == f"{volume_ml(0):.0f} ↓"
    assert "Petersen 2017" in table.item(0, 0).toolTip()


@pytest.fixture
def flawed(window, function, tmp_path):
    """Labels with a lone piece of cavity in slice 4, phase 6."""
    labels = ring_labels()
    labels[5, 3, 4, 4] = 1
    return load(window, tmp_path, labels)


def flaw(function):
    """The row of the lone piece."""
    shown = function.quality.lists["technical"]
    rows = [shown.item(row) for row in range(shown.count())]
    found = [row for row in rows if "smallest piece of LV" in row.text()]
    assert len(found) == 1, [row.text() for row in rows]
    return found[0]


def overrule(function, monkeypatch, reason):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (reason, bool(reason)))
    item = flaw(function)
    item.listWidget().setCurrentItem(item)
    child(function, "overrule").click()


def test_click_on_a_finding_goes_to_its_slice_and_phase(window, function, flawed):
    window.viewer.dims.set_current_step((0, 1), (0, 0))
    item = flaw(function)
    assert "slice 4, frame 6" in item.text()
    item.listWidget().itemClicked.emit(item)
    assert tuple(window.viewer.dims.current_step[:2]) == (5, 3)


def test_technical_and_unusual_are_listed_apart(window, function, flawed):
    shown = function.quality.lists["physiology"]
    texts = [shown.item(row).text() for row in range(shown.count())]
    assert any("end-diastolic volume" in text for text in texts)
    assert not any("piece" in text for text in texts)


def test_repaired_labels_lose_their_finding(window, function, flawed):
    set_voxels(window, 5, 3, [4], [4], 0)
    window.settle(0.1)
    catch_up(window)
    assert not any("smallest piece of LV" in f.sentence for f in window.session.quality.findings)


def test_overruling_needs_a_reason(window, function, flawed, monkeypatch):
    overrule(function, monkeypatch, "")
    assert not window.session.overrides and not window.session.dirty


def test_overruled_finding_stays_so_with_its_reason_in_the_file_beside_the_labels(
    window, function, flawed, tmp_path, monkeypatch
):
    overrule(function, monkeypatch, "a second chamber")
    assert "Overruled: a second chamber" in flaw(function).text()
    assert window.session.dirty, "the reason is in no file yet"
    path = tmp_path / "kept.nii.gz"
    window.dock.save_section.labels_path_chosen.emit(path)
    window.wait_for_job()
    assert not window.session.dirty
    (kept,) = json.loads((tmp_path / "kept.quality.json").read_text())["overrides"]
    assert (kept["slice"], kept["frame"], kept["reason"]) == (3, 5, "a second chamber")

    window.viewer.layers.remove(window.labels)
    assert not window.session.overrides
    window.dock.segment_section.labels_chosen.emit(path)
    window.wait_for_job()
    catch_up(window)
    assert "Overruled: a second chamber" in flaw(function).text()
    assert not window.session.dirty

    item = flaw(function)
    item.listWidget().setCurrentItem(item)
    child(function, "restore").click()
    assert "Overruled" not in flaw(function).text()
    assert window.session.dirty


def test_closing_waits_for_what_is_measured(window, function, tmp_path):
    load(window, tmp_path, ring_labels())
    set_voxels(window, 6, 2, np.arange(38, 42), np.arange(38, 42), 0)
    window.settle(0.35)
    function = window.dock.actions.function
    assert function.is_busy
    assert function.close()
    assert not function.is_busy


def test_function_hidden_behind_another_dock_draws_when_it_comes_back(window, function, tmp_path):
    function.hide()
    load(window, tmp_path, ring_labels())
    assert function.reference.table.rowCount() == 0
    function.show()
    assert function.reference.table.rowCount() == 5
