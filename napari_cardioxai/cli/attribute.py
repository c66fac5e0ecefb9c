"""Where in a study a model's answer comes from, and how far each map of it may be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.cli.console import print_json, progress, say
from napari_cardioxai.cli.options import Device, Json, Series, StudyPath
from napari_cardioxai.errors import AttributionError

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.attribution.explain import StudyMaps
    from napari_cardioxai.progress import Progress
    from napari_cardioxai.scans.scan import Scan

app = typer.Typer()

_DEPTHS = ("none", "quick", "full")
_COLUMNS = {"auprc": "AUPRC", "faithfulness": "faithful", "randomised": "random"}


@app.command()
def attribute(
    path: StudyPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    model: Annotated[
        str,
        typer.Option(
            help="Name or folder of a segmenter, a latent classifier or an image classifier."
        ),
    ] = DEFAULT_SEGMENTER,
    method: Annotated[str, typer.Option(help="Names with commas between them, or all.")] = "all",
    target: Annotated[
        str | None,
        typer.Option(
            help="A structure ('LV cavity' is its volume; 'LV cavity logit'), a class or a "
            "concept; the first structure or the decided class when left out."
        ),
    ] = None,
    frame: Annotated[
        str, typer.Option(help="Of a segmenter: frames counted from 1, such as 1,9, or all.")
    ] = "1",
    slices: Annotated[
        str | None,
        typer.Option(
            "--slice",
            help="Of a segmenter: slices counted from 1, or all; the one with most of the "
            "structure when left out.",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of the scan, for regions and for where maps point.")
    ] = None,
    segmenter: Annotated[
        str, typer.Option(help="Labels a scan for a latent classifier.")
    ] = DEFAULT_SEGMENTER,
    truth: Annotated[
        Path | None, typer.Option(help="NIfTI mask of where the evidence should lie.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="zero, mean, blur, black and white, noise, background or a number; zero for "
            "pictures and background for labels when left out."
        ),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="For class activation maps.")] = None,
    scores: Annotated[
        str, typer.Option(help="none, quick, or full with every sanity check.")
    ] = "quick",
    regions: Annotated[
        str | None,
        typer.Option(
            help="structures, aha, or a NIfTI atlas with --names; AHA segments where the labels "
            "show them when left out, and no table where nothing is labelled."
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="CSV of the atlas, columns value and name.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    series: Series = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Heat maps on the grid of a scan, volume or picture, with scores, controls and a verdict each."""
    how: dict[str, Any] = {
        "methods": [name.strip() for name in method.split(",") if name.strip()],
        "target": target,
        "frames": _counted(frame, "--frame"),
        "slices": None if slices is None else _counted(slices, "--slice"),
        "baseline": _number_or_name(baseline),
        "layer": layer,
        "depth": _depth(scores),
        "seed": seed,
        "device": device,
    }
    from napari_cardioxai.attribution.results import write_maps
    from napari_cardioxai.attribution.study import explain_study, kind_of_model
    from napari_cardioxai.attribution.summary_regions import read_mask

    with progress() as on_progress:
        reads_labels = kind_of_model(model).reads == "labels"
        scan, given, notes = _read(
            path,
            labels,
            series=series,
            segmenter=segmenter if reads_labels else None,
            device=device,
            on_progress=on_progress,
        )
        source = given if scan is None else scan
        assert source is not None
        grid: dict[str, Any] = {"geometry": source.geometry, "shape": source.data.shape}
        result = explain_study(
            model,
            scan=scan,
            labels=given,
            truth=None if truth is None else read_mask(truth, **grid),
            regions=_regions(regions, names, grid),
            on_progress=on_progress,
            **how,
        )
        picture = None if scan is None or scan.data.shape[:2] != (1, 1) else scan.data[0, 0]
        files = write_maps(result, output, picture=picture, on_progress=on_progress)
    if as_json:
        said = result.as_json()
        print_json({**said, "notes": [*notes, *said["notes"]], "files": files})
        return
    _print(result)
    for note in (*notes, *result.notes):
        say(f"! {note}")
    for file in files:
        say(str(file))


def _read(
    path: Path,
    labels: Path | None,
    *,
    series: int | None,
    segmenter: str | None,
    device: str,
    on_progress: Progress,
) -> tuple[Scan | None, Labels | None, tuple[str, ...]]:
    """The scan, its labels, and what must be known of these; labels are made for a model of labels."""
    from napari_cardioxai import studies
    from napari_cardioxai.anatomy.label_files import read_labels
    from napari_cardioxai.decisions import is_label_file
    from napari_cardioxai.scans.catalogue import load_scan

    if segmenter is not None and is_label_file(path):
        read = read_labels(path)
        return None, read, read.notes
    scan = load_scan(path, series=series, on_progress=on_progress)
    if labels is not None:
        read = read_labels(labels, scan=scan)
        return scan, read, (*scan.provenance.warnings, *read.notes)
    if segmenter is None:
        return scan, None, scan.provenance.warnings
    made = studies.segment(scan, model=segmenter, device=device, on_progress=on_progress)
    by = f"The labels were made by {made.model} and not read over by a person."
    return scan, made.labels, (*scan.provenance.warnings, by, *made.notes)


def _regions(regions: str | None, names: Path | None, grid: dict[str, Any]) -> Any:
    if regions is None or regions in ("structures", "aha"):
        if names is not None:
            raise AttributionError("--names belong to an atlas; give it with --regions.")
        return regions
    from napari_cardioxai.attribution.summary_regions import read_atlas

    if names is None:
        raise AttributionError(
            f"{regions} needs --names, a CSV with the columns value and name; or choose "
            "structures or aha."
        )
    return read_atlas(Path(regions), names, **grid)


def _counted(text: str, option: str) -> tuple[int, ...] | Literal["all"]:
    """Indices from numbers that count from 1."""
    if text.strip().lower() == "all":
        return "all"
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise AttributionError(
            f"{option} takes numbers with commas between them, or all; not {text!r}."
        ) from error
    if min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise AttributionError(f"{option} counts from 1, each number once; not {text!r}.")
    return tuple(number - 1 for number in numbers)


def _number_or_name(baseline: str | None) -> str | float | None:
    from contextlib import suppress

    if baseline is not None:
        with suppress(ValueError):
            return float(baseline)
    return baseline


def _depth(scores: str) -> str:
    if scores not in _DEPTHS:
        raise AttributionError(f"--scores is {', '.join(_DEPTHS)}, not {scores!r}.")
    return scores


def _print(result: StudyMaps) -> None:
    print(f"{result.subject.target.text}")
    print(f"{'':<20} {'s':>7} {'MiB':>7} " + " ".join(f"{t:>9}" for t in _COLUMNS.values()))
    for one in result.maps.values():
        memory = "" if one.peak_mib is None else f"{one.peak_mib:.0f}"
        print(
            f"{one.method:<20} {one.explanation.seconds:>7.1f} {memory:>7} {_numbers(one.scores)}"
        )
    for name, scores in result.controls.items():
        print(f"{'(' + name + ')':<20} {'':>7} {'':>7} {_numbers(scores)}")
    for one in result.maps.values():
        if one.judgement is not None:
            print(f"{one.method}: {one.judgement.sentence}")
    for name, reason in result.invalid.items():
        print(f"{name}: not for this network. {reason}")
    ranked = [row for row in result.regions if row.rank is not None]
    for row in sorted(ranked, key=lambda row: row.rank or 0):
        print(f"{row.rank:>3}  {row.name:<22} {100 * row.energy:5.1f} % of the summary's energy")
    if result.summary is not None and result.summary.agreement is not None:
        print(f"agreement of the methods, Kendall's W {result.summary.agreement:.2f}")


def _numbers(scores: Any) -> str:
    return " ".join(f"{scores[name]:>9.3f}" if name in scores else f"{'':>9}" for name in _COLUMNS)
