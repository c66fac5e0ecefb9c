"""The Train dock: choose, start, watch, compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import napari
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QInputDialog, QMessageBox, QWidget

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.training_choices import RecipeChoice
from napari_cardioxai.app.training_jobs import TrainingStatus
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.train.bar import TrainBar
from napari_cardioxai.app.widgets.train.curves import CurvesSection
from napari_cardioxai.app.widgets.train.form import RecipeForm
from napari_cardioxai.app.widgets.train.preview import PreviewSection
from napari_cardioxai.app.widgets.train.runs import RunsSection
from napari_cardioxai.app.widgets.train.search import SearchSection
from napari_cardioxai.app.widgets.train.setup import SetupSection
from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.training.jobs.events import RunRecord
from napari_cardioxai.training.jobs.search import search_jobs


class TrainDock(QWidget):
    """Trainings of the program, each a process of its own beside the window.

    It holds no data: sections show what `TrainingJobs` knows, and what a
    person does goes there.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("train_dock")
        self.desk = desk_of(napari_viewer)
        self.training = self.desk.training
        self.setup, self.form, self.search = SetupSection(), RecipeForm(), SearchSection()
        self.curves, self.preview, self.runs = CurvesSection(), PreviewSection(), RunsSection()
        self.bar = TrainBar()
        self._count = 1
        self._before = (
            Section("Model to train", self.setup, name="train_setup"),
            Section("Parameters", self.form, name="train_form"),
            Section("Parameter search", self.search, name="train_search", expanded=False),
        )
        parts = (
            *self._before,
            Section("Curves", self.curves, name="train_curves"),
            Section("Preview", self.preview, name="train_preview"),
            Section("Runs", self.runs, name="train_runs"),
        )
        scrolling_column(self, parts, name="train", below=(self.bar,))
        self._connect()
        for section in (self.curves, self.preview):
            section.set_theme(self.desk.viewer.theme)
        if self.training.choices is not None:
            self.setup.set_choices(self.training.choices)
        self.bar.show_status(self.training.status)
        self.preview.show_run(self.training.view.run)
        self.curves.show_curves(self.training.view.curves)
        self.training.look_around()

    def _connect(self) -> None:
        training, bar = self.training, self.bar
        training.choices_found.connect(self.setup.set_choices)
        training.status_changed.connect(self._on_status)
        training.runs_listed.connect(self._on_runs)
        training.view.run_changed.connect(self.preview.show_run)
        training.view.curves_changed.connect(self.curves.show_curves)
        training.view.preview_made.connect(self.preview.show_newest)
        self.preview.look_chosen.connect(training.view.set_look)
        self.setup.recipe_chosen.connect(self._on_recipe)
        self.search.count_changed.connect(self._on_count)
        self.runs.run_chosen.connect(lambda record: training.view.show(record.folder))
        self.runs.selection_changed.connect(self._enable)
        self.runs.keep_pressed.connect(self._keep)
        self.runs.delete_pressed.connect(self._delete)
        bar.start_pressed.connect(self.start)
        bar.pause_pressed.connect(training.pause)
        bar.go_on_pressed.connect(training.go_on)
        bar.cancel_pressed.connect(training.cancel)
        bar.resume_pressed.connect(self._resume)
        for section in (self.curves, self.preview):
            self.desk.theme_changed.connect(section.set_theme)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    # What a person does -------------------------------------------------------------

    def start(self) -> None:
        """Train as the forms say, or say at the field what is wrong."""
        values, searched = self.form.read(), self.search.read()
        self._before[1].set_expanded(self._before[1].is_expanded or values is None)
        self._before[2].set_expanded(self._before[2].is_expanded or searched is None)
        if values is None or searched is None:
            return
        tried = {name: found for name, found in searched.items() if len(found) > 1}
        values |= {name: found[0] for name, found in searched.items() if len(found) == 1}
        job = self.setup.job(values)
        if job is None:
            self._before[0].set_expanded(True)
            return
        if self._says(lambda: self.training.start(search_jobs(job, tried) if tried else [job])):
            for section in self._before:
                section.set_expanded(False)

    def _resume(self) -> None:
        runs = [record.folder for record in self._resumable]
        self._says(lambda: self.training.resume(runs))

    def _says(self, action: Callable[[], Any]) -> bool:
        """Do something; False after showing why it cannot be done."""
        try:
            action()
        except CardioxaiError as error:
            self.setup.complain(str(error))
            self._before[0].set_expanded(True)
            return False
        return True

    def _keep(self, record: RunRecord) -> None:
        name, given = QInputDialog.getText(
            self, "Add to models", "Name of the model", text=record.folder.name
        )
        if given:
            self._says(lambda: self.training.keep(record.folder, name.strip()))

    def _delete(self, records: Sequence[RunRecord]) -> None:
        names = ", ".join(record.folder.name for record in records)
        buttons = QMessageBox.StandardButton
        asked = f"Delete {names} with all checkpoints? Finished models stay."
        answer = QMessageBox.question(self, "Delete runs", asked, buttons.Yes | buttons.Cancel)
        if answer == buttons.Yes:
            for record in records:
                shutil.rmtree(record.folder, ignore_errors=True)
            self.training.view.show(None)
            self.training.list_runs()

    # What comes back ----------------------------------------------------------------

    @property
    def _resumable(self) -> list[RunRecord]:
        """The chosen runs, or the last one, if they could go on."""
        last = [r for r in self.training.records if r.folder.name == self.training.status.run]
        return [record for record in self.runs.chosen or last if record.can_start]

    def _on_recipe(self, recipe: RecipeChoice) -> None:
        self.form.set_fields(recipe.fields)
        self.search.set_fields(recipe.fields)
        self._enable()

    def _on_count(self, count: int) -> None:
        self._count = count
        self._enable()

    def _on_status(self, status: TrainingStatus) -> None:
        self.bar.show_status(status)

    def _on_runs(self, records: Sequence[RunRecord]) -> None:
        self.setup.set_runs(records)
        self.runs.show_runs(records)
        self._enable()

    def _enable(self) -> None:
        self.bar.set_ready(
            can_start=self.setup.chosen is not None,
            can_resume=bool(self._resumable),
            count=self._count,
        )
