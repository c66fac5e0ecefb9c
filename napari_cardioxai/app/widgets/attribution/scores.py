"""What each map is worth: numbers that sort, and a line in plain words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from napari_cardioxai.app.live_attribution import LiveAttribution
    from napari_cardioxai.attribution.explain import StudyMap
    from napari_cardioxai.attribution.subjects import Places

PASSES, DOUBTFUL, FAILS, UNKNOWN = "✓ passes", "≈ doubtful", "✗ fails", "? not tested"
_COLOURS = {PASSES: "#35c98f", DOUBTFUL: "#f0b429", FAILS: "#ff7a5c", UNKNOWN: "#9aa4ad"}
_HEADS = {"auprc": "AUPRC", "faithfulness": "Faithful", "randomised": "Random"}
_ROW, _MOST_ROWS = 20, 12
_WIDTHS = 80, 46, 54, 52, 40
_NAME = Qt.ItemDataRole.UserRole
_CONTROLS = {"random": "chance", "centre": "a centre blob", "edges": "the image's edges"}


class ScoresSection(QWidget):
    """A row a map and a row a control; a click puts a map on the scan."""

    map_chosen = Signal(str)
    hiding_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.explained, self.verdicts = QLabel(), QLabel()
        self.explained.setObjectName("attribution_explained")
        self.verdicts.setObjectName("attribution_verdicts")
        for label in (self.explained, self.verdicts):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdicts.setTextFormat(Qt.TextFormat.RichText)
        self.hide_failed = QCheckBox("Hide what failed its sanity check")
        self.hide_failed.setObjectName("attribution_hide_failed")
        self.hide_failed.toggled.connect(self._on_hide)
        self.table = QTableWidget(0, 2 + len(_HEADS) + 1)
        self.table.setObjectName("attribution_scores")
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.currentCellChanged.connect(self._on_row)
        header = self.table.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate(_WIDTHS, start=1):
            self.table.setColumnWidth(column, width)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as listed, until asked for
        self.table.setStyleSheet(SMALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.explained, self.table, self.hide_failed, self.verdicts):
            layout.addWidget(widget)
        self._live: LiveAttribution | None = None

    @property
    def is_hiding(self) -> bool:
        """Whether failed maps are hidden."""
        return self.hide_failed.isChecked()

    def show_maps(self, live: LiveAttribution) -> None:
        """Fill in what is known of the maps."""
        from napari_cardioxai.attribution.scores.table import SCORES

        self._live, shown = live, live.shown
        if shown is None:
            self.table.setRowCount(0)
            return
        result = shown.result
        self.table.blockSignals(True)
        self.table.setSortingEnabled(False)
        heads = ["Map", "Verdict", *_HEADS.values(), "s"]
        self.table.setHorizontalHeaderLabels(heads)
        for column, name in enumerate(_HEADS, start=2):
            score = SCORES[name]
            tip = f"{score.title}: {score.meaning}; {score.better} is better ({score.source})"
            self.table.horizontalHeaderItem(column).setToolTip(tip)
            measured = any(name in one.scores for one in result.maps.values())
            self.table.setColumnHidden(column, not measured)
        self.table.setRowCount(len(result.maps) + 1 + len(result.controls))
        row = 0
        for name, one in result.maps.items():
            verdict, tip = _verdict(one), _tip(one)
            self._fill(row, name, one.title, verdict, one.scores, one.explanation.seconds, tip)
            row += 1
        self._fill(row, "summary", "Summary", "", {}, None, "All maps together, by faithfulness")
        for control, scores in result.controls.items():
            row += 1
            title = f"({_CONTROLS.get(control, control)})"
            self._fill(row, "", title, "", scores, None, "A map that knows nothing of the network")
        self.table.setSortingEnabled(True)
        self.table.blockSignals(False)
        self.explained.setText(_explained(live))
        self._tell()
        self._on_hide(self.is_hiding)
        self.show_selected(live.selected)

    def show_selected(self, name: str) -> None:
        """Mark the row of the map on the scan."""
        self.table.blockSignals(True)
        for row in range(self.table.rowCount()):
            if name and self.table.item(row, 0).data(_NAME) == name:
                self.table.setCurrentCell(row, 0)
        self.table.blockSignals(False)

    def _fill(
        self,
        row: int,
        name: str,
        title: str,
        verdict: str,
        scores: object,
        seconds: float | None,
        tip: str,
    ) -> None:
        cells = [Cell(title, title.lower()), Cell(verdict, _order(verdict))]
        cells += [Cell.number(scores.get(key)) for key in _HEADS]
        cells.append(Cell.number(seconds, digits=1))
        for column, cell in enumerate(cells):
            cell.setData(_NAME, name)
            cell.setToolTip(tip)
            if not name:
                font = cell.font()
                font.setItalic(True)
                cell.setFont(font)
            self.table.setItem(row, column, cell)
        if verdict:
            cells[1].setForeground(QColor(_COLOURS[verdict]))
        self.table.setRowHeight(row, _ROW)

    def _on_row(self, row: int, *_: int) -> None:
        item = self.table.item(row, 0)
        if item is not None and item.data(_NAME):
            self.map_chosen.emit(item.data(_NAME))

    def _on_hide(self, hiding: bool) -> None:
        live = self._live
        shown = 0
        for row in range(self.table.rowCount()):
            name = self.table.item(row, 0).data(_NAME)
            failed = hiding and live is not None and bool(name) and live.has_failed(name)
            self.table.setRowHidden(row, failed)
            shown += not failed
        head = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(_ROW * min(max(shown, 1), _MOST_ROWS) + head + 4)
        self._tell()
        self.hiding_changed.emit(hiding)

    def _tell(self) -> None:
        """One line a map, in the order of the methods."""
        live = self._live
        if live is None or live.shown is None:
            return
        lines = []
        for name, one in live.shown.result.maps.items():
            if self.is_hiding and live.has_failed(name):
                continue
            verdict = _verdict(one)
            said = one.judgement.sentence if one.judgement is not None else "Nothing was measured."
            lines.append(
                f"<p style='margin:0 0 4px 0'><b>{escape(one.title)}</b> "
                f"<span style='color:{_COLOURS[verdict]}'>{verdict}</span><br>{escape(said)}</p>"
            )
        for name, reason in live.shown.result.invalid.items():
            lines.append(f"<p style='margin:0 0 4px 0'><b>{escape(name)}</b>: {escape(reason)}</p>")
        self.verdicts.setText("".join(lines))
        self.verdicts.setStyleSheet(SMALL)


class Cell(QTableWidgetItem):
    """A cell that sorts by its value and not by its letters; what is unknown comes last."""

    def __init__(self, text: str, value: object) -> None:
        super().__init__(text)
        self.value = value

    @classmethod
    def number(cls, value: float | None, *, digits: int = 2) -> Cell:
        """A number, or nothing."""
        text = "" if value is None else f"{value:.{digits}f}".replace("-", "−")
        cell = cls(text, float("-inf") if value is None else float(value))
        cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return cell

    def __lt__(self, other: QTableWidgetItem) -> bool:
        """Order of the column."""
        return self.value < other.value if isinstance(other, Cell) else super().__lt__(other)


def _verdict(one: StudyMap) -> str:
    judged = one.judgement
    if judged is None:
        return UNKNOWN
    return FAILS if not judged.passes else DOUBTFUL if judged.weak else PASSES


def _order(verdict: str) -> int:
    return list(_COLOURS).index(verdict) if verdict else len(_COLOURS)


def _tip(one: StudyMap) -> str:
    said = [] if one.judgement is None else [one.judgement.sentence]
    peak = "" if one.peak_mib is None else f", {one.peak_mib:.0f} MiB at most"
    return "\n".join([*said, *one.notes, f"{one.explanation.seconds:.1f} s{peak}"])


def _explained(live: LiveAttribution) -> str:
    """What number was explained, and with what it was compared."""
    assert live.shown is not None
    result = live.shown.result
    said = [one.explanation for one in result.maps.values()]
    value = float(said[0].value[result.subject.scored])
    baselines = dict.fromkeys(e.baseline for e in said if e.baseline)
    target = said[0].target
    unit = " mL" if target.startswith("volume") else ""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    text = f"Explained: the {target}, {shown.replace('-', '−')}{unit}."
    if baselines:
        text += f" Baseline: {' or '.join(baselines)}."
    if result.scored_against:
        text += f" Tested by exchanging pixels with {result.scored_against}."
    parts = (text, _where(result.places), *result.subject.notes)
    return " ".join(part for part in parts if part)


def _where(places: Places) -> str:
    """Which pictures of a cine or stack were explained; "" where it is all of them."""
    frames, slices = places.shape[:2]
    parts = []
    for what, found, count in (("slice", places.slices, slices), ("phase", places.frames, frames)):
        if len(found) < count:
            plural = "s" if len(found) > 1 else ""
            parts.append(f"{what}{plural} {', '.join(str(k + 1) for k in sorted(found))}")
    return f"Explained in {', '.join(parts)}." if parts else ""
