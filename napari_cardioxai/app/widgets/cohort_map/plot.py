"""Subjects as points in a plane: coloured, named under the mouse, opened by a click, caught in a lasso."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QColor, QFont

from napari_cardioxai.app.layer_styles import WALL_COLOURS

if TYPE_CHECKING:
    from napari_cardioxai.maps.cohort_map import CohortMap, Place
    from napari_cardioxai.maps.columns import Column

NEW, ADD, REMOVE = "new", "add", "remove"
# Blue and orange first: two classes are the usual case, and nobody mixes these up.
CLASS_COLOURS = tuple(WALL_COLOURS[k] for k in (1, 0, 2, 4, 3, 5))
CLASS_SYMBOLS = ("o", "s", "d", "t1", "t", "h")
CLASS_SIGNS = ("●", "■", "◆", "▲", "▼", "⬢")
UNKNOWN_COLOUR = "#8a8f98"
STAR_COLOUR = "#ffd84d"
_SHADES = 64
_DARKEST = 0.12  # of viridis: darker points would sink into a dark theme
_HEIGHT = 345
_NAME_PX, _LETTER_PX = 17, 8  # height of an arrow's name, width of its letters
_TURNS = 4  # until the names fit
_REACH_PX = 9.0  # around a point, for the mouse
_MANY = 1500


def shades() -> np.ndarray:
    """Colours of numbers from low to high, shape (64, 3), 0 to 255."""
    return pg.colormap.get("viridis").map(np.linspace(_DARKEST, 1, _SHADES), mode="byte")[:, :3]


class _Lasso(pg.ViewBox):
    """Drags move the picture, or draw a line while the lasso is taken up."""

    drawn = Signal(object, str)
    moved = Signal(object)

    def __init__(self) -> None:
        super().__init__(lockAspect=True, enableMenu=False)
        self.is_lasso = False
        self._line: list[tuple[float, float]] = []

    def mouseDragEvent(self, event: object, axis: int | None = None) -> None:
        """Collect the way of the mouse."""
        is_left = event.button() == Qt.MouseButton.LeftButton
        keys = event.modifiers()
        shift = bool(keys & Qt.KeyboardModifier.ShiftModifier)
        if not is_left or not (self.is_lasso or shift):
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            start = self.mapToView(event.buttonDownPos())
            self._line = [(start.x(), start.y())]
        here = self.mapToView(event.pos())
        self._line.append((here.x(), here.y()))
        self.moved.emit(np.array(self._line))
        if event.isFinish():
            line, self._line = np.array(self._line), []
            self.moved.emit(np.empty((0, 2)))
            alt = bool(keys & Qt.KeyboardModifier.AltModifier)
            self.drawn.emit(line, REMOVE if alt else ADD if shift else NEW)


class MapPlot(pg.PlotWidget):
    """The map.

    `subject_clicked` carries the row of a subject, `lassoed` the corners of a
    line and whether it chooses anew, adds or takes out.
    """

    subject_clicked = Signal(int)
    lassoed = Signal(object, str)

    def __init__(self) -> None:
        self._view = _Lasso()
        super().__init__(viewBox=self._view)
        self.setObjectName("cohort_map_plot")
        self.setFixedHeight(_HEIGHT)
        self.hideButtons()
        self.setAntialiasing(True)
        self.getPlotItem().setContentsMargins(0, 6, 8, 0)
        self.points = pg.ScatterPlotItem(pxMode=True, hoverable=False)
        self.group = pg.ScatterPlotItem(size=11, symbol="o", brush=None)
        self.opposite = pg.ScatterPlotItem(size=11, symbol="s", brush=None)
        self.own = pg.ScatterPlotItem(size=18, symbol="o", brush=None)
        self.star = pg.ScatterPlotItem(size=22, symbol="star", brush=STAR_COLOUR)
        self.hovered = pg.ScatterPlotItem(size=15, symbol="o", brush=None)
        self.lasso = pg.PlotCurveItem()
        layers = (self.points, self.opposite, self.group, self.hovered, self.own, self.star)
        for depth, item in enumerate((*layers, self.lasso)):
            item.setZValue(10 * depth)
            self.addItem(item, ignoreBounds=item is not self.points)
        self.name = pg.TextItem(fill=pg.mkBrush(0, 0, 0, 215), color="#ffffff")
        self.name.setZValue(200)
        self.addItem(self.name, ignoreBounds=True)
        self._arrows: list[pg.GraphicsObject] = []
        self._arrow_names: list[pg.TextItem] = []
        self._tips = np.empty((0, 2))
        self._map: CohortMap | None = None
        self._column: Column | None = None
        self._shows_arrows = True
        self._text, self._back = QColor("#ffffff"), QColor("#000000")
        self._hover = -1
        self._show_hovered(-1)
        self._view.drawn.connect(self.lassoed)
        self._view.sigRangeChanged.connect(self._place_names)
        self._view.moved.connect(lambda line: self.lasso.setData(*line.T))
        self.scene().sigMouseClicked.connect(self._on_click)
        self._mouse = pg.SignalProxy(
            self.scene().sigMouseMoved, rateLimit=60, slot=self._on_mouse_moved
        )

    # What is shown ----------------------------------------------------------------------

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        self._text, self._back = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        self.setBackground(self._back)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(self._text)
            axis.setTextPen(self._text)
        self.group.setPen(pg.mkPen(self._text, width=1.1))
        self.opposite.setPen(pg.mkPen(self._text, width=1.2, style=Qt.PenStyle.DotLine))
        self.hovered.setPen(pg.mkPen(self._text, width=2))
        self.own.setPen(pg.mkPen(STAR_COLOUR, width=2.5))
        self.star.setPen(pg.mkPen("#000000", width=1.2))
        self.lasso.setPen(pg.mkPen(STAR_COLOUR, width=2))
        if self._map is not None:
            self._draw_points()
            self._draw_arrows()

    def show_map(self, cohort_map: CohortMap | None, column: Column | None) -> None:
        """Draw another map, coloured by a column."""
        self._map, self._column = cohort_map, column
        self._show_hovered(-1)
        for item in (self.group, self.opposite, self.own, self.star):
            item.setData([], [])
        if cohort_map is None:
            self.points.setData([], [])
            self._draw_arrows()
            return
        for side, title in zip(
            ("bottom", "left"), cohort_map.projection.axis_titles(), strict=True
        ):
            self.getPlotItem().setLabel(side, title)
            has_unit = cohort_map.projection.explained is not None
            self.getPlotItem().getAxis(side).setStyle(showValues=has_unit)
        self._draw_points()
        self.show_whole()
        QTimer.singleShot(0, self._draw_arrows)  # the window breathes between the two

    def show_column(self, column: Column) -> None:
        """Colour the points by another column."""
        self._column = column
        self._draw_points()

    def show_arrows(self, shown: bool) -> None:
        """Show or hide the arrows."""
        self._shows_arrows = shown
        self._draw_arrows()

    def show_whole(self) -> None:
        """Bring all points, and the names of the arrows, into view."""
        if self._map is None:
            return
        from napari_cardioxai.maps.cohort_map import arrow_tips

        points, arrows = self._map.points, self._map.arrows if self._shows_arrows else ()
        low, high = points.min(0), points.max(0)
        room = 0.04 * (high - low)
        low, high = low - room, high + room
        middle, tips = points.mean(0), arrow_tips(points, arrows)
        for _ in range(_TURNS):  # names are wide in pixels, and a pixel is as wide as the view
            self._view.setRange(pg.QtCore.QRectF(*low, *(high - low)), padding=0)
            pixel = self._view.viewPixelSize()[0]
            for arrow, (x, _) in zip(arrows, tips, strict=True):
                name = pixel * (_LETTER_PX * len(arrow.name) + 12)
                low[0] = min(low[0], x - name) if x < middle[0] else low[0]
                high[0] = max(high[0], x + name) if x >= middle[0] else high[0]

    def show_group(self, group: np.ndarray, opposite: np.ndarray) -> None:
        """Mark who is chosen, and who they are set against."""
        if self._map is not None:
            self.group.setData(*self._map.points[group].T)
            self.opposite.setData(*self._map.points[opposite].T)

    def show_star(self, place: Place | None) -> None:
        """Mark where the study in the viewer lies, and the subject that it is."""
        if place is None or self._map is None:
            self.star.setData([], [])
            self.own.setData([], [])
            return
        self.star.setData(*place.point[:, None])
        rows = [] if place.row is None else [place.row]
        self.own.setData(*self._map.points[rows].T)

    def take_lasso(self, taken: bool) -> None:
        """Let drags draw a line instead of moving the picture."""
        self._view.is_lasso = taken
        self.setCursor(Qt.CursorShape.CrossCursor if taken else Qt.CursorShape.ArrowCursor)

    def row_at(self, position: object) -> int:
        """The subject under a point of the scene, or -1."""
        if self._map is None or not self._view.sceneBoundingRect().contains(position):
            return -1
        here = self._view.mapSceneToView(position)
        width, height = self._view.viewPixelSize()
        away = (self._map.points - (here.x(), here.y())) / (width, height)
        distance = np.einsum("nd,nd->n", away, away)
        nearest = int(np.argmin(distance))
        return nearest if distance[nearest] <= _REACH_PX**2 else -1

    def scene_position(self, row: int) -> object:
        """Where a subject lies in the scene; the inverse of `row_at`."""
        return self._view.mapViewToScene(pg.Point(*self._map.points[row]))

    # Drawing ----------------------------------------------------------------------------

    def _draw_points(self) -> None:
        if self._map is None or self._column is None:
            return
        size = 7 if len(self._map.points) <= _MANY else 5
        edge = QColor(self._text)
        edge.setAlpha(90)
        pen = pg.mkPen(edge, width=0.6)
        brushes, symbols, order = _looks(self._column)
        self.points.setData(
            *self._map.points[order].T,
            size=size,
            pen=pen,
            brush=brushes[order],
            symbol=symbols[order],
        )

    def _draw_arrows(self) -> None:
        for item in self._arrows:
            self.removeItem(item)
        self._arrows, self._arrow_names = [], []
        if self._map is None or not self._map.arrows or not self._shows_arrows:
            return
        from napari_cardioxai.maps.cohort_map import arrow_tips
        from napari_cardioxai.maps.subjects import DECISION

        points, arrows = self._map.points, self._map.arrows
        start, self._tips = points.mean(0), arrow_tips(points, arrows)
        for arrow, tip in zip(arrows, self._tips, strict=True):
            is_decision = arrow.kind == DECISION
            self._add_arrow(start, tip, is_decision=is_decision)
            name = pg.TextItem(
                arrow.name,
                color=self._text,
                fill=pg.mkBrush(*self._back.getRgb()[:3], 170),
                anchor=(1.05 if tip[0] < start[0] else -0.05, 0.5),
            )
            font = QFont()
            font.setBold(is_decision)
            name.setFont(font)
            self._put(name, 120)
            self._arrow_names.append(name)
        self._place_names()

    def _place_names(self, *_: object) -> None:
        """Keep the names of the arrows apart, whatever the magnification."""
        if self._map is None or not self._arrow_names:
            return
        from napari_cardioxai.maps.cohort_map import apart

        gap = _NAME_PX * self._view.viewPixelSize()[1]
        heights = apart(self._tips, self._map.points.mean(0), gap=gap)
        for name, tip, height in zip(self._arrow_names, self._tips, heights, strict=True):
            name.setPos(float(tip[0]), float(height))

    def _add_arrow(self, start: np.ndarray, tip: np.ndarray, *, is_decision: bool) -> None:
        style = Qt.PenStyle.SolidLine if is_decision else Qt.PenStyle.DashLine
        for colour, width, depth in ((self._back, 5, 100), (self._text, 2, 101)):
            pen = pg.mkPen(colour, width=width, style=style if depth > 100 else None)
            shaft = pg.PlotCurveItem([start[0], tip[0]], [start[1], tip[1]], pen=pen)
            self._put(shaft, depth)
        way = tip - start
        head = pg.ArrowItem(
            angle=180 - np.degrees(np.arctan2(way[1], way[0])),
            headLen=13,
            tipAngle=40,
            pen=pg.mkPen(self._back, width=1),
            brush=self._text,
        )
        head.setPos(*map(float, tip))
        self._put(head, 102)

    def _put(self, item: pg.GraphicsObject, depth: int) -> None:
        item.setZValue(depth)
        self.addItem(item, ignoreBounds=True)
        self._arrows.append(item)

    # The mouse --------------------------------------------------------------------------

    def _on_click(self, event: object) -> None:
        row = self.row_at(event.scenePos())
        if row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            event.accept()
            self.subject_clicked.emit(row)

    def _on_mouse_moved(self, arguments: Sequence[object]) -> None:
        self._show_hovered(self.row_at(arguments[0]))

    def leaveEvent(self, event: object) -> None:
        """Forget the subject under the mouse."""
        super().leaveEvent(event)
        self._show_hovered(-1)

    def _show_hovered(self, row: int) -> None:
        if row == self._hover and row >= 0:
            return
        self._hover = row
        self.name.setVisible(row >= 0)
        if row < 0 or self._map is None or self._column is None:
            self.hovered.setData([], [])
            return
        x, y = self._map.points[row]
        self.hovered.setData([x], [y])
        name = self._map.subjects.subjects[row]
        self.name.setText(f"{name}: {self._column.text(row)}")
        (left, right), (_, top) = self._view.viewRange()
        is_right, is_top = x > (left + right) / 2, self._is_near_top(y, top)
        self.name.setAnchor((1.0 if is_right else 0.0, -0.35 if is_top else 1.35))
        self.name.setPos(float(x), float(y))

    def _is_near_top(self, y: float, top: float) -> bool:
        return top - y < 40 * self._view.viewPixelSize()[1]


def _looks(column: Column) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brush and symbol of every subject, and the order in which they are drawn: unknown first."""
    known = column.known
    if column.is_class:
        count = len(column.classes)
        colours = [CLASS_COLOURS[k % len(CLASS_COLOURS)] for k in range(count)]
        signs = [CLASS_SYMBOLS[k % len(CLASS_SYMBOLS)] for k in range(count)]
        kinds = {kind: k for k, kind in enumerate(column.classes)}
        level = np.array([kinds.get(value, -1) for value in column.values])
    else:
        colours, signs = [tuple(map(int, shade)) for shade in shades()], ["o"] * _SHADES
        low, high = column.limits()
        share = np.where(known, (column.values.astype(float) - low) / (high - low), 0)
        level = np.where(known, np.clip(share * _SHADES, 0, _SHADES - 1), -1).astype(int)
    # The last one is that of the unknown, whose level is -1; equal points share one brush.
    brushes = np.array([pg.mkBrush(colour) for colour in (*colours, UNKNOWN_COLOUR)], object)
    symbols = np.array([*signs, "o"], object)
    # A class that comes last would hide the others: dealt out in an order that nothing depends on.
    mixed = np.random.default_rng(0).permutation(len(known))
    return brushes[level], symbols[level], mixed[np.argsort(known[mixed], kind="stable")]
