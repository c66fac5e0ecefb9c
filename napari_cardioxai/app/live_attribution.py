"""Where a model looks in the open study: what is asked, the work, and the maps on screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app.attribution_jobs import (
    Explainers,
    Looked,
    Made,
    Wish,
    explain,
    list_explainers,
    look,
    tabulate,
)
from napari_cardioxai.app.heat_layers import Display, HeatLayers
from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.workers import Work, sentence

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.attribution.heat_boxes import HeatBox
    from napari_cardioxai.attribution.shown import ShownMaps
    from napari_cardioxai.attribution.study import ExplainedModel
    from napari_cardioxai.attribution.subjects import Question

SUMMARY = "summary"
_SOON_MS = 10
_REST_MS = 250
_TOLD_FROM, _TOLD_AFTER_S = 0.05, 3.0  # before, a guess at the time left is worth nothing


class Stage(StrEnum):
    """What the live attribution is doing."""

    IDLE = "idle"
    WORKING = "working"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class Standing:
    """How far the maps are.

    Attributes
    ----------
    stage
        What it is doing.
    text
        One sentence.
    share
        Of the work that is done, 0 to 1.
    seconds_left
        None while nobody can tell.
    """

    stage: Stage = Stage.IDLE
    text: str = ""
    share: float = 0.0
    seconds_left: float | None = None


class LiveAttribution(QObject):
    """Asks for maps of one viewer's study and keeps them; the newest request wins.

    A cancelled or failed job leaves the former maps where they are.

    Attributes
    ----------
    explainers
        Models and methods; None until they are known.
    looked
        What can be done with the chosen model; None until it was looked at.
    shown
        The maps; None without any.
    is_old
        Whether the labels have changed since.
    selected
        Whose map is on the scan.
    standing
        How far the maps are.
    layers
        Of the maps in the viewer.
    """

    explainers_found = Signal(object)
    looked_at = Signal(object)
    not_looked_at = Signal(str)
    stood = Signal(object)
    changed = Signal()
    regions_changed = Signal()
    selected_changed = Signal(str)
    layers_of_network_made = Signal(object)
    failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session = desk, desk.session
        self.explainers: Explainers | None = None
        self.looked: Looked | None = None
        self.shown: ShownMaps | None = None
        self.is_old, self.selected = False, ""
        self.standing = Standing()
        self.layers = HeatLayers(desk.viewer, desk.session, self)
        self._model: ExplainedModel | None = None
        self._choice: tuple[str, str | None] = ("", None)
        self._wish: Wish | None = None
        self._atlas: tuple[Path, Path] | None = None
        self._began = 0.0
        self._list = self._job(lambda: list_explainers, self._on_list, delay_ms=_SOON_MS)
        self._look = self._job(self._prepare_look, self._on_look, delay_ms=_REST_MS)
        self._explain = self._job(self._prepare_explain, self._on_made, delay_ms=_SOON_MS)
        self._regions = self._job(self._prepare_regions, self._on_regions, delay_ms=_SOON_MS)
        self._network = self._job(self._prepare_network, self._on_network, delay_ms=_SOON_MS)
        for job in (self._list, self._regions, self._network):
            job.failed.connect(self._on_failure)
        self._look.failed.connect(self._on_look_failed)
        self._explain.failed.connect(self._on_explain_failed)
        self._explain.progressed.connect(self._on_progress)
        self._session.scan_changed.connect(self._on_scan)
        self._session.labels_changed.connect(self._on_edit)
        desk.actions.live.edited.connect(self._on_edit)
        desk.training.model_made.connect(self._on_model_made)

    def _job(self, prepare: Any, on_done: Any, *, delay_ms: int) -> LatestJob:
        return LatestJob(prepare, on_done, delay_ms=delay_ms, parent=self)

    # What can be asked for ----------------------------------------------------------

    def list_models(self) -> None:
        """Find out which models and methods there are."""
        self._list.soon()

    def look_at(self, model: str, target: str | None) -> None:
        """Find out which methods and layers a model has for a target on the open study."""
        self._choice = (model, target)
        self.looked = None
        self.looked_at.emit(None)
        if self._session.scan is not None and model:
            self._look.after_rest()

    def explain(self, wish: Wish) -> None:
        """Make maps; a request that runs is of no use any more."""
        if self._session.scan is None:
            return
        self._wish = wish
        self._began = 0.0
        self._stand(Standing(Stage.WORKING, "Starting …"))
        self._explain.after_rest()

    def cancel(self) -> None:
        """Stop; the former maps stay."""
        if self.standing.stage is Stage.WORKING:
            self._explain.drop()
            kept = " The former maps are still shown." if self.shown is not None else ""
            self._stand(Standing(Stage.CANCELLED, f"Cancelled.{kept}"))

    def show_layers_of_network(self) -> None:
        """Make a heat map of every layer of the network whose maps are shown."""
        if self.shown is not None:
            self._network.soon()

    def take_atlas(self, path: Path, names: Path) -> None:
        """Make the table over an atlas from a file; it stays for the maps of this scan."""
        self._atlas = (path, names)
        if self.shown is not None:
            self._regions.soon()

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        self.layers.stop()
        jobs = (self._list, self._look, self._explain, self._regions, self._network)
        ended = [job.close() for job in jobs]
        return all(ended)  # each of them, also after one that did not end

    # What is shown ------------------------------------------------------------------

    def select(self, name: str) -> None:
        """Put one map on the scan, the others away."""
        if self.shown is None or name not in self.shown.boxes:
            return
        self.selected = name
        self.layers.show_only(name)
        self.selected_changed.emit(name)

    def set_display(self, display: Display) -> None:
        """Change opacity, threshold or contours of all maps."""
        self.layers.set_display(display)

    def box(self, name: str) -> HeatBox | None:
        """A map by its name."""
        return None if self.shown is None else self.shown.boxes.get(name)

    def title(self, name: str) -> str:
        """A map's name for people."""
        if self.shown is None or name == SUMMARY:
            return "Summary"
        return self.shown.result.maps[name].title

    def has_failed(self, name: str) -> bool:
        """Whether a map failed its sanity check."""
        one = None if self.shown is None else self.shown.result.maps.get(name)
        return one is not None and one.judgement is not None and not one.judgement.passes

    def go_to_region(self, region: int) -> None:
        """Show the place of a region where the summary is highest."""
        if self.shown is None or region not in self.shown.peaks:
            return
        self.go_to(self.shown.peaks[region])

    def go_to(self, voxel: tuple[int, ...]) -> None:
        """Show a voxel (t, z, y, x) of the scan, in the middle of the canvas."""
        viewer, layer = self._desk.viewer, self._session.scan_layer
        self._step_to(voxel)
        if viewer.dims.ndisplay == 2 and layer is not None:
            y, x = (float(layer.translate[k] + voxel[k] * layer.scale[k]) for k in (-2, -1))
            viewer.scene.camera.center = (0.0, y, x)

    def _step_to(self, voxel: tuple[int, ...]) -> None:
        dims = self._desk.viewer.dims
        if dims.ndim >= 4:
            dims.set_current_step(tuple(range(dims.ndim - 4, dims.ndim)), voxel)

    # The work -----------------------------------------------------------------------

    def _question(self, target: str | None, *, whole_cycle: bool = False) -> Question | None:
        from napari_cardioxai.attribution.subjects import Question

        scan, layer = self._session.scan, self._session.labels_layer
        if scan is None:
            return None
        labels = None
        if layer is not None:
            labels = labels_of(layer)
            labels = replace(labels, data=labels.data.copy(), notes=self._session.notes)
        return Question(
            scan=scan,
            labels=labels,
            target=target,
            frames="all" if whole_cycle else (max(self._desk.phase, 0),),
            slices=(max(self._desk.slice, 0),),
        )

    def _prepare_look(self) -> Work | None:
        name, target = self._choice
        question, known = self._question(target), self._model
        return None if question is None else lambda on: look(name, question, known, on)

    def _prepare_explain(self) -> Work | None:
        wish, known, atlas = self._wish, self._model, self._atlas
        if wish is None:
            return None
        question = self._question(wish.target, whole_cycle=wish.whole_cycle)
        return None if question is None else lambda on: explain(wish, question, known, atlas, on)

    def _prepare_regions(self) -> Work | None:
        shown, atlas, scan = self.shown, self._atlas, self._session.scan
        if shown is None or atlas is None or scan is None:
            return None
        return lambda on: tabulate(shown, atlas, scan)

    def _prepare_network(self) -> Work | None:
        shown = self.shown
        if shown is None:
            return None

        def work(on_progress: Any) -> Mapping[str, HeatBox]:
            from napari_cardioxai.attribution.shown import layer_boxes

            return layer_boxes(shown.result.subject, on_progress=on_progress)

        return work

    # What comes of it ---------------------------------------------------------------

    def _on_list(self, explainers: Explainers) -> None:
        self.explainers = explainers
        self._model = None  # its file may have changed
        self.explainers_found.emit(explainers)

    def _on_model_made(self, _: Any) -> None:
        if self.explainers is not None:  # else nobody has opened the dock yet
            self.list_models()

    def _on_look(self, looked: Looked) -> None:
        self._model, self.looked = looked.model, looked
        self.looked_at.emit(looked)

    def _on_look_failed(self, text: str) -> None:
        self.not_looked_at.emit(sentence(text))

    def _on_progress(self, done: int, total: int, what: str) -> None:
        if self.standing.stage is not Stage.WORKING:
            return
        share = done / total if total else 0.0
        if share and not self._began:
            self._began = time.monotonic()
        left, spent = None, time.monotonic() - self._began
        if share > _TOLD_FROM and spent > _TOLD_AFTER_S:
            left = spent * (1 - share) / share
        self._stand(Standing(Stage.WORKING, sentence(what), share, left))

    def _on_made(self, made: Made) -> None:
        self._model, self.shown, self.is_old = made.model, made.shown, False
        self.layers.show({n: (self.title(n), box) for n, box in made.shown.boxes.items()})
        kept = self.selected if self.selected in made.shown.boxes else self._best()
        self._stand(Standing(Stage.DONE, f"{_counted(made.shown)} in {made.seconds:.0f} s.", 1.0))
        self.changed.emit()
        self._go_to_explained()
        self.select(kept)

    def _go_to_explained(self) -> None:
        """Show what was explained: some slices of a stack, and of a volume where most is found."""
        assert self.shown is not None
        desk, places = self._desk, self.shown.result.places
        if len(places.frames) == 1 < len(places.slices) == places.shape[1]:
            self._step_to(self.shown.peak)
            return
        desk.go_to_phase(min(places.frames, key=lambda t: abs(t - desk.phase)))
        desk.go_to_slice(min(places.slices, key=lambda z: abs(z - desk.slice)))

    def _best(self) -> str:
        """The most faithful of the maps that pass without a doubt, else the summary."""
        assert self.shown is not None
        sound = [
            one
            for one in self.shown.result.maps.values()
            if one.judgement is not None and one.judgement.passes and not one.judgement.weak
        ]
        best = max(sound, key=lambda one: one.scores.get("faithfulness", 0.0), default=None)
        return SUMMARY if best is None else best.method

    def _on_explain_failed(self, text: str) -> None:
        self._stand(Standing(Stage.FAILED, sentence(text)))

    def _on_regions(self, shown: ShownMaps) -> None:
        if self.shown is not None and shown.boxes is self.shown.boxes:
            self.shown = shown
            self.regions_changed.emit()

    def _on_network(self, boxes: Mapping[str, HeatBox]) -> None:
        self.layers_of_network_made.emit(boxes)

    def _on_failure(self, text: str) -> None:
        self.failed.emit(sentence(text))

    def _on_scan(self) -> None:
        """Maps of another patient's scan must not stay."""
        for job in (self._look, self._explain, self._regions, self._network):
            job.drop()
        self._atlas = None
        self.shown, self.looked, self.is_old, self.selected = None, None, False, ""
        self.layers.clear()
        self._stand(Standing())
        self.changed.emit()

    def _on_edit(self, *_: Any) -> None:
        if self.shown is not None and not self.is_old:
            self.is_old = True
            self._stand(self.standing)

    def _stand(self, standing: Standing) -> None:
        self.standing = standing
        self.stood.emit(standing)


def _counted(shown: ShownMaps) -> str:
    count = len(shown.result.maps)
    return "One map" if count == 1 else f"{count} maps"
