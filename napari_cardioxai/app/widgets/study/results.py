"""The curve, the headline figures and the table of measurements."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.session import Session
from napari_cardioxai.app.widgets.curve_plot import CurvePlot

ROW_HEIGHT = 20
NO_SCAN = "Open a study to measure it."
NO_LABELS = "Press Segment, load labels or draw by hand to see volumes here."
NO_VOLUME = "No LV cavity (label 1) is drawn yet, so there is nothing to measure."


class ResultsSection(QWidget):
    """Shows the session's measurements."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._empty = QLabel(NO_SCAN)
        self._empty.setObjectName("results_empty")
        self._empty.setWordWrap(True)
        self.headline = QLabel()
        self.headline.setObjectName("headline")
        self.headline.setTextFormat(Qt.TextFormat.RichText)
        self.curve = CurvePlot()
        self.table = QTableWidget(0, 3)
        self.table.setObjectName("measurements")
        self.table.setHorizontalHeaderLabels(["Measurement", "Value", "Unit"])
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.table.setShowGrid(False)
        self.table.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._empty, self.headline, self.curve, self.table):
            layout.addWidget(widget)
        session.measurements_changed.connect(self.refresh)
        session.labels_changed.connect(self.refresh)
        session.scan_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the session knows."""
        found = self._session.measurements
        self._empty.setText(self._what_to_do())
        self._empty.setVisible(found is None)
        for widget in (self.headline, self.table):
            widget.setVisible(found is not None)
        has_curve = found is not None and found.volume_ml is not None and len(found.volume_ml) > 1
        self.curve.setVisible(has_curve)
        if found is None:
            self.curve.show_nothing()
            return
        self.headline.setText(_headline(found))
        if has_curve:
            self.curve.show_curve(found)
        self._fill(found.as_rows())

    def _what_to_do(self) -> str:
        if self._session.scan is None:
            return NO_SCAN
        return NO_LABELS if self._session.labels_layer is None else NO_VOLUME

    def _fill(self, rows: list[tuple[str, str, str]]) -> None:
        """Write only cells that differ: this runs for every stroke."""
        if self.table.rowCount() != len(rows):
            self.table.setRowCount(len(rows))
            height = self.table.horizontalHeader().sizeHint().height() + ROW_HEIGHT * len(rows) + 4
            self.table.setFixedHeight(height)
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = self.table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    if column == 1:
                        item.setTextAlignment(
                            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                        )
                    self.table.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)


def _headline(found: object) -> str:
    parts = []
    for name, value, unit in (
        ("EF", found.ef_percent, "%"),
        ("EDV", found.edv_ml, "mL"),
        ("ESV", found.esv_ml, "mL"),
    ):
        if value is not None:
            parts.append(f"{name}&nbsp;<b style='font-size:16pt'>{value:.0f}</b>&nbsp;{unit}")
    return "&nbsp;&nbsp;&nbsp;&nbsp;".join(parts)
