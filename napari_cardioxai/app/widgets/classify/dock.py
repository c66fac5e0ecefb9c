"""The Classify dock: a model's decision about what is open, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.live_decision import Verdict, VerdictState
from napari_cardioxai.app.widgets.classify.results import (
    ConceptsSection,
    DecisionSection,
    UnlikenessSection,
)
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.train.form import WRONG

if TYPE_CHECKING:
    from napari_cardioxai.app.live_decision import ClassifierCard

LOOKING = "Looking for models …"
NO_MODEL = (
    "There is no classifier yet. Train one: in the Train dock choose the recipe “Disease” or “CRT "
    "response” and the manifest of a cohort, or “Pictures” and a folder of images for each class. "
    "It appears here when it is finished."
)
NO_LABELS = "Open a cine in the Study dock and label it; the model reads the labels."
NO_SCAN = "Open a picture or volume in the Study dock; the model reads it as it is."
READY = "Press Classify to ask the model."
WORKING = "Asking the model …"
AGAIN = "The labels have changed; asking again …"
RESEARCH = "Research use only; not a medical device."


class ClassifyDock(QWidget):
    """Choose a model, see what it says, and all that speaks against it.

    It holds no data and computes nothing: `LiveDecision` asks the model in a worker.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("classify_dock")
        self.desk = desk_of(napari_viewer)
        self.live = self.desk.decision
        self._build_choice()
        self.decision, self.concepts = DecisionSection(), ConceptsSection()
        self.unlikeness = UnlikenessSection()
        self.warnings = QLabel()
        self.warnings.setObjectName("classify_warnings")
        self.warnings.setWordWrap(True)
        self.warnings.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._warned = Section("Read before the decision", self.warnings, name="classify_warnings")
        self._answers = (
            self._warned,
            Section("Decision", self.decision, name="classify_decision"),
            Section("Concepts", self.concepts, name="classify_concepts"),
            Section("Like what it learnt from?", self.unlikeness, name="classify_unlike"),
        )
        research = QLabel(RESEARCH)
        parts = (Section("Model", self._choice, name="classify_model"), *self._answers)
        scrolling_column(self, parts, name="classify", below=(research,))
        self._connect()
        self.set_theme(self.desk.viewer.theme)
        self.show_cards(self.live.cards)
        self.show_verdict(self.live.verdict)
        self.live.list_models()

    def _build_choice(self) -> None:
        self._choice = QWidget()
        self.model = QComboBox()
        self.model.setObjectName("classify_model")
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.button = QPushButton("Classify")
        self.button.setObjectName("classify_start")
        self.train = QPushButton("Open the Train dock")
        self.train.setObjectName("classify_train")
        self.about, self.hint = QLabel(), QLabel()
        self.about.setObjectName("classify_about")
        self.hint.setObjectName("classify_hint")
        row = QHBoxLayout()
        row.addWidget(self.model, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self._choice)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        for label in (self.about, self.hint):
            label.setWordWrap(True)
            layout.addWidget(label)
        layout.addWidget(self.train)

    def _connect(self) -> None:
        self.live.cards_found.connect(self.show_cards)
        self.live.changed.connect(self.show_verdict)
        self.live.listing_failed.connect(self._say_wrong)
        self.model.currentIndexChanged.connect(self._on_model)
        self.button.clicked.connect(lambda _=False: self.live.decide(self.model.currentText()))
        self.train.clicked.connect(lambda _=False: self.desk.open_dock("Train"))
        self.desk.theme_changed.connect(self.set_theme)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        for section in (self.decision, self.concepts):
            section.set_theme(name)
        for gauge in self.unlikeness.gauges:
            gauge.set_theme(name)

    # What is known --------------------------------------------------------------------

    @property
    def card(self) -> ClassifierCard | None:
        """Of the chosen model."""
        return (self.live.cards or {}).get(self.model.currentText())

    def show_cards(self, cards: Mapping[str, ClassifierCard] | None) -> None:
        """Offer the models; the chosen one stays where it can."""
        kept = self.model.currentText()
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItems([LOOKING] if cards is None else list(cards) or ["no model"])
        self.model.setCurrentIndex(max(0, self.model.findText(kept)))
        self.model.blockSignals(False)
        self.model.setEnabled(bool(cards))
        self.train.setVisible(cards is not None and not cards)
        card = self.card
        self.about.setText("" if card is None else f"{card.title}. Learnt from {card.data}.")
        self.about.setVisible(card is not None)
        if cards is not None and self.model.currentText() != kept:
            self.live.look_at(self.model.currentText())
        self.show_verdict(self.live.verdict)

    def _on_model(self) -> None:
        self.live.look_at(self.model.currentText())
        self.show_cards(self.live.cards)

    def show_verdict(self, verdict: Verdict) -> None:
        """Show what the model says, or why it says nothing."""
        said, state = verdict.decision, verdict.state
        self.hint.setStyleSheet(WRONG if state is VerdictState.REFUSED else "")
        self.hint.setText(self._hint(verdict))
        self.hint.setVisible(bool(self.hint.text()))
        is_free = state not in (VerdictState.NO_LABELS, VerdictState.NO_SCAN, VerdictState.WORKING)
        self.button.setEnabled(is_free and self.card is not None)
        for section in self._answers:
            section.setVisible(said is not None)
        if said is None:
            return
        from napari_cardioxai.decisions import STRANGE_PERCENTILE

        self.decision.show_decision(said, self.card)
        concepts = getattr(said, "concepts", None)  # classifiers of images have none to know
        self._answers[2].setVisible(concepts is not None)
        self.concepts.show_concepts(concepts or {})
        what = "images" if concepts is None else "hearts"
        self.unlikeness.show_unlikeness(said.out_of_distribution, STRANGE_PERCENTILE, what=what)
        self.warnings.setText("\n\n".join(f"• {text}" for text in said.warnings))
        self._warned.setVisible(bool(said.warnings))
        is_old = state is VerdictState.WORKING
        for gauge in (*self.decision.gauges, *self.concepts.gauges, *self.unlikeness.gauges):
            gauge.set_old(is_old)

    def _hint(self, verdict: Verdict) -> str:
        if self.live.cards is not None and not self.live.cards:
            return NO_MODEL
        return {
            VerdictState.NO_LABELS: NO_LABELS,
            VerdictState.NO_SCAN: NO_SCAN,
            VerdictState.READY: READY if self.card is not None else "",
            VerdictState.WORKING: WORKING if verdict.decision is None else AGAIN,
            VerdictState.REFUSED: verdict.reason,
            VerdictState.DECIDED: "",
        }[verdict.state]

    def _say_wrong(self, text: str) -> None:
        self.hint.setStyleSheet(WRONG)
        self.hint.setText(text)
        self.hint.show()
