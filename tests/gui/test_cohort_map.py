"""The Cohort map dock on a small cohort of beating rings, with a model that reads it."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QMessageBox, QPushButton, QWidget

from napari_cardioxai.app.session import JobState

from ..maps import levels, rings

LONGEST_S = 240.0  # the first map imports torch and scikit-learn


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort_map")
    rings.write_cohort(folder)
    rings.save_model(folder / "own" / "models" / "rings")
    return folder


@pytest.fixture
def pictures(place, tmp_path):
    """A folder of bright and dark pictures beside the models, with a model for them."""
    model = levels.save_model(place / "own" / "models" / "levels")
    yield levels.write_pictures(tmp_path / "pictures")
    shutil.rmtree(model)


class Map:
    """The dock and what a person does with it."""

    def __init__(self, window, dock, manifest) -> None:
        self.window, self.dock, self.live, self.manifest = window, dock, dock.live, manifest

    def child(self, kind, name: str):
        found = self.dock.findChild(kind, f"cohort_map_{name}")
        assert found is not None, f"no control named {name}"
        return found

    def text(self, name: str) -> str:
        return self.child(QLabel, name).text()

    def press(self, name: str) -> None:
        button = self.child(QPushButton, name)
        assert button.isEnabled(), f"{name} cannot be pressed"
        button.click()

    def wait(self, condition) -> None:
        self.window.wait(condition, longest_s=LONGEST_S)

    def wait_for_job(self) -> None:
        self.wait(lambda: not self.window.dock.actions.jobs.is_running)

    def choose(self) -> None:
        self.wait(lambda: self.live.models is not None)
        self.live.choose_manifest(self.manifest)
        self.wait(lambda: self.live.cohort is not None)

    def draw(self) -> None:
        self.choose()
        self.press("draw")
        self.wait_for_job()
        self.wait(lambda: self.live.trust is not None)
        self.window.settle(0.2)

    def pixel(self, row: int) -> QPoint:
        """Where a subject is on the plot's own widget."""
        return self.dock.plot.mapFromScene(QPointF(self.dock.plot.scene_position(row)))

    def show_plot(self) -> None:
        scroll = self.dock.findChild(QWidget, "cohort_map_scroll")
        scroll.ensureWidgetVisible(self.dock.plot)
        self.window.settle(0.1)


@pytest.fixture
def cohort_map(window, place, monkeypatch):
    from napari_cardioxai.app.widgets.cohort_map.dock import CohortMapDock

    monkeypatch.setenv("CARDIOXAI_MODELS", str(place / "own" / "models"))
    monkeypatch.setattr(
        "napari_cardioxai.bundles.bundle.shipped_folder", lambda: place / "none shipped"
    )
    dock = CohortMapDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Cohort map")
    window.settle(0.1)
    return Map(window, dock, place / "rings.csv")


def test_an_empty_dock_says_what_to_choose(cohort_map):
    assert cohort_map.text("cohort").startswith("Choose the manifest")
    assert not cohort_map.child(QPushButton, "draw").isEnabled()
    assert not cohort_map.child(QWidget, "map_section").isVisible()
    assert not cohort_map.child(QWidget, "means_section").isVisible()


def test_a_manifest_that_cannot_be_read_is_one_sentence(cohort_map, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("name,file\na,b\n")
    cohort_map.live.choose_manifest(path)
    cohort_map.wait(lambda: cohort_map.text("hint"))
    assert cohort_map.text("hint").startswith("Wrong.csv has no column 'subject'")
    assert not cohort_map.child(QPushButton, "draw").isEnabled()


def test_the_cohort_docks_manifest_is_taken_over(cohort_map, window):
    from napari_cardioxai.app.widgets.cohort.dock import CohortDock

    dock = CohortDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Cohort")
    dock.describe(cohort_map.manifest)
    assert cohort_map.text("cohort") == "rings.csv"
    window.session.status_changed.emit(window.session.status)
    window.dock.actions.jobs.cancel()
    cohort_map.wait_for_job()


def test_a_cohort_is_drawn_coloured_and_judged_beside_the_window(cohort_map, monkeypatch):
    from napari_cardioxai.app import live_cohort_map as module

    threads = []
    original = module._draw

    def noted(*args):
        threads.append(threading.current_thread())
        return original(*args)

    monkeypatch.setattr(module, "_draw", noted)
    cohort_map.choose()
    part = cohort_map.child(QComboBox, "part")
    assert [part.itemText(k) for k in range(part.count())] == [
        "Test (20)",
        "Training (2)",
        "Everybody (22)",
    ]
    cohort_map.press("draw")
    assert not cohort_map.child(QPushButton, "draw").isEnabled()
    cohort_map.wait_for_job()
    assert threads and threads[0] is not threading.main_thread()
    plot, found = cohort_map.dock.plot, cohort_map.live.drawn.map
    assert len(plot.points.getData()[0]) == 20
    assert "PC 1" in plot.getPlotItem().getAxis("bottom").labelText
    assert (
        cohort_map.child(QPushButton, "map_header").text().endswith("rings on rings.csv, Test (20)")
    )

    diseased = int((found.subjects.columns["label"].values == "diseased").sum())
    legend = cohort_map.text("classes").replace("&nbsp;", " ")
    assert f"healthy ({20 - diseased})" in legend and f"diseased ({diseased})" in legend
    colours = {spot.brush().color().name() for spot in plot.points.points()}
    symbols = {spot.symbol() for spot in plot.points.points()}
    assert len(colours) == 2 and len(symbols) == 2, "told apart by shape as well"
    cohort_map.wait(lambda: cohort_map.live.trust is not None)
    assert cohort_map.text("trust").replace("\xa0", " ") == found.trust("label").sentence
    assert "In the plane lies: gradient" in cohort_map.text("directions")
    cohort_map.child(QLabel, "classes").linkActivated.emit("1")
    assert set(found.subjects.columns["label"].values[cohort_map.live.group]) == {"diseased"}
    assert len(cohort_map.live.group) == diseased

    column = cohort_map.child(QComboBox, "column")
    column.setCurrentIndex(column.findData("EF"))
    column.activated.emit(column.currentIndex())
    low, high = found.subjects.columns["EF"].limits()
    bar = cohort_map.child(QWidget, "bar")
    assert (
        bar.isVisible() and bar.texts[0] == f"≤ {low:.0f} %" and bar.texts[2] == f"≥ {high:.0f} %"
    )
    assert len({spot.brush().color().name() for spot in plot.points.points()}) > 5

    method = cohort_map.child(QComboBox, "method")
    assert not method.model().item(2).isEnabled() or "umap" in cohort_map.live.methods
    read = cohort_map.live.drawn.map.subjects
    method.setCurrentIndex(method.findData("t-sne"))
    cohort_map.wait_for_job()
    assert cohort_map.live.drawn.map.projection.method == "t-sne"
    assert cohort_map.live.drawn.map.subjects is read, "nobody is read twice"
    assert not cohort_map.child(QWidget, "arrows").isVisible()
    assert cohort_map.live.column == "EF"


def test_a_cancelled_map_leaves_the_one_in_view(cohort_map):
    cohort_map.draw()
    before = cohort_map.live.drawn
    cohort_map.child(QComboBox, "part").setCurrentIndex(2)
    cohort_map.child(QComboBox, "method").setCurrentIndex(1)
    assert not cohort_map.child(QPushButton, "draw").isEnabled(), "drawn at once"
    cohort_map.dock.findChild(QPushButton, "cancel").click()
    cohort_map.wait_for_job()
    assert cohort_map.window.session.status.state is JobState.CANCELLED
    assert cohort_map.live.drawn is before
    assert cohort_map.child(QComboBox, "method").currentText() == "PCA"
    assert len(cohort_map.dock.plot.points.getData()[0]) == 20


def test_a_click_opens_the_subject_and_its_star_appears(cohort_map):
    cohort_map.draw()
    cohort_map.show_plot()
    plot, live = cohort_map.dock.plot, cohort_map.live
    assert "Open a study" in cohort_map.text("star")
    row = int(np.argmax(live.drawn.map.points[:, 0]))
    where = cohort_map.pixel(row)
    assert plot.row_at(plot.mapToScene(where)) == row
    QTest.mouseMove(plot.viewport(), where)
    QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=where)
    cohort_map.wait(lambda: cohort_map.window.labels is not None)
    cohort_map.wait_for_job()
    cohort_map.wait(lambda: live.star is not None)
    name = live.drawn.map.subjects.subjects[row]
    assert cohort_map.window.session.path.name == f"{name}.nii.gz"
    assert live.star.row == row
    assert plot.star.getData()[0][0] == pytest.approx(live.drawn.map.points[row, 0], abs=1e-2)
    assert len(plot.own.getData()[0]) == 1
    assert cohort_map.text("star").startswith(f"★ {name}")

    layer, before = cohort_map.window.labels, live.star.point.copy()
    wall = np.nonzero(layer.data == 2)
    layer.data_setitem(wall, 1)  # muscle becomes blood: another heart
    cohort_map.wait(lambda: live.star is not None and not np.allclose(live.star.point, before))
    layer.undo()


def test_unsaved_edits_are_asked_about_before_another_subject_opens(cohort_map, monkeypatch):
    cohort_map.draw()
    cohort_map.live.open_subject(0)
    cohort_map.wait(lambda: cohort_map.window.labels is not None)
    cohort_map.wait_for_job()
    layer = cohort_map.window.labels
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0]), np.array([0])), 1)
    cohort_map.wait(lambda: cohort_map.window.session.dirty)
    asked = []
    monkeypatch.setattr(
        QMessageBox, "warning", lambda *a: asked.append(a[1]) or QMessageBox.StandardButton.Cancel
    )
    cohort_map.live.open_subject(1)
    assert asked == ["Unsaved label edits"] and cohort_map.window.session.path.name == "p0.nii.gz"


def test_a_study_that_does_not_fit_has_no_star_but_a_reason(cohort_map, study):
    cohort_map.draw()
    cohort_map.window.open(study)
    cohort_map.window.dock.actions.start_blank()
    cohort_map.wait(lambda: cohort_map.live.star_reason)
    assert cohort_map.text("star") == cohort_map.live.star_reason
    assert cohort_map.live.star is None and len(cohort_map.dock.plot.star.getData()[0]) == 0


def test_the_mouse_over_a_point_names_subject_and_value(cohort_map):
    cohort_map.draw()
    cohort_map.live.colour_by("EF")
    plot, subjects = cohort_map.dock.plot, cohort_map.live.drawn.map.subjects
    plot.scene().sigMouseMoved.emit(plot.scene_position(4))
    cohort_map.wait(lambda: plot.name.isVisible())
    row = plot._hover
    assert (
        plot.name.toPlainText() == f"{subjects.subjects[row]}: {subjects.columns['EF'].text(row)}"
    )
    assert np.allclose(
        cohort_map.live.drawn.map.points[row], cohort_map.live.drawn.map.points[4], atol=1
    )


def lasso(cohort_map, rows: np.ndarray, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    """Drag around some subjects with the mouse."""
    plot = cohort_map.dock.plot
    points = np.array([[p.x(), p.y()] for p in map(cohort_map.pixel, rows)])
    low, high = points.min(0) - 6, points.max(0) + 6
    corners = [low, (high[0], low[1]), high, (low[0], high[1]), low]
    way = [QPoint(*map(int, corner)) for corner in corners]
    port, left = plot.viewport(), Qt.MouseButton.LeftButton
    QTest.mousePress(port, left, modifier, way[0])
    for point in way[1:]:
        drag(port, point, modifier)
        cohort_map.window.settle(0.05)
    QTest.mouseRelease(port, left, modifier, way[-1])
    cohort_map.window.settle(0.1)


def drag(port, point: QPoint, modifier) -> None:
    """QTest cannot move a mouse whose button is held."""
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    here, left = QPointF(point), Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, here, port.mapToGlobal(here), Qt.MouseButton.NoButton, left, modifier
    )
    QApplication.sendEvent(port, event)


def test_a_lasso_makes_a_mean_heart_a_concept_and_a_column(cohort_map, place, monkeypatch):
    cohort_map.draw()
    cohort_map.show_plot()
    live, points = cohort_map.live, cohort_map.live.drawn.map.points
    assert not cohort_map.child(QPushButton, "mean").isEnabled()
    cohort_map.press("lasso")
    order = np.argsort(points[:, 0])
    lasso(cohort_map, order[:10])
    assert set(order[:10]) <= set(live.group), "the box around them holds them"
    assert len(cohort_map.dock.plot.group.getData()[0]) == len(live.group)
    assert cohort_map.text("group").startswith(f"{len(live.group)} of 20 subjects. Group: healthy")
    live.select_rows(order[:10])
    cohort_map.child(QWidget, "group_name").setText("small")

    cohort_map.press("mean")
    cohort_map.wait_for_job()
    cohort_map.wait(lambda: live.layers.view is not None)
    cohort_map.window.settle(0.2)
    mine, others = live.means
    assert (mine.count, others.count) == (10, 10)
    layers = cohort_map.window.viewer.layers
    assert [layer.name for layer in layers] == [
        "Mean heart: small",
        "Mean heart: All others",
        "Mean heart line",
    ]
    np.testing.assert_array_equal(layers[0].data, mine.labels.data)
    assert live.layers.view.group.values.shape[1] == 25
    assert cohort_map.text("mean_0") == mine.sentence
    cohort_map.window.viewer.dims.set_current_step(0, 9)
    assert cohort_map.dock.heart.plots[0].cursor_line.value() == pytest.approx(
        mine.labels.frame_times_ms[9]
    )

    made = []
    live.concept_made.connect(lambda name, walk: made.append((name, walk)))
    cohort_map.press("concept")
    cohort_map.wait_for_job()
    ((name, walk),) = made
    assert name == "small" and walk.change().shape == (25, 8)
    assert cohort_map.text("concept").startswith("“small”: TCAV")

    target = place / "tagged.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    cohort_map.press("save")
    cohort_map.wait_for_job()
    tagged = pd.read_csv(target, index_col="subject")["small"]
    names = live.drawn.map.subjects.subjects
    assert set(tagged.index[tagged == 1]) == {names[row] for row in order[:10]}
    assert tagged.isna().sum() == 2, "those of the training are not on the map"


def test_mean_hearts_take_over_the_clock_of_an_open_scan(cohort_map, study):
    cohort_map.draw()
    live, viewer = cohort_map.live, cohort_map.window.viewer
    live.select_rows(np.arange(8))
    live.draw_means("eight")
    cohort_map.wait_for_job()
    cohort_map.wait(lambda: live.layers.view is not None)
    cohort_map.window.open(study)
    cohort_map.wait(lambda: len(viewer.layers) == 4)
    scan, mean = cohort_map.window.session.scan_layer, viewer.layers["Mean heart: eight"]
    assert mean.data.shape[:2] == scan.data.shape[:2]
    assert tuple(mean.scale[:2]) == pytest.approx(tuple(scan.scale[:2]))
    assert mean.translate[-1] > scan.data.shape[-1] * scan.scale[-1], "beside, not over it"
    np.testing.assert_array_equal(mean.data[3, 0], live.means[0].labels.data[3 * 25 // 6, 0])
    assert cohort_map.window.labels is None, "a mean heart is not the study's labels"
    cohort_map.press("line_remove")
    assert list(viewer.layers) == [scan]


def test_groups_are_added_to_taken_from_and_set_against_each_other(cohort_map):
    cohort_map.draw()
    live, points = cohort_map.live, cohort_map.live.drawn.map.points
    everybody = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (np.abs(points).max() + 1)
    one = points[3] + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 1e-4
    live.select(everybody)
    assert len(live.group) == 20 and len(live.compared) == 0
    live.select(one, "remove")
    assert 3 not in live.group and live.compared.tolist() == [3]
    live.select(one, "add")
    assert len(live.group) == 20
    live.select(one)
    assert live.group.tolist() == [3] and len(live.compared) == 19
    cohort_map.press("against")
    assert live.opposite.tolist() == [3] and not len(live.group)
    live.select_rows([5, 6])
    assert live.compared.tolist() == [3]
    assert "Set against 1 others" in cohort_map.text("group")
    cohort_map.press("clear")
    assert not len(live.group)


def test_too_small_a_group_is_refused_in_a_sentence(cohort_map):
    cohort_map.draw()
    cohort_map.live.select_rows([1, 2])
    cohort_map.child(QWidget, "group_name").setText("two")
    cohort_map.press("concept")
    cohort_map.wait_for_job()
    status = cohort_map.window.session.status
    assert status.state is JobState.FAILED and "2 subjects with the concept" in status.text
    assert cohort_map.live.concepts == {}


def test_pictures_have_a_map_by_the_same_dock(pictures, cohort_map):
    from napari_cardioxai.cohorts.pictures import find_pictures, write_manifest

    cohort_map.manifest = write_manifest(
        pictures.parent / "pictures.csv", find_pictures(pictures), {}
    ).path
    cohort_map.choose()
    cohort_map.child(QComboBox, "model").setCurrentText("levels")
    assert cohort_map.child(QComboBox, "part").currentText() == "Everybody (12)"
    cohort_map.press("draw")
    cohort_map.wait_for_job()
    live = cohort_map.live
    assert len(cohort_map.dock.plot.points.getData()[0]) == 11
    assert "1 were left out, such as dark/0" in cohort_map.window.session.status.text
    assert [arrow.name for arrow in live.drawn.map.arrows] == ["bright"]
    row = live.drawn.map.subjects.subjects.index("bright/3")
    live.open_subject(row)
    cohort_map.wait(lambda: live.star is not None)
    assert live.star.row == row
    live.select_rows([0, 1, 2])
    cohort_map.child(QWidget, "group_name").setText("three")
    assert not cohort_map.child(QPushButton, "mean").isEnabled()
    assert not cohort_map.child(QPushButton, "concept").isEnabled()
    assert cohort_map.child(QPushButton, "save").isEnabled()
    assert "draws no hearts" in cohort_map.text("group")


def test_the_map_outlives_its_dock(cohort_map, window):
    from napari_cardioxai.app.widgets.cohort_map.dock import CohortMapDock

    cohort_map.draw()
    cohort_map.live.select_rows([1, 2])
    again = CohortMapDock(window.viewer)
    window.viewer.window.add_dock_widget(again, name="Another")
    window.settle(0.1)
    assert len(again.plot.points.getData()[0]) == 20
    assert len(again.plot.group.getData()[0]) == 2
    assert again.group.about.text().startswith("2 of 20 subjects.")
