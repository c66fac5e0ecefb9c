"""Commands of napari's menus and command palette."""

from __future__ import annotations


def open_study() -> None:
    """Show the Study dock of the current viewer and its folder dialogue."""
    import napari

    from napari_cardioxai.app.window import study_dock

    viewer = napari.current_viewer()
    if viewer is not None:
        study_dock(viewer).open_section.ask_for_folder()
