"""Volumes beside those of healthy adults."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.quality import REFERENCE_RANGES, ReferenceRange
from napari_cardioxai.anatomy.volumes import LV, EjectionFraction
from napari_cardioxai.app.session import Session
from napari_cardioxai.app.widgets.study.results import ROW_HEIGHT

EMPTY = "Label a whole cine in the Study dock to compare its volumes with those of healthy adults."
CAVEAT = (
    "Ranges hold 95 % of healthy adults of both sexes. Volumes depend on whether papillary "
    "muscles count as cavity: each row's tooltip names its source and convention."
)


class ReferenceSection(QWidget):
    """One row per quantity that has a published range."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._empty = QLabel(EMPTY)
        self._empty.setObjectName("reference_empty")
        self._empty.setWordWrap(True)
        self._caveat = QLabel(CAVEAT)
        self._caveat.setObjectName("reference_caveat")
        self._caveat.setWordWrap(True)
        self.table = QTableWidget(0, 4)
        self.table.setObjectName("reference_table")
        self.table.setHorizontalHeaderLabels(["Measurement", "Value", "Healthy", "Unit"])
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._empty, self.table, self._caveat):
            layout.addWidget(widget)

    def refresh(self) -> None:
        """Show what the session knows."""
        found = self._session.measurements
        rows = [] if found is None else list(filter(None, map(self._row, REFERENCE_RANGES)))
        self._empty.setVisible(not rows)
        self.table.setVisible(bool(rows))
        self._caveat.setVisible(bool(rows))
        if self.table.rowCount() != len(rows):
            self.table.setRowCount(len(rows))
            head = self.table.horizontalHeader().sizeHint().height()
            self.table.setFixedHeight(head + ROW_HEIGHT * len(rows) + 4)
        for row, (cells, tip, unusual) in enumerate(rows):
            for column, text in enumerate(cells):
                self._write(row, column, text, tip=tip, bold=unusual and column == 1)

    def _row(self, key: str) -> tuple[tuple[str, str, str, str], str, bool] | None:
        """Cells, tooltip, and whether the value lies outside of its range."""
        reference, found = REFERENCE_RANGES[key], self._session.measurements
        ejection = None if found is None else _ejection(found, reference)
        if ejection is None:
            return None
        value, (low, high) = reference.quantity(ejection), reference.limits
        report = self._session.quality
        refused = {} if report is None else {no.rule: no.reason for no in report.not_applicable}
        tip = f"{reference.source}. {refused.get(key, '')}".strip()
        if key in refused:
            return (reference.name, f"{value:.0f}", "–", reference.unit), tip, False
        arrow = " ↓" if value < low else " ↑" if value > high else ""
        cells = (reference.name, f"{value:.0f}{arrow}", f"{low:.0f}–{high:.0f}", reference.unit)
        return cells, tip, bool(arrow)

    def _write(self, row: int, column: int, text: str, *, tip: str, bold: bool) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column in (1, 2):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        if (item.text(), item.toolTip(), item.font().bold()) != (text, tip, bold):
            font = QFont(item.font())
            font.setBold(bold)
            item.setFont(font)
            item.setText(text)
            item.setToolTip(tip)


def _ejection(found: Measurements, reference: ReferenceRange) -> EjectionFraction | None:
    """The ventricle's numbers as reference ranges read them; None where volumes are unknown."""
    prefix = "" if reference.structure == LV else "rv_"
    numbers = [getattr(found, prefix + key) for key in ("ef_percent", "edv_ml", "esv_ml", "sv_ml")]
    if any(number is None for number in numbers):
        return None
    return EjectionFraction(*numbers, ed_frame=found.ed_frame or 0, es_frame=found.es_frame or 0)
