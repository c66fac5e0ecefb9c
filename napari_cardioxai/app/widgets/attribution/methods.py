"""Methods to tick, by family; those that do not fit the network are grey and say why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.attribution_jobs import QUICK, takes_steps

if TYPE_CHECKING:
    from napari_cardioxai.attribution.checks import Verdict
    from napari_cardioxai.attribution.registry import Entry

_HEIGHT, _NAMES = 260, 225
_NAME = Qt.ItemDataRole.UserRole


class MethodsSection(QWidget):
    """The check list, and what it means for the settings."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._entries: Mapping[str, Entry] = {}
        self.items: dict[str, QTreeWidgetItem] = {}
        self.tree = QTreeWidget()
        self.tree.setObjectName("attribution_methods")
        self.tree.setHeaderLabels(["Method", "About it here"])
        self.tree.setFixedHeight(_HEIGHT)
        self.tree.setRootIsDecorated(False)
        self.tree.setIndentation(12)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        self.tree.header().resizeSection(0, _NAMES)
        self.tree.header().setStretchLastSection(True)
        self.tree.itemChanged.connect(lambda *_: self.changed.emit())
        row = QHBoxLayout()
        for name, text, tip, slot in (
            ("quick", "Quick set", "A method of each family that takes seconds", self.tick_quick),
            ("all", "All that fit", "Every method that is valid for this network", self.tick_all),
            ("none", "None", "Untick all", self.tick_none),
        ):
            button = QPushButton(text)
            button.setObjectName(f"attribution_tick_{name}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, slot=slot: slot())
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(row)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Ticked methods that can be used."""
        return tuple(
            name
            for name, item in self.items.items()
            if not item.isDisabled() and item.checkState(0) == Qt.CheckState.Checked
        )

    def show_methods(self, entries: Mapping[str, Entry]) -> None:
        """List the methods, the quick ones ticked."""
        if self.items:
            return
        self._entries = entries
        self.tree.blockSignals(True)
        families: dict[str, QTreeWidgetItem] = {}
        for name, entry in entries.items():
            if entry.family not in families:
                head = families[entry.family] = QTreeWidgetItem([entry.family.capitalize()])
                head.setFlags(Qt.ItemFlag.ItemIsEnabled)
                font = head.font(0)
                font.setBold(True)
                head.setFont(0, font)
                self.tree.addTopLevelItem(head)
                head.setFirstColumnSpanned(True)
                head.setExpanded(True)
            item = QTreeWidgetItem(families[entry.family], [entry.title])
            item.setData(0, _NAME, name)
            ticked = Qt.CheckState.Checked if name in QUICK else Qt.CheckState.Unchecked
            item.setCheckState(0, ticked)
            self.items[name] = item
        self.tree.blockSignals(False)
        self.show_verdicts(None)

    def show_verdicts(self, verdicts: Mapping[str, Verdict] | None) -> None:
        """Grey out what does not fit; None: nobody knows yet."""
        self.tree.blockSignals(True)
        for name, item in self.items.items():
            verdict = None if verdicts is None else verdicts[name]
            invalid = verdict is not None and not verdict.valid
            remark = "" if verdict is None else verdict.reason
            item.setDisabled(invalid)
            item.setText(1, remark)
            entry = self._entries[name]
            tip = f"{entry.title} ({entry.source}). {entry.meaning[:1].upper()}{entry.meaning[1:]}."
            lost = f"\nNot here: {remark}" if invalid else (f"\n{remark}" if remark else "")
            for column in (0, 1):
                item.setToolTip(column, tip + lost)
        self.tree.blockSignals(False)
        self.changed.emit()

    def tick_quick(self) -> None:
        """Tick the quick set."""
        self._tick(lambda name: name in QUICK)

    def tick_all(self) -> None:
        """Tick every method that fits."""
        self._tick(lambda name: True)

    def tick_none(self) -> None:
        """Tick none."""
        self._tick(lambda name: False)

    def _tick(self, wanted: object) -> None:
        self.tree.blockSignals(True)
        for name, item in self.items.items():
            on = wanted(name) and not item.isDisabled()
            item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.tree.blockSignals(False)
        self.changed.emit()

    def uses(self) -> dict[str, bool]:
        """Which settings the ticked methods read."""
        chosen = [self._entries[name] for name in self.chosen]
        return {
            "layer": any(entry.uses_layer for entry in chosen),
            "baseline": any(entry.uses_baseline for entry in chosen),
            "steps": any(takes_steps(entry) for entry in chosen),
        }
