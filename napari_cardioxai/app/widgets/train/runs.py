"""All trainings in one table: what was asked for and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.widgets.study.results import ROW_HEIGHT
from napari_cardioxai.app.widgets.train.curves import spoken
from napari_cardioxai.training.jobs.events import RunRecord, TrainingState

EMPTY = "No training yet. Choose a recipe and data above, then press Start."
ALL = "All runs"
WORDS = {TrainingState.IDLE: "waiting"}
_MOST_ROWS, _CELL_PADDING = 8, 12
_RECORD, _VALUE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
_LOSS = "loss"


class _Cell(QTableWidgetItem):
    """A cell that sorts by its value; numbers before text, blanks at the end."""

    def __init__(self, value: Any) -> None:
        super().__init__("" if value is None else _said(value))
        self.setData(_VALUE, value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return _order(self.data(_VALUE)) < _order(other.data(_VALUE))


def _order(value: Any) -> tuple[int, Any]:
    if value is None:
        return 2, 0
    return (0, float(value)) if isinstance(value, int | float) else (1, str(value))


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class RunsSection(QWidget):
    """A sortable table, and what can be done with the chosen rows."""

    run_chosen = Signal(object)
    keep_pressed = Signal(object)
    delete_pressed = Signal(object)
    selection_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._records: list[RunRecord] = []
        self._empty = QLabel(EMPTY)
        self._empty.setWordWrap(True)
        self.which, self.figure = QComboBox(), QComboBox()
        self.which.setObjectName("train_runs_which")
        self.figure.setObjectName("train_runs_figure")
        self.figure.setToolTip("Figure of the last epoch to compare by")
        for box in (self.which, self.figure):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.which.addItem(ALL, ALL)
        self.table = QTableWidget(0, 0)
        self.table.setObjectName("train_runs")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.table.setShowGrid(False)
        self.table.setSortingEnabled(True)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.itemSelectionChanged.connect(self._on_selection)
        for box in (self.which, self.figure):
            box.currentIndexChanged.connect(lambda _: self._fill())
        self.keep = QPushButton("Add to models…")
        self.keep.setObjectName("train_keep")
        self.keep.setToolTip("Copy the model of a finished run of a search to your models")
        self.keep.clicked.connect(lambda: self.keep_pressed.emit(self.chosen[0]))
        self.delete = QPushButton("Delete…")
        self.delete.setObjectName("train_delete")
        self.delete.setToolTip("Delete the chosen runs with their checkpoints; models stay")
        self.delete.clicked.connect(lambda: self.delete_pressed.emit(self.chosen))
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.which, 1)
        top.addWidget(self.figure, 1)
        bottom.addWidget(self.keep)
        bottom.addWidget(self.delete)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addLayout(top)
        layout.addWidget(self.table)
        layout.addLayout(bottom)
        self.show_runs([])

    @property
    def chosen(self) -> list[RunRecord]:
        """Records of the selected rows, from top to bottom."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self.table.item(row, 0).data(_RECORD) for row in rows]

    def show_runs(self, records: Sequence[RunRecord]) -> None:
        """Fill the table; selection and order stay."""
        self._records = list(records)
        searches = dict.fromkeys(r.job.search for r in records if r.job.search)
        figures = dict.fromkeys(n for r in records for n in r.values if n != _LOSS)
        _refill(self.which, {ALL: ALL, **{name: f"Search {name}" for name in searches}})
        _refill(self.figure, {name: spoken(name) for name in figures})
        for widget in (self.which, self.table, self.keep, self.delete):
            widget.setVisible(bool(records))
        self.figure.setVisible(len(figures) > 1)
        self._empty.setVisible(not records)
        self._fill()

    def _fill(self) -> None:
        search = self.which.currentData()
        records = [r for r in self._records if search in (None, ALL, r.job.search)]
        varied = list(dict.fromkeys(name for r in records for name in r.job.varied))
        figure = self.figure.currentData()
        shown = [spoken(figure).replace("(validation)", "(val.)")] if figure else []
        heads = ["Run", "State", "Epochs", "Loss", *shown, *varied]
        kept = [record.folder for record in self.chosen]
        self.table.blockSignals(True)
        self.table.setSortingEnabled(False)
        self.table.clearSelection()
        self.table.setColumnCount(len(heads))
        self.table.setHorizontalHeaderLabels([h.replace("_", " ") for h in heads])
        self.table.setRowCount(len(records))
        for row, record in enumerate(records):
            values = [record.folder.name, WORDS.get(record.state, record.state.value), record.epoch]
            values += [record.values.get(_LOSS), *([record.values.get(figure)] if figure else [])]
            values += [record.job.values.get(name) for name in varied]
            for column, value in enumerate(values):
                cell = _Cell(value)
                cell.setToolTip(record.text)
                self.table.setItem(row, column, cell)
            self.table.item(row, 0).setData(_RECORD, record)
        self.table.setSortingEnabled(True)
        self._select(kept)
        self.table.blockSignals(False)
        self._fit_columns()
        head = self.table.horizontalHeader().sizeHint().height()
        bar = self.table.horizontalScrollBar().sizeHint().height()
        self.table.setFixedHeight(head + ROW_HEIGHT * min(len(records), _MOST_ROWS) + bar + 4)
        self._enable()

    def _fit_columns(self) -> None:
        """As wide as their text; the header's own hint leaves much room for an arrow."""
        width = self.table.fontMetrics().horizontalAdvance
        for column in range(self.table.columnCount()):
            texts = [self.table.horizontalHeaderItem(column).text()]
            texts += [self.table.item(row, column).text() for row in range(self.table.rowCount())]
            self.table.setColumnWidth(column, max(map(width, texts)) + _CELL_PADDING)

    def _select(self, folders: Sequence[Path]) -> None:
        model = self.table.selectionModel()
        flags = model.SelectionFlag.Select | model.SelectionFlag.Rows
        for row in range(self.table.rowCount()):
            if self.table.item(row, 0).data(_RECORD).folder in folders:
                model.select(self.table.model().index(row, 0), flags)

    def _on_selection(self) -> None:
        self._enable()
        if len(self.chosen) == 1:
            self.run_chosen.emit(self.chosen[0])

    def _enable(self) -> None:
        chosen = self.chosen
        is_done = len(chosen) == 1 and chosen[0].state is TrainingState.DONE
        self.keep.setEnabled(is_done and bool(chosen[0].job.search))
        self.delete.setEnabled(bool(chosen) and not any(r.state.is_active for r in chosen))
        self.selection_changed.emit()


def _refill(box: QComboBox, items: dict[str, str]) -> None:
    """Offer keys by their names; what was chosen stays where it can."""
    if [box.itemData(k) for k in range(box.count())] == list(items):
        return
    kept = box.currentData()
    box.blockSignals(True)
    box.clear()
    for key, text in items.items():
        box.addItem(text, key)
    box.setCurrentIndex(max(0, box.findData(kept)))
    box.blockSignals(False)
