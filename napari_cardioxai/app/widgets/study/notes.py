"""What a reader must know before trusting the numbers."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.session import Session


class NotesSection(QWidget):
    """Warnings about the scan and notes on labels and measurements, one below the other."""

    count_changed = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._text = QLabel()
        self._text.setObjectName("notes")
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        session.catalogue_changed.connect(self.refresh)
        session.scan_changed.connect(self.refresh)
        session.measurements_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the session knows, each sentence once."""
        session = self._session
        found: list[str] = []
        if session.catalogue is not None:
            found += session.catalogue.warnings
        if session.scan is not None:
            found += session.scan.provenance.warnings
            found += session.notes
        if session.measurements is not None:
            found += session.measurements.notes
        sentences = list(dict.fromkeys(found))
        text = "\n".join(f"• {sentence}" for sentence in sentences) or "Nothing to report."
        if text != self._text.text():
            self._text.setText(text)
            self.count_changed.emit(len(sentences))
