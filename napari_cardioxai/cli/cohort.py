"""Cohorts, before any modelling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from napari_cardioxai.cli.console import print_json, print_rows, progress, say
from napari_cardioxai.cli.options import Json, ManifestPath

app = typer.Typer(help="Look at cohorts before modelling.", no_args_is_help=True)


@app.command("check")
def check_cohort(
    manifest: ManifestPath,
    frames: Annotated[int, typer.Option(help="Frames of a sequence: 25 or 50.")] = 25,
    slices: Annotated[str, typer.Option(help="central or basal.")] = "central",
    rotate: Annotated[bool, typer.Option("--rotate", help="Turn the septum to the left.")] = False,
    as_json: Json = False,
) -> None:
    """Check a manifest and try every subject as training would; nothing is written."""
    from napari_cardioxai.cohorts.check import check_cohort as check
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.cohorts.normalisation import NormalisationSpec

    spec = NormalisationSpec(frames=frames, slices=cast(Any, slices), rotate=rotate)
    with progress() as on_progress:
        result = check(read_manifest(manifest), spec, on_progress=on_progress)
    if as_json:
        print_json(result.as_json())
        return
    print_rows(result)


@app.command("describe")
def describe_cohort(
    manifest: ManifestPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for HTML and JSON.")],
    label: Annotated[str, typer.Option(help="Column of what is to be learnt, 0 and 1.")] = "label",
    concept: Annotated[
        list[str] | None,
        typer.Option(help="Column of a concept; repeatable [every free column of 0 and 1]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe a cohort before any modelling, with what threatens: imbalance and shortcuts."""
    from napari_cardioxai.cohorts.describe import describe
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.report.cohort_report import write_description

    with progress() as on_progress:
        description = describe(
            read_manifest(manifest), label=label, concepts=concept, on_progress=on_progress
        )
        on_progress(0, 0, "writing")
        files = write_description(output, description)
    if as_json:
        print_json(description.as_json())
    else:
        print_rows(description)
    for warning in description.warnings:
        say(f"{'!' if warning.severity == 'warning' else 'i'} {warning.sentence}")
    for file in files:
        say(str(file))


@app.command("pictures")
def split_pictures(
    folder: Annotated[Path, typer.Argument(help="Has a folder of images for each class.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Manifest to write, a CSV file.")],
    share: Annotated[float, typer.Option(help="Part of each class that is held out.")] = 0.2,
    val: Annotated[
        float, typer.Option(help="Part to choose and calibrate by, set aside in the same manner.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threshold: Annotated[
        float | None,
        typer.Option(help="Likeness of near-duplicates [what strangers do not reach]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the images of classes and hold a part out, near-duplicates kept together.

    The manifest has three splits: `split` keeps pictures that show nearly the
    same on one side, `split_run` holds out one unbroken run of file numbers of
    each class (for files numbered patient by patient), `split_random` does neither.
    """
    from napari_cardioxai.cohorts.picture_splits import split_pictures as split

    with progress() as on_progress:
        result = split(
            folder,
            output,
            share=share,
            val=val,
            seed=seed,
            threshold=threshold,
            on_progress=on_progress,
        )
    if as_json:
        print_json(result.as_json())
        return
    print_rows(result)
    say(str(output))
