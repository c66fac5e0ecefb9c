"""The nearest heart that is decided the other way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.train.form import WRONG

if TYPE_CHECKING:
    from napari_cardioxai.app.live_concepts import LiveConcepts
    from napari_cardioxai.concepts.counterfactual import Counterfactual

NOT_PLAUSIBLE = "Not plausible: it lies farther from the cohort than 99 % of its hearts."


class OtherDecisionSection(QWidget):
    """A button that looks for it, and what it is like."""

    def __init__(self, live: LiveConcepts) -> None:
        super().__init__()
        self._live = live
        self.button, self.told = QPushButton("Find the smallest change"), QLabel()
        self.button.setObjectName("concepts_counterfactual")
        self.button.setToolTip(
            "The nearest heart, in the cohort's standard deviations, that is decided the other way"
        )
        self.told.setObjectName("concepts_told")
        self.told.setWordWrap(True)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(self.told)
        self.button.clicked.connect(lambda _=False: live.find_counterfactual())
        live.moved_changed.connect(self.refresh)
        live.heart_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say what was found."""
        found, heart = self._live.counterfactual, self._live.heart
        self.told.setVisible(found is not None and heart is not None)
        if found is not None and heart is not None:
            is_shown = self._live.moved.latent is found.latent
            self.told.setText(_told(found, heart.classifier.card.classes, is_shown))


def _told(found: Counterfactual, classes: Sequence[str], is_shown: bool) -> str:
    other = classes[int(found.logit_after >= found.boundary)]
    far = "" if found.is_plausible else f" <span style='{WRONG}'>{NOT_PLAUSIBLE}</span>"
    shown = "Shown on the image; Reset goes back." if is_shown else "Not shown any more."
    return (
        f"To be decided {other}: <b>{found.sentence}</b>. Logit {found.logit_before:+.2f} to "
        f"{found.logit_after:+.2f}, the decision changes at {found.boundary:+.2f}; "
        f"{found.distance:.1f} SD of the cohort away.{far} {shown}"
    )
