"""The only place that touches napari's private parts.

Each function names the version that it was last checked with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QMainWindow


def unwrapped(viewer: Viewer) -> Viewer:
    """Return the viewer behind the proxy that napari hands to plugin widgets.

    A proxy dies with its widget, so nothing may be keyed by it. Last checked: napari 0.9.2.
    """
    return getattr(viewer, "__wrapped__", viewer)


def main_window(viewer: Viewer) -> QMainWindow:
    """Return the Qt window of a viewer, to hear of its closing. Last checked: napari 0.9.2."""
    return unwrapped(viewer).window._qt_window
