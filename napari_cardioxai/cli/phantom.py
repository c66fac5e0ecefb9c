"""Cohorts of hearts and brains whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import progress

app = typer.Typer()


@app.command()
def phantom(
    spec: Annotated[
        str,
        typer.Argument(
            help="Built-in name such as `mixed`, `brain`, `brain-one-sided` or `brain-varied`, or a file."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    images: Annotated[bool, typer.Option("--images", help="Simulate bSSFP images too.")] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Export them as a scanner would.")] = False,
    maps: Annotated[
        Path | None,
        typer.Option("--maps", help="Of brains: folder of label maps to make them from."),
    ] = None,
) -> None:
    """Make a cohort whose truth is known: beating hearts in closed form, brains by voxel."""
    from napari_cardioxai.phantom.brain import BRAINS
    from napari_cardioxai.phantom.cohort import generate

    if spec in BRAINS:
        _brains(spec, maps, output, subjects=subjects, seed=seed)
        return
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


def _brains(spec: str, maps: Path | None, output: Path, *, subjects: int, seed: int) -> None:
    from napari_cardioxai.phantom.brain_cohort import generate_brains
    from napari_cardioxai.phantom.volume_curve import PhantomError

    if maps is None:
        raise PhantomError(
            f"{spec} needs --maps, a folder of brain label maps with FreeSurfer's numbers."
        )
    with progress() as on_progress:
        manifest = generate_brains(
            spec, maps, output, subjects=subjects, seed=seed, on_progress=on_progress
        )
    print(manifest)
