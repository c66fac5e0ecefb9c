"""Mean hearts in the viewer, beating beside the scan, with a line that is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer, Shapes
from qtpy.QtCore import QTimer

from napari_cardioxai.app.layer_styles import DECODED_STYLE, LINE_STYLE, OTHERS_STYLE
from napari_cardioxai.app.layers import LayerOrigin, origin_of
from napari_cardioxai.app.live_mmode import LiveMMode

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

    from napari_cardioxai.anatomy.mmode import MMode
    from napari_cardioxai.app.desk import Desk
    from napari_cardioxai.app.workers import Work
    from napari_cardioxai.maps.group import MeanHeart
    from napari_cardioxai.progress import Progress

LINE_NAME = "Mean heart line"
_GAP_MM = 10.0  # between the scan and the mean heart


@dataclass(frozen=True)
class MeanView:
    """What the line sees of the mean hearts, and in which of their slices, from 0."""

    group: MMode
    others: MMode | None
    slice_index: int


class MeanHeartLayers(LiveMMode):
    """The mean heart of a group as labels, that of the others as its outline, and one line.

    Where a scan is open they take over its frames and slices, or the sliders
    would stand between the two: frames by their part of the cycle, the three
    slices by thirds of the stack.
    """

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(desk)
        self.setParent(parent)
        self._means: tuple[MeanHeart, MeanHeart | None] | None = None
        self._layers: list[LabelsLayer] = []
        self._kept_line: np.ndarray | None = None
        self._frames, self._slices = np.empty(0, np.intp), np.empty(0, np.intp)

    # Layers -----------------------------------------------------------------------------

    def show(self, group: MeanHeart, others: MeanHeart | None) -> None:
        """Put mean hearts on screen; a line that was drawn before stays, else one is proposed."""
        line = None if self._line is None else self._line.copy()
        self.remove()
        self._show_with((group, others), line)

    def _show_with(
        self, means: tuple[MeanHeart, MeanHeart | None], line: np.ndarray | None
    ) -> None:
        self._means = means
        self._lay_out()
        if line is None:
            from napari_cardioxai.maps.group import line_across

            found = line_across(means[0].labels)
            line = None if found is None else np.array(found[1:])
        QTimer.singleShot(0, lambda: self._draw_line(line))

    def remove(self) -> None:
        """Take hearts and line away."""
        self._means = self._kept_line = None
        super().remove()
        self._drop_layers()

    def mean_frame(self, phase: int) -> int:
        """Frame of the mean heart that is seen with a frame of the viewer."""
        return int(self._frames[phase]) if 0 <= phase < len(self._frames) else -1

    def go_to_frame(self, frame: int) -> None:
        """Show a frame of the mean heart."""
        if len(self._frames):
            self._desk.go_to_phase(int(np.argmin(np.abs(self._frames - frame))))

    def _drop_layers(self) -> None:
        layers, self._layers = self._layers, []
        for layer in layers:
            if layer in self._desk.viewer.layers:
                self._desk.viewer.layers.remove(layer)

    def _lay_out(self) -> None:
        assert self._means is not None
        group, others = self._means
        scan_layer = self._session.scan_layer
        count, slices = group.labels.data.shape[:2]
        shape = (count, slices) if scan_layer is None else scan_layer.data.shape[:2]
        self._frames = np.arange(shape[0]) * count // shape[0]
        self._slices = np.arange(shape[1]) * slices // shape[1]
        if scan_layer is not None and self._is_apex_first():
            self._slices = self._slices[::-1]
        active = self._desk.viewer.layers.selection.active
        for heart, style in ((group, DECODED_STYLE), (others, OTHERS_STYLE)):
            if heart is None:
                continue
            data = np.ascontiguousarray(heart.labels.data[self._frames][:, self._slices])
            name = f"Mean heart: {heart.name}"
            attributes = {"name": name, **self._placed(heart), **style.as_kwargs()}
            layer = Layer.create(data, attributes, "labels")
            layer.editable = False
            if heart is others:
                layer.contour = style.outline_width
            self._layers.append(self._desk.actions.add_beside(layer))
        if active is not None:
            self._desk.viewer.layers.selection.active = active
        self._desk.viewer.reset_view()

    def _is_apex_first(self) -> bool:
        """Whether the scan begins at the apex, as far as its place in the patient tells."""
        from napari_cardioxai.anatomy.base import is_base_first

        scan = self._session.scan
        return scan is not None and (
            is_base_first(np.zeros(scan.data.shape[1]), scan.geometry) is False
        )

    def _placed(self, heart: MeanHeart) -> dict[str, Any]:
        """Where it lies: to the right of the scan, on the scan's clock and slices."""
        labels = heart.labels
        own = LayerOrigin(labels.geometry, labels.frame_times_ms, labels.cycle_ms)
        placement = own.placement(len(labels.data))
        scan_layer = self._session.scan_layer
        if scan_layer is None:
            return placement
        scale = (*scan_layer.scale[:2], *placement["scale"][2:])
        height, width = (
            size * step
            for size, step in zip(scan_layer.data.shape[2:], scan_layer.scale[2:], strict=True)
        )
        mine = labels.data.shape[2] * scale[2]
        down = scan_layer.translate[2] + (height - mine) / 2
        right = scan_layer.translate[3] + width + _GAP_MM
        origin = origin_of(scan_layer.metadata)
        like = placement if origin is None else origin.placement(scan_layer.data.shape[0])
        return {**like, "scale": scale, "translate": (*scan_layer.translate[:2], down, right)}

    def _on_scan(self) -> None:
        """On the grid of another scan the hearts lie elsewhere, and beat by its clock."""
        means = self._means
        if means is None:
            return
        if self._line is not None:
            self._kept_line = self._line.copy()
        super().remove()
        self._drop_layers()
        if self._session.scan is not None:
            QTimer.singleShot(0, lambda: self._again(means))

    def _again(self, means: tuple[MeanHeart, MeanHeart | None]) -> None:
        if self._means is means and not self._layers:
            self._show_with(means, self._kept_line)

    def _on_removed(self, event: Any) -> None:
        super()._on_removed(event)
        if event.value in self._layers:
            self._layers = [layer for layer in self._layers if layer is not event.value]

    # The line ---------------------------------------------------------------------------

    def _source(self) -> Any:
        return self._layers[0] if self._layers else None

    def _new_layer(self, source: Any) -> Shapes:
        two = {"scale": source.scale[-2:], "translate": source.translate[-2:]}
        two |= {"units": source.units[-2:], "axis_labels": source.axis_labels[-2:]}
        return Shapes(None, ndim=2, name=LINE_NAME, **two, **LINE_STYLE.as_kwargs())

    def _draw_line(self, line: np.ndarray | None) -> None:
        """Put a line on the heart as if somebody had drawn it."""
        if line is None or not self._layers:
            return
        active = self._desk.viewer.layers.selection.active
        self._use("direct")
        self.layer.selected_data = set(range(len(self.layer.data)))
        self.layer.remove_selected()
        self.layer.add_lines([line])
        if active is not None and active in self._desk.viewer.layers:
            self._desk.viewer.layers.selection.active = active
        self._on_redraw()

    def _prepare(self) -> Work | None:
        means, line, index = self._means, self._line, self._desk.slice
        if means is None or line is None or not np.linalg.norm(line[1] - line[0]) > 0:
            return None
        z = int(self._slices[index]) if 0 <= index < len(self._slices) else len(self._slices) // 2

        def work(on_progress: Progress) -> MeanView:
            from napari_cardioxai.anatomy.mmode import label_mmode

            seen = [
                None
                if heart is None
                else label_mmode(
                    heart.labels.data,
                    slice_index=z,
                    start=tuple(line[0]),
                    end=tuple(line[1]),
                    geometry=heart.labels.geometry,
                    frame_times_ms=heart.labels.frame_times_ms,
                )
                for heart in means
            ]
            return MeanView(seen[0], seen[1], z)

        return work
