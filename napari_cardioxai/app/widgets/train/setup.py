"""What to train, on what, and what to call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_cardioxai.app.training_choices import RecipeChoice, TrainingChoices
from napari_cardioxai.app.widgets.study.segment import DEVICE_NAMES
from napari_cardioxai.app.widgets.train.form import WRONG
from napari_cardioxai.app.workers import sentence
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.events import RunRecord
from napari_cardioxai.training.jobs.folder import TrainingJob, check_name
from napari_cardioxai.training.jobs.search import free_name

LOOKING = "Looking for recipes …"
RANDOM = "random weights"
WANTED = {
    "pictures": "a folder with images/ and lv_masks/",
    "manifest": "the manifest of a cohort (.csv or .parquet)",
    "images": "a folder with a folder of images for each class, or a manifest of them (.csv)",
}
HINTS = {
    "pictures": "Folder of pictures",
    "manifest": "Manifest of a cohort",
    "images": "Class folders, or manifest",
}
WITHOUT = "none: drawn hearts alone"


class SetupSection(QWidget):
    """Recipe, data, name, first weights and device."""

    recipe_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._choices: TrainingChoices | None = None
        self._taken: list[str] = []
        self._suggested = ""
        self._data_kind = ""
        self._data_of: dict[str, str] = {}
        self.recipe, self.start, self.device = QComboBox(), QComboBox(), QComboBox()
        self.data, self.name = QLineEdit(), QLineEdit()
        self.browse = QPushButton("Choose…")
        self.complaint = QLabel()
        for widget, name in (
            (self.recipe, "train_recipe"),
            (self.start, "train_start_from"),
            (self.device, "train_device"),
            (self.data, "train_data"),
            (self.name, "train_name"),
            (self.browse, "train_browse"),
            (self.complaint, "train_setup_complaint"),
        ):
            widget.setObjectName(name)
        for box in (self.recipe, self.start, self.device):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.complaint.setWordWrap(True)
        self.complaint.setStyleSheet(WRONG)
        self.complaint.hide()
        self.recipe.addItem(LOOKING)
        self.recipe.setEnabled(False)
        self.recipe.currentIndexChanged.connect(self._on_recipe)
        self.browse.clicked.connect(self._ask_for_data)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for row, (text, widget) in enumerate(
            (
                ("Recipe", self.recipe),
                ("Data", self.data),
                ("Model name", self.name),
                ("Begin with", self.start),
                ("Device", self.device),
            )
        ):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(widget, row, 1, 1, 1 if widget is self.data else 2)
        grid.addWidget(self.browse, 1, 2)
        grid.addWidget(self.complaint, 5, 0, 1, 3)
        grid.setColumnStretch(1, 1)

    @property
    def chosen(self) -> RecipeChoice | None:
        """The recipe."""
        index = self.recipe.currentIndex()
        known = self._choices.recipes if self._choices is not None else ()
        return known[index] if 0 <= index < len(known) else None

    def set_choices(self, choices: TrainingChoices) -> None:
        """Fill the boxes; what was chosen stays where it can."""
        kept, self._choices = self.recipe.currentText(), None
        self.recipe.clear()
        for recipe in choices.recipes:
            self.recipe.addItem(recipe.title)
        self.recipe.setEnabled(True)
        device = self.device.currentData()
        self.device.clear()
        for name in choices.devices:
            self.device.addItem(DEVICE_NAMES.get(name, name), name)
        self.device.setCurrentIndex(max(0, self.device.findData(device)))
        self._choices = choices
        self.recipe.setCurrentIndex(max(0, self.recipe.findText(kept)))
        self._on_recipe()

    def set_runs(self, records: Sequence[RunRecord]) -> None:
        """Know the names that are taken, and where the data of the last runs lay."""
        self._taken = [record.folder.name for record in records]
        self._taken += [record.job.search for record in records]
        self._suggest(records)

    def _on_recipe(self) -> None:
        recipe = self.chosen
        if recipe is None or self._choices is None:
            return
        self.data.setPlaceholderText(HINTS[recipe.data] if recipe.needs_data else WITHOUT)
        self.data.setToolTip(f"Choose {WANTED[recipe.data]}")
        if recipe.data != self._data_kind:  # a folder of pictures is no cohort
            self._data_of[self._data_kind] = self.data.text()
            self._data_kind = recipe.data
            self.data.setText(self._data_of.get(recipe.data, ""))
        start = self.start.currentData()
        self.start.clear()
        self.start.addItem(RANDOM, "")
        for model in self._choices.models:
            if recipe.starts_from and model["network"] == recipe.starts_from["network"]:
                self.start.addItem(model["name"], model["folder"])
        self.start.setCurrentIndex(max(0, self.start.findData(start)))
        self.start.setEnabled(self.start.count() > 1)
        self._suggest(())
        self.recipe_chosen.emit(recipe)

    def _suggest(self, records: Sequence[RunRecord]) -> None:
        recipe = self.chosen
        if recipe is None or self._choices is None:
            return
        if self.name.text() in ("", self._suggested):
            models = [model["name"] for model in self._choices.models]
            self._suggested = free_name(recipe.name, [*self._taken, *models])
            self.name.setText(self._suggested)
        data = [r.job.data for r in records if r.job.recipe == recipe.name and r.job.data]
        if data and not self.data.text():
            self.data.setText(str(data[0]))

    def _ask_for_data(self) -> None:
        recipe = self.chosen
        if recipe is None:
            return
        if recipe.data == "manifest":
            kinds = "Manifest (*.csv *.parquet *.pq)"
            path, _ = QFileDialog.getOpenFileName(self, HINTS["manifest"], self.data.text(), kinds)
        else:
            path = QFileDialog.getExistingDirectory(self, HINTS[recipe.data], self.data.text())
        if path:
            self.data.setText(path)

    def complain(self, text: str) -> None:
        """Say what is wrong; nothing when empty."""
        self.complaint.setText(sentence(text) if text else "")
        self.complaint.setVisible(bool(text))

    def job(self, values: Mapping[str, Any]) -> TrainingJob | None:
        """What is asked for; None when something is wrong, which is said then."""
        try:
            self.complain("")
            return self._job(values)
        except TrainingError as error:
            self.complain(str(error))
            return None

    def _job(self, values: Mapping[str, Any]) -> TrainingJob:
        recipe = self.chosen
        if recipe is None or self._choices is None:
            raise TrainingError("the recipes are still being looked for; wait a moment.")
        text = self.data.text().strip()
        data = Path(text).expanduser().absolute() if text else None
        if data is None and recipe.needs_data:
            raise TrainingError(f"data is missing: choose {WANTED[recipe.data]}.")
        if data is not None and not data.exists():
            raise TrainingError(f"{data} does not exist; choose {WANTED[recipe.data]}.")
        name = check_name(self.name.text().strip())
        if name in [model["name"] for model in self._choices.models]:
            raise TrainingError(f"there is a model named {name} already; choose another name.")
        start = self.start.currentData()
        keeping = [s for s in recipe.fields if s.name in recipe.start_if and values.get(s.name)]
        if keeping and not start:
            off = " and ".join(
                f'"{s.label}" {"off" if s.kind == "switch" else "to 0"}' for s in keeping
            )
            raise TrainingError(f"choose a model to begin with, or switch {off} under Advanced.")
        return TrainingJob(
            recipe.name,
            dict(values),
            self._choices.models_folder / name,
            data,
            device=self.device.currentData() or "auto",
            start=Path(start) if start else None,
        )
