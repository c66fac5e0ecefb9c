"""Maps beside each other, each on the picture in view: methods, or layers of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QMouseEvent, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.attribution.heat_boxes import HeatBox

_COLUMNS = 2
_MOST_SIDE = 200  # pixels of a tile's picture; larger ones are thinned out
_MARGIN = 0.25  # of the box, of scan around it


class Tile(QWidget):
    """A picture and its caption."""

    clicked = Signal()

    def __init__(self, name: str, caption: str, tip: str = "") -> None:
        super().__init__()
        self.setToolTip(tip or caption)
        self.setObjectName(f"attribution_tile_{name}")
        self.picture, self.caption = QLabel(), QLabel(caption)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.caption.setWordWrap(True)
        self.caption.setStyleSheet(SMALL)
        self.caption.setMinimumWidth(1)  # a name of one long word must not widen the column
        self.caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(1)
        layout.addWidget(self.picture)
        layout.addWidget(self.caption)
        layout.addStretch(1)

    def show_picture(self, pixels: np.ndarray, width: int, aspect: float) -> None:
        """Show (y, x, 3) bytes, so wide; `aspect` is the height of a pixel in its widths."""
        data = np.ascontiguousarray(pixels)
        height, columns = data.shape[:2]
        image = QImage(data.data, columns, height, 3 * columns, QImage.Format.Format_RGB888)
        tall = max(1, round(width * aspect * height / columns))
        scaled = QPixmap.fromImage(image.copy()).scaled(
            width,
            min(tall, 2 * width),
            Qt.AspectRatioMode.IgnoreAspectRatio
            if tall <= 2 * width
            else Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        self.picture.setPixmap(scaled)
        self.picture.setFixedHeight(scaled.height())

    def mark(self, chosen: bool) -> None:
        """Stand out."""
        self.caption.setStyleSheet(SMALL + ("font-weight: bold;" if chosen else ""))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A click chooses the map."""
        super().mousePressEvent(event)
        self.clicked.emit()


class Tiles(QWidget):
    """Small multiples that follow the phase and the slice in view."""

    chosen = Signal(str)

    def __init__(self, desk: Desk, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._desk = desk
        self._boxes: dict[str, HeatBox] = {}
        self.tiles: dict[str, Tile] = {}
        self._drawn: Callable[[str], np.ndarray | None] = lambda name: None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        desk.phase_changed.connect(lambda _: self.refresh())
        desk.slice_changed.connect(lambda _: self.refresh())

    def show_boxes(
        self,
        boxes: Mapping[str, HeatBox],
        captions: Mapping[str, str],
        *,
        drawn: Callable[[str], np.ndarray | None] | None = None,
    ) -> None:
        """Show maps; `drawn` gives what is left of one after thresholds."""
        self._boxes = dict(boxes)
        self._drawn = drawn or (lambda name: self._boxes[name].data)
        if list(captions.items()) != [(n, t.caption.text()) for n, t in self.tiles.items()]:
            for tile in self.tiles.values():
                self._grid.removeWidget(tile)
                tile.deleteLater()
            self.tiles = {name: Tile(name, text) for name, text in captions.items()}
            for k, (name, tile) in enumerate(self.tiles.items()):
                self._grid.addWidget(tile, k // _COLUMNS, k % _COLUMNS)
                tile.clicked.connect(lambda name=name: self.chosen.emit(name))
        self.refresh()

    def mark(self, name: str) -> None:
        """Let one tile stand out."""
        for other, tile in self.tiles.items():
            tile.mark(other == name)

    def hide_tiles(self, names: set[str]) -> None:
        """Hide some, show the others."""
        shown = 0
        for name, tile in self.tiles.items():
            tile.setVisible(name not in names)
            self._grid.removeWidget(tile)
            if name not in names:
                self._grid.addWidget(tile, shown // _COLUMNS, shown % _COLUMNS)
                shown += 1

    def showEvent(self, event: object) -> None:
        """Draw what changed while nobody looked."""
        super().showEvent(event)
        self.refresh()

    def resizeEvent(self, event: object) -> None:
        """Pictures are as wide as their column."""
        super().resizeEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Draw the maps of the picture in view."""
        session = self._desk.session
        scan, layer = session.scan, session.scan_layer
        if not self._boxes or scan is None or layer is None or not self.isVisible():
            return
        frame, index = max(self._desk.phase, 0), max(self._desk.slice, 0)
        if frame >= scan.data.shape[0] or index >= scan.data.shape[1]:
            return
        rows, columns = self._part(scan.data.shape[-2:])
        picture = np.asarray(scan.data[frame, index, rows, columns])
        spacing = scan.geometry.spacing_mm or (1.0, 1.0, 1.0)
        width = max(60, (self.width() - 12) // _COLUMNS - 4)
        for name, tile in self.tiles.items():
            heat = self._heat(name, frame, index, rows, columns, picture.shape)
            tile.show_picture(
                self._coloured(name, picture, heat, tuple(layer.contrast_limits)),
                width,
                spacing[1] / spacing[2],
            )

    def _part(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """What of the scan's pictures all maps lie in, with some of what is around."""
        found = []
        for axis, size in ((2, shape[0]), (3, shape[1])):
            low = min(box.start[axis] for box in self._boxes.values())
            high = max(box.start[axis] + box.data.shape[axis] for box in self._boxes.values())
            margin = round(_MARGIN * (high - low))
            low, high = max(0, low - margin), min(size, high + margin)
            step = max(1, -(-(high - low) // _MOST_SIDE))
            found.append(slice(low, high, step))
        step = max(part.step for part in found)
        rows, columns = (slice(part.start, part.stop, step) for part in found)
        return rows, columns

    def _heat(
        self,
        name: str,
        frame: int,
        index: int,
        rows: slice,
        columns: slice,
        shape: tuple[int, ...],
    ) -> np.ndarray:
        box, data = self._boxes[name], self._drawn(name)
        t, z = frame - box.start[0], index - box.start[1]
        heat = np.zeros(shape, np.float32)
        if data is None or not (0 <= t < data.shape[0] and 0 <= z < data.shape[1]):
            return heat
        parts = []
        for part, start, size in (
            (rows, box.start[2], data.shape[2]),
            (columns, box.start[3], data.shape[3]),
        ):
            at = np.arange(part.start, part.stop, part.step) - start
            inside = (at >= 0) & (at < size)
            parts.append((np.flatnonzero(inside), at[inside]))
        (into_y, from_y), (into_x, from_x) = parts
        heat[np.ix_(into_y, into_x)] = data[t, z][np.ix_(from_y, from_x)]
        return heat

    def _coloured(
        self, name: str, picture: np.ndarray, heat: np.ndarray, window: tuple[float, float]
    ) -> np.ndarray:
        from napari_cardioxai.attribution.colours import overlaid

        box = self._boxes[name]
        return overlaid(picture, heat, box.sign, window=window, limits=box.limits, opacity=0.85)
