"""Models and labels, judged on what they never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cardioxai.cli.console import fail, print_json, progress
from napari_cardioxai.cli.options import Device, Json, RecipeName, Settings, Start
from napari_cardioxai.cli.segmenter import segmenter_recipe, weights

app = typer.Typer(help="Judge models on what they never saw.", no_args_is_help=True)


@app.command("segmenter")
def evaluate_segmenter(
    data: Annotated[Path, typer.Option(help="Folder with images/ and lv_masks/ of Sunnybrook.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for folds and results.")],
    recipe: RecipeName = "heart-unet",
    start: Start = None,
    folds: Annotated[int, typer.Option()] = 5,
    pixel_mm: Annotated[
        list[str] | None, typer.Option(help="PATIENT=MM where the pixel size is known; repeatable.")
    ] = None,
    doubtful: Annotated[
        list[str] | None, typer.Option(help="Patient whose contours are wrong; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    decay_rate: Annotated[float | None, typer.Option()] = None,
    decay_steps: Annotated[int | None, typer.Option()] = None,
    settings: Settings = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Cross-validate a segmenter patient by patient."""
    from napari_cardioxai.cohorts.slices import sunnybrook_pairs
    from napari_cardioxai.training.segmenters.cross_validation import cross_validate
    from napari_cardioxai.training.segmenters.scores import markdown_table

    known: dict[str, float] = {}
    for item in pixel_mm or []:
        patient, _, value = item.partition("=")
        try:
            known[patient] = float(value)
        except ValueError:
            fail(f"--pixel-mm takes PATIENT=MM, not {item!r}.")
    with progress() as on_progress:
        result = cross_validate(
            segmenter_recipe(
                recipe,
                settings or [],
                epochs=epochs,
                learning_rate=learning_rate,
                decay_rate=decay_rate,
                decay_steps=decay_steps,
            ),
            sunnybrook_pairs(data),
            run_dir=output,
            start=weights(start),
            folds=folds,
            pixel_mm=known,
            doubtful=doubtful or [],
            device=device,
            on_progress=on_progress,
        )
    if as_json:
        print_json(result)
    else:
        tables: dict[str, Any] = {recipe: result}
        if "without_doubtful" in result:
            tables[f"{recipe}, without {', '.join(doubtful or [])}"] = result["without_doubtful"]
        print(markdown_table(tables))


@app.command("latent")
def evaluate_latent(
    bundle: Annotated[
        str, typer.Argument(help="Name or folder of a latent classifier, such as clough or crt.")
    ],
    data: Annotated[Path, typer.Option(help="Manifest of the cohort, CSV or Parquet.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Another latent classifier, judged on the same subjects; repeatable."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Whom to judge on [test where there is one, else all].")
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Train the model's recipe anew so many times: cross-validation.")
    ] = 0,
    epochs: Annotated[int | None, typer.Option(help="Of each fold, in all.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE of the recipe of each fold; repeatable."),
    ] = None,
    keep_autoencoder: Annotated[
        bool,
        typer.Option(
            "--keep-autoencoder", help="Train only the classifiers of each fold; for few subjects."
        ),
    ] = False,
    label: Annotated[str, typer.Option(help="Column of the class: 0, 1 or blank.")] = "label",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Judge a latent classifier and the biomarker baselines on the same unseen subjects."""
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.training.latent import evaluation as latent_evaluation
    from napari_cardioxai.training.latent.recipe import with_settings

    manifest = read_manifest(data)
    with progress() as on_progress:
        first = LatentClassifier.load(bundle, device=device)
        if folds:
            if beside or split:
                fail("--beside and --split belong to finished models; leave them out with --folds.")
            recipe = with_settings(latent_evaluation.recipe_of(first), setting or [])
            result = latent_evaluation.cross_validate_latent(
                recipe if epochs is None else recipe.with_epochs(epochs),
                manifest,
                output,
                folds=folds,
                label=label,
                classes=first.card.classes,
                name=first.card.name,
                autoencoder=first if keep_autoencoder else None,
                device=device,
                on_progress=on_progress,
            )
        else:
            if epochs or setting or keep_autoencoder:
                fail(
                    "--epochs, --set and --keep-autoencoder belong to a training; they need --folds."
                )
            result = latent_evaluation.evaluate_bundles(
                [first, *(LatentClassifier.load(name, device=device) for name in beside or [])],
                manifest,
                output,
                label=label,
                split=split,
                cache=output / "cache",
                on_progress=on_progress,
            )
    if as_json:
        print_json(result)
    else:
        print((output / "evaluation.md").read_text("utf-8"))


@app.command("phantoms")
def evaluate_phantoms(
    model: Annotated[
        str | None,
        typer.Option(help="Model to label images with; left out, perfect labels are measured."),
    ] = None,
    subjects: Annotated[
        int, typer.Option(min=1, help="Hearts in every row; seven give one of each class.")
    ] = 14,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Bias and spread of measurements on hearts of known truth, over frame counts and noise."""
    from napari_cardioxai.training.segmenters.phantom_accuracy import accuracy_table, markdown_table

    segmenter = None
    if model is not None:
        from napari_cardioxai.bundles.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    with progress() as on_progress:
        rows = accuracy_table(segmenter, subjects=subjects, on_progress=on_progress)
    if as_json:
        print_json({"model": model, "rows": [row.as_json() for row in rows]})
    else:
        print(markdown_table(rows))


@app.command("labels")
def evaluate_labels(
    labels: Annotated[Path, typer.Argument(help="Labels to judge (NIfTI).")],
    truth: Annotated[Path, typer.Argument(help="True labels (NIfTI); they meet on its grid.")],
    scan: Annotated[
        Path | None, typer.Option(help="The scan that both belong to; they meet on its grid then.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare labels with true ones, structure by structure."""
    from dataclasses import asdict

    from napari_cardioxai.anatomy.agreement import agreement
    from napari_cardioxai.anatomy.label_files import read_labels, read_labels_onto
    from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
    from napari_cardioxai.scans.catalogue import load_scan

    grid = None if scan is None else load_scan(scan)
    true = read_labels(truth, scan=grid)
    found = read_labels_onto(labels, true) if grid is None else read_labels(labels, scan=grid)
    rows = agreement(found, true)
    if as_json:
        print_json({STRUCTURE_NAMES[row.structure]: asdict(row) for row in rows})
        return
    for row in rows:
        volumes = (
            ""
            if row.volume_ml is None
            else f", {row.volume_ml:.1f} mL against {row.true_volume_ml:.1f} mL"
        )
        print(
            f"{STRUCTURE_NAMES[row.structure]}: Dice {row.dice:.3f}{volumes}, "
            f"lowest in slice {row.worst_slice + 1} ({row.worst_dice:.3f})"
        )
