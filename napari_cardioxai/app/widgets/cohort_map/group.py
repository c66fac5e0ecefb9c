"""A group of the map: who is in it, and what can be made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.session import JobState

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk

NOBODY = "Take up the lasso and draw a line around some points; Shift adds to the group, Shift and Alt takes out."
NO_DECODER = (
    "This model draws no hearts, so a group can be tagged, but has neither mean nor concept."
)

AGAINST_TIP = (
    "Keep these subjects as those that the next group is compared with, instead of everybody "
    "else; with nobody chosen: everybody else again"
)
CONCEPT_TIP = (
    "Find the direction of the group against the others, and test whether the decision "
    "depends on it"
)


class GroupSection(QWidget):
    """Who is chosen, a name for them, and three things to make of them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self._live = desk, desk.cohort_map
        self.about = _sentence("cohort_map_group")
        self.made = _sentence("cohort_map_concept")
        self.name = QLineEdit()
        self.name.setObjectName("cohort_map_group_name")
        self.name.setPlaceholderText("Name of the group, such as: stiff hearts")
        self.name.textChanged.connect(self.refresh)
        self._buttons: dict[str, QPushButton] = {}
        first, grid = QHBoxLayout(), QGridLayout()
        for text, key, tip, slot in (
            ("Clear", "clear", "Choose nobody", self._clear),
            (
                "Set against",
                "against",
                AGAINST_TIP,
                self._live.set_against,
            ),
        ):
            first.addWidget(self._button(text, key, tip, slot))
        for column, (text, key, tip, slot) in enumerate(
            (
                (
                    "Mean heart",
                    "mean",
                    "Decode the mean of the group, as layers that beat and as M-mode",
                    lambda: self._live.draw_means(self.name.text()),
                ),
                (
                    "Concept set",
                    "concept",
                    CONCEPT_TIP,
                    lambda: self._live.make_concept(self.name.text()),
                ),
                (
                    "Save as column…",
                    "save",
                    "Write a copy of the manifest with a column of 0 and 1",
                    self._ask_where,
                ),
            )
        ):
            grid.addWidget(self._button(text, key, tip, slot), 0, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.about)
        layout.addLayout(first)
        layout.addWidget(self.name)
        layout.addLayout(grid)
        layout.addWidget(self.made)
        for signal in (self._live.group_changed, self._live.map_changed, self._live.column_changed):
            signal.connect(self.refresh)
        self._live.concept_made.connect(self._show_concepts)
        desk.session.status_changed.connect(self.refresh)
        self._show_concepts()
        self.refresh()

    def _button(self, text: str, key: str, tip: str, slot: object) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(f"cohort_map_{key}")
        button.setToolTip(tip)
        button.clicked.connect(lambda _=False: slot())
        self._buttons[key] = button
        return button

    def refresh(self, *_: object) -> None:
        """Say who is chosen, and allow what can be done with them."""
        live = self._live
        count, kept = len(live.group), len(live.opposite)
        self.about.setText(self._told())
        is_free = self._desk.session.status.state is not JobState.RUNNING
        is_named = bool(self.name.text().strip())
        possible = {
            "clear": bool(count),
            "against": bool(count or kept),
            "mean": is_free and bool(count) and live.can_decode,
            "concept": is_free and bool(count) and is_named and live.can_decode,
            "save": is_free and bool(count) and is_named,
        }
        for key, can in possible.items():
            self._buttons[key].setEnabled(can)

    def _told(self) -> str:
        live = self._live
        if live.drawn is None:
            return ""
        parts = []
        column = live.drawn.map.subjects.columns.get(live.column)
        if len(live.group):
            parts.append(f"{len(live.group)} of {len(live.drawn.map.subjects)} subjects.")
            if column is not None:
                mine, others = column.summary(live.group), column.summary(live.compared)
                parts.append(f"Group: {mine}. Others: {others}.")
        else:
            parts.append(NOBODY)
        if len(live.opposite):
            parts.append(f"Set against {len(live.opposite)} others (squares).")
        if not live.can_decode:
            parts.append(NO_DECODER)
        return " ".join(parts)

    def _clear(self) -> None:
        self._live.select_rows([])

    def _show_concepts(self, *_: object) -> None:
        self.made.setText("\n\n".join(made.sentence for made in self._live.concepts.values()))
        self.made.setVisible(bool(self._live.concepts))

    def _ask_where(self) -> None:
        drawn, name = self._live.drawn, self.name.text().strip()
        if drawn is None:
            return
        manifest = drawn.map.subjects.manifest.path
        proposed = manifest.with_name(f"{manifest.stem}-{name.replace(' ', '-')}.csv")
        file, _ = QFileDialog.getSaveFileName(
            self, "Save the manifest with the group", str(proposed), "CSV (*.csv)"
        )
        if file:
            path = Path(file)
            self._live.save_group(path if path.suffix else path.with_suffix(".csv"), name)


def _sentence(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
