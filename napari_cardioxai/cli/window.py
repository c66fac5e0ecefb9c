"""The door to the window."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import print_rows, progress

app = typer.Typer()


@app.command()
def gui(path: Annotated[Path | None, typer.Argument(help="A study to open.")] = None) -> None:
    """Open the window."""
    from napari_cardioxai.app.window import launch

    launch(path)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("demo-output"),
    window: Annotated[bool, typer.Option(help="Show the window and leave it open.")] = True,
) -> None:
    """The main job on the shipped sample: results and a screenshot, and the window to look at."""
    from napari_cardioxai.app.window import screenshot_main_job, show_main_job
    from napari_cardioxai.report.results import write_results
    from napari_cardioxai.scans.samples import sample_path
    from napari_cardioxai.studies import analyze as analyze_study

    with progress() as on_progress:
        study = analyze_study(sample_path(), on_progress=on_progress)
        files = write_results(study, output, on_progress=on_progress)
    print_rows(study.measurements)
    for file in files:
        print(file)
    if window and not os.environ.get("CARDIOXAI_VIRTUAL_DISPLAY"):
        show_main_job(sample_path())
    else:
        print(screenshot_main_job(sample_path(), output / "screenshot.png"))
