"""The 17 segments of the AHA, drawn as readers know them: anterior up, septum to the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt
from qtpy.QtGui import QBrush, QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from qtpy.QtWidgets import QToolTip, QWidget

from napari_cardioxai.anatomy.segments import AHA_NAMES
from napari_cardioxai.report.bullseye import RINGS

# Of every segment: both radii, where it begins, and how far it reaches.
_PLACES = tuple(
    (outer, inner, start + index * 360 / count, 360 / count)
    for outer, inner, count, start in RINGS
    for index in range(count)
)
_HEIGHT = 250
_BAR_WIDTH, _BAR_SPACE = 14, 70
_UNKNOWN = QColor("#8a8f98")


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Attributes
    ----------
    low, high
        Values at both ends.
    unit
        Of the values.
    colormap
        pyqtgraph's name: a sequential one, or a diverging one where the sign matters.
    """

    low: float
    high: float
    unit: str
    colormap: str

    def colour(self, value: float) -> QColor:
        """Colour of a value."""
        share = np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0)
        return pg.colormap.get(self.colormap).map(float(share), mode="qcolor")


class BullsEye(QWidget):
    """One number per segment; hatched where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bullseye")
        self.setFixedHeight(_HEIGHT)
        self.setMouseTracking(True)
        self._values: tuple[float | None, ...] = (None,) * len(AHA_NAMES)
        self._scale = Scale(0.0, 1.0, "", "viridis")
        self._text, self._back = QColor("white"), QColor("black")

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        self._text = QColor(theme.text.as_hex())
        self._back = QColor(theme.background.as_hex())
        self.update()

    def show_values(self, values: tuple[float | None, ...], scale: Scale) -> None:
        """Draw one value per segment, in the order of the AHA."""
        self._values, self._scale = values, scale
        self.update()

    def describe(self, segment: int) -> str:
        """Number, name and value of a segment, counted from 0."""
        value = self._values[segment]
        said = "not shown by these slices" if value is None else f"{value:{self._digits}}"
        unit = "" if value is None else f" {self._scale.unit}"
        return f"Segment {segment + 1}, {AHA_NAMES[segment]}: {said}{unit}"

    @property
    def _digits(self) -> str:
        return ".1f" if self._scale.unit == "mm" else ".0f"

    def segment_at(self, place: QPointF) -> int | None:
        """Segment under a point of the widget, counted from 0."""
        centre, radius = self._circle()
        x, y = place.x() - centre.x(), centre.y() - place.y()
        share, angle = np.hypot(x, y) / radius, np.degrees(np.arctan2(y, x))
        for segment, (outer, inner, start, span) in enumerate(_PLACES):
            if inner <= share < outer and (angle - start) % 360 < span:
                return segment
        return None

    def centre_of(self, segment: int) -> QPointF:
        """Point of the widget in the middle of a segment."""
        centre, radius = self._circle()
        outer, inner, start, span = _PLACES[segment]
        angle = np.radians(start + span / 2)
        middle = radius * (outer + inner) / 2 if span < 360 else 0.0
        return centre + QPointF(middle * np.cos(angle), -middle * np.sin(angle))

    def _circle(self) -> tuple[QPointF, float]:
        width = self.width() - _BAR_SPACE
        radius = min(width / 2 - 26, self.height() / 2 - 18)
        return QPointF(width / 2, self.height() / 2), max(radius, 1.0)

    # Qt -----------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Name the segment under the mouse."""
        segment = self.segment_at(event.position())
        if segment is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), self.describe(segment), self)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Stop naming."""
        QToolTip.hideText()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw segments, names of the walls, and the colour bar."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for segment, place in enumerate(_PLACES):
            self._draw_segment(painter, self._path(*place), segment)
        self._draw_walls(painter)
        self._draw_bar(painter)
        painter.end()

    def _path(self, outer: float, inner: float, start: float, span: float) -> QPainterPath:
        centre, radius = self._circle()
        path = QPainterPath()
        big, small = (
            QRectF(centre.x() - r, centre.y() - r, 2 * r, 2 * r)
            for r in (outer * radius, inner * radius)
        )
        if span == 360:
            path.addEllipse(big)
            return path
        path.arcMoveTo(big, start)
        path.arcTo(big, start, span)
        path.arcTo(small, start + span, -span)
        path.closeSubpath()
        return path

    def _draw_segment(self, painter: QPainter, path: QPainterPath, segment: int) -> None:
        value = self._values[segment]
        painter.setPen(QPen(self._back, 1.5))
        if value is None:
            painter.setBrush(QBrush(_UNKNOWN, Qt.BrushStyle.BDiagPattern))
            painter.drawPath(path)
            return
        colour = self._scale.colour(value)
        painter.setBrush(colour)
        painter.drawPath(path)
        painter.setPen(QColor("black") if colour.lightnessF() > 0.5 else QColor("white"))
        self._write(painter, self.centre_of(segment), f"{value:{self._digits}}")

    def _draw_walls(self, painter: QPainter) -> None:
        centre, radius = self._circle()
        painter.setPen(self._text)
        gap = radius + 9
        for name, x, y in (("anterior", 0, -gap), ("inferior", 0, gap)):
            self._write(painter, centre + QPointF(x, y), name)
        for name, x, turn in (("septal", -gap, -90), ("lateral", gap, 90)):
            painter.save()
            painter.translate(centre + QPointF(x, 0))
            painter.rotate(turn)
            self._write(painter, QPointF(0, 0), name)
            painter.restore()

    def _draw_bar(self, painter: QPainter) -> None:
        top, bottom = 34, self.height() - 20
        left = self.width() - _BAR_SPACE + 14
        for y in range(top, bottom):
            share = (bottom - y) / (bottom - top)
            value = self._scale.low + share * (self._scale.high - self._scale.low)
            painter.fillRect(left, y, _BAR_WIDTH, 1, self._scale.colour(value))
        painter.setPen(self._text)
        self._write(painter, QPointF(left + _BAR_WIDTH / 2, top - 14), self._scale.unit)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            value = self._scale.low + share * (self._scale.high - self._scale.low)
            y = bottom - share * (bottom - top)
            box = QRectF(left + _BAR_WIDTH + 4, y - 8, 40, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, f"{value:.0f}")

    @staticmethod
    def _write(painter: QPainter, place: QPointF, text: str) -> None:
        box = QRectF(place.x() - 40, place.y() - 9, 80, 18)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
