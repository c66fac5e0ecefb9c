"""What is running, how far it is, and what came of it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.session import JobState, Session, Status

RESEARCH_ONLY = "For research use only. Not a medical device."


class StatusBar(QWidget):
    """Progress, Cancel, the last sentence, and what this program is not."""

    cancel_pressed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._text = QLabel()
        self._text.setObjectName("status")
        self._text.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setObjectName("progress")
        self._bar.setTextVisible(True)
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("cancel")
        self._cancel.clicked.connect(self.cancel_pressed.emit)
        research = QLabel(RESEARCH_ONLY)
        research.setObjectName("research_only")
        research.setWordWrap(True)
        self._row = QWidget()
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self._row, self._text, research):
            layout.addWidget(widget)
        session.status_changed.connect(self.show_status)
        self.show_status(session.status)

    def show_status(self, status: Status) -> None:
        """Show a status."""
        running = status.state is JobState.RUNNING
        self._row.setVisible(running)
        self._bar.setRange(0, status.total)
        self._bar.setValue(status.done)
        self._text.setText(status.text)
        self._text.setVisible(bool(status.text))
        failed = status.state is JobState.FAILED
        self._text.setStyleSheet("font-weight: bold; color: #ff7a5c;" if failed else "")
