"""The summary by region: AHA segments, structures, or an atlas; a click goes there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.widgets.attribution.scores import Cell
from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from napari_cardioxai.app.live_attribution import LiveAttribution

NO_REGIONS = "Nothing is labelled here. Choose an atlas: a NIfTI file with a CSV of its names."
_HEADS = ("Region", "Rank", "Part", "95 % interval")
_WIDTHS = 40, 56, 88
_ROW, _MOST_ROWS = 20, 10
_REGION = Qt.ItemDataRole.UserRole


class RegionsSection(QWidget):
    """Mean rank, share and interval of each region."""

    region_chosen = Signal(int)
    atlas_chosen = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.hint = QLabel()
        self.hint.setObjectName("attribution_regions_hint")
        self.hint.setWordWrap(True)
        self.table = QTableWidget(0, len(_HEADS))
        self.table.setObjectName("attribution_regions")
        self.table.setHorizontalHeaderLabels(list(_HEADS))
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate(_WIDTHS, start=1):
            self.table.setColumnWidth(column, width)
        self.table.setStyleSheet(SMALL)
        self.table.horizontalHeaderItem(2).setToolTip("Of the summary's sum, in the region")
        self.table.horizontalHeaderItem(1).setToolTip("By the mean of the summary in the region")
        self.table.horizontalHeaderItem(3).setToolTip(
            "When methods are drawn again with replacement"
        )
        self.table.cellClicked.connect(self._on_click)
        self.atlas = QPushButton("Atlas…")
        self.atlas.setObjectName("attribution_atlas")
        self.atlas.setToolTip("NIfTI of whole numbers on any grid, and a CSV with value and name")
        self.atlas.clicked.connect(lambda _=False: self._choose_atlas())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.hint, self.table, self.atlas):
            layout.addWidget(widget)

    def show_maps(self, live: LiveAttribution) -> None:
        """Fill in the regions of the summary."""
        result = None if live.shown is None else live.shown.result
        rows = () if result is None else result.regions
        self.table.setVisible(bool(rows))
        agreement = None if result is None else result.regions_agreement
        said = NO_REGIONS if not rows else "Click a region to go to its peak."
        if agreement is not None:
            said += f" Methods agree on its order with Kendall's W {agreement:.2f}."
        self.hint.setText(said)
        self.table.setSortingEnabled(False)
        there = [row for row in rows if row.voxels]
        self.table.setRowCount(len(there))
        for k, row in enumerate(there):
            interval = ""
            if row.energy_low is not None and row.energy_high is not None:
                interval = f"{100 * row.energy_low:.0f} to {100 * row.energy_high:.0f} %"
            energy = f"{100 * row.energy:.1f} %"
            cells = (
                Cell(row.name, row.region),
                Cell("" if row.rank is None else str(row.rank), row.rank or 1000),
                Cell(energy, row.energy),
                Cell(interval, row.energy_low or 0.0),
            )
            tip = f"{row.voxels} voxels, mean {row.mean:.3g}"
            for column, cell in enumerate(cells):
                cell.setData(_REGION, row.region)
                cell.setToolTip(tip)
                if column:
                    cell.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(k, column, cell)
            self.table.setRowHeight(k, _ROW)
        self.table.setSortingEnabled(True)
        self.table.sortItems(2, Qt.SortOrder.DescendingOrder)
        head = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(_ROW * min(max(len(there), 1), _MOST_ROWS) + head + 4)

    def _on_click(self, row: int, _: int) -> None:
        self.region_chosen.emit(self.table.item(row, 0).data(_REGION))

    def _choose_atlas(self) -> None:
        file, _ = QFileDialog.getOpenFileName(
            self, "Atlas of the regions", "", "NIfTI (*.nii.gz *.nii)"
        )
        if not file:
            return
        path = Path(file)
        names = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".csv")
        if not names.is_file():
            found, _ = QFileDialog.getOpenFileName(
                self,
                "Names of the regions, columns value and name",
                str(path.parent),
                "CSV (*.csv)",
            )
            if not found:
                return
            names = Path(found)
        self.atlas_chosen.emit(path, names)
