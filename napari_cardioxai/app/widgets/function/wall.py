"""The wall: bull's-eye of the whole heart, and curves of the slice in view."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from napari_cardioxai.anatomy.measurements import Walls
from napari_cardioxai.anatomy.segments import WALLS
from napari_cardioxai.app.layer_styles import WALL_COLOURS
from napari_cardioxai.app.session import Session, WallCurves
from napari_cardioxai.app.widgets.function.bullseye import BullsEye, Scale
from napari_cardioxai.app.widgets.phase_plot import PhasePlot

_HEIGHT = 190
RINGS = ("basal", "mid", "apical")
QUANTITIES = {
    "wall_ed_mm": "Wall thickness at end-diastole",
    "wall_es_mm": "Wall thickness at end-systole",
    "thickening_percent": "Wall thickening, ED to ES",
}
NO_LABELS = "Label LV, myocardium and RV in the Study dock to see the wall here."
MEASURING = "Measuring the wall …"
NO_SLICE = "The slice in view shows no LV; go to one that does."
NO_CINE = "Wall curves need a cine; this study has one phase."


class WallPlot(PhasePlot):
    """Thickness of the six segments of one slice over the cycle."""

    def __init__(self) -> None:
        super().__init__("wall_plot", _HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "Wall thickness (mm)")
        self.lines = [item.plot([], [], pen=pg.mkPen(c, width=2)) for c in WALL_COLOURS]

    def show_curves(self, curves: WallCurves, times_ms: tuple[float, ...] | None) -> None:
        """Draw a slice's curves; a segment without wall has none."""
        found = curves.thickness_mm
        self._set_times(times_ms, len(found))
        for line, thickness in zip(self.lines, found.T, strict=True):
            line.setData(self._times, thickness, connect="finite")
        known = found[np.isfinite(found)]
        top = 2.0 * np.ceil((known.max() if known.size else 10.0) * 1.1 / 2.0)
        if self.getPlotItem().viewRange()[1] != [0.0, top]:
            self.getPlotItem().setYRange(0.0, top, padding=0)


class BullsEyeSection(QWidget):
    """One quantity of the 17 segments."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.quantity = QComboBox()
        self.quantity.setObjectName("bullseye_quantity")
        for key, name in QUANTITIES.items():
            self.quantity.addItem(name, key)
        self.quantity.currentIndexChanged.connect(self.refresh)
        self._empty = QLabel()
        self._empty.setObjectName("bullseye_empty")
        self._empty.setWordWrap(True)
        self.bullseye = BullsEye()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._empty, self.quantity, self.bullseye):
            layout.addWidget(widget)

    def refresh(self) -> None:
        """Show what the session knows."""
        walls = self._session.walls
        key = self.quantity.currentData()
        values = None if walls is None else getattr(walls, key)
        has_wall = walls is not None and walls.wall_ed_mm is not None
        self._empty.setVisible(values is None)
        self._empty.setText(why_empty(self._session) or "There is one phase, so no end-systole.")
        self.quantity.setVisible(has_wall)
        self.bullseye.setVisible(values is not None)
        if values is not None:
            self.bullseye.show_values(values, _scale(walls, key))


class WallCurvesSection(QWidget):
    """The slice in view over the cycle."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._empty = QLabel()
        self._empty.setObjectName("wall_empty")
        self._empty.setWordWrap(True)
        self._key = QLabel()
        self._key.setObjectName("wall_key")
        self._key.setTextFormat(Qt.TextFormat.RichText)
        self._key.setWordWrap(True)
        self.plot = WallPlot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._empty, self._key, self.plot):
            layout.addWidget(widget)

    def refresh(self) -> None:
        """Show what the session knows."""
        curves, found = self._session.wall_curves, self._session.measurements
        shown = curves is not None and found is not None
        self._empty.setVisible(not shown)
        self._key.setVisible(shown)
        self.plot.setVisible(shown)
        if not shown:
            scan = self._session.scan
            one = scan is not None and not scan.is_cine
            self._empty.setText(why_empty(self._session) or (NO_CINE if one else NO_SLICE))
            return
        self.plot.show_curves(curves, found.frame_times_ms)
        there = np.isfinite(curves.thickness_mm).any(axis=0)
        keys = [
            f"<span style='color:{colour}'>●</span>&nbsp;{name}{'' if known else '&nbsp;(no wall)'}"
            for name, colour, known in zip(WALLS, WALL_COLOURS, there, strict=True)
        ]
        where = f"Slice {curves.slice_index + 1}, {RINGS[curves.ring]}: "
        text = where + " ".join(keys)
        if text != self._key.text():
            self._key.setText(text)


def why_empty(session: Session) -> str:
    """One line that says why there is no wall and what to do; "" where there is one."""
    if session.labels_layer is None or session.measurements is None:
        return NO_LABELS
    return MEASURING if session.walls is None else session.walls.missing


def _scale(walls: Walls, key: str) -> Scale:
    """Both thicknesses share their limits; thickening lies around zero, where nothing moves."""
    if key == "thickening_percent":
        most = max((abs(v) for v in walls.thickening_percent or () if v is not None), default=0.0)
        most = max(60.0, 20.0 * float(np.ceil(most / 20.0)))
        return Scale(-most, most, "%", "CET-D1A")
    both = (*(walls.wall_ed_mm or ()), *(walls.wall_es_mm or ()))
    most = max((v for v in both if v is not None), default=0.0)
    return Scale(0.0, max(12.0, 4.0 * float(np.ceil(most / 4.0))), "mm", "viridis")
