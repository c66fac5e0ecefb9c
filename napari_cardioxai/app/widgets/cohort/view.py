"""Pictures and tables of a cohort, as wide as their column."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.cohorts.describe import Spread
from napari_cardioxai.cohorts.properties import property_title
from napari_cardioxai.report.cohort_figures import Picture, three_digits

_ROW = 22
_HEADS = ("Property", "Known", "Median", "Quartiles")


class PictureView(QWidget):
    """A picture that fills the column, on the white that it was drawn for, with its caption."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self.shown = QLabel()
        self.shown.setAccessibleName(picture.title)
        self.shown.setMinimumWidth(1)  # the column's width, not the picture's own
        caption = QLabel(picture.caption)
        caption.setWordWrap(True)
        caption.setVisible(bool(picture.caption))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.shown)
        layout.addWidget(caption)

    def show_png(self, data: bytes | None) -> None:
        """Show a picture, or none."""
        self._pixmap = QPixmap()
        if data is not None:
            self._pixmap.loadFromData(data, "PNG")
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep to the width of the column."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._pixmap.isNull():
            self.shown.clear()
            return
        ratio = self.devicePixelRatioF()
        width = min(round(self.width() * ratio), self._pixmap.width())
        fitted = self._pixmap.scaledToWidth(
            max(width, 1), Qt.TransformationMode.SmoothTransformation
        )
        fitted.setDevicePixelRatio(ratio)
        self.shown.setPixmap(fitted)


class PropertiesTable(QTableWidget):
    """Median and quartiles of every property over all subjects."""

    def __init__(self) -> None:
        super().__init__(0, len(_HEADS))
        self.setObjectName("cohort_properties")
        self.setHorizontalHeaderLabels(list(_HEADS))
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_spreads(self, spreads: Sequence[Spread]) -> None:
        """Show those over all subjects."""
        rows = [spread for spread in spreads if spread.group == "all"]
        self.setRowCount(len(rows))
        for row, spread in enumerate(rows):
            quartiles = f"{three_digits(spread.low)} – {three_digits(spread.high)}"
            texts = (
                property_title(spread.property),
                str(spread.count),
                three_digits(spread.median),
                quartiles,
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
            self.setRowHeight(row, _ROW)
        head = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(_ROW * len(rows) + head + 4)
