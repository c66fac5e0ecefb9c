"""Small pictures side by side: images with labels or heat on them, and a title below each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QRect, Qt
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent
from qtpy.QtWidgets import QToolTip, QWidget

from napari_cardioxai.report.style import STRUCTURE_COLOURS
from napari_cardioxai.training.jobs.previews import Panel

_COLUMNS, _LARGE_COLUMNS = 4, 2
_GAP, _TITLE = 4, 15
_LEAST_HEAT, _LABEL_STRENGTH = 0.45, 0.5
_HEAT_COLOURS = pg.colormap.get("inferno").getLookupTable(nPts=256)[:, :3].astype(np.float32)


def picture_of(panel: Panel) -> NDArray[np.uint8]:
    """Colours of a panel, shape (y, x, 3): heat and labels drawn over the image."""
    layers = (panel.image, panel.labels, panel.heat)
    shape = next(layer.shape for layer in layers if layer is not None)
    grey = np.zeros(shape, np.uint8) if panel.image is None else panel.image
    colours = np.repeat(grey[..., None].astype(np.float32), 3, axis=2)
    if panel.heat is not None:
        share = _LEAST_HEAT + (1 - _LEAST_HEAT) * panel.heat[..., None] / 255
        colours = (1 - share) * colours + share * _HEAT_COLOURS[panel.heat]
    if panel.labels is not None:
        strength = 1.0 if panel.image is None else _LABEL_STRENGTH
        for value, name in STRUCTURE_COLOURS.items():
            inside = panel.labels == value
            colour = np.array(QColor(name).getRgb()[:3], np.float32)
            colours[inside] = (1 - strength) * colours[inside] + strength * colour
    return np.round(colours).astype(np.uint8)


@dataclass(frozen=True)
class _Tile:
    pixmap: QPixmap
    place: QRect
    title: str
    tip: str


class PanelGrid(QWidget):
    """As high as its pictures need in the width that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("train_panels")
        self.setMouseTracking(True)
        self._panels: tuple[Panel, ...] = ()
        self._pixmaps: list[QPixmap] = []
        self._tiles: list[_Tile] = []
        self._text = QColor("white")

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._text = QColor(get_theme(name).text.as_hex())
        self.update()

    def show_panels(self, panels: tuple[Panel, ...]) -> None:
        """Draw other pictures."""
        self._panels = panels
        self._pixmaps = [_pixmap(picture_of(panel)) for panel in panels]
        self._arrange()

    @property
    def titles(self) -> list[str]:
        """What stands below the pictures."""
        return [tile.title for tile in self._tiles]

    def _arrange(self) -> None:
        self._tiles = []
        x = y = below = 0
        for panel, pixmap in zip(self._panels, self._pixmaps, strict=True):
            columns = _LARGE_COLUMNS if panel.large else _COLUMNS
            width = (self.width() - (columns - 1) * _GAP) // columns
            height = round(width * pixmap.height() / max(pixmap.width(), 1))
            if x + width > self.width():
                x, y = 0, below
            place = QRect(x, y, width, height)
            self._tiles.append(_Tile(pixmap, place, panel.title, panel.tip))
            x += width + _GAP
            below = max(below, y + height + _TITLE + _GAP)
        self.setFixedHeight(below)
        self.update()

    # Qt -----------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Make the pictures as large as the width allows."""
        if event is None or event.size().width() != event.oldSize().width():
            self._arrange()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say more about the picture under the mouse."""
        place = event.position().toPoint()
        for tile in self._tiles:
            if tile.place.contains(place):
                QToolTip.showText(event.globalPosition().toPoint(), tile.tip or tile.title, self)
                return
        QToolTip.hideText()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Stop saying."""
        QToolTip.hideText()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw pictures and titles."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self._text)
        font = painter.font()
        font.setPointSizeF(max(6.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        for tile in self._tiles:
            painter.drawPixmap(tile.place, tile.pixmap)
            below = QRect(tile.place.x(), tile.place.bottom() + 1, tile.place.width(), _TITLE)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, tile.title)
        painter.end()


def _pixmap(colours: NDArray[np.uint8]) -> QPixmap:
    height, width = colours.shape[:2]
    data = np.ascontiguousarray(colours)
    image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())
