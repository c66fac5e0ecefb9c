"""Loss and other figures of a training while it runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.layer_styles import WALL_COLOURS
from napari_cardioxai.training.jobs.events import Curves

_HEIGHT = 156
_LOSS = "loss"
_FIRST_SHOWN = ("dice", "auc")
_WORDS = {w: w.upper() for w in ("lv", "rv", "auc", "kl", "bce")} | {"myo": "myocardium"}
EMPTY = "Curves appear here with the first step of a training."


def family(name: str) -> str:
    """What a figure belongs to: `val_dice_lv` and `dice_kept_apart` are both "dice"."""
    return name.removeprefix("val_").split(" ")[0].split("_")[0]


def spoken(name: str) -> str:
    """A figure's name for people."""
    held_out = name.startswith("val_")
    words = name.removeprefix("val_").replace("_", " ").split(" ")
    text = " ".join(_WORDS.get(word, word) for word in words)
    return f"{text[:1].upper()}{text[1:]}{' (validation)' if held_out else ''}"


class FigurePlot(pg.PlotWidget):
    """One family of figures over epochs; single steps are drawn faintly."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFixedHeight(_HEIGHT)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setAntialiasing(True)
        self.getPlotItem().setContentsMargins(0, 6, 8, 6)
        self.getPlotItem().setLabel("bottom", "Epoch")
        self.getPlotItem().getAxis("left").setWidth(52)
        self.getPlotItem().getAxis("left").enableAutoSIPrefix(False)
        self._lines: dict[tuple[str, str], pg.PlotDataItem] = {}
        self._stages: list[pg.InfiniteLine] = []
        self._quiet = QColor(Qt.GlobalColor.gray)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        self._quiet = QColor(theme.icon.as_hex())
        text, back = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        self.setBackground(back)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)

    def draw(self, curves: Curves, names: Iterable[str], colours: dict[str, str]) -> None:
        """Show these figures and no others."""
        wanted = set()
        for name in names:
            for kind, known in (("steps", curves.steps), ("epochs", curves.epochs)):
                if name in known:
                    wanted.add((kind, name))
                    self._line(kind, name, colours[name]).setData(*map(np.asarray, known[name]))
        for key in set(self._lines) - wanted:
            self.removeItem(self._lines.pop(key))
        self._mark(curves.stages if len(curves.stages) > 1 else [])

    def _mark(self, stages: list[tuple[float, str]]) -> None:
        """A line where a stage begins: its terms come to the loss there, which may jump."""
        if [(line.value(), line.name()) for line in self._stages] == stages:
            return
        for line in self._stages:
            self.removeItem(line)
        self._stages = [
            pg.InfiniteLine(
                start,
                pen=pg.mkPen(self._quiet, style=Qt.PenStyle.DashLine),
                label=f"{stage} ▸",
                labelOpts={"position": 0.94, "color": self._quiet, "anchors": [(0, 0), (0, 0)]},
                name=stage,
            )
            for start, stage in stages
        ]
        for line in self._stages:
            self.addItem(line, ignoreBounds=True)

    def _line(self, kind: str, name: str, colour: str) -> pg.PlotDataItem:
        if (kind, name) not in self._lines:
            faint = QColor(colour)
            faint.setAlpha(90)
            if kind == "steps":
                line = self.plot([], [], pen=pg.mkPen(faint, width=1))
            else:
                pen = pg.mkPen(colour, width=2)
                line = self.plot([], [], pen=pen, symbol="o", symbolSize=4, symbolBrush=colour)
                line.setSymbolPen(None)
            self._lines[kind, name] = line
        return self._lines[kind, name]


class CurvesSection(QWidget):
    """The loss, and below it another figure to choose."""

    def __init__(self) -> None:
        super().__init__()
        self.curves = Curves()
        self._empty = QLabel(EMPTY)
        self._empty.setObjectName("train_curves_empty")
        self._empty.setWordWrap(True)
        self.loss, self.other = FigurePlot("train_loss"), FigurePlot("train_figure")
        self.loss.getPlotItem().setLabel("left", "Loss")
        self.loss_said, self.other_said = QLabel(), QLabel()
        for label in (self.loss_said, self.other_said):
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
            label.setMinimumWidth(60)  # or a long entry makes the dock wider than the window
        self.loss_said.setObjectName("train_loss_said")
        self.other_said.setObjectName("train_figure_said")
        self.logarithmic = QCheckBox("Logarithmic")
        self.logarithmic.setObjectName("train_logarithmic")
        self.logarithmic.toggled.connect(lambda on: self.loss.setLogMode(False, on))
        self.figure = QComboBox()
        self.figure.setObjectName("train_figure_chosen")
        self.figure.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.figure.setMinimumContentsLength(8)
        self.figure.currentIndexChanged.connect(lambda _: self._draw())
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.loss_said, 1)
        first.addWidget(self.logarithmic)
        second.addWidget(self.other_said, 1)
        second.addWidget(self.figure)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._empty)
        layout.addLayout(first)
        layout.addWidget(self.loss)
        layout.addLayout(second)
        layout.addWidget(self.other)
        self.show_curves(self.curves)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self.loss.set_theme(name)
        self.other.set_theme(name)

    def show_curves(self, curves: Curves) -> None:
        """Draw the figures of a training."""
        self.curves = curves
        families = list(dict.fromkeys(family(name) for name in self._names))
        others = [name for name in families if name != _LOSS]
        shown = [self.figure.itemText(k) for k in range(self.figure.count())]
        if shown != others:
            kept = self.figure.currentText()
            first = next((name for name in _FIRST_SHOWN if name in others), "")
            self.figure.blockSignals(True)
            self.figure.clear()
            self.figure.addItems(others)
            self.figure.setCurrentText(kept if kept in others else first)
            self.figure.blockSignals(False)
        self._draw()

    @property
    def _names(self) -> list[str]:
        return list(dict.fromkeys((*self.curves.steps, *self.curves.epochs)))

    def _draw(self) -> None:
        names, chosen = self._names, self.figure.currentText()
        losses = [name for name in names if family(name) == _LOSS]
        others = [name for name in names if family(name) == chosen]
        self._empty.setVisible(not names)
        for plot, said, shown in (
            (self.loss, self.loss_said, losses),
            (self.other, self.other_said, others),
        ):
            colours = dict(zip(shown, WALL_COLOURS * (1 + len(shown) // 6), strict=False))
            plot.draw(self.curves, shown, colours)
            plot.setVisible(bool(shown))
            said.setText(" ".join(self._last(name, colours[name], plot) for name in shown))
            said.setVisible(bool(shown))
        self.other.getPlotItem().setLabel("left", spoken(chosen))
        self.figure.setVisible(self.figure.count() > 1)
        self.logarithmic.setVisible(bool(losses))

    def _last(self, name: str, colour: str, plot: FigurePlot) -> str:
        values = self.curves.epochs.get(name, ([], []))[1] or self.curves.steps[name][1]
        said = spoken(name)
        if plot is self.other:  # the axis and the box beside it say what family it is
            rest = said.removeprefix(spoken(family(name))).strip()
            said = said if rest in ("", "(validation)") else f"{rest[:1].upper()}{rest[1:]}"
        text = f"{said} {values[-1]:.4g}".replace(" ", "&nbsp;")
        return f'<span style="color: {colour}">●</span>&nbsp;{text}&nbsp;'
