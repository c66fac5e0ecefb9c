"""The Attribution dock with models whose reasons are known."""

from __future__ import annotations

import csv

import nibabel
import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from ..attribution.pictures import (
    LESION,
    a_picture,
    bright_spot,
    lesion_mask,
    save_bright_spot,
)
from ..attribution.studies import Bright, a_scan, save_bright, save_heart
from ..cohorts.cines import a_cine

VOLUME = (48, 44, 56)


class Attribution:
    """The dock and what a person does with it."""

    def __init__(self, window, dock) -> None:
        self.window, self.dock, self.live = window, dock, dock.live
        self.viewer = window.viewer

    def child(self, name: str):
        found = self.dock.findChild(QWidget, f"attribution_{name}")
        assert found is not None, f"no control named {name}"
        return found

    def wait(self, condition) -> None:
        from napari_cardioxai.app.window import process_until

        assert process_until(condition, 300), (self.live.standing, self.child("hint").text())

    def choose(self, model: str, target: str | None = None) -> None:
        self.wait(lambda: self.child("model").findText(model) >= 0)
        self.child("model").setCurrentText(model)
        if target is not None:
            self.child("target").setCurrentIndex(self.child("target").findData(target))
        self.wait(lambda: self.live.looked is not None)

    def tick(self, *names: str) -> None:
        self.dock.methods.tick_none()
        for name in names:
            self.dock.methods.items[name].setCheckState(0, Qt.CheckState.Checked)

    def explain(self, *names: str) -> None:
        self.tick(*names)
        self.child("start").click()
        self.wait(lambda: self.live.standing.stage != "working")
        assert self.live.standing.stage == "done", self.live.standing

    def rows(self) -> dict[str, list[str]]:
        table = self.child("scores")
        return {
            table.item(row, 0).text(): [table.item(row, k).text() for k in range(1, 6)]
            for row in range(table.rowCount())
            if not table.isRowHidden(row)
        }

    def layer(self, title: str):
        return self.viewer.layers[f"Attribution: {title}"]


@pytest.fixture
def attribution(window, tmp_path, monkeypatch):
    """Opens a study, then the dock; models are those in `tmp_path / "models"`."""
    from napari_cardioxai.bundles.bundle import NETWORKS
    from napari_cardioxai.networks import classifiers

    monkeypatch.setitem(NETWORKS["segmenter"], "bright", Bright)
    monkeypatch.setattr(classifiers, "_own", {"bright-spot": bright_spot})
    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(
        "napari_cardioxai.bundles.bundle.shipped_folder", lambda: tmp_path / "none shipped"
    )

    def make(path) -> Attribution:
        from napari_cardioxai.app.widgets.attribution.dock import AttributionDock

        window.open(path)
        dock = AttributionDock(window.viewer)
        window.viewer.window.add_dock_widget(dock, name="Attribution")
        window.settle(0.1)
        return Attribution(window, dock)

    return make


def write(path, scan):
    from napari_cardioxai.scans.nifti import write_nifti

    write_nifti(path, np.asarray(scan.data), scan.geometry, frame_times_ms=scan.frame_times_ms)
    return path


def test_maps_of_a_structure_come_with_scores_and_can_be_thresholded(attribution, tmp_path):
    save_bright(tmp_path / "models" / "bright")
    dock = attribution(write(tmp_path / "scan.nii.gz", a_scan()))
    dock.choose("bright")
    target = dock.child("target")
    assert target.currentText() == "Logit of LV cavity"
    target.setCurrentIndex(target.findData("LV cavity"))
    dock.wait(lambda: dock.live.looked is not None)
    lrp = dock.dock.methods.items["lrp"]
    assert lrp.isDisabled() and "explain a logit" in lrp.text(1), "a volume is no sum of logits"
    assert "explain a logit" in lrp.toolTip(0)
    target.setCurrentIndex(0)
    dock.wait(lambda: dock.live.looked is not None)
    assert not lrp.isDisabled()
    assert dock.child("layer").count() > 1

    dock.window.dock.desk.go_to_slice(1)
    dock.explain("gradient", "ig", "lrp")
    explained = dock.child("explained").text()
    assert "logit of LV cavity" in explained and "Baseline: zero" in explained
    rows = dock.rows()
    assert set(rows) >= {"Gradient", "Integrated gradients", "Summary", "(chance)"}
    judged = dock.live.shown.result.maps["ig"].judgement
    word = "✗ fails" if not judged.passes else "≈ doubtful" if judged.weak else "✓ passes"
    assert rows["Integrated gradients"][0] == word
    assert float(rows["Integrated gradients"][1]) > float(rows["(chance)"][1])
    assert judged.sentence.split(":")[0][:40] in dock.child("verdicts").text()

    table = dock.child("scores")
    table.sortItems(2, Qt.SortOrder.DescendingOrder)
    sorted_values = [
        table.item(row, 2).text() for row in range(table.rowCount()) if table.item(row, 2).text()
    ]
    assert sorted_values == sorted(sorted_values, key=float, reverse=True)

    dock.live.select("ig")
    layer = dock.layer("Integrated gradients")
    dock.wait(lambda: len(dock.live.layers.by_name) == 4)  # those not in view come after it
    assert layer.visible and sum(one.visible for one in dock.live.layers.by_name.values()) == 1
    low, high = layer.contrast_limits
    assert low == -high > -np.inf, "two signs, one scale about zero"
    scan_layer = dock.window.session.scan_layer
    peak = np.unravel_index(layer.data.argmax(), layer.data.shape)
    place = scan_layer.world_to_data(layer.data_to_world(peak))
    assert np.allclose(place[:2], (0, 1)) and np.hypot(place[2] - 26, place[3] - 28) < 10
    everything = (layer.data != 0).sum()
    dock.child("threshold").setValue(80)
    assert (layer.data != 0).sum() == pytest.approx(0.2 * everything, rel=0.1)
    dock.child("threshold").setValue(50)
    kept = layer.data != 0
    dock.child("contour").click()
    border = layer.data != 0
    assert 0 < border.sum() < kept.sum() and not (border & ~kept).any()
    other = dock.layer("Gradient")
    gradient = dock.live.layers.drawn("gradient")
    dock.wait(lambda: np.array_equal(other.data, gradient))  # the hidden ones follow later
    dock.child("opacity").setValue(40)
    assert layer.opacity == 0.4

    dock.dock.compare.refresh()
    assert set(dock.dock.compare.tiles) == {"gradient", "ig", "lrp", "summary"}
    dock.explain("ig", "grad-cam")
    assert dock.layer("Integrated gradients") is layer, "made once, then updated"
    assert layer.visible, "the chosen map stays chosen"
    assert set(dock.live.shown.boxes) == {"ig", "grad-cam", "summary"}

    dock.child("show_layers").click()
    dock.wait(lambda: dock.dock.network.tiles.tiles)
    assert {"smooth", "relu", "scores"} <= {
        name.split(".")[-1] for name in dock.dock.network.tiles.tiles
    }


def test_a_cancelled_or_failed_job_leaves_the_former_maps(attribution, tmp_path, monkeypatch):
    from napari_cardioxai.attribution import explain
    from napari_cardioxai.errors import AttributionError

    save_bright(tmp_path / "models" / "bright")
    dock = attribution(write(tmp_path / "scan.nii.gz", a_scan()))
    dock.choose("bright")
    dock.child("evidence").setCurrentIndex(dock.child("evidence").findData("none"))
    dock.window.dock.desk.go_to_slice(1)
    dock.explain("gradient")
    shown = dock.live.shown
    assert dock.rows()["Gradient"][0] == "? not tested"

    dock.tick("smoothgrad", "smooth-ig", "guided-ig", "ig")
    dock.child("start").click()
    dock.wait(lambda: dock.live.standing.share > 0)
    assert not dock.child("cancel").isHidden() and not dock.child("progress").isHidden()
    dock.child("cancel").click()
    assert "Cancelled" in dock.child("status").text()
    assert dock.live.shown is shown and dock.layer("Summary").visible

    dock.child("start").click()
    dock.wait(lambda: dock.live.standing.share > 0)
    dock.explain("input-x-gradient")
    shown = dock.live.shown
    assert set(shown.boxes) == {"input-x-gradient", "summary"}, "the newest request wins"

    def fail(*_, **__):
        raise AttributionError("the network overflows.")

    monkeypatch.setattr(explain, "explain_subject", fail)
    dock.child("start").click()
    dock.wait(lambda: dock.live.standing.stage == "failed")
    assert dock.child("status").text() == "The network overflows."
    assert dock.live.shown is shown


def test_a_decision_is_explained_over_the_cycle_and_by_region(attribution, tmp_path):
    from napari_cardioxai.anatomy.label_files import write_labels

    save_heart(tmp_path / "models" / "heart")
    cine = a_cine(frames=20)
    scan = np.choose(cine.data, (100, 900, 300, 850)).astype(np.int16)
    from dataclasses import replace

    dock = attribution(
        write(
            tmp_path / "scan.nii.gz",
            replace(
                a_scan(), data=scan, geometry=cine.geometry, frame_times_ms=cine.frame_times_ms
            ),
        )
    )
    dock.wait(lambda: dock.child("model").findText("heart") >= 0)
    assert "label the cycle" in dock.child("hint").text()
    assert not dock.child("start").isEnabled()
    write_labels(tmp_path / "labels.nii.gz", cine)
    dock.window.dock.segment_section.labels_chosen.emit(tmp_path / "labels.nii.gz")
    dock.window.wait_for_job()
    dock.choose("heart")
    assert dock.child("target").itemText(0) == "The model's own answer"
    assert dock.child("target").findText("Concept: large") > 0
    dock.child("evidence").setCurrentIndex(dock.child("evidence").findData("none"))
    dock.explain("input-x-gradient")

    box = dock.live.box("input-x-gradient")
    assert box.data.shape[0] == 20, "a map in every phase"
    assert not dock.child("curve_section").isHidden()
    percent = dock.live.shown.curves["input-x-gradient"].percent
    assert sum(values.sum() for values in percent.values()) == pytest.approx(100)
    desk = dock.window.dock.desk
    desk.go_to_phase(7)
    plot = dock.dock.curve.plot
    assert plot.cursor_line.value() == pytest.approx(cine.frame_times_ms[7])
    plot.phase_chosen.emit(3)
    assert desk.phase == 3

    table = dock.child("regions")
    names = [table.item(row, 0).text() for row in range(table.rowCount())]
    assert "mid inferior" in names
    table.cellClicked.emit(names.index("mid inferior"), 0)
    region = next(r.region for r in dock.live.shown.result.regions if r.name == "mid inferior")
    assert (desk.phase, desk.slice) == dock.live.shown.peaks[region][:2]

    labels = dock.window.labels
    assert labels.contour, "labels do not cover the map"
    labels.data_setitem((np.array([0]), np.array([0]), np.array([0]), np.array([0])), 1)
    dock.wait(lambda: dock.live.is_old)
    assert "have changed since" in dock.child("status").text()


def test_a_volume_is_shown_in_three_linked_planes_and_as_a_rendering(attribution, tmp_path):
    save_bright_spot(tmp_path / "models" / "solid", (40, 36, 44))
    scan = a_picture(VOLUME, spacing_mm=(3.0, 2.0, 2.0))
    dock = attribution(write(tmp_path / "volume.nii.gz", scan))
    dock.choose("solid")
    dock.child("evidence").setCurrentIndex(dock.child("evidence").findData("none"))
    dock.explain("grad-cam")
    assert "lesion" in dock.child("explained").text()
    volume = dock.window.session.scan.data[0]
    place = np.unravel_index(volume.argmax(), volume.shape)
    dock.live.go_to((0, *place))
    dock.window.settle(0.1)

    planes = dock.dock.planes
    for plane in planes.planes:
        np.testing.assert_array_equal(
            plane.picture.image, np.take(volume, place[plane.axis], plane.axis)
        )
        heat = plane.heat.image
        assert heat is not None and heat.max() > 0.5 * dock.live.box("grad-cam").limits[1]
    step = planes.planes[0]
    step.moved.emit(5, 9)  # on the axial plane: y and x
    assert dock.viewer.dims.current_step[-3:] == (place[0], 5, 9)
    planes.planes[1].moved.emit(11, 20)  # on the coronal one: z and x
    assert dock.viewer.dims.current_step[-3:] == (11, 5, 20)
    assert dock.window.dock.desk.slice == 11
    np.testing.assert_array_equal(step.picture.image, volume[11])

    dock.child("rendering").click()
    assert dock.viewer.dims.ndisplay == 3
    dock.window.settle(0.2)
    dock.child("rendering").click()
    assert dock.viewer.dims.ndisplay == 2
    assert dock.viewer.dims.current_step[-3:] == (11, 5, 20), "the cross stays where it was"

    assert "atlas" in dock.child("regions_hint").text()
    halves = np.ones(VOLUME, np.uint8)
    halves[LESION[0] - 8 :] = 2
    image = nibabel.load(tmp_path / "volume.nii.gz")
    nibabel.save(
        nibabel.Nifti1Image(halves.transpose(2, 1, 0), image.affine), tmp_path / "atlas.nii.gz"
    )
    with (tmp_path / "atlas.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("value", "name"), (1, "feet"), (2, "head")])
    dock.dock.regions.atlas_chosen.emit(tmp_path / "atlas.nii.gz", tmp_path / "atlas.csv")
    table = dock.child("regions")
    dock.wait(lambda: table.rowCount() == 3 or table.rowCount() == 2)
    assert table.item(0, 0).text() == "head", "the one with the lesion comes first"


def test_a_picture_is_explained_on_its_own_pixels(attribution, tmp_path):
    save_bright_spot(tmp_path / "models" / "flat", (28, 32))
    pixels = np.clip(a_picture().data[0, 0], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    dock = attribution(tmp_path / "spot.png")
    dock.choose("flat", "lesion")
    assert dock.child("where").isHidden() and dock.child("planes_section").isHidden()
    dock.explain("ig")
    assert "pixel size is unknown" in dock.child("explained").text()
    layer = dock.layer("Integrated gradients")
    peak = np.unravel_index(layer.data.argmax(), layer.data.shape)
    row, column = dock.window.session.scan_layer.world_to_data(layer.data_to_world(peak))[-2:]
    assert lesion_mask((56, 64))[round(row), round(column)]
    assert dock.child("curve_section").isHidden()
