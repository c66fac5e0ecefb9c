"""Which model, and what to do when it carries no concepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.live_concepts import HeartState
from napari_cardioxai.app.widgets.train.form import WRONG

if TYPE_CHECKING:
    from napari_cardioxai.app.live_concepts import LiveConcepts

LOOKING = "Looking for models …"
NO_MODEL = (
    "There is no latent classifier yet. Train one in the Train dock (“Disease” or “CRT response”); "
    "it appears here when it is finished."
)
NO_BOOK = (
    "This model carries no concepts yet. Find them on a cohort: its manifest names labelled "
    "subjects, those of the split “concept” (or “train”) to find directions on and those of “test” "
    "(or “val”) to test them on. They are kept with the model; it takes minutes."
)
NO_LABELS = "Open a cine in the Study dock and label it; then its heart can be moved here."
READY = "Press Show heart to let the model draw the labelled heart."
READING = "Reading the model …"
WORKING = "Drawing the heart …"
AGAIN = "The labels have changed; what is shown is of those before. Drawing the heart anew …"


class ModelSection(QWidget):
    """The model, the heart, and the way to concepts where there are none."""

    model_chosen = Signal(str)
    start_pressed = Signal()
    end_pressed = Signal()
    manifest_chosen = Signal(object)

    def __init__(self, live: LiveConcepts) -> None:
        super().__init__()
        self._live = live
        self.model = QComboBox()
        self.model.setObjectName("concepts_model")
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.start, self.end = QPushButton("Show heart"), QPushButton("Put away")
        self.start.setObjectName("concepts_start")
        self.end.setObjectName("concepts_end")
        self.end.setToolTip("Take the decoded heart off the screen")
        self.find = QPushButton("Find concepts on a cohort…")
        self.find.setObjectName("concepts_find")
        self.about, self.hint = QLabel(), QLabel()
        self.about.setObjectName("concepts_about")
        self.hint.setObjectName("concepts_hint")
        row = QHBoxLayout()
        row.addWidget(self.model, 1)
        row.addWidget(self.start)
        row.addWidget(self.end)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        for label in (self.about, self.hint):
            label.setWordWrap(True)
            layout.addWidget(label)
        layout.addWidget(self.find)
        self.model.currentIndexChanged.connect(self._on_model)
        self.start.clicked.connect(lambda _=False: self.start_pressed.emit())
        self.end.clicked.connect(lambda _=False: self.end_pressed.emit())
        self.find.clicked.connect(lambda _=False: self._ask())

    def show_models(self, *_: object) -> None:
        """Offer the models; the chosen one stays where it can."""
        models, kept = self._live.models, self._live.model or self.model.currentText()
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItems([LOOKING] if models is None else list(models) or ["no model"])
        if models and kept not in models:  # one with concepts first
            kept = next((name for name, one in models.items() if one.book_time_ns), "")
        self.model.setCurrentIndex(max(0, self.model.findText(kept)))
        self.model.blockSignals(False)
        self.model.setEnabled(bool(models))
        if models:
            self._on_model()
        self.refresh()

    def _on_model(self) -> None:
        self.model_chosen.emit(self.model.currentText())

    def refresh(self, *, is_free: bool = True) -> None:
        """Say how things stand and what can be done."""
        live = self._live
        loaded, state = live.loaded, live.state
        has_book = loaded is not None and loaded.book is not None
        self.find.setVisible(loaded is not None and not has_book and not loaded.fault)
        self.find.setEnabled(is_free)
        is_shown = live.heart is not None
        self.start.setVisible(not is_shown)
        self.end.setVisible(is_shown)
        waits = state in (HeartState.NO_LABELS, HeartState.WORKING)
        self.start.setEnabled(has_book and not waits)
        self.about.setText(self._about())
        self.about.setVisible(bool(self.about.text()))
        is_refused = state is HeartState.REFUSED and has_book
        self.say(self._hint(), is_wrong=is_refused or bool(live.fault))

    def say(self, text: str, *, is_wrong: bool = False) -> None:
        """Show a sentence below the model."""
        self.hint.setStyleSheet(WRONG if is_wrong else "")
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    def say_wrong(self, text: str) -> None:
        """Show what went wrong."""
        self.say(text, is_wrong=True)

    def _about(self) -> str:
        loaded = self._live.loaded
        if loaded is None:
            return ""
        told = f"{loaded.classifier.card.title}."
        if loaded.book is not None:
            told += f" Concepts found on {loaded.book.cohort}."
        return told

    def _hint(self) -> str:
        live = self._live
        if live.models is None:
            return ""
        if not live.models:
            return NO_MODEL
        if live.loaded is None:
            return live.fault or READING
        if live.loaded.book is None:
            return live.loaded.fault or NO_BOOK
        return {
            HeartState.NO_LABELS: NO_LABELS,
            HeartState.READY: READY,
            HeartState.WORKING: AGAIN if live.is_old else WORKING,
            HeartState.SHOWN: "",
            HeartState.REFUSED: live.reason,
        }[live.state]

    def _ask(self) -> None:
        kinds = "Manifests (*.csv *.parquet *.pq);;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "Manifest of a cohort", "", kinds)
        if name:
            self.manifest_chosen.emit(Path(name))
