"""The Train dock with real trainings of seconds."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLineEdit, QWidget

from napari_cardioxai.training.jobs.events import EventLog, TrainingState
from napari_cardioxai.training.jobs.fields import FieldSpec
from napari_cardioxai.training.jobs.folder import RunFolder, runs_folder

from ..training.discs import disc_job, write_discs

LONGEST_S = 600.0  # a training starts with seconds of imports, more on a busy machine
FIELDS = (
    FieldSpec("epochs", "Epochs", "whole", 36, low=1, high=10_000),
    FieldSpec("batch_size", "Pictures per step", "whole", 16, low=1, high=1024),
    FieldSpec("learning_rate", "Learning rate", "number", 1e-3, low=1e-7, high=1),
    FieldSpec("phantoms", "Drawn hearts per epoch", "whole", 160, low=0),
    FieldSpec("structures", "Structures", "choice", 3, choices=(1, 3)),
    FieldSpec("kept_apart_percent", "Patients kept apart", "whole", 20, low=0, high=50),
    FieldSpec("network_params", "Network options", "structure", {}, advanced=True),
    FieldSpec("taught", "First weights stay as teacher", "switch", True, advanced=True),
    FieldSpec("start_share", "Share kept", "number", 0.3, low=0, high=1, advanced=True),
    FieldSpec("crop", "Training crop", "whole", 128, advanced=True),
    FieldSpec("region", "Region", "whole", 160, optional=True, advanced=True),
    FieldSpec("ema_decay", "Averaging of weights", "number", 0.995, advanced=True),
    FieldSpec(
        "precision",
        "Precision",
        "choice",
        "bf16-mixed",
        choices=("32-true", "bf16-mixed"),
        advanced=True,
    ),
)


class Train:
    """The dock and what a person does with it."""

    def __init__(self, window, dock) -> None:
        self.window, self.dock, self.training = window, dock, dock.training

    def child(self, name: str):
        found = self.dock.findChild(QWidget, name)
        assert found is not None, f"no control named {name}"
        return found

    def press(self, name: str) -> None:
        button = self.child(f"train_{name}")
        assert button.isEnabled(), f"{name} is disabled"
        button.click()

    def enter(self, name: str, text: str) -> None:
        editor = self.child(f"train_field_{name}")
        if isinstance(editor, QLineEdit):
            editor.setText(text)
            editor.editingFinished.emit()
        elif isinstance(editor, QComboBox):
            editor.setCurrentText(text)
        else:
            editor.setChecked(text == "on")

    def fill(self, job) -> None:
        names = [recipe.name for recipe in self.training.choices.recipes]
        self.child("train_recipe").setCurrentIndex(names.index(job.recipe))
        self.child("train_data").setText(str(job.data))
        self.child("train_name").setText(job.output.name)
        self.child("train_device").setCurrentIndex(self.child("train_device").findData(job.device))
        for name, value in job.values.items():
            self.enter(name, self.dock.form.editors[name].spec.text(value))

    def wait(self, condition) -> None:
        from napari_cardioxai.app.window import process_until

        assert process_until(condition, LONGEST_S), self.training.status

    def wait_for(self, state: TrainingState) -> None:
        self.wait(lambda: self.training.status.state is state)

    def wait_for_epochs(self, count: int) -> None:
        curves = self.training.view
        self.wait(lambda: len(curves.curves.epochs.get("loss", ((),))[0]) >= count)

    def column(self, name: str) -> list[str]:
        table = self.child("train_runs")
        heads = [table.horizontalHeaderItem(k).text() for k in range(table.columnCount())]
        return [table.item(row, heads.index(name)).text() for row in range(table.rowCount())]


@pytest.fixture
def train(window, tmp_path, monkeypatch):
    """A dock that knows the recipes, with folders of its own."""
    from napari_cardioxai.app.training_choices import (
        ChoicesFinder,
        RecipeChoice,
        TrainingChoices,
    )
    from napari_cardioxai.app.widgets.train.dock import TrainDock

    recipe = RecipeChoice(
        "heart-unet", "U-Net", FIELDS, "pictures", False, {"network": "unet"}, ("taught",)
    )

    def find(self) -> None:  # asking a process for the real ones would only make tests slow
        models = [
            {"name": card.parent.name, "folder": str(card.parent), "network": "unet"}
            for card in (tmp_path / "models").glob("*/card.json")
        ]
        self.found.emit(TrainingChoices((recipe,), ("auto", "cpu"), models, tmp_path / "models"))

    monkeypatch.setenv("CARDIOXAI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(ChoicesFinder, "find", find)
    dock = TrainDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Train")
    window.settle()
    yield Train(window, dock)
    dock.training.close()


@pytest.fixture
def job(tmp_path):
    return disc_job(tmp_path, data=write_discs(tmp_path / "data"))


def test_a_training_is_watched_and_paused_and_its_model_is_listed(train, job, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "napari_cardioxai.app.actions.StudyActions.list_choices", lambda self: asked.append(1)
    )
    train.fill(replace(job, values={**job.values, "epochs": 30}))
    train.press("start")
    assert train.training.status.state is TrainingState.RUNNING
    assert not train.child("train_start").isEnabled()
    train.wait_for_epochs(2)

    train.press("pause")
    train.wait_for(TrainingState.PAUSED)
    assert train.child("train_pause").text() == "Continue"
    assert "paused in epoch" in train.child("train_state").text().lower()
    train.press("pause")
    train.wait_for(TrainingState.RUNNING)

    train.child("train_preview_picture").setValue(2)
    train.wait(lambda: train.dock.preview.preview.picture == 1)
    titles = train.dock.preview.panels.titles
    assert titles[:2] == ["With its labels", "As the network sees it"]
    assert len(titles) > 4, "and one for every layer"

    train.wait(lambda: not train.training.is_active)
    assert train.child("train_state").text() == "The model discs is ready."
    train.wait_for_epochs(30)
    train.dock.preview.show_run(None)
    train.training.view.show(train.training.view.run.path)
    assert train.dock.preview.preview.position == 30, "pictures come back with the run"
    train.wait_for_epochs(30)
    line = train.dock.curves.loss.listDataItems()[-1]
    assert list(line.getData()[0]) == list(range(1, 31))
    assert "Kept&nbsp;apart" in train.child("train_figure_said").text()
    train.wait(lambda: train.column("State") == ["done"])
    assert train.column("Epochs") == ["30"]
    assert asked, "the Study dock lists it"
    assert train.child("train_start_from").findText("discs") > 0
    assert train.child("train_field_epochs").text() == "30", "what was typed stays"
    train.press("start")
    assert "already" in train.child("train_setup_complaint").text()
    assert not train.training.is_active


def test_a_crash_is_one_sentence_resume_goes_on_and_closing_asks(train, job, monkeypatch):
    from napari_cardioxai.app.training_jobs import TrainingJobs

    answers = [False, True]
    monkeypatch.setattr(
        "napari_cardioxai.app.desk.ask_about_training", lambda parent: answers.pop(0)
    )
    train.fill(replace(job, values={**job.values, "epochs": 5000}))
    train.press("start")
    run = train.training.view.run
    train.wait_for_epochs(2)
    psutil.Process(int((run.path / "alive").read_text())).kill()
    train.wait_for(TrainingState.FAILED)
    assert train.child("train_state").text() == (
        "discs: the training stopped unexpectedly; the last checkpoint is kept and Resume goes on "
        "from it."
    )
    train.wait(lambda: train.child("train_resume").isEnabled())
    done = len(train.training.view.curves.epochs["loss"][0])
    train.press("resume")
    train.wait_for_epochs(done + 2)
    assert train.training.view.curves.epochs["loss"][0] == pytest.approx(
        range(1, 1 + len(train.training.view.curves.epochs["loss"][0]))
    ), "no epoch is missing or done twice"

    window = train.dock.desk.window
    window.close()
    assert window.isVisible() and train.training.is_active, "whoever says no keeps both"
    # The fixture closes the window itself, and could not do so twice.
    stop, closed = TrainingJobs.stop_then, []
    monkeypatch.setattr(
        TrainingJobs, "stop_then", lambda self, _: stop(self, lambda: closed.append(True))
    )
    window.close()
    train.wait(lambda: closed)
    assert not answers and not train.training.is_active
    assert train.training.status.state is TrainingState.CANCELLED
    assert run.has_checkpoint and not run.is_alive


def test_bad_values_are_refused_at_their_field_and_nothing_starts(train, job, tmp_path):
    train.fill(job)
    for name, text, complaint in (
        ("epochs", "0", "Epochs cannot be 0; give a whole number, 1 to 10000."),
        ("learning_rate", "much", "Learning rate cannot be 'much'; give a number, 1e-07 to 1."),
        ("network_params", "{", "Network options is not JSON"),
    ):
        kept = train.child(f"train_field_{name}").text()
        train.enter(name, text)
        train.press("start")
        said = train.child(f"train_complaint_{name}")
        assert said.text().startswith(complaint) and not said.isHidden()
        train.enter(name, kept)
        assert said.isHidden()
    train.enter("taught", "on")
    train.press("start")
    assert "a model to begin with" in train.child("train_setup_complaint").text()
    train.enter("taught", "off")
    train.child("train_data").setText(str(tmp_path / "nowhere"))
    train.press("start")
    assert "does not exist" in train.child("train_setup_complaint").text()
    assert not train.training.is_active and not runs_folder().exists()


def test_limits_and_a_default_that_was_left_are_shown(train, job):
    train.fill(job)
    spec = train.dock.form.editors["epochs"].spec
    assert train.child("train_limits_epochs").text() == f"1–10000\ndefault {spec.default}"
    train.enter("epochs", str(spec.default))
    assert train.child("train_limits_epochs").text() == "1–10000"


def test_a_search_starts_every_combination(train, job, monkeypatch):
    started = []
    monkeypatch.setattr(train.training, "start", started.extend)
    train.fill(job)
    for row, (label, values) in enumerate(
        (("Learning rate", "0.01, 0.02"), ("Pictures per step", "2, 4, 8"))
    ):
        train.child(f"train_search_field_{row}").setCurrentText(label)
        train.child(f"train_search_values_{row}").setText(values)
    assert train.child("train_search_said").text() == "2 × 3 = 6 runs"
    assert train.child("train_start").text() == "Start 6 runs"
    train.press("start")
    tried = [(one.values["learning_rate"], one.values["batch_size"]) for one in started]
    assert tried == [(0.01, 2), (0.01, 4), (0.01, 8), (0.02, 2), (0.02, 4), (0.02, 8)]
    assert {one.search for one in started} == {"discs"}


def test_the_table_of_runs_sorts_by_figures(train, job):
    for name, rate, loss in (("a-1", 0.1, 0.5), ("a-2", 0.01, 0.09), ("a-3", 0.001, 10.0)):
        run = RunFolder(runs_folder() / name)
        values = {**job.values, "learning_rate": rate}
        run.write_job(replace(job, values=values, search="a", varied=("learning_rate",)))
        EventLog(run).epoch(1, {"loss": loss, "dice_kept_apart": 1 - loss / 10})
        EventLog(run).state(TrainingState.DONE, "The model is ready.")
    train.training.list_runs()
    table = train.child("train_runs")
    train.wait(lambda: table.rowCount() == 3)
    assert train.column("learning rate") and set(train.column("State")) == {"done"}
    train.child("train_runs_which").setCurrentIndex(1)
    table.sortItems(3, Qt.SortOrder.AscendingOrder)
    assert train.column("Loss") == ["0.09", "0.5", "10"]
    assert train.column("Run") == ["a-2", "a-1", "a-3"]
    table.sortItems(4, Qt.SortOrder.AscendingOrder)
    assert train.column("Run") == ["a-3", "a-1", "a-2"]
    table.selectRow(0)
    assert train.training.view.run.name == "a-3"
    assert train.child("train_keep").isEnabled()
