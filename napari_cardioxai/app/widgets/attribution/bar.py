"""Explain, how far it is, and Cancel; always in view."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.live_attribution import Stage, Standing
from napari_cardioxai.app.widgets.train.form import SMALL, WRONG

RESEARCH = "Research use only; not a medical device."
_FINE = 1000


class AttributionBar(QWidget):
    """One button, one line, one bar."""

    explain_pressed = Signal()
    cancel_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.explain = QPushButton("Explain")
        self.explain.setObjectName("attribution_start")
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName("attribution_cancel")
        self.explain.clicked.connect(lambda _=False: self.explain_pressed.emit())
        self.cancel.clicked.connect(lambda _=False: self.cancel_pressed.emit())
        self.progress = QProgressBar()
        self.progress.setObjectName("attribution_progress")
        self.text = QLabel()
        self.text.setObjectName("attribution_status")
        self.text.setWordWrap(True)
        research = QLabel(RESEARCH)
        research.setStyleSheet(SMALL)
        row = QHBoxLayout()
        row.addWidget(self.explain, 2)
        row.addWidget(self.cancel, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.progress)
        layout.addWidget(self.text)
        layout.addLayout(row)
        layout.addWidget(research)
        self._standing = Standing()
        self.show_standing(self._standing, is_old=False)

    def set_ready(self, is_ready: bool) -> None:
        """Say whether there is something to explain."""
        self.explain.setEnabled(is_ready)

    def show_standing(self, standing: Standing, *, is_old: bool) -> None:
        """Show how far the maps are."""
        self._standing = standing
        works = standing.stage is Stage.WORKING
        self.explain.setText("Explain anew" if works else "Explain")
        self.cancel.setVisible(works)
        self.progress.setVisible(works)
        self.progress.setRange(0, _FINE if standing.share else 0)
        self.progress.setValue(round(_FINE * standing.share))
        self.text.setText(in_words(standing, is_old=is_old))
        self.text.setVisible(bool(self.text.text()))
        self.text.setStyleSheet(WRONG if standing.stage is Stage.FAILED else "")


def in_words(standing: Standing, *, is_old: bool) -> str:
    """One line about how far the maps are."""
    parts = [standing.text]
    if standing.stage is Stage.WORKING and standing.seconds_left is not None:
        parts.append(f"About {_duration(standing.seconds_left)} left.")
    if standing.stage is not Stage.WORKING and is_old:
        parts.append("The labels have changed since; explain again.")
    return " ".join(part for part in parts if part)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5 * round(seconds / 5), 1):.0f} s"
    return f"{seconds / 60:.0f} min"
