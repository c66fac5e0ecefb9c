"""The form of a recipe, made from its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QObject, Signal
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
from napari_cardioxai.training.jobs.fields import FieldSpec

WRONG = "color: #ff7a5c;"
MARKED = "border: 1px solid #ff7a5c;"
SMALL = "font-size: 11px;"
_SHARES = 4, 4, 3  # of the width: names, values, limits


class FieldEditor(QObject):
    """One value: its name, its control, its limits, and what is wrong with it."""

    changed = Signal()

    def __init__(self, spec: FieldSpec, parent: QObject) -> None:
        super().__init__(parent)
        self.spec = spec
        self.editor = self._editor()
        self.editor.setObjectName(f"train_field_{spec.name}")
        self.label, self.beside = QLabel(spec.label), QLabel()
        self.label.setBuddy(self.editor)
        for label in (self.label, self.beside):
            label.setWordWrap(True)  # the form is never wider than the dock
        self.beside.setObjectName(f"train_limits_{spec.name}")
        self.beside.setStyleSheet(SMALL)
        for widget in (self.editor, self.label, self.beside):
            widget.setToolTip(_tip(spec))
        self.complaint = QLabel()
        self.complaint.setObjectName(f"train_complaint_{spec.name}")
        self.complaint.setWordWrap(True)
        self.complaint.setStyleSheet(WRONG)
        self.complaint.hide()
        self._show_limits()

    def lay_out(self, grid: QGridLayout, row: int) -> None:
        """Take two rows of a grid, the second one for a complaint."""
        grid.addWidget(self.label, row, 0)
        grid.addWidget(self.editor, row, 1)
        grid.addWidget(self.beside, row, 2)
        grid.addWidget(self.complaint, row + 1, 1, 1, 2)

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
            self.editor.setStyleSheet(MARKED)
            raise
        self.complaint.hide()
        self.editor.setStyleSheet("")
        return value

    def _show_limits(self) -> None:
        """Unit and limits; the default too once it is left, so that the way back is known."""
        spec = self.spec
        is_default = self.text.strip() == spec.text(spec.default)
        kept = spec.text(spec.default)
        parts = (spec.range_text, "" if is_default or len(kept) > 12 else f"default {kept}")
        self.beside.setText("\n".join(part for part in parts if part))

    def _check(self) -> None:
        self._show_limits()
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
        if [editor.spec for editor in self.editors.values()] == list(specs):
            return
        for part in self._parts:
            self._layout.removeWidget(part)
            part.setParent(None)  # gone at once, not when the event loop comes round
            part.deleteLater()
        for editor in self.editors.values():
            editor.deleteLater()
        self.editors = {spec.name: FieldEditor(spec, self) for spec in specs}
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
        for number, editor in enumerate(editors):
            editor.lay_out(grid, 2 * number)
        for column, share in enumerate(_SHARES):
            grid.setColumnStretch(column, share)
        return inner


def _tip(spec: FieldSpec) -> str:
    limits = f"{spec.limits[:1].upper()}{spec.limits[1:]}." if spec.limits else ""
    default = spec.text(spec.default)
    parts = (spec.about, limits, f"By default {default}." if default else "")
    return "<qt>" + " ".join(part for part in parts if part) + "</qt>"
