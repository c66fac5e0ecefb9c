"""Measurements that follow the brush.

Every change of the labels layer is noted, changes within a few milliseconds
are taken together, and a checksum per frame tells which frames differ and
whether anything differs from what was last saved.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QElapsedTimer, QObject, QTimer, Signal

from napari_cardioxai.anatomy.measurements import measure_volumes
from napari_cardioxai.app import napari_compat
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.session import Session
from napari_cardioxai.errors import MeasurementError

if TYPE_CHECKING:
    from napari.layers import Labels as LabelsLayer
    from napari.viewer import Viewer

    from napari_cardioxai.anatomy.quality import Override

COALESCE_MS = 8

Box = tuple[slice, slice]
State = tuple[list[int], "tuple[Override, ...]"]


class LiveMeasure(QObject):
    """Keeps the session's volumes equal to what the labels layer shows.

    `edited` says that the labels differ from what was measured before.
    """

    edited = Signal()

    def __init__(self, viewer: Viewer, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_compat.unwrapped(viewer)
        self._session = session
        self._layer: LabelsLayer | None = None
        self._place: tuple[Any, ...] = ()
        self._now: list[int] = []
        self._saved: State = ([], ())
        self._touched: set[int] = set()
        self._box: Box = (slice(0), slice(0))
        self._since_flush = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COALESCE_MS)
        self._timer.timeout.connect(self.flush)
        session.labels_changed.connect(self._watch)
        session.overrides_changed.connect(self._tell_dirty)

    def _watch(self) -> None:
        """Follow the session's labels layer, and let go of the last one."""
        if self._layer is not None:
            for event, slot in self._wiring(self._layer):
                event.disconnect(slot)
        self._timer.stop()
        self._touched.clear()
        self._layer = self._session.labels_layer
        if self._layer is None:
            self._now = []
            self._saved = self._state
            return
        self._place = self._where()
        self._now = checksums(self._layer.data)
        self._saved = self._state
        self._box = box_of(self._layer.data)
        self._since_flush.start()
        for event, slot in self._wiring(self._layer):
            event.connect(slot)

    def _wiring(self, layer: LabelsLayer) -> tuple[tuple[Any, Any], ...]:
        return (
            (layer.events.labels_update, self._note_visible),  # while the brush moves
            (layer.events.paint, self._note_stroke),  # a stroke, a fill or a result is complete
            (layer.events.set_data, self._note_redraw),  # undo, redo, and every step of a slider
            (layer.events.data, self._note_any),  # someone replaced the whole array
        )

    def _note_visible(self, event: Any = None) -> None:
        """Only the frame in view can have changed, unless time is among the displayed axes."""
        dims = self._viewer.dims
        axis = dims.ndim - 4
        if axis in dims.displayed or self._layer is None or self._layer.n_edit_dimensions > 3:
            self._note_any()
            return
        self._touched.add(int(dims.current_step[axis]))
        if self._since_flush.elapsed() > COALESCE_MS:
            self.flush()  # before the canvas is drawn, not after
        else:
            self._timer.start()

    def _note_stroke(self, event: Any) -> None:
        """Frames from the history item; it is announced before its voxels are written."""
        for atom in event.value:
            self._touched |= frames_of(atom)
        self._timer.start()

    def _note_any(self, event: Any = None) -> None:
        self._touched.update(range(len(self._now)))
        self._timer.start()

    def _note_redraw(self, event: Any = None) -> None:
        """Tell an undo from a slider: napari redraws the layer for both, but only one moves."""
        place = self._where()
        if place == self._place:
            self._note_any()
        self._place = place

    def _where(self) -> tuple[Any, ...]:
        dims = self._viewer.dims
        return (dims.point, dims.order, dims.ndisplay, dims.margin_left, dims.margin_right)

    def flush(self) -> None:
        """Measure what has changed, now."""
        self._timer.stop()
        layer, touched = self._layer, sorted(self._touched)
        self._touched.clear()
        if layer is None:
            return
        if len(layer.data) != len(self._now):
            self._now = [0] * len(layer.data)
            touched = list(range(len(layer.data)))
        changed = [t for t in touched if self._note_checksum(layer, t)]
        if changed:
            self._measure(layer)
            self.edited.emit()
        self._tell_dirty()
        self._since_flush.start()

    def _note_checksum(self, layer: LabelsLayer, frame: int) -> bool:
        new = checksum(layer.data[frame])
        if new == self._now[frame]:
            return False
        self._now = [*self._now[:frame], new, *self._now[frame + 1 :]]
        self._box = wider(self._box, box_of(layer.data[frame]))
        return True

    def _measure(self, layer: LabelsLayer) -> None:
        """Measure inside the box that holds every label: the rest counts for nothing."""
        labels = labels_of(layer)
        small = replace(labels, data=labels.data[(..., *self._box)], notes=self._session.notes)
        try:
            self._session.set_measurements(measure_volumes(small))
        except MeasurementError:
            self._session.set_measurements(None)

    @property
    def _state(self) -> State:
        return self._now, self._session.overrides

    def _tell_dirty(self) -> None:
        self._session.set_dirty(self._layer is not None and self._state != self._saved)

    def state_now(self) -> State:
        """State to hand to `mark_saved` once it has reached a file."""
        self.flush()
        return self._state

    def mark_saved(self, state_then: State) -> None:
        """Say that this state needs no saving: it is in a file, or came out of a model."""
        self._saved = state_then
        self._tell_dirty()


def frames_of(atom: Any) -> set[int]:
    """Frames that one atom of napari's edit history touches.

    An atom of brush, fill and polygon has a box of slices as `slice_key`; one
    of `data_setitem` is a tuple that starts with an index array per axis.
    """
    if hasattr(atom, "slice_key"):
        phases = atom.slice_key[0]
        return set(range(phases.start, phases.stop))
    return set(np.unique(atom[0][0]).tolist())


def checksum(frame: np.ndarray) -> int:
    """Checksum of one frame, shape (z, y, x); under a millisecond for a usual one."""
    return zlib.crc32(np.ascontiguousarray(frame))


def checksums(data: Iterable[np.ndarray]) -> list[int]:
    """Checksum of every frame."""
    return [checksum(frame) for frame in data]


def box_of(data: np.ndarray) -> Box:
    """Rows and columns that hold every label of an array of shape (..., y, x)."""
    flat = data.reshape(-1, *data.shape[-2:])
    rows, columns = np.flatnonzero(flat.any((0, 2))), np.flatnonzero(flat.any((0, 1)))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def wider(box: Box, other: Box) -> Box:
    """The box around two boxes; one of no extent adds nothing."""
    if box[0].stop == 0 or other[0].stop == 0:
        return other if box[0].stop == 0 else box
    pairs = zip(box, other, strict=True)
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)
    return rows, columns
