"""A line on the image and what it sees, kept up to date while it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.layer_styles import LINE_STYLE
from napari_cardioxai.app.layers import origin_of

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.mmode import MMode
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.app.workers import Work
    from napari_cardioxai.progress import Progress

LINE_NAME = "M-mode line"
SOON_MS = 15


@dataclass(frozen=True)
class LineView:
    """What the line sees.

    Attributes
    ----------
    intensity, labels
        Along the line over the cycle; labels are None where there are none.
    slice_index
        Slice that it was read in, from 0.
    """

    intensity: MMode
    labels: MMode | None
    slice_index: int


class LiveMMode(QObject):
    """The line of one viewer.

    The line lies in (y, x) alone: it shows in every phase and in every slice,
    and is read in the slice in view.
    """

    changed = Signal(object)
    failed = Signal(str)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session = desk, desk.session
        self.layer: Shapes | None = None
        self._line: np.ndarray | None = None
        self.view: LineView | None = None
        self._job = LatestJob(self._prepare, self._show, delay_ms=SOON_MS, parent=self)
        self._job.failed.connect(self.failed)
        desk.slice_changed.connect(self._follow)
        desk.actions.live.edited.connect(self._follow)
        self._session.labels_changed.connect(self._follow)
        self._session.scan_changed.connect(self._on_scan)
        desk.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def has_line(self) -> bool:
        """Whether there is a line to read."""
        return self._line is not None

    @property
    def line(self) -> np.ndarray | None:
        """Its ends as (y, x) in pixels, shape (2, 2); None without a line."""
        return self._line

    def draw(self) -> None:
        """Let the next drag on the canvas draw the line."""
        self._use("add_line")

    def move(self) -> None:
        """Let a drag move the line as a whole."""
        self._use("select")
        if self.has_line:
            self.layer.selected_data = {0}

    def move_ends(self) -> None:
        """Let a drag move one end of the line."""
        self._use("direct")
        if self.has_line:
            self.layer.selected_data = {0}

    def remove(self) -> None:
        """Take the line off the image."""
        if self.layer is not None:
            self._desk.viewer.layers.remove(self.layer)

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        return self._job.close()

    def _use(self, mode: str) -> None:
        source = self._source()
        if source is None:
            return
        if self.layer is None:
            self.layer = self._desk.viewer.add_layer(self._new_layer(source))
            self.layer.events.set_data.connect(self._on_redraw)
            self.layer.mouse_drag_callbacks.append(self._on_drag)
        self.layer.visible = True
        self._desk.viewer.layers.selection.active = self.layer
        self.layer.mode = mode

    def _source(self) -> Any:
        """The layer that the line is drawn on, or None."""
        return self._session.scan_layer

    def _new_layer(self, scan_layer: Any) -> Shapes:
        origin = origin_of(scan_layer.metadata)
        placement = {} if origin is None else origin.placement(scan_layer.data.shape[0])
        two = {key: value[-2:] for key, value in placement.items()}
        return Shapes(None, ndim=2, name=LINE_NAME, **two, **LINE_STYLE.as_kwargs())

    def _show(self, view: LineView | None) -> None:
        self.view = view
        self.changed.emit(view)

    def _on_scan(self) -> None:
        """A line on another patient's heart is of no use."""
        self.remove()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.layer = self._line = None
            self._job.drop()
            self._show(None)

    def _on_drag(self, layer: Shapes, event: Any) -> Iterator[None]:
        """Called by napari for every drag on the canvas; runs on with each move of the mouse."""
        yield
        while event.type == "mouse_move":
            yield
        QTimer.singleShot(0, self._keep_newest)  # once napari has ended the drag too

    def _keep_newest(self) -> None:
        """Keep the newest line only, and make it movable once it is drawn."""
        layer = self.layer
        if layer is None:
            return
        if len(layer.data) > 1:
            layer.selected_data = set(range(len(layer.data) - 1))
            layer.remove_selected()
        if layer.mode == "add_line" and layer.data:
            self.move_ends()
        self._on_redraw()

    def _on_redraw(self, event: Any = None) -> None:
        """napari redraws for many reasons; only a line that lies elsewhere is one for us."""
        layer = self.layer
        ends = [shape[[0, -1]] for shape in layer.data if len(shape) >= 2] if layer else []
        new = np.array(ends[-1], float) if ends else None
        same = (
            new is self._line
            if new is None or self._line is None
            else np.array_equal(new, self._line)
        )
        if same:
            return
        self._line = new
        if new is None:
            self._job.drop()
            self._show(None)
        else:
            self._job.soon()

    def _follow(self, *_: Any) -> None:
        if self.has_line:
            self._job.soon()

    def _prepare(self) -> Work | None:
        scan, line, index = self._session.scan, self._line, self._desk.slice
        if scan is None or line is None or not 0 <= index < scan.data.shape[1]:
            return None
        if not np.linalg.norm(line[1] - line[0]) > 0:
            return None
        labels_layer = self._session.labels_layer
        fits = labels_layer is not None and labels_layer.data.shape == scan.data.shape
        label_data = labels_layer.data[:, index : index + 1].copy() if fits else None

        def work(on_progress: Progress) -> LineView:
            from napari_cardioxai.anatomy.mmode import label_mmode, mmode

            where = {
                "start": tuple(line[0]),
                "end": tuple(line[1]),
                "geometry": scan.geometry,
                "frame_times_ms": scan.frame_times_ms,
            }
            seen = mmode(scan.data, slice_index=index, **where)
            marked = None
            if label_data is not None and label_data.any():
                on_progress(1, 2, "reading labels")
                marked = label_mmode(label_data, slice_index=0, **where)
            return LineView(seen, marked, index)

        return work
