"""Mean hearts of two groups along one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.mmode.plot import MModePlot
from napari_cardioxai.report.style import STRUCTURE_COLOURS

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.mmode import MMode
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.app.mean_heart import MeanView

_HEIGHT = 170
_NO_LINE = "Press Draw line and drag across the mean heart on the canvas."


class LabelMModePlot(MModePlot):
    """Labels along a line as their colours: a decoded heart has no intensities."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFixedHeight(_HEIGHT)
        self._table = np.array(
            [(0, 0, 0), *(QColor(STRUCTURE_COLOURS[k]).getRgb()[:3] for k in (1, 2, 3))], np.uint8
        )

    def show_labels(self, found: MMode) -> None:
        """Draw what the line sees."""
        self.show_mmode(found, found, (0, 3))
        self.image.setImage(self._table[found.values], levels=(0, 255))
        self._place(found)

    def _place(self, found: MMode) -> None:
        """A picture of other values is placed anew."""
        rows = len(found.values)
        first, last = self._shown_times()
        step = found.distance_mm[-1] / max(rows - 1, 1)
        self.image.setRect(first, -step / 2, last - first, rows * step)


class HeartSection(QWidget):
    """M-modes of the mean hearts, their biomarkers, and buttons for the line."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self._live = desk, desk.cohort_map
        self._line = self._live.layers
        self.plots = (
            LabelMModePlot("cohort_map_mmode"),
            LabelMModePlot("cohort_map_mmode_others"),
        )
        self.titles = tuple(QLabel() for _ in self.plots)
        self.hint = QLabel(_NO_LINE)
        self.hint.setObjectName("cohort_map_line_hint")
        self.hint.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        for text, key, tip, slot in (
            ("Draw line", "draw", "Drag on the mean heart; a new line replaces it", "draw"),
            ("Move ends", "ends", "Drag an end of the line", "move_ends"),
            ("Move line", "move", "Drag the line as a whole", "move"),
            ("Remove hearts", "remove", "Take the mean hearts off the canvas", "remove"),
        ):
            button = QPushButton(text)
            button.setObjectName(f"cohort_map_line_{key}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, slot=slot: getattr(self._line, slot)())
            row.addWidget(button)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        for number, (title, plot) in enumerate(zip(self.titles, self.plots, strict=True)):
            title.setObjectName(f"cohort_map_mean_{number}")
            title.setWordWrap(True)
            layout.addWidget(title)
            layout.addWidget(plot)
            plot.phase_chosen.connect(self._line.go_to_frame)
        desk.phase_changed.connect(self.show_phase)
        desk.theme_changed.connect(self.set_theme)
        self._line.changed.connect(self.show_view)
        self._live.means_changed.connect(self.show_means)
        self.set_theme(desk.viewer.theme)
        self.show_means()
        self.show_view(self._line.view)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        for plot in self.plots:
            plot.set_theme(name)

    def show_phase(self, phase: int) -> None:
        """Move the cursors to where the mean hearts stand."""
        for plot in self.plots:
            plot.show_phase(self._line.mean_frame(phase))

    def show_means(self) -> None:
        """Say what was measured on the mean hearts."""
        means = self._live.means or (None, None)
        for title, heart in zip(self.titles, means, strict=True):
            title.setText("" if heart is None else heart.sentence)
            title.setVisible(heart is not None)

    def show_view(self, view: MeanView | None) -> None:
        """Draw what the line sees, or say what to do."""
        self.hint.setVisible(view is None)
        seen = (None, None) if view is None else (view.group, view.others)
        for plot, found in zip(self.plots, seen, strict=True):
            plot.setVisible(found is not None)
            if found is None:
                plot.show_nothing()
            else:
                plot.show_labels(found)
        self.show_phase(self._desk.phase)
