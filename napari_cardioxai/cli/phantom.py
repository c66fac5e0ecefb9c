"""Cohorts of hearts whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import progress

app = typer.Typer()


@app.command()
def phantom(
    spec: Annotated[
        str, typer.Argument(help="Built-in name such as `mixed`, or a TOML or JSON file.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    images: Annotated[bool, typer.Option("--images", help="Simulate bSSFP images too.")] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Export them as a scanner would.")] = False,
) -> None:
    """Make a cohort of beating hearts whose truth is known in closed form."""
    from napari_cardioxai.phantom.cohort import generate

    with progress() as on_progress:
        manifest = generate(
            spec,
            output,
            subjects=subjects,
            seed=seed,
            images=images or dicom,
            dicom=dicom,
            on_progress=on_progress,
        )
    print(manifest)
