"""The Concepts dock with the shipped model on the sample scan and a heart drawn on it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget

from .drawn_heart import beating_heart

EF = "ef_percent"


class Concepts:
    """The dock and what a person does with it."""

    def __init__(self, window, dock) -> None:
        self.window, self.dock, self.live = window, dock, dock.live

    @property
    def layers(self):
        return self.live.layers

    def child(self, name: str):
        found = self.dock.findChild(QWidget, name)
        assert found is not None, f"no control named {name}"
        return found

    def wait(self, condition) -> None:
        from napari_cardioxai.app.window import process_until

        assert process_until(condition, 120), (self.live.state, self.live.reason)

    def settle(self) -> None:
        self.wait(lambda: not self.live.is_busy and not self.dock.jobs.is_running)

    def read_model(self, name: str = "clough") -> None:
        self.wait(lambda: self.child("concepts_model").findText(name) >= 0)
        self.child("concepts_model").setCurrentText(name)
        self.wait(lambda: self.live.model == name and self.live.loaded is not None)

    def show(self) -> None:
        self.read_model()
        self.child("concepts_start").click()
        self.wait(lambda: self.live.state in ("shown", "refused"))
        self.settle()
        assert self.live.heart is not None, self.live.reason

    def move(self, concept: str, alpha: float) -> None:
        """Drag a slider and let it rest."""
        self.child(f"concepts_slider_{concept}").setValue(round(20 * alpha))
        self.settle()

    def reopen(self) -> None:
        """Close the dock and open it anew; the heart stays."""
        from napari_cardioxai.app.widgets.concepts.dock import ConceptsDock

        self.window.viewer.window.remove_dock_widget(self.dock)
        self.dock.deleteLater()
        self.window.settle(0.1)
        self.dock = ConceptsDock(self.window.viewer)
        self.window.viewer.window.add_dock_widget(self.dock, name="Concepts again")
        self.settle()

    def decoded(self) -> np.ndarray:
        return self.layers["decoded"].data.copy()


@pytest.fixture
def concepts(window, tmp_path, monkeypatch):
    """The dock beside the sample scan, on which a heart is drawn."""
    from napari_cardioxai.app.widgets.concepts.dock import ConceptsDock
    from napari_cardioxai.scans.samples import sample_path

    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    window.open(sample_path())
    scan = window.session.scan
    window.dock.actions.start_blank()
    drawn = beating_heart(scan.data.shape, scan.geometry.spacing_mm)
    where = np.nonzero(drawn)
    window.labels.data_setitem(where, drawn[where])
    window.settle(0.1)
    window.wait(lambda: not window.dock.actions.function.is_busy)
    dock = ConceptsDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Concepts")
    window.settle(0.1)
    return Concepts(window, dock)


def test_the_book_is_shown_and_the_sliders_move_the_measured_heart(concepts):
    from napari_cardioxai.concepts.difference import difference_labels

    concepts.show()
    live, table = concepts.live, concepts.child("concepts_table")
    rows = live.loaded.book.rows
    names = list(live.loaded.book.directions)
    assert table.names == [row["concept"] for row in rows]
    for place, row in enumerate(rows):
        assert table.item(place, 1).text().startswith(f"{row['tcav']:.2f} (")
        faithful = row["fidelity"]
        assert table.item(place, 3).text().startswith("yes" if faithful["moves_its_own"] else "no")
        assert table.item(place, 3).toolTip() == faithful["verdict"]
        assert (
            faithful["moves_its_own"]
            or faithful["verdict"] in concepts.child("concepts_wrong").text()
        )
    table.horizontalHeader().sectionClicked.emit(1)
    assert table.names == [r["concept"] for r in sorted(rows, key=lambda r: r["tcav"])]
    for _ in range(2):
        table.horizontalHeader().sectionClicked.emit(1)
    assert table.names == [row["concept"] for row in rows], "the third click: the book's order"

    layers, heart = concepts.layers, live.heart
    scan, labels = concepts.window.session.scan, concepts.window.labels
    assert not labels.visible
    for name in ("decoded", "reconstruction", "difference"):
        assert layers[name].data.shape == scan.data.shape
        assert np.array_equal(layers[name].scale, labels.scale)
        assert layers[name].units == labels.units
    home = concepts.decoded()
    assert np.array_equal(home, layers["reconstruction"].data)
    assert not layers["difference"].data.any()
    drawn_in = np.flatnonzero(home.any((0, 2, 3)))
    assert drawn_in.tolist() == sorted(heart.slices)
    assert live.parent().slice in heart.slices

    before = heart.redrawn.biomarkers[EF]
    concepts.move("low EF", 1.5)
    assert live.readout.biomarkers[EF] < before - 3
    decoded = concepts.decoded()
    counts = np.count_nonzero(decoded == 1, axis=(1, 2, 3))
    ef = 100 * (1 - counts.min() / counts.max())
    assert ef == pytest.approx(live.readout.biomarkers[EF], abs=4), "the volume in the layer"
    assert np.array_equal(layers["difference"].data, difference_labels(decoded, home))
    assert np.array_equal(layers["difference"].data != 0, decoded != home)
    cell = concepts.child("concepts_biomarkers").item(0, 3).text()
    assert float(cell) == pytest.approx(live.readout.biomarkers[EF], abs=0.51)
    concepts.move("low EF", -1.5)
    assert live.readout.biomarkers[EF] > before

    alone = {}
    for name, alpha in (("low EF", 1.0), ("low PFR", -0.5)):
        concepts.move(name, alpha)
        assert [n for n, a in concepts.dock.sliders.alphas.items() if a] == [name], "one at a time"
        alone[name] = live.moved.of(heart) - heart.latent
    concepts.child("concepts_combined").setChecked(True)
    concepts.move("low EF", 1.0)
    both = live.moved.of(heart) - heart.latent
    assert np.allclose(both, sum(alone.values()), atol=1e-4)

    concepts.child("concepts_reset").click()
    concepts.settle()
    assert np.array_equal(concepts.decoded(), home) and not layers["difference"].data.any()
    assert not any(concepts.dock.sliders.alphas.values()) and len(names) == 5
    assert concepts.child("concepts_biomarkers").item(0, 4).text() in ("+0", "-0")


def test_the_newest_place_wins_and_the_frame_in_view_comes_first(concepts, monkeypatch):
    concepts.show()
    live, heart = concepts.live, concepts.live.heart
    desk = live._desk
    decode = type(heart.classifier).decode
    asked = []

    def slow(self, latent, **kwargs):
        asked.append(latent.shape[1])
        time.sleep(0.05)
        return decode(self, latent, **kwargs)

    monkeypatch.setattr(type(heart.classifier), "decode", slow)
    slider = concepts.child("concepts_slider_low PER")
    for value in range(-40, 41, 4):
        slider.setValue(value)
        concepts.window.settle(0.01)
    concepts.settle()
    assert 1 <= asked.count(2) < 21, "places that were passed meanwhile are left out"
    assert asked[0] == 2, "the frame in view before the cycle"
    latent = heart.at({"low PER": 2.0})
    assert np.array_equal(concepts.decoded(), heart.on_scan(heart.cycle(latent)))
    assert live.is_current and live.readout.logit == heart.classifier.decide(latent[None]).logit[0]

    slider.setValue(-20)
    desk.go_to_phase(5)  # before the cycle is there
    concepts.wait(lambda: 5 in live._fresh)
    assert np.array_equal(
        concepts.layers["decoded"].data[5], heart.frame(heart.at({"low PER": -1.0}), 5)
    )
    concepts.settle()

    concepts.child("concepts_sweep").setCurrentIndex(1)
    concepts.child("concepts_play").click()
    phases, alphas = set(), set()
    for _ in range(40):
        concepts.window.settle(0.05)
        phases.add(desk.phase)
        alphas.add(live.moved.alphas["low PER"])
    assert len(phases) > 3 and len(alphas) > 3, "both move"
    concepts.child("concepts_play").click()
    concepts.settle()
    assert live.is_current and not concepts.dock.player.is_playing

    slider.setValue(30)
    concepts.window.settle(0.1)
    assert live.is_busy and live.close() and not live.is_busy, "closing does not leave work behind"


def test_an_edit_makes_the_result_old_and_a_closed_scan_takes_the_heart_away(concepts):
    concepts.show()
    live, first = concepts.live, concepts.live.heart
    concepts.move("low PER", 1.0)
    labels = concepts.window.labels
    where = np.nonzero(labels.data[:, first.slices[1]] == 1)
    keep = np.arange(len(where[0])) % 7 == 0
    t, y, x = (axis[keep] for axis in where)
    labels.data_setitem((t, np.full(t.size, first.slices[1]), y, x), 2)
    concepts.wait(lambda: live.is_old)
    assert "have changed" in concepts.child("concepts_hint").text()
    concepts.wait(lambda: live.state == "shown")
    concepts.settle()
    assert live.heart is not first
    assert live.moved.alphas["low PER"] == 1.0, "sliders stay where they were"
    latent = live.heart.at({"low PER": 1.0})
    assert np.array_equal(concepts.decoded(), live.heart.on_scan(live.heart.cycle(latent)))

    where = np.nonzero(labels.data[3] == 1)
    labels.data_setitem((np.full(where[0].size, 3), *where), 2)
    concepts.wait(lambda: live.state == "refused")
    assert "No LV cavity" in concepts.child("concepts_hint").text()
    assert not live.layers.are_there and labels.visible
    labels.undo()
    concepts.wait(lambda: live.state == "shown")

    viewer = concepts.window.viewer
    viewer.layers.remove(concepts.layers["difference"])
    concepts.wait(lambda: live.state == "ready")
    names = {layer.name for layer in viewer.layers}
    assert not names & {"decoded", "reconstruction", "difference"} and labels.visible
    viewer.layers.remove(concepts.window.session.scan_layer)
    concepts.wait(lambda: live.state == "no labels")
    assert "Open a cine" in concepts.child("concepts_hint").text()


def test_a_counterfactual_crosses_and_everything_can_be_kept(concepts, tmp_path):
    concepts.show()
    live, dock = concepts.live, concepts.dock
    concepts.child("concepts_counterfactual").click()
    concepts.settle()
    found = live.counterfactual
    assert (found.logit_before - found.boundary) * (found.logit_after - found.boundary) < 0
    assert found.sentence in concepts.child("concepts_told").text()
    assert live.readout.logit == pytest.approx(found.logit_after, abs=1e-3)
    assert np.array_equal(concepts.decoded(), live.heart.on_scan(found.cycle))
    concepts.child("concepts_reset").click()
    concepts.settle()
    assert live.readout is live.heart.redrawn

    concepts.move("low PER", 1.0)
    assert dock.export.save_film(tmp_path / "film.gif")
    concepts.settle()
    assert dock.export.save_table(tmp_path / "table.json")
    concepts.settle()
    from PIL import Image

    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == len(live.heart.reconstruction)
    concepts.reopen()
    assert concepts.dock.sliders.alphas["low PER"] == 1.0
    assert concepts.child("concepts_biomarkers").rowCount() == 9
    told = json.loads((tmp_path / "table.json").read_text("utf-8"))
    assert [row["concept"] for row in told["rows"]] == concepts.child("concepts_table").names
    assert told["heart"]["alphas"] == {"low PER": 1.0}
    assert told["heart"]["decoded"]["logit"] == pytest.approx(live.readout.logit)


def test_a_model_without_concepts_says_so_and_a_cancelled_search_leaves_it_usable(
    concepts, tmp_path, monkeypatch
):
    from napari_cardioxai.bundles.bundle import find_bundle

    shutil.copytree(
        find_bundle("clough"),
        tmp_path / "models" / "bare",
        ignore=shutil.ignore_patterns("concepts.*"),
    )
    concepts.live.list_models()
    concepts.read_model("bare")
    assert "carries no concepts" in concepts.child("concepts_hint").text()
    assert concepts.child("concepts_book_section").isHidden()
    find = concepts.child("concepts_find")
    assert not find.isHidden() and find.isEnabled()
    assert not concepts.child("concepts_start").isEnabled()

    (tmp_path / "empty.csv").write_text("subject\n", encoding="utf-8")
    concepts.dock.choice.manifest_chosen.emit(tmp_path / "empty.csv")
    concepts.settle()
    assert concepts.window.session.status.state == "failed"
    assert "Traceback" not in concepts.window.session.status.text

    def endless(model, cohort, *, on_progress):
        while True:
            on_progress(1, 10, "walking")
            time.sleep(0.01)

    monkeypatch.setattr("napari_cardioxai.concepts.keeping.make_and_keep_book", endless)
    concepts.dock.choice.manifest_chosen.emit(tmp_path / "empty.csv")
    concepts.window.settle(0.3)
    assert not find.isEnabled()
    concepts.dock.bar.cancel_pressed.emit()
    concepts.settle()
    assert concepts.window.session.status.state == "cancelled" and find.isEnabled()
    assert not (tmp_path / "models" / "bare" / "concepts.json").exists()
    for file in ("concepts.json", "concepts.safetensors"):
        (tmp_path / "models" / "bare" / file).write_text("nonsense", encoding="utf-8")
    concepts.live.list_models()
    concepts.wait(lambda: "not a readable book" in concepts.child("concepts_hint").text())
    concepts.show()
    assert concepts.live.state == "shown", "another model still works"


def test_a_concept_made_on_the_cohort_map_gets_a_row_and_a_slider(concepts):
    from napari_cardioxai.concepts.estimates import Estimate
    from napari_cardioxai.concepts.named import Concept
    from napari_cardioxai.concepts.significance import Tcav
    from napari_cardioxai.maps.group import GroupConcept

    concepts.show()
    live = concepts.live
    walk = live.loaded.book.walk(live.loaded.classifier, "low EF")
    mine = replace(walk, direction=replace(walk.direction, concept=Concept("my group")))
    score = Estimate(0.75, 0.5, 1.0)
    tcav = Tcav("my group", "pattern", "latent", score, score, 0.01, 0.02, 0.04, 0.001, 99)
    desk_map = live.parent().cohort_map
    desk_map.concepts = {"my group": GroupConcept(mine, tcav)}
    desk_map.concept_made.emit("my group", mine)
    concepts.wait(lambda: live.state == "shown" and "my group" in live.heart.walks)
    table = concepts.child("concepts_table")
    assert table.names[-1] == "my group" and len(table.names) == 6
    assert table.item(5, 1).text().startswith("0.75 (")
    concepts.move("my group", 1.0)
    mine_moved = concepts.decoded()
    concepts.move("my group", 0.0)
    concepts.move("low EF", 1.0)
    assert np.array_equal(mine_moved, concepts.decoded()), "the same direction, the same heart"
