"""Values to try: every combination becomes a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.train.form import WRONG
from napari_cardioxai.app.workers import sentence
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.fields import FieldSpec

ROWS = 3
NOTHING = "not searched"
ABOUT = "Choose fields and the values to try, separated by commas; each combination is a run."


class SearchSection(QWidget):
    """Up to three fields with the values that each is to have."""

    count_changed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._specs: dict[str, FieldSpec] = {}
        self.boxes, self.lines = [], []
        grid = QGridLayout()
        for row in range(ROWS):
            box, line = QComboBox(), QLineEdit()
            box.setObjectName(f"train_search_field_{row}")
            line.setObjectName(f"train_search_values_{row}")
            line.setPlaceholderText("such as 0.001, 0.003, 0.01")
            line.setEnabled(False)
            box.currentIndexChanged.connect(self._on_change)
            line.textChanged.connect(self._on_change)
            grid.addWidget(box, row, 0)
            grid.addWidget(line, row, 1)
            self.boxes.append(box)
            self.lines.append(line)
        grid.setColumnStretch(1, 1)
        about = QLabel(ABOUT)
        about.setWordWrap(True)
        self.said = QLabel()
        self.said.setObjectName("train_search_said")
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(about)
        layout.addLayout(grid)
        layout.addWidget(self.said)
        self._on_change()

    def set_fields(self, specs: Sequence[FieldSpec]) -> None:
        """Offer the fields of another recipe."""
        fit = [s for s in specs if s.kind not in ("wholes", "text", "structure")]
        self._specs = {spec.label: spec for spec in fit}
        for box in self.boxes:
            kept = box.currentText()
            box.blockSignals(True)
            box.clear()
            box.addItems([NOTHING, *self._specs])
            box.setCurrentIndex(max(0, box.findText(kept)))
            box.blockSignals(False)
        self._on_change()

    def read(self) -> dict[str, list[Any]] | None:
        """Values by field, empty where nothing is searched; None when something is wrong."""
        try:
            return self._values()
        except TrainingError:
            return None

    def _values(self) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}
        for box, line in zip(self.boxes, self.lines, strict=True):
            spec = self._specs.get(box.currentText())
            if spec is None:
                continue
            if spec.name in values:
                raise TrainingError(f"{spec.label} is chosen twice.")
            values[spec.name] = spec.parse_several(line.text())
        return values

    def _on_change(self, *_: object) -> None:
        for box, line in zip(self.boxes, self.lines, strict=True):
            line.setEnabled(box.currentText() in self._specs)
        count = 1
        try:
            values = self._values()
        except TrainingError as error:
            self.said.setText(sentence(str(error)))
            self.said.setStyleSheet(WRONG)
        else:
            for tried in values.values():
                count *= len(tried)
            product = " × ".join(str(len(tried)) for tried in values.values())
            self.said.setText(f"{product} = {count} runs" if len(values) > 1 else "")
            self.said.setStyleSheet("")
        self.said.setVisible(bool(self.said.text()))
        self.count_changed.emit(count)
