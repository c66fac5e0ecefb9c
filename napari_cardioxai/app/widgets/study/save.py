"""Keeping the results."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_cardioxai.app.session import JobState, Session

_KINDS = {
    "labels": ("Save labels…", "labels.nii.gz", "NIfTI (*.nii.gz *.nii)", ".nii.gz"),
    "table": ("Save table…", "measurements.csv", "Table (*.csv);;JSON (*.json)", ".csv"),
    "report": ("Save report…", "report.html", "Web page (*.html)", ".html"),
}


class SaveSection(QWidget):
    """Buttons that ask where to save labels, table and report."""

    labels_path_chosen = Signal(object)
    table_path_chosen = Signal(object)
    report_path_chosen = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for kind, (text, *_) in _KINDS.items():
            button = QPushButton(text)
            button.setObjectName(f"save_{kind}")
            button.clicked.connect(lambda _=False, kind=kind: self._on_button(kind))
            self._buttons[kind] = button
            layout.addWidget(button)
        for signal in (
            session.labels_changed,
            session.measurements_changed,
            session.status_changed,
        ):
            signal.connect(self._enable)
        self._enable()

    def _on_button(self, kind: str) -> None:
        path = self.ask_where(kind)
        if path is not None:
            getattr(self, f"{kind}_path_chosen").emit(path)

    def ask_where(self, kind: str) -> Path | None:
        """Let the user choose where a result goes; None when they do not."""
        text, name, filters, ending = _KINDS[kind]
        folder = Path.cwd() if self._session.path is None else self._session.path.parent
        file, chosen = QFileDialog.getSaveFileName(
            self, text.rstrip("…"), str(folder / name), filters
        )
        if not file:
            return None
        path = Path(file)
        if path.suffix:
            return path
        return path.with_name(path.name + (".json" if "json" in chosen else ending))

    def _enable(self, *_: object) -> None:
        idle = self._session.status.state is not JobState.RUNNING
        has_labels = self._session.labels_layer is not None
        has_numbers = self._session.measurements is not None
        self._buttons["labels"].setEnabled(idle and has_labels)
        self._buttons["table"].setEnabled(idle and has_numbers)
        self._buttons["report"].setEnabled(idle and has_numbers)
