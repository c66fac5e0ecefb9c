"""Patient directions at the edges of the canvas, and where in the heart and its cycle one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.components.overlays import TextOverlay

from napari_cardioxai.app import napari_compat
from napari_cardioxai.app.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

# Names of our overlays among the canvas overlays of the viewer.
EDGES = {
    "cardioxai_top": "top_center",
    "cardioxai_bottom": "bottom_center",
    "cardioxai_left": "middle_left",
    "cardioxai_right": "middle_right",
}
POSITION = "cardioxai_position"

_TEXT = "#ffe9a8"
_BEHIND = (0.0, 0.0, 0.0, 0.55)


class CanvasTexts:
    """Orientation letters and the position line of one viewer's canvas.

    They are napari text overlays: part of the canvas, so part of screenshots,
    and on a dark box of their own, so readable on lung and on fat. Letters
    follow the displayed axes and the direction in which the canvas draws them;
    in 3-D they are hidden, because the edges then point nowhere in particular.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._viewer = napari_compat.unwrapped(viewer)
        self._session = session
        overlays = self._viewer.canvas.overlays
        for name, position in {**EDGES, POSITION: "top_left"}.items():
            overlays[name] = TextOverlay(
                position=position,
                font_size=16 if name in EDGES else 11,
                color=_TEXT,
                box_color=_BEHIND,
                visible=False,
            )
        dims = self._viewer.dims
        dims.events.order.connect(self.update_letters)
        dims.events.ndisplay.connect(self.update_letters)
        dims.events.ndim.connect(self.update_letters)
        self._viewer.scene.camera.events.orientation.connect(self.update_letters)
        dims.events.current_step.connect(self.update_position)
        session.scan_changed.connect(self.update_letters)
        session.scan_changed.connect(self.update_position)

    def letters(self) -> dict[str, str]:
        """Letter at each edge, by overlay name; empty where nothing can be said."""
        scan, dims = self._session.scan, self._viewer.dims
        pairs = None if scan is None else scan.geometry.orientation_letters()
        if pairs is None or dims.ndisplay != 2:
            return {}
        # The scan's (phase, slice, y, x) are the last four axes of the viewer.
        vertical, horizontal = (axis - (dims.ndim - 4) - 1 for axis in dims.displayed)
        down, right = self._viewer.scene.camera.orientation2d
        found: dict[str, str] = {}
        if 0 <= vertical < 3:
            start, end = pairs[vertical][:: 1 if down == "down" else -1]
            found |= {"cardioxai_top": start, "cardioxai_bottom": end}
        if 0 <= horizontal < 3:
            start, end = pairs[horizontal][:: 1 if right == "right" else -1]
            found |= {"cardioxai_left": start, "cardioxai_right": end}
        return found

    def update_letters(self) -> None:
        """Draw the letters that belong to the displayed axes."""
        letters = self.letters()
        for name in EDGES:
            overlay = self._viewer.canvas.overlays[name]
            overlay.text = letters.get(name, "")
            overlay.visible = name in letters

    def update_position(self) -> None:
        """Draw phase and slice, in ms and mm where these are known."""
        overlay = self._viewer.canvas.overlays[POSITION]
        text = position_text(self._viewer, self._session)
        overlay.text = text
        overlay.visible = bool(text)


def position_text(viewer: Viewer, session: Session) -> str:
    """Where the sliders stand: "phase 6 of 20 · 210 ms" and "slice 5 of 12 · 40 mm"."""
    scan, dims = session.scan, viewer.dims
    if scan is None or dims.ndim < 4:
        return ""
    frames, slices = scan.data.shape[:2]
    phase, z = (int(step) for step in dims.current_step[-4:-2])
    lines = []
    if frames > 1 and 0 <= phase < frames:
        times = scan.frame_times_ms
        when = "" if times is None else f"  ·  {times[phase]:.0f} ms"
        lines.append(f"phase {phase + 1} of {frames}{when}")
    if slices > 1 and 0 <= z < slices:
        positions, spacing = scan.geometry.slice_positions_mm, scan.geometry.spacing_mm
        where = ""
        if positions is not None:
            where = f"  ·  {abs(positions[z] - positions[0]):.1f} mm"
        elif spacing is not None:
            where = f"  ·  {z * spacing[0]:.1f} mm"
        lines.append(f"slice {z + 1} of {slices}{where}")
    return "\n".join(lines)
