"""One study: what is in it, its labels, its measurements, its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.cli.console import print_json, print_rows, progress, say, say_findings
from napari_cardioxai.cli.options import Device, Json, Model, Series, StudyPath
from napari_cardioxai.errors import OutputError
from napari_cardioxai.files import check_file_place, check_folder_place

app = typer.Typer()


@app.command()
def info(path: StudyPath, as_json: Json = False) -> None:
    """List the series of a study: kind, size, spacing, times, warnings."""
    from napari_cardioxai.scans.catalogue import find_series

    with progress() as on_progress:
        catalogue = find_series(path, on_progress=on_progress)
    if as_json:
        print_json(catalogue.as_json())
        for warning in catalogue.warnings:
            say(f"! {warning}")
        return
    for index, entry in enumerate(catalogue.entries):
        frames, slices, rows, columns = entry.shape
        spacing = (
            " x ".join(f"{s:.3g}" for s in entry.spacing_mm) + " mm"
            if entry.spacing_mm
            else "unknown"
        )
        mark = "*" if index == catalogue.default else " "
        print(f"{mark} {index}  {entry.kind:<16}  {entry.name}")
        print(f"     {frames} frames, {slices} slices of {rows} x {columns}; spacing {spacing}")
        if entry.order_rule:
            print(f"     frames ordered by {entry.order_rule}")
        for warning in entry.warnings:
            print(f"     ! {warning}")
    for warning in catalogue.warnings:
        print(f"! {warning}")


@app.command()
def segment(
    path: StudyPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Label file (.nii.gz), or a folder for pictures.")
    ],
    model: Model = DEFAULT_SEGMENTER,
    device: Device = "auto",
    series: Series = None,
) -> None:
    """Label every frame and slice: 1 LV cavity, 2 myocardium, 3 RV cavity."""
    from napari_cardioxai import studies
    from napari_cardioxai.anatomy.label_files import write_labels
    from napari_cardioxai.scans.catalogue import load_scan
    from napari_cardioxai.scans.images import is_picture_folder

    pictures = is_picture_folder(path)
    if pictures:
        check_folder_place(output)
    else:
        _check_label_name(output)
    with progress() as on_progress:
        if pictures:
            count, notes = studies.segment_pictures(
                path, output, model=model, device=device, on_progress=on_progress
            )
            say(f"{count} pictures labelled into {output}.")
        else:
            scan = load_scan(path, series=series, on_progress=on_progress)
            _check_spares(output, scan.provenance.files)
            result = studies.segment(scan, model=model, device=device, on_progress=on_progress)
            write_labels(output, result.labels)
            notes = (*scan.provenance.warnings, *result.notes)
            frames, slices = result.labels.data.shape[:2]
            say(
                f"{frames} x {slices} pictures labelled in {result.seconds:.1f} s on {result.device}; "
                f"labels in {output}."
            )
    for note in notes:
        say(f"! {note}")


@app.command()
def measure(
    labels: Annotated[Path, typer.Argument(help="Label file: NIfTI, or PNG of one slice.")],
    scan: Annotated[
        Path | None, typer.Option(help="The scan, for frame times and to check the grid.")
    ] = None,
    height_cm: Annotated[float | None, typer.Option(help="For indices per body surface.")] = None,
    weight_kg: Annotated[float | None, typer.Option(help="For indices per body surface.")] = None,
    as_json: Json = False,
) -> None:
    """Volumes, function, walls and quality from labels; heeds NAME.quality.json beside them."""
    from napari_cardioxai.anatomy.label_files import read_labels
    from napari_cardioxai.anatomy.measurements import measure as measure_labels
    from napari_cardioxai.anatomy.quality import check, overrides_path, read_overrides
    from napari_cardioxai.report.table import as_json as table_as_json
    from napari_cardioxai.scans.catalogue import load_scan

    with progress() as on_progress:
        on_progress(0, 0, "reading")
        overrides = read_overrides(overrides_path(labels))
        loaded = None if scan is None else load_scan(scan, on_progress=on_progress)
        read = read_labels(labels, scan=loaded)
        on_progress(0, 0, "measuring")
        result = measure_labels(read, height_cm=height_cm, weight_kg=weight_kg)
        quality = check(read, scan=loaded).with_overrides(overrides)
    if as_json:
        print_json(table_as_json(result, quality))
        return
    print_rows(result)
    say_findings(quality)


@app.command()
def analyze(
    path: StudyPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    model: Model = DEFAULT_SEGMENTER,
    device: Device = "auto",
    series: Series = None,
) -> None:
    """Segment, measure and report one study: labels, JSON, CSV and a self-contained HTML file.

    Findings that a reviewer overruled in labels.quality.json of the output folder stay overruled.
    """
    from napari_cardioxai.anatomy.quality import overrides_path, read_overrides
    from napari_cardioxai.report.results import LABELS_FILE, write_results
    from napari_cardioxai.studies import analyze as analyze_study

    check_folder_place(output)
    _check_spares(output / LABELS_FILE, (path,))
    with progress() as on_progress:
        study = analyze_study(
            path,
            series=series,
            model=model,
            device=device,
            overrides=read_overrides(overrides_path(output / LABELS_FILE)),
            on_progress=on_progress,
        )
        files = write_results(study, output, on_progress=on_progress)
    print_rows(study.measurements)
    say_findings(study.quality)
    for file in files:
        say(str(file))


@app.command()
def models(as_json: Json = False) -> None:
    """List the models that come with the program and your own."""
    from napari_cardioxai.bundles.bundle import available_cards

    cards, faults = available_cards()
    for fault in faults:
        say(f"! {fault}")
    if as_json:
        print_json({name: card.as_json() for name, card in cards.items()})
        return
    for name, card in cards.items():
        print(f"{name:<16} {card.kind:<18} {card.title}")


def _check_label_name(path: Path) -> None:
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise OutputError(f"{path} must end in .nii.gz or .nii: labels are written as NIfTI.")
    check_file_place(path)


def _check_spares(path: Path, files: tuple[Path, ...]) -> None:
    """Refuse to write over what was read."""
    if path.resolve() in {file.resolve() for file in files}:
        raise OutputError(f"{path} is the scan itself; give the labels a name of their own.")
