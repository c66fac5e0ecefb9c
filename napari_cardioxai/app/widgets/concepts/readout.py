"""The decoded heart in figures, beside its labels and its unchanged reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.widgets.classify.gauge import Gauge, percent
from napari_cardioxai.app.widgets.concepts.spark import WRONG_COLOUR
from napari_cardioxai.app.widgets.phase_plot import PhasePlot
from napari_cardioxai.app.widgets.train.form import SMALL
from napari_cardioxai.report.style import LV_COLOUR

if TYPE_CHECKING:
    from napari_cardioxai.concepts.heart import ConceptHeart, Readout

_HEADS = ("", "Labels", "Redrawn", "Decoded", "Change")
_TIPS = (
    "",
    "Measured on the labels, in the three slices that the model sees",
    "The heart as the model draws it again, with every slider at 0",
    "The heart as the sliders have it",
    "Decoded against redrawn",
)
_SHORT = {
    "thickening_variance_percent2": "Var. of thickening",
    "wall_ed_max_mm": "Thickest wall, ED",
}
CURVE_KEY = (
    f"<span style='color:{LV_COLOUR}'><b>━</b></span> decoded &nbsp; <span style='color:gray'>━"
    "</span> redrawn &nbsp; ┄ labels; all in the three slices that the model sees"
)
_ROW_HEIGHT = 20
_CURVE_HEIGHT = 165
_FADED = "color: gray;"


class ReadoutSection(QWidget):
    """Probability, biomarkers and distance from the cohort."""

    def __init__(self) -> None:
        super().__init__()
        self.probability = Gauge("concepts_probability")
        self._is_old = False
        self.logit, self.distance = _text("concepts_logit"), _text("concepts_distance")
        self.table = QTableWidget(0, len(_HEADS))
        self.table.setObjectName("concepts_biomarkers")
        self.table.setHorizontalHeaderLabels(list(_HEADS))
        for column, tip in enumerate(_TIPS):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        self.table.setStyleSheet(SMALL)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, len(_HEADS)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.probability, self.logit, self.table, self.distance):
            layout.addWidget(widget)

    def show_readout(self, heart: ConceptHeart, readout: Readout) -> None:
        """Fill in."""
        from napari_cardioxai.concepts.biomarkers import BIOMARKERS

        card = heart.classifier.card
        self.probability.show_value(
            f"Probability of {card.classes[1]}",
            readout.probability,
            mark=float(card.threshold["value"]),
        )
        change = readout.logit - heart.redrawn.logit
        self.logit.setText(
            f"Logit {readout.logit:+.2f}, {change:+.2f} against the heart itself "
            f"({percent(heart.redrawn.probability)})"
        )
        self.table.setRowCount(len(BIOMARKERS))
        for row, (key, measure) in enumerate(BIOMARKERS.items()):
            values = [one.biomarkers[key] for one in (heart.labelled, heart.redrawn, readout)]
            texts = [
                f"{_SHORT.get(key, measure.name)} ({measure.unit})",
                *(_said(measure, value) for value in values),
            ]
            moved = values[2] - values[1]
            texts.append(f"{moved:+.{measure.decimals}f}" if np.isfinite(moved) else "–")
            for column, text in enumerate(texts):
                item = self.table.item(row, column) or QTableWidgetItem()
                item.setText(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                if self.table.item(row, column) is None:
                    self.table.setItem(row, column, item)
            self.table.item(row, 0).setToolTip(f"{measure.name}, {measure.unit}")
        head = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(head + _ROW_HEIGHT * len(BIOMARKERS) + 2)
        self._show_distance(heart, readout)

    def _show_distance(self, heart: ConceptHeart, readout: Readout) -> None:
        most_within, most_beside = heart.book.cloud.limits
        near = heart.is_near(readout)
        start = (
            "" if heart.is_near(heart.redrawn) else " The heart itself lies beyond them already."
        )
        self.distance.setText(
            f"Distance from the cohort: {readout.within:.1f} SD in the plane of its hearts (99 % of "
            f"them within {most_within:.1f}), {readout.beside:.1f} times the usual beside it (99 % "
            f"within {most_beside:.1f})." + ("" if near else f" Not plausible.{start}")
        )
        self.distance.setStyleSheet("" if near else f"color: {WRONG_COLOUR};")

    def set_old(self, is_old: bool) -> None:
        """Whether what is shown is of labels before the last edit, or of where the heart was."""
        if is_old == self._is_old:
            return  # style sheets are slow, and this is asked with every step of a slider
        self._is_old = is_old
        self.probability.set_old(is_old)
        self.table.setStyleSheet(SMALL + (_FADED if is_old else ""))
        self.logit.setStyleSheet(_FADED if is_old else "")


class ConceptCurvePlot(PhasePlot):
    """LV volume of decoded, redrawn and labelled heart over the cycle."""

    def __init__(self) -> None:
        super().__init__("concepts_curve", _CURVE_HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "LV volume (mL)")
        self.lines = {name: item.plot([], []) for name in ("labels", "redrawn", "decoded")}
        self._top = 0.0

    def _colour(self, text: QColor, back: QColor) -> None:
        faint = QColor(text)
        faint.setAlpha(150)
        self.lines["labels"].setPen(pg.mkPen(text, width=1, style=Qt.PenStyle.DotLine))
        self.lines["redrawn"].setPen(pg.mkPen(faint, width=2))
        self.lines["decoded"].setPen(pg.mkPen(LV_COLOUR, width=3))

    def show_nothing(self) -> None:
        """Empty the plot."""
        self._clear_times()
        self._top = 0.0
        for line in self.lines.values():
            line.setData([], [])

    def show_curves(
        self, heart: ConceptHeart, readout: Readout, times_ms: np.ndarray | None
    ) -> None:
        """Draw all three, those of the three slices that the model sees."""
        curves = {
            "labels": heart.labelled.volume_ml,
            "redrawn": heart.redrawn.volume_ml,
            "decoded": readout.volume_ml,
        }
        self._set_times(times_ms, len(readout.volume_ml))
        for name, curve in curves.items():
            self.lines[name].setData(self._times, curve)
        highest = max(curve.max() for curve in curves.values())
        top = 20.0 * np.ceil(highest * 1.25 / 20.0 + 1e-9)
        if top > self._top or top < 0.7 * self._top:  # steady while a slider moves
            self._top = top
            self.getPlotItem().setYRange(0.0, top, padding=0)


def _said(measure: object, value: float) -> str:
    return measure.text(value) if np.isfinite(value) else "–"


def _text(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    return label
