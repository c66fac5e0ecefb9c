"""Concepts of a model: whether they matter to it, and whether they do what their names say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_cardioxai.app.widgets.concepts.spark import (
    SPARK,
    WRONG_COLOUR,
    Spark,
    SparkDelegate,
)
from napari_cardioxai.app.widgets.train.form import SMALL

SIGNIFICANT = 0.05
_ROW_HEIGHT = 24
_HEADS = ("Concept", "TCAV", "p", "Faithful", "Along it")
_TIPS = (
    "Direction in the model's latent. A click selects it for Play.",
    (
        "Share of test subjects whose decision moves towards the positive class when the concept "
        "grows, with its 95 % bootstrap interval; 0.5 is no preference."
    ),
    (
        "Probability of so extreme a score for random sets of subjects (permutation test), corrected "
        "by Holm over everything tested; 0.05 and more may be chance."
    ),
    (
        "Whether walking the direction moves the biomarker that it is named for, measured on decoded "
        "hearts: Spearman correlation of the two."
    ),
    (
        "The biomarker from -2 to 2 SD along the concept, decoded and measured: bold line this heart "
        "(Save, Measure this heart), thin line the cohort's test hearts, dot where it stands."
    ),
)


class ConceptTable(QTableWidget):
    """One row a concept and test, in the order of the book or of a column."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(0, len(_HEADS))
        self.setObjectName("concepts_table")
        self._rows: list[Mapping[str, Any]] = []
        self._sparks: dict[str, Spark] = {}
        self._order: tuple[int, bool] | None = None
        self.setHorizontalHeaderLabels(list(_HEADS))
        for column, tip in enumerate(_TIPS):
            self.horizontalHeaderItem(column).setToolTip(
                f"{tip}\nClick sorts; a third click restores the order of the book."
            )
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setStyleSheet(SMALL)
        self.setItemDelegateForColumn(len(_HEADS) - 1, SparkDelegate(self))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        for column in range(len(_HEADS) - 1):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(len(_HEADS) - 1, QHeaderView.ResizeMode.Stretch)
        header.sectionClicked.connect(self._sort_by)
        self.itemSelectionChanged.connect(self._on_selection)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        delegate = self.itemDelegateForColumn(len(_HEADS) - 1)
        delegate.text = QColor(theme.text.as_hex())
        self.viewport().update()

    def show_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show a book's rows."""
        self._rows, self._order, self._sparks = list(rows), None, {}
        self.horizontalHeader().setSortIndicatorShown(False)
        self._fill()

    def show_sparks(self, sparks: Mapping[str, Spark]) -> None:
        """Draw what is known along each concept."""
        self._sparks = dict(sparks)
        for row in range(self.rowCount()):
            name = self.item(row, 0).text()
            self.item(row, len(_HEADS) - 1).setData(SPARK, self._sparks.get(name))

    @property
    def names(self) -> list[str]:
        """Concepts from top to bottom."""
        return [self.item(row, 0).text() for row in range(self.rowCount())]

    def choose(self, name: str) -> None:
        """Select the row of a concept."""
        if name in self.names:
            self.selectRow(self.names.index(name))

    def _on_selection(self) -> None:
        found = self.selectedItems()
        if found:
            self.chosen.emit(self.item(found[0].row(), 0).text())

    def _sort_by(self, column: int) -> None:
        before, header = self._order, self.horizontalHeader()
        if before is None or before[0] != column:
            self._order = column, False
        else:
            self._order = (column, True) if not before[1] else None
        header.setSortIndicatorShown(self._order is not None)
        if self._order is not None:
            falling = Qt.SortOrder.DescendingOrder
            header.setSortIndicator(
                column, falling if self._order[1] else Qt.SortOrder.AscendingOrder
            )
        self._fill()

    def _fill(self) -> None:
        rows = self._rows
        if self._order is not None:
            column, falling = self._order
            rows = sorted(rows, key=lambda row: _sort_key(row, column), reverse=falling)
        self.blockSignals(True)
        self.clearSelection()
        self.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, cell in enumerate(_cells(row)):
                self.setItem(place, column, cell)
        self.blockSignals(False)
        self.show_sparks(self._sparks)
        head = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(head + _ROW_HEIGHT * len(rows) + 2)


def wrong_verdicts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What must be said of directions that do not do what their names say."""
    told = [row["fidelity"] for row in rows if row.get("fidelity") is not None]
    return list(dict.fromkeys(one["verdict"] for one in told if not one["moves_its_own"]))


def _cells(row: Mapping[str, Any]) -> list[QTableWidgetItem]:
    faithful = row.get("fidelity")
    is_chance = row["p_holm"] >= SIGNIFICANT
    name = QTableWidgetItem(row["concept"])
    name.setToolTip(
        f"{row['concept']}, tested at {row['layer']} with {row['kind']} directions; held-out "
        f"{row['holdout_name']} {row['holdout_score']:.2f}"
    )
    tcav = QTableWidgetItem(f"{row['tcav']:.2f} ({row['tcav_low']:.2f}–{row['tcav_high']:.2f})")
    tcav.setToolTip(
        f"{100 * row['tcav']:.0f} % of the test subjects are moved towards the positive class; "
        f"mean sensitivity {row['mean_sensitivity']:+.3f} logits per SD"
    )
    p = QTableWidgetItem(_p(row["p_holm"]))
    p.setToolTip(
        f"Holm-corrected {_p(row['p_holm'])}; permutation test alone {_p(row['p_permutation'])}, "
        f"t-test for comparison {_p(row['p_t_test'])}" + ("\nMay be chance." if is_chance else "")
    )
    if is_chance:
        p.setForeground(QColor(WRONG_COLOUR))
    does = QTableWidgetItem(_does(faithful))
    does.setToolTip("Not walked on the cohort." if faithful is None else faithful["verdict"])
    if faithful is not None and not faithful["moves_its_own"]:
        does.setForeground(QColor(WRONG_COLOUR))
    curve = QTableWidgetItem()
    curve.setToolTip(_TIPS[-1])
    for cell in (tcav, p):
        cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return [name, tcav, p, does, curve]


def _does(faithful: Mapping[str, Any] | None) -> str:
    if faithful is None:
        return "not walked"
    spearman = faithful["spearman"]
    figure = "" if spearman is None else f" {spearman:.2f}"
    return f"yes{figure}" if faithful["moves_its_own"] else f"no{figure}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _sort_key(row: Mapping[str, Any], column: int) -> Any:
    faithful = row.get("fidelity") or {}
    spearman = faithful.get("spearman")
    slope = faithful.get("slope")
    return (
        row["concept"].lower(),
        row["tcav"],
        row["p_holm"],
        -2.0 if spearman is None else spearman,
        0.0 if slope is None else slope,
    )[column]
