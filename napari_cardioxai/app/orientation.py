"""Patient directions at the edges of the canvas."""

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

_TEXT = "#ffe9a8"
_BEHIND = (0.0, 0.0, 0.0, 0.75)


class OrientationLetters:
    """Letters such as A, P, L, R at the four edges of one viewer's canvas.

    They are napari text overlays: part of the canvas, so part of screenshots,
    and on a dark box of their own, so readable on lung and on fat. Letters
    follow the displayed axes and the direction in which the canvas draws them;
    in 3-D they are hidden, because the edges then point nowhere in particular.
    Only texts that stay put are drawn this way: changing one costs several
    milliseconds, too much for something that follows a slider.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._viewer = napari_compat.unwrapped(viewer)
        self._session = session
        overlays = self._viewer.canvas.overlays
        for name, position in EDGES.items():
            overlays[name] = TextOverlay(
                position=position,
                font_size=16,
                color=_TEXT,
                box_color=_BEHIND,
                visible=False,
            )
        dims = self._viewer.dims
        dims.events.order.connect(self.update)
        dims.events.ndisplay.connect(self.update)
        dims.events.ndim.connect(self.update)
        self._viewer.scene.camera.events.orientation.connect(self.update)
        session.scan_changed.connect(self.update)

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

    def update(self) -> None:
        """Draw the letters that belong to the displayed axes."""
        letters = self.letters()
        for name in EDGES:
            overlay = self._viewer.canvas.overlays[name]
            overlay.text = letters.get(name, "")
            overlay.visible = name in letters
