"""A picture of the Concepts dock at work on the shipped sample, for the README.

Needs a display; a virtual one (Xvfb) is enough. Call: picture_concepts.py PICTURE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cardioxai.app.window import (
    open_window,
    process_events,
    process_until,
    segment_when_open,
    wait_for_job,
)
from napari_cardioxai.scans.samples import sample_path

if TYPE_CHECKING:
    from napari.viewer import Viewer

MODEL, CONCEPT, ALPHA = "clough", "low PFR", -2.0
_LONGEST_S = 600.0


def main() -> None:
    """Segment the sample, walk its heart and save a picture of the window."""
    picture = Path(sys.argv[1])
    viewer = open_window(sample_path())
    try:
        ended: list[bool] = []
        segment_when_open(viewer, on_end=lambda: ended.append(True))
        _wait(lambda: ended, "the segmentation")
        wait_for_job(viewer)
        _show_concepts(viewer)
        process_events(1.0)
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
    finally:
        viewer.close()


def _show_concepts(viewer: Viewer) -> None:
    """The heart two standard deviations along a concept."""
    dock: Any = viewer.window.add_plugin_dock_widget("napari-cardioxai", "Concepts")[1]
    live = dock.live
    live.choose(MODEL)
    _wait(lambda: live.model == MODEL and live.loaded is not None, "the concept book")
    live.start()
    _wait(lambda: live.heart is not None and not live.is_busy, "the heart")
    dock.sliders.choose(CONCEPT)
    live.move({CONCEPT: ALPHA})
    _wait(lambda: not live.is_busy, "the walk")


def _wait(condition: Callable[[], Any], what: str) -> None:
    if not process_until(condition, _LONGEST_S):
        raise SystemExit(f"{what} did not come within {_LONGEST_S:.0f} s.")


if __name__ == "__main__":
    main()
