"""`cardioxai cohort map`: who lies near whom in the eyes of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cardioxai.cli.console import print_json, progress, say
from napari_cardioxai.cli.options import Device, Json, ManifestPath

if TYPE_CHECKING:
    from napari_cardioxai.maps.cohort_map import CohortMap
    from napari_cardioxai.maps.subjects import MapSubjects


def map_cohort(
    manifest: ManifestPath,
    model: Annotated[str, typer.Option(help="Name or folder of a latent or image classifier.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for CSV and pictures.")],
    method: Annotated[str, typer.Option(help="pca, t-sne or umap.")] = "pca",
    part: Annotated[
        str | None,
        typer.Option(
            help="train, val, test, concept or all [the first there is of test, val, all]."
        ),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(help="Column for a picture; repeatable [label, prediction and concepts]."),
    ] = None,
    perplexity: Annotated[float, typer.Option(min=2, help="Of t-SNE.")] = 30.0,
    neighbours: Annotated[int, typer.Option(min=2, help="Of UMAP.")] = 15,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps activations [runs/concepts-MODEL].")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Draw a cohort as a model sees it: points, what they stand for, how far to trust the picture.

    A PCA comes with arrows: the mean gradient of the logit, and the directions
    of the concepts that the model carries, each with the share that lies in the plane.
    """
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.errors import CohortError
    from napari_cardioxai.files import replacing_files_in
    from napari_cardioxai.maps.cohort_map import make_map
    from napari_cardioxai.maps.subjects import EVERYBODY, parts_of, reader_for, subjects_of
    from napari_cardioxai.maps.table import write_points
    from napari_cardioxai.report.cohort_map_figure import map_figure

    table = read_manifest(manifest)
    there = parts_of(table)
    part = part or next((name for name in ("test", "val", EVERYBODY) if name in there), None)
    wanted = subjects_of(table, part or next(iter(there)))
    with progress() as on_progress:
        reader = reader_for(model, device=device)
        subjects = reader.read(
            table,
            wanted,
            cache=cache or Path("runs") / f"concepts-{reader.name}",
            on_progress=on_progress,
        )
        columns = _columns(subjects, colour)
        for name in columns:
            if name not in subjects.columns:
                raise CohortError(
                    f"there is no column {name!r} to colour by; choose from "
                    f"{', '.join(subjects.columns)}."
                )
        found = make_map(
            reader.name,
            subjects,
            method=method,
            seed=seed,
            perplexity=perplexity,
            neighbours=neighbours,
            on_progress=on_progress,
        )
        trusts = {name: found.trust(name, on_progress=on_progress) for name in columns}
        on_progress(0, 0, "writing")
        files = ["points.csv"]
        with replacing_files_in(output) as beside:
            write_points(beside / files[0], found)
            for name in columns:
                files.append(f"map_{name.replace('/', '-').replace(' ', '-')}.png")
                figure = map_figure(found, name, caption=trusts[name].sentence)
                figure.savefig(beside / files[-1], dpi=150)
    told = {**_as_json(found), "columns": [one.as_json() for one in trusts.values()]}
    told["files"] = [output / file for file in files]
    if as_json:
        print_json(told)
        return
    _print(found, [trusts[name].sentence for name in columns])
    for file in told["files"]:
        say(str(file))


def _columns(subjects: MapSubjects, asked: list[str] | None) -> list[str]:
    """What is drawn: as asked, or label, class, prediction and the concepts that were told."""
    if asked:
        return list(dict.fromkeys(asked))
    concepts = [one.name for one in subjects.directions if one.kind == "concept"]
    names = ["label", "class", "prediction", *concepts]
    found = [name for name in dict.fromkeys(names) if name in subjects.columns]
    return found or list(subjects.columns)[:1]


def _as_json(found: CohortMap) -> dict[str, Any]:
    projection = found.projection
    return {
        "model": found.model,
        "cohort": found.subjects.manifest.path.name,
        "method": projection.method,
        "settings": dict(projection.settings),
        "subjects": len(found.subjects),
        "left_out": dict(found.subjects.left_out),
        "explained": None if projection.explained is None else projection.explained.tolist(),
        "arrows": [
            {"name": a.name, "kind": a.kind, "vector": a.vector.tolist(), "share": a.share}
            for a in found.arrows
        ],
    }


def _print(found: CohortMap, sentences: list[str]) -> None:
    first, second = found.projection.axis_titles()
    print(f"{found.projection.title} of {len(found.subjects)} subjects: {first}, {second}")
    for arrow in found.arrows:
        print(f"  {arrow.sentence}")
    for sentence in sentences:
        print(sentence)
    if found.subjects.left_out:
        name, reason = next(iter(found.subjects.left_out.items()))
        say(f"! {len(found.subjects.left_out)} subjects were left out, such as {name}: {reason}")
