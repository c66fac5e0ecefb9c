"""`cardioxai evaluate images`: the table of image classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import fail, print_json, progress, say
from napari_cardioxai.cli.options import Device, Json


def evaluate_images(
    data: Annotated[
        Path,
        typer.Option(
            help="Manifest with columns scan and class, folder of class folders, or BIDS data set."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Names or folders of image classifiers, by commas; repeatable."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Column to hold out by, or `all` [the column that each model was trained by]."
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Of a BIDS data set: column of participants.tsv to learn.")
    ] = None,
    projections: Annotated[
        bool, typer.Option(help="Draw the images on a plane by pixels and by embedding.")
    ] = True,
    recipe: Annotated[
        str | None, typer.Option(help="Train this recipe anew in --folds parts, not a model.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of --recipe.")] = 5,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE of --recipe; repeatable."),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Judge image classifiers on what they never saw: one table, figures and a page.

    Each model is judged on the test images of its own split, so that models of
    a random split and of one that keeps near-duplicates together stand beside
    each other. With --recipe a recipe is cross-validated instead.
    """
    from napari_cardioxai.bundles.image_classifier import ImageClassifier
    from napari_cardioxai.cohorts.pictures import images_of
    from napari_cardioxai.report.image_report import write_image_evaluation
    from napari_cardioxai.training.images.folds import cross_validate_images
    from napari_cardioxai.training.images.recipe import recipe_for, with_settings
    from napari_cardioxai.training.images.table import evaluate_images as evaluate

    names = [name.strip() for text in model or [] for name in text.split(",") if name.strip()]
    if bool(names) == (recipe is not None):
        fail("give --model to judge what is trained, or --recipe to cross-validate; not both.")
    manifest = images_of(data, label=label)
    with progress() as on_progress:
        if recipe is not None:
            evaluation = cross_validate_images(
                with_settings(recipe_for(recipe), setting or []),
                manifest,
                output / "runs",
                folds=folds,
                name=recipe,
                device=device,
                on_progress=on_progress,
            )
        else:
            on_progress(0, 0, "loading the models")
            evaluation = evaluate(
                [ImageClassifier.load(name, device=device) for name in names],
                manifest,
                split=split,
                with_projections=projections,
                on_progress=on_progress,
            )
        on_progress(0, 0, "writing")
        content = write_image_evaluation(output, evaluation)
    if as_json:
        print_json(content)
    else:
        print(evaluation.as_markdown(), end="")
    for note in evaluation.notes:
        say(f"! {note}")
    for subject, why in evaluation.failed.items():
        say(f"! {subject}: {why}")
    say(f"Page in {output / 'evaluation.html'}.")
