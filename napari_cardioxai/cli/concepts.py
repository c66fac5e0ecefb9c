"""Concepts: what a model knows, whether it matters, and what a direction does to a heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.cli.console import fail, print_json, progress, say
from napari_cardioxai.cli.options import Device, Json, StudyPath

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.concepts.traverse import Step
    from napari_cardioxai.progress import Progress

app = typer.Typer()
_FIGURE_DPI = 130

ModelName = Annotated[str, typer.Argument(help="Name or folder of a latent classifier.")]
Cohort = Annotated[Path, typer.Option(help="Manifest: CSV or Parquet.")]
ConceptNames = Annotated[
    list[str] | None,
    typer.Option(
        "--concept",
        help='Such as "low EF", "high lvm_g" or a column of 0 and 1; repeatable [Clough\'s five].',
    ),
]


@app.command("concepts")
def concepts(
    model: ModelName,
    cohort: Cohort,
    concept: ConceptNames = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Where to test; repeatable [concept_layer].")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="linear, sgd, pattern, regression, adjusted or region; repeatable [linear]."
        ),
    ] = None,
    walk_layer: Annotated[
        str | None, typer.Option(help="Where walked directions are found [latent].")
    ] = None,
    walk_kind: Annotated[
        str | None, typer.Option(help="Kind of the walked directions [pattern].")
    ] = None,
    way: Annotated[
        str | None,
        typer.Option(help="latent; of later layers: gradient or least squares."),
    ] = None,
    per_side: Annotated[
        int | None,
        typer.Option(min=10, help="Subjects at each end [a fifth, at most 1,000]."),
    ] = None,
    hearts: Annotated[
        int | None, typer.Option(min=0, help="Test subjects to walk; 0: no fidelity [40].")
    ] = None,
    permutations: Annotated[int | None, typer.Option(min=19, help="Random sets [999].")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps latents [runs/concepts-MODEL].")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the directions in the model's folder.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find concepts, test them against random ones, and measure what they do to decoded hearts."""
    from napari_cardioxai.bundles.bundle import find_bundle
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.concepts.cohort import load_concept_cohort, pool_and_test
    from napari_cardioxai.concepts.named import concept_named
    from napari_cardioxai.concepts.table import ConceptChoice, concept_table

    manifest = read_manifest(cohort)
    columns = [str(name) for name in manifest.table.columns]
    asked: dict[str, Any] = {
        "concepts": tuple(concept_named(name, columns) for name in concept) if concept else None,
        "layers": tuple(layer) if layer else None,
        "kinds": tuple(kind) if kind else None,
        "walk_layer": walk_layer,
        "walk_kind": walk_kind,
        "way": way,
        "per_side": per_side,
        "hearts": hearts,
        "permutations": permutations,
        "seed": seed,
    }
    choice = ConceptChoice(**{key: value for key, value in asked.items() if value is not None})
    folder = find_bundle(model)
    classifier = LatentClassifier.load(model, device=device)
    cache = cache or Path("runs") / f"concepts-{folder.name}"
    with progress() as on_progress:
        pool, test = (
            load_concept_cohort(classifier, manifest, part, cache=cache, on_progress=on_progress)
            for part in pool_and_test(manifest)
        )
        table = concept_table(classifier, pool, test, choice, on_progress=on_progress)
    if save:
        table.book.save(folder)
        say(f"Directions kept in {folder}.")
    if as_json:
        print_json(table.as_json())
    else:
        _print_table(table)
    for note in table.notes:
        say(note)


def _print_table(table: Any) -> None:
    print(f"{'concept':<12} {'kind':<10} {'TCAV':<21} {'sensitivity':>11} {'p':>6} {'Holm':>6}")
    for row in table.rows:
        tcav = row.tcav
        print(
            f"{tcav.concept:<12} {tcav.kind:<10} {tcav.score!s:<21} {tcav.sensitivity.value:>11.3f} "
            f"{tcav.p:>6.3f} {tcav.p_holm:>6.3f}  {row.holdout_name} {row.holdout}"
        )
    told = {row.tcav.concept: row.fidelity for row in table.rows if row.fidelity is not None}
    for faithful in told.values():
        colour = None if faithful.moves_its_own else typer.colors.RED
        typer.secho(faithful.verdict, fg=colour)


@app.command("traverse")
def traverse(
    path: StudyPath,
    model: Annotated[str, typer.Option(help="Name or folder of a latent classifier.")],
    concept: Annotated[str, typer.Option(help='Such as "low PER".')],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the labels.")],
    alphas: Annotated[
        str, typer.Option(help="first:last:number, or values with commas; standard deviations.")
    ] = "-3:3:7",
    cohort: Annotated[
        Path | None,
        typer.Option(help="Manifest to find the direction on, where the model carries none."),
    ] = None,
    segmenter: Annotated[str, typer.Option(help="Model that labels a scan.")] = DEFAULT_SEGMENTER,
    figure: Annotated[
        Path | None, typer.Option(help="Also a picture of the steps (PNG), at this path.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Walk one heart along a concept: decoded labels on the scan's own grid, biomarkers, logit."""
    from dataclasses import replace

    from napari_cardioxai.anatomy.label_files import write_labels
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.concepts.traverse import alphas_from, label_names
    from napari_cardioxai.concepts.traverse import traverse as walk_heart
    from napari_cardioxai.files import replacing_files_in

    wanted = alphas_from(alphas)
    if figure is not None and figure.suffix.lower() != ".png":
        fail(f"{figure.name} must end in .png; the figure is written there.")
    classifier = LatentClassifier.load(model, device=device)
    with progress() as on_progress:
        labels = _labels_of(path, segmenter, device, on_progress)
        walk = _book(classifier, model, cohort, concept, on_progress).walk(classifier, concept)
        steps = walk_heart(walk, labels, wanted, on_progress=on_progress)
        told = []
        with replacing_files_in(output) as beside:
            for step, name in zip(steps, label_names(concept, wanted), strict=True):
                write_labels(beside / name, replace(labels, data=step.labels))
                told.append({**step.as_json(), "labels": str(output / name)})
            if figure is not None:  # before the labels take their place: all of it or nothing
                _draw(steps, concept, classifier.spec.es_frame, figure)
    if as_json:
        print_json({"concept": concept, "walk": walk.sentence(), "steps": told})
        return
    for step in steps:
        print(f"{step.alpha:+.2f}  logit {step.logit:+.2f}  {_numbers(step.biomarkers)}")
    say(walk.sentence())


def _draw(steps: Sequence[Step], concept: str, es_frame: int, path: Path) -> None:
    from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
    from napari_cardioxai.files import replacing
    from napari_cardioxai.report.cohort_figures import png
    from napari_cardioxai.report.walk_figure import walk_figure

    key = next((one.biomarker for one in CLOUGH_CONCEPTS if one.name == concept), None)
    drawn = walk_figure(steps, concept=concept, biomarker=key, es_frame=es_frame)
    with replacing(path) as beside:
        beside.write_bytes(png(drawn, dots_per_inch=_FIGURE_DPI))


def _numbers(biomarkers: dict[str, float]) -> str:
    from napari_cardioxai.concepts.biomarkers import BIOMARKERS

    return ", ".join(
        f"{one.name} {one.text(biomarkers[key])} {one.unit}" for key, one in BIOMARKERS.items()
    )


def _labels_of(path: Path, segmenter: str, device: str, on_progress: Progress) -> Labels:
    """Labels as they are, or those of a scan."""
    from napari_cardioxai import studies
    from napari_cardioxai.anatomy.label_files import read_labels
    from napari_cardioxai.errors import LabelError
    from napari_cardioxai.scans.catalogue import load_scan
    from napari_cardioxai.scans.nifti import is_nifti

    if path.is_file() and is_nifti(path):
        try:
            return read_labels(path)
        except LabelError:
            pass  # intensities: a scan
    scan = load_scan(path, on_progress=on_progress)
    return studies.segment(scan, model=segmenter, device=device, on_progress=on_progress).labels


def _book(
    classifier: Any, model: str, cohort: Path | None, concept: str, on_progress: Progress
) -> Any:
    """The directions that the model carries, or those of a cohort."""
    from napari_cardioxai.bundles.bundle import find_bundle
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.concepts.book import ConceptBook
    from napari_cardioxai.concepts.cohort import load_concept_cohort, pool_and_test
    from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, concept_named
    from napari_cardioxai.concepts.table import ConceptChoice, make_book

    folder = find_bundle(model)
    if cohort is None:
        return ConceptBook.load(folder)
    manifest = read_manifest(cohort)
    named = concept_named(concept, [str(name) for name in manifest.table.columns])
    others = tuple(one for one in CLOUGH_CONCEPTS if one.name != named.name)
    pool = load_concept_cohort(
        classifier,
        manifest,
        pool_and_test(manifest)[0],
        cache=Path("runs") / f"concepts-{folder.name}",
        on_progress=on_progress,
    )
    return make_book(classifier, pool, ConceptChoice(concepts=(named, *others)))
