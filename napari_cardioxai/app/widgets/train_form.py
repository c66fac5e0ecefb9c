"""The form of a recipe, made from its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.workers import sentence
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.job_fields import FieldSpec

WRONG = "color: #ff7a5c;"


class FieldEditor(QWidget):
    """One value, and below it what is wrong with it."""

    changed = Signal()

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.editor = self._editor()
        self.editor.setObjectName(f"train_field_{spec.name}")
        self.editor.setToolTip(_tip(spec))
        self.complaint = QLabel()
        self.complaint.setObjectName(f"train_complaint_{spec.name}")
        self.complaint.setWordWrap(True)
        self.complaint.setStyleSheet(WRONG)
        self.complaint.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.editor)
        layout.addWidget(self.complaint)

    def _editor(self) -> QWidget:
        spec, text = self.spec, self.spec.text(self.spec.default)
        if spec.kind == "choice":
            box = QComboBox()
            box.addItems([str(choice) for choice in spec.choices])
            box.setCurrentText(text)
            box.currentTextChanged.connect(lambda _: self._check())
            return box
        if spec.kind == "switch":
            check = QCheckBox()
            check.setChecked(bool(spec.default))
            check.toggled.connect(lambda _: self._check())
            return check
        line = QLineEdit(text)
        line.setCursorPosition(0)
        if spec.optional:
            line.setPlaceholderText("automatic")
        line.editingFinished.connect(self._check)
        return line

    @property
    def text(self) -> str:
        """What stands in it."""
        if isinstance(self.editor, QComboBox):
            return self.editor.currentText()
        if isinstance(self.editor, QCheckBox):
            return "on" if self.editor.isChecked() else "off"
        return self.editor.text()

    def read(self) -> Any:
        """Its value.

        Raises
        ------
        TrainingError
            When it has none; the sentence is shown below it too.
        """
        try:
            value = self.spec.parse(self.text)
        except TrainingError as error:
            self.complaint.setText(sentence(str(error)))
            self.complaint.show()
            raise
        self.complaint.hide()
        return value

    def _check(self) -> None:
        try:
            self.read()
        except TrainingError:
            return
        self.changed.emit()


class RecipeForm(QWidget):
    """All fields of a recipe; those that few people change are folded away."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.editors: dict[str, FieldEditor] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._parts: list[QWidget] = []
        self._advanced: Section | None = None

    def set_fields(self, specs: Sequence[FieldSpec]) -> None:
        """Show another recipe; what was typed for the last one is gone."""
        for part in self._parts:
            self._layout.removeWidget(part)
            part.deleteLater()
        self.editors = {spec.name: FieldEditor(spec) for spec in specs}
        for editor in self.editors.values():
            editor.changed.connect(self.changed)
        basic = self._grid([e for e in self.editors.values() if not e.spec.advanced])
        others = self._grid([e for e in self.editors.values() if e.spec.advanced])
        self._advanced = Section("Advanced", others, name="train_advanced", expanded=False)
        self._parts = [basic, self._advanced]
        for part in self._parts:
            self._layout.addWidget(part)

    def read(self) -> dict[str, Any] | None:
        """All values; None when one is wrong, with every wrong one marked and the first in view."""
        values, wrong = {}, []
        for name, editor in self.editors.items():
            try:
                values[name] = editor.read()
            except TrainingError:
                wrong.append(editor)
        if not wrong:
            return values
        if self._advanced is not None and all(editor.spec.advanced for editor in wrong):
            self._advanced.set_expanded(True)
        wrong[0].editor.setFocus()
        return None

    @staticmethod
    def _grid(editors: Sequence[FieldEditor]) -> QWidget:
        inner = QWidget()
        grid = QGridLayout(inner)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for row, editor in enumerate(editors):
            label = QLabel(editor.spec.label)
            label.setToolTip(_tip(editor.spec))
            label.setBuddy(editor.editor)
            unit = QLabel(editor.spec.unit)
            grid.addWidget(label, row, 0)
            grid.addWidget(editor, row, 1)
            grid.addWidget(unit, row, 2)
        grid.setColumnStretch(1, 1)
        return inner


def _tip(spec: FieldSpec) -> str:
    limits = f"{spec.limits[:1].upper()}{spec.limits[1:]}." if spec.limits else ""
    default = spec.text(spec.default)
    parts = (spec.about, limits, f"By default {default}." if default else "")
    return "<qt>" + " ".join(part for part in parts if part) + "</qt>"
