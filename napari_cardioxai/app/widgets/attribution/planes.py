"""A volume in three planes that follow the viewer and drive it, with the map on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QRectF, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.train.form import SMALL

if TYPE_CHECKING:
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.attribution.heat_boxes import HeatBox

Ends = tuple[tuple[str, str], ...]

_HEIGHT = 170
_COARSE, _EMPTY = 3, 0.05
_EYE = {"A": 0.8, "L": 0.45, "S": 0.4}  # a patient is looked at from the front, a little from above
_CROSS = "#ffd84d"
_UPWARDS = ("S", "A", "R")  # which end of an axis stands on top, where it is known
_NAMES = {
    "R": "Sagittal",
    "L": "Sagittal",
    "A": "Coronal",
    "P": "Coronal",
    "S": "Axial",
    "I": "Axial",
}


class Plane(pg.GraphicsLayoutWidget):
    """One cut through a volume, at an index along one axis, with a cross on the other two."""

    moved = Signal(int, int)  # indices along the vertical and the horizontal axis

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.setObjectName(f"attribution_plane_{'zyx'[axis]}")
        self.setFixedHeight(_HEIGHT)
        self.axis = axis
        self.vertical, self.horizontal = (k for k in range(3) if k != axis)
        self.view = self.addViewBox(row=0, col=0, lockAspect=True, enableMenu=False)
        self.view.setMouseEnabled(x=False, y=False)
        self.picture = pg.ImageItem(axisOrder="row-major")
        self.heat = pg.ImageItem(axisOrder="row-major")
        self.lines = [
            pg.InfiniteLine(angle=angle, pen=pg.mkPen(_CROSS, width=1)) for angle in (0, 90)
        ]
        for item in (self.picture, self.heat, *self.lines):
            self.view.addItem(item)
        self._step = (1.0, 1.0)
        self._shape = (1, 1)
        self.scene().sigMouseClicked.connect(self._on_click)
        self.scene().sigMouseMoved.connect(self._on_move)

    def set_volume(
        self,
        shape: tuple[int, ...],
        step: tuple[float, ...],
        ends: Ends | None,
        inside: tuple[slice, ...],
    ) -> None:
        """Take over a volume.

        Parameters
        ----------
        shape, step
            Its size and spacing, (z, y, x).
        ends
            The patient's directions at both ends of its axes.
        inside
            What of it is not empty.
        """
        self._shape = shape[self.vertical], shape[self.horizontal]
        self._step = step[self.vertical], step[self.horizontal]
        self.view.invertY(not _starts_below(ends, self.vertical))
        self.view.invertX(_starts_right(ends, self.horizontal))
        rows, columns = inside[self.vertical], inside[self.horizontal]
        part = rows.stop - rows.start, columns.stop - columns.start
        self.view.setRange(self._rectangle((rows.start, columns.start), part), padding=0.02)

    def show_cut(self, cut: np.ndarray, limits: tuple[float, float]) -> None:
        """Draw the scan."""
        self.picture.setImage(cut, levels=limits)
        self.picture.setRect(self._rectangle((0, 0), cut.shape))

    def show_heat(
        self, cut: np.ndarray | None, start: tuple[int, int], box: HeatBox | None
    ) -> None:
        """Draw the map, whose first pixel lies at `start`."""
        if cut is None or box is None:
            self.heat.clear()
            return
        from napari_cardioxai.attribution.colours import colour_table

        table = np.rint(255 * colour_table(box.sign)).astype(np.uint8)
        self.heat.setImage(cut, levels=box.limits, lut=table)
        self.heat.setRect(self._rectangle(start, cut.shape))

    def show_cross(self, row: int, column: int) -> None:
        """Mark a voxel."""
        self.lines[0].setPos((row + 0.5) * self._step[0])
        self.lines[1].setPos((column + 0.5) * self._step[1])

    def _rectangle(self, start: tuple[int, int], shape: tuple[int, ...]) -> QRectF:
        (down, right), (y, x) = self._step, start
        return QRectF(x * right, y * down, shape[1] * right, shape[0] * down)

    def _on_click(self, event: object) -> None:
        self._go(event.scenePos())

    def _on_move(self, position: object) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QApplication

        if QApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._go(position)

    def _go(self, position: object) -> None:
        if not self.view.sceneBoundingRect().contains(position):
            return
        point = self.view.mapSceneToView(position)
        row, column = int(point.y() // self._step[0]), int(point.x() // self._step[1])
        if 0 <= row < self._shape[0] and 0 <= column < self._shape[1]:
            self.moved.emit(row, column)


class PlanesSection(QWidget):
    """Three planes, and the switch to a rendering."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._box: HeatBox | None = None
        self._data: np.ndarray | None = None
        self.planes = [Plane(axis) for axis in range(3)]
        self.titles = [QLabel() for _ in self.planes]
        grid = QGridLayout()
        grid.setSpacing(3)
        for k, (plane, title) in enumerate(zip(self.planes, self.titles, strict=True)):
            title.setStyleSheet(SMALL)
            grid.addWidget(title, 2 * (k // 2), k % 2)
            grid.addWidget(plane, 2 * (k // 2) + 1, k % 2)
            plane.moved.connect(lambda y, x, plane=plane: self._on_moved(plane, y, x))
        self.where = QLabel("Drag in a plane to move the cross.")
        self.where.setObjectName("attribution_cross")
        self.where.setWordWrap(True)
        beside = QVBoxLayout()
        beside.addWidget(self.where)
        self.rendering = QPushButton("Show as a rendering")
        self.rendering.setObjectName("attribution_rendering")
        self.rendering.setCheckable(True)
        self.rendering.setToolTip("The volume and its maps in 3-D; drag to turn")
        self.rendering.toggled.connect(self._on_rendering)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(self.rendering)
        beside.addStretch(1)
        grid.addLayout(beside, 3, 1)
        layout.addLayout(grid)
        desk.position_changed.connect(lambda _: self.refresh())
        desk.viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        for plane in self.planes:
            plane.setBackground(get_theme(name).canvas.as_hex())

    def show_scan(self) -> bool:
        """Take over the open scan; False when it is no volume."""
        scan = self._desk.session.scan
        if scan is None or scan.data.shape[0] > 1 or scan.data.shape[1] < 2:
            return False
        shape, step = scan.data.shape[1:], scan.geometry.spacing_mm or (1.0, 1.0, 1.0)
        ends = scan.geometry.orientation_letters()
        inside = _inside(np.asarray(scan.data[0]))
        for plane, title in zip(self.planes, self.titles, strict=True):
            plane.set_volume(shape, step, ends, inside)
            title.setText(
                "Across " + "zyx"[plane.axis] if ends is None else _NAMES[ends[plane.axis][1][0]]
            )
        self.refresh()
        return True

    def show_map(self, box: HeatBox | None, data: np.ndarray | None) -> None:
        """Draw a map: its box, and what is left of it after thresholds."""
        self._box, self._data = box, data
        self.refresh()

    def showEvent(self, event: object) -> None:
        """Draw what changed while nobody looked."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Cut at the voxel in view."""
        session = self._desk.session
        scan, layer = session.scan, session.scan_layer
        if scan is None or layer is None or scan.data.shape[0] > 1:
            return
        if not self.isVisible() or self._desk.viewer.dims.ndim < 4:
            return
        volume = scan.data[0]
        place = self._place(volume.shape)
        for plane in self.planes:
            cut = np.asarray(np.take(volume, place[plane.axis], axis=plane.axis))
            plane.show_cut(cut, tuple(layer.contrast_limits))
            plane.show_cross(place[plane.vertical], place[plane.horizontal])
            self._cut_heat(plane, place)
        heat = self._value(place)
        said = "" if heat is None else f", map {heat:.3g}".replace("-", "−")
        z, y, x = (k + 1 for k in place)
        self.where.setText(
            f"Cross at slice {z}, row {y}, column {x}: {float(volume[place]):.4g}{said}. "
            "Drag in a plane to move it."
        )

    def _value(self, place: tuple[int, ...]) -> float | None:
        """Of the map at a voxel; None outside."""
        if self._box is None or self._data is None:
            return None
        at = [k - start for k, start in zip(place, self._box.start[1:], strict=True)]
        inside = all(0 <= k < n for k, n in zip(at, self._data.shape[1:], strict=True))
        return float(self._data[(0, *at)]) if inside else 0.0

    def _cut_heat(self, plane: Plane, place: tuple[int, ...]) -> None:
        box, data = self._box, self._data
        at = -1 if box is None else place[plane.axis] - box.start[1 + plane.axis]
        if box is None or data is None or not 0 <= at < data.shape[1 + plane.axis]:
            plane.show_heat(None, (0, 0), None)
            return
        start = box.start[1 + plane.vertical], box.start[1 + plane.horizontal]
        plane.show_heat(np.take(data[0], at, axis=plane.axis), start, box)

    def _place(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        step = self._desk.viewer.dims.current_step[-3:]
        return tuple(int(np.clip(k, 0, n - 1)) for k, n in zip(step, shape, strict=True))

    def _on_moved(self, plane: Plane, row: int, column: int) -> None:
        dims = self._desk.viewer.dims
        if dims.ndim < 4:
            return
        axes = (dims.ndim - 3 + plane.vertical, dims.ndim - 3 + plane.horizontal)
        dims.set_current_step(axes, (row, column))

    def _on_rendering(self, on: bool) -> None:
        layer = self._desk.session.scan_layer
        if layer is not None:
            layer.rendering = "attenuated_mip" if on else "mip"
        viewer = self._desk.viewer
        place = viewer.dims.current_step  # napari forgets that of the axes that it displays
        viewer.dims.ndisplay = 3 if on else 2
        viewer.reset_view()
        viewer.dims.set_current_step(tuple(range(len(place))), place)
        scan = self._desk.session.scan
        ends = None if scan is None else scan.geometry.orientation_letters()
        if on and ends is not None:
            camera = viewer.scene.camera
            camera.set_view_direction(
                -_towards(ends, _EYE), up_direction=_towards(ends, {"S": 1.0})
            )

    def _on_ndisplay(self, event: object = None) -> None:
        self.rendering.blockSignals(True)
        self.rendering.setChecked(self._desk.viewer.dims.ndisplay == 3)
        self.rendering.blockSignals(False)


def _inside(volume: np.ndarray) -> tuple[slice, ...]:
    """Where a volume is not empty, coarsely: scans come with wide margins of nothing."""
    coarse = volume[::_COARSE, ::_COARSE, ::_COARSE]
    there = coarse > coarse.min() + _EMPTY * (float(coarse.max()) - float(coarse.min()))
    found = []
    for axis, size in enumerate(volume.shape):
        places = np.flatnonzero(there.any(tuple(k for k in range(3) if k != axis)))
        low, high = (places[0], places[-1] + 1) if places.size else (0, size)
        found.append(slice(max(0, (int(low) - 1) * _COARSE), min(size, (int(high) + 1) * _COARSE)))
    return tuple(found)


def _towards(ends: Ends, wish: Mapping[str, float]) -> np.ndarray:
    """A direction in the patient, by letters, along the (z, y, x) axes of a volume."""
    found = np.zeros(3)
    for axis, (start, end) in enumerate(ends):
        found[axis] = wish.get(end[0], 0.0) - wish.get(start[0], 0.0)
    return found


def _starts_below(ends: Ends | None, axis: int) -> bool:
    """Whether index 0 of an axis stands at the bottom: heads and chests are up."""
    return ends is not None and ends[axis][1][0] in _UPWARDS


def _starts_right(ends: Ends | None, axis: int) -> bool:
    """Whether index 0 stands at the right: the patient's right and front are to the left."""
    return ends is not None and ends[axis][1][0] in ("R", "A", "S")
