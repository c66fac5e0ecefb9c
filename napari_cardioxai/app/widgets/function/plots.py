"""Volume of both ventricles over the cycle, and how fast it changes."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont

from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.rates import Rates
from napari_cardioxai.app.widgets.phase_plot import PhasePlot
from napari_cardioxai.report.style import LV_COLOUR, RV_COLOUR

_VOLUME_HEIGHT, _RATE_HEIGHT = 165, 180
_AXIS_WIDTH = 52  # the same in both, so that their times lie below each other


class VolumePlot(PhasePlot):
    """Measured volumes as points, what was fitted through them as lines."""

    def __init__(self) -> None:
        super().__init__("volume_plot", _VOLUME_HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "Volume (mL)")
        item.getAxis("left").setWidth(_AXIS_WIDTH)
        self.lines = {}
        self.points = {}
        for name, colour in (("LV", LV_COLOUR), ("RV", RV_COLOUR)):
            self.lines[name] = item.plot([], [], pen=pg.mkPen(colour, width=2))
            self.points[name] = pg.ScatterPlotItem(size=5, brush=colour, pen=None)
            item.addItem(self.points[name])
        self._marks = pg.ScatterPlotItem(size=11, symbol="d")
        item.addItem(self._marks)
        self._names = _texts(item, ("ED", "ES"))

    def _colour(self, text: QColor, back: QColor) -> None:
        self._marks.setBrush(text)
        self._marks.setPen(pg.mkPen(back))
        for name in self._names:
            name.setColor(text)

    def show_volumes(self, found: Measurements) -> None:
        """Draw what is known of both ventricles."""
        volumes = {"LV": found.volume_ml or (), "RV": found.rv_volume_ml or ()}
        rates = {"LV": found.lv_rates, "RV": found.rv_rates}
        self._set_times(found.frame_times_ms, len(volumes["LV"]))
        for name, points in self.points.items():
            volume, curve = np.asarray(volumes[name], float), _curve(rates[name])
            shown = np.where(volume > 0, volume, np.nan)
            points.setData(self._times[: len(volume)], shown)
            if curve is not None:
                self.lines[name].setData(curve.time_ms, curve.volume_ml)
            else:
                self.lines[name].setData(self._times[: len(volume)], shown)
        top = 20.0 * np.ceil(max(*volumes["LV"], *volumes["RV"]) * 1.15 / 20.0 + 1e-9)
        if self.getPlotItem().viewRange()[1] != [0.0, top]:
            self.getPlotItem().setYRange(0.0, top, padding=0)
        frames = [f for f in (found.ed_frame, found.es_frame) if f is not None]
        self._marks.setData(self._times[frames], [volumes["LV"][f] for f in frames])
        places = [(self._times[f], volumes["LV"][f]) for f in frames]
        _place(self._names, places, [1.1, -0.25], late=self._times[int(0.8 * len(self._times))])


class RatePlot(PhasePlot):
    """Smoothed change of volume; emptying is negative, filling positive."""

    def __init__(self) -> None:
        super().__init__("rate_plot", _RATE_HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "Change (mL/s)")
        item.getAxis("left").setWidth(_AXIS_WIDTH)
        self.lines = {
            name: item.plot([], [], pen=pg.mkPen(colour, width=2))
            for name, colour in (("LV", LV_COLOUR), ("RV", RV_COLOUR))
        }
        self._zero = pg.InfiniteLine(0, angle=0)
        item.addItem(self._zero, ignoreBounds=True)
        self.marks = pg.ScatterPlotItem(size=11, symbol="d")
        item.addItem(self.marks)
        self.names = _texts(item, ("PER", "PFR", "PAFR", "diastasis"))

    def _colour(self, text: QColor, back: QColor) -> None:
        self.marks.setBrush(text)
        self.marks.setPen(pg.mkPen(back))
        faint = QColor(text)
        faint.setAlpha(110)
        self._zero.setPen(pg.mkPen(faint, style=Qt.PenStyle.DotLine))
        for name in self.names:
            name.setColor(text)

    def show_rates(self, found: Measurements) -> None:
        """Draw both derivatives and mark the peaks of the left one."""
        self._set_times(found.frame_times_ms, len(found.volume_ml or ()))
        highest = 0.0
        for name, rates in (("LV", found.lv_rates), ("RV", found.rv_rates)):
            curve = _curve(rates)
            if curve is None:
                self.lines[name].setData([], [])
                continue
            self.lines[name].setData(curve.time_ms, curve.rate_ml_s)
            highest = max(highest, float(np.abs(curve.rate_ml_s).max()))
        top = 100.0 * np.ceil(highest * 1.5 / 100.0 + 1e-9)
        if self.getPlotItem().viewRange()[1] != [-top, top]:
            self.getPlotItem().setYRange(-top, top, padding=0)
        marks = _marks(found.lv_rates)
        self.marks.setData([x for _, x, _ in marks], [y for _, _, y in marks])
        shown = {name: (x, y) for name, x, y in marks}
        late = self._times[int(0.8 * len(self._times))]
        for text in self.names:
            below = -0.25 if text.toPlainText() in ("PER", "diastasis") else 1.1
            places = [shown[text.toPlainText()]] if text.toPlainText() in shown else []
            _place([text], places, [below], late=late)


def _curve(rates: Rates | None) -> object | None:
    return None if rates is None else rates.curve


def _marks(rates: Rates | None) -> list[tuple[str, float, float]]:
    """Name, time and height of what the derivative shows."""
    if rates is None or rates.curve is None:
        return []
    at_rest = 0.0
    if rates.diastasis_time_ms is not None:
        curve = rates.curve
        at_rest = float(np.interp(rates.diastasis_time_ms, curve.time_ms, curve.rate_ml_s))
    found = (
        ("PER", rates.per_time_ms, None if rates.per_ml_s is None else -rates.per_ml_s),
        ("PFR", rates.pfr_time_ms, rates.pfr_ml_s),
        ("PAFR", rates.pafr_time_ms, rates.pafr_ml_s),
        ("diastasis", rates.diastasis_time_ms, at_rest),
    )
    return [(name, x, y) for name, x, y in found if x is not None and y is not None]


def _texts(item: pg.PlotItem, names: tuple[str, ...]) -> list[pg.TextItem]:
    font = QFont()
    font.setBold(True)
    texts = [pg.TextItem(name) for name in names]
    for text in texts:
        text.setFont(font)
        text.setVisible(False)
        item.addItem(text, ignoreBounds=True)
    return texts


def _place(
    texts: list[pg.TextItem],
    places: list[tuple[float, float]],
    below: list[float],
    *,
    late: float,
) -> None:
    """Put texts beside their marks, those of late ones to the left, and hide the rest."""
    for index, text in enumerate(texts):
        text.setVisible(index < len(places))
        if index < len(places):
            x, y = places[index]
            text.setAnchor((1.1 if x > late else -0.1, below[index]))
            text.setPos(x, y)
