"""What a line sees over the cycle: time to the right, distance downwards."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg

from napari_cardioxai.anatomy.mmode import MMode
from napari_cardioxai.app.widgets.phase_plot import PhasePlot
from napari_cardioxai.report.style import STRUCTURE_COLOURS

_HEIGHT = 420


class MModePlot(PhasePlot):
    """Intensities along a line in every frame, with the borders of labels on them."""

    def __init__(self) -> None:
        super().__init__("mmode_plot", _HEIGHT)
        item = self.getPlotItem()
        item.setLabel("left", "Distance (mm)")
        item.getViewBox().invertY(True)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.image.setColorMap(pg.colormap.get("CET-L1"))
        item.addItem(self.image)
        self.borders = {
            value: pg.PlotCurveItem(
                pen=pg.mkPen(STRUCTURE_COLOURS[value], width=2), connect="pairs"
            )
            for value in (2, 3, 1)  # the cavity's border over that of the muscle around it
        }
        for border in self.borders.values():
            item.addItem(border, ignoreBounds=True)
        self._length = 0.0

    def show_nothing(self) -> None:
        """Empty the plot."""
        self._clear_times()
        self.image.clear()
        for border in self.borders.values():
            border.setData([], [])

    def show_mmode(self, found: MMode, labels: MMode | None, limits: tuple[float, float]) -> None:
        """Draw intensities in the contrast of the image, and the borders of labels."""
        rows, frames = found.values.shape
        self._set_times(found.time_ms, frames)
        first, last = self._shown_times()
        step = found.distance_mm[-1] / max(rows - 1, 1)
        self.image.setImage(found.values, levels=limits)
        self.image.setRect(first, -step / 2, last - first, rows * step)
        length = float(found.distance_mm[-1])
        if length != self._length:
            self._length = length
            self.getPlotItem().setYRange(-step / 2, length + step / 2, padding=0)
        for value, border in self.borders.items():
            values = np.zeros((1, 1)) if labels is None else labels.values
            row, column = border_segments(values == value)
            border.setData(first + column * (last - first) / frames, (row - 0.5) * step)

    def _shown_times(self) -> tuple[float, float]:
        """From half a frame before the first to half a frame behind the last."""
        half = (self._times[-1] - self._times[0]) / max(len(self._times) - 1, 1) / 2 or 0.5
        return self._times[0] - half, self._times[-1] + half


def border_segments(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel edges between inside and outside, as pairs of (row, column) corners.

    Corner (0, 0) is the outer corner of the first pixel. The outline of the
    picture itself is no border.
    """
    row, column = np.nonzero(mask[1:] != mask[:-1])
    rows = [np.stack([row + 1, row + 1], axis=1).ravel()]
    columns = [np.stack([column, column + 1], axis=1).ravel()]
    row, column = np.nonzero(mask[:, 1:] != mask[:, :-1])
    rows.append(np.stack([row, row + 1], axis=1).ravel())
    columns.append(np.stack([column + 1, column + 1], axis=1).ravel())
    return np.concatenate(rows).astype(float), np.concatenate(columns).astype(float)
