"""Pictures of the Concepts and the Attribution dock at work on the shipped sample, for the README.

Needs a display; a virtual one (Xvfb) is enough. Call: picture_docks.py FOLDER
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
    """Write concepts.png and attribution.png."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    viewer = open_window(sample_path())
    try:
        ended: list[bool] = []
        segment_when_open(viewer, on_end=lambda: ended.append(True))
        _wait(lambda: ended, "the segmentation")
        wait_for_job(viewer)
        concepts = _show_concepts(viewer)
        _picture(viewer, folder / "concepts.png")
        concepts.live.put_away()
        _show_attribution(viewer)
        _picture(viewer, folder / "attribution.png")
    finally:
        viewer.close()


def _picture(viewer: Viewer, file: Path) -> None:
    process_events(1.0)
    viewer.screenshot(str(file), canvas_only=False, flash=False)


def _show_concepts(viewer: Viewer) -> Any:
    """The heart two standard deviations along a concept."""
    dock = _dock(viewer, "Concepts")
    live = dock.live
    live.choose(MODEL)
    _wait(lambda: live.model == MODEL and live.loaded is not None, "the concept book")
    live.start()
    _wait(lambda: live.heart is not None and not live.is_busy, "the heart")
    dock.sliders.choose(CONCEPT)
    live.move({CONCEPT: ALPHA})
    _wait(lambda: not live.is_busy, "the walk")
    return dock


def _show_attribution(viewer: Viewer) -> None:
    """What in the labelled cycle speaks for the model's answer."""

    dock = _dock(viewer, "Attribution")
    live = dock.live
    _wait(lambda: live.explainers is not None, "the models")
    dock.choice.model.setCurrentText(MODEL)
    _wait(lambda: live.looked is not None, "the network")
    dock.explain()
    _wait(lambda: live.standing.stage in ("done", "failed", "cancelled"), "the maps")


def _dock(viewer: Viewer, name: str) -> Any:
    return viewer.window.add_plugin_dock_widget("napari-cardioxai", name)[1]


def _wait(condition: Callable[[], Any], what: str) -> None:
    if not process_until(condition, _LONGEST_S):
        raise SystemExit(f"{what} did not come within {_LONGEST_S:.0f} s.")


if __name__ == "__main__":
    main()
