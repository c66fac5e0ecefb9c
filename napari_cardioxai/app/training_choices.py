"""What the Train dock offers: recipes, devices and models, asked for in a process of their own.

Recipes live beside the networks, and importing those takes seconds and, after
Qt, does not work everywhere (see `torch_first`). So a process is asked; what
it said last time is shown until it answers.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QProcess, Signal

from napari_cardioxai import __version__
from napari_cardioxai.app.training_process import MODULE
from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.files import replacing
from napari_cardioxai.training.jobs.fields import FieldSpec
from napari_cardioxai.training.jobs.folder import runs_folder

_REMEMBERED = "recipes.json"


@dataclass(frozen=True)
class RecipeChoice:
    """A recipe with its form.

    Attributes
    ----------
    name, title, fields
        As in `JobRecipe`.
    data
        "pictures", "manifest" or "images".
    needs_data
        Whether it can do without.
    starts_from
        Network of the models whose weights it can begin with, under `network`.
    start_if
        As in `JobRecipe`.
    """

    name: str
    title: str
    fields: tuple[FieldSpec, ...]
    data: str
    needs_data: bool
    starts_from: Mapping[str, Any]
    start_if: Sequence[str] = ()


@dataclass(frozen=True)
class TrainingChoices:
    """Everything that can be chosen before a training.

    Attributes
    ----------
    recipes, devices
        In the order to show.
    models
        Dictionaries with name, folder, kind, network, structures.
    models_folder
        Where one's own models go.
    """

    recipes: tuple[RecipeChoice, ...]
    devices: tuple[str, ...]
    models: tuple[Mapping[str, Any], ...]
    models_folder: Path

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> TrainingChoices:
        """From what `job_recipes.describe` says."""
        recipes = (
            RecipeChoice(**{**one, "fields": tuple(map(FieldSpec.from_json, one["fields"]))})
            for one in said["recipes"]
        )
        return cls(
            tuple(recipes),
            tuple(said["devices"]),
            tuple(said["models"]),
            Path(said["models_folder"]),
        )


class ChoicesFinder(QObject):
    """Asks what can be trained."""

    found = Signal(object)  # TrainingChoices
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._text = ""

    def find(self) -> None:
        """Emit `found` with what is remembered at once, and with the answer if that is another."""
        if self._process is not None:
            return
        self._recall()
        self._process = QProcess(self)
        self._process.setStandardErrorFile(QProcess.nullDevice())
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._process.start(sys.executable, ["-m", MODULE, "--recipes"])

    def close(self) -> None:
        """Stop asking."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(2000)

    def _recall(self) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((runs_folder() / _REMEMBERED).read_text("utf-8"))
            if kept["version"] == __version__:
                self._show(kept["said"])

    def _show(self, text: str) -> None:
        if text != self._text:
            self.found.emit(TrainingChoices.from_json(json.loads(text)))
            self._text = text

    def _on_finished(self, code: int, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        lines = bytes(process.readAllStandardOutput()).decode("utf-8", "replace").splitlines()
        try:
            self._show(lines[-1])
        except (IndexError, ValueError, KeyError, TypeError):
            self.failed.emit(f"The recipes could not be listed (exit code {code}).")
            return
        with contextlib.suppress(CardioxaiError), replacing(runs_folder() / _REMEMBERED) as beside:
            beside.write_text(json.dumps({"version": __version__, "said": lines[-1]}), "utf-8")

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self.failed.emit(f"Python could not be started ({self._process.errorString()}).")
            self._process = None
