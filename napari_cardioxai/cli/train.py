"""Training, the same recipes as in the window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import command_line, fail, print_json, progress, resumable, say
from napari_cardioxai.cli.options import Device, RecipeName, Settings, Start
from napari_cardioxai.cli.segmenter import segmenter_recipe, weights

app = typer.Typer(help="Train models.", no_args_is_help=True)

LatentData = Annotated[Path, typer.Option(help="Manifest of the cohort, CSV or Parquet.")]
Label = Annotated[str, typer.Option(help="Column of the class to predict: 0, 1 or blank.")]
Concepts = Annotated[
    list[str] | None,
    typer.Option("--concept", help="Column of a concept, instead of the recipe's own; repeatable."),
]
Paper = Annotated[bool, typer.Option("--paper", help="The paper's settings, not the tuned ones.")]
StartModel = Annotated[
    str | None, typer.Option("--start", help="Latent classifier whose autoencoder to start from.")
]
RunDir = Annotated[
    Path | None, typer.Option(help="Checkpoints, metrics and cached sequences [runs/NAME].")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")]
ModelFolder = Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")]
ClassNames = Annotated[
    tuple[str, str] | None, typer.Option("--classes", help="Names of label 0 and of label 1.")
]
Licence = Annotated[str, typer.Option(help="Of the data, for the card.")]
Devices = Annotated[int, typer.Option(min=1, help="How many; with torchrun, as many as it starts.")]
Epochs = Annotated[int | None, typer.Option(help="In all, the stages in their proportions.")]


@app.command("segmenter")
def train_segmenter(
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with images/ and lv_masks/ of Sunnybrook; none: phantoms alone."),
    ] = None,
    recipe: RecipeName = "heart-unet",
    start: Start = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Patient to keep out; repeatable.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="evaluation.json of the cross-validation, for the card.")
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Checkpoints, from which an interrupted run goes on [runs/NAME]."),
    ] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    decay_rate: Annotated[float | None, typer.Option()] = None,
    decay_steps: Annotated[int | None, typer.Option()] = None,
    settings: Settings = None,
    device: Device = "auto",
) -> None:
    """Train a slice segmenter on every patient but the excluded ones and write its bundle."""
    from napari_cardioxai.bundles.devices import resolve_device
    from napari_cardioxai.files import check_folder_place
    from napari_cardioxai.training.segmenters.bundle import make_segmenter_bundle

    resolve_device(device)
    run_dir = run_dir or Path("runs") / output.name
    for place in (output, run_dir):
        check_folder_place(place)
    with resumable(run_dir):
        make_segmenter_bundle(
            segmenter_recipe(
                recipe,
                settings or [],
                epochs=epochs,
                learning_rate=learning_rate,
                decay_rate=decay_rate,
                decay_steps=decay_steps,
            ),
            data,
            output,
            start=weights(start),
            exclude=exclude or [],
            evaluation=evaluation,
            run_dir=run_dir,
            device=device,
            command=command_line(),
        )
    say(f"Model in {output}.")


def _add_latent_command(recipe: str, does: str) -> None:
    """The recipes of latent classifiers differ in what they are, not in what they are asked."""

    @app.command(recipe, help=does)
    def train(
        data: LatentData,
        output: ModelFolder,
        epochs: Epochs = None,
        start: StartModel = None,
        resume: Resume = False,
        paper: Paper = False,
        label: Label = "label",
        concept: Concepts = None,
        setting: Settings = None,
        classes: ClassNames = None,
        licence: Licence = "not stated",
        run_dir: RunDir = None,
        device: Device = "auto",
        devices: Devices = 1,
    ) -> None:
        from napari_cardioxai.bundles.latent import LatentClassifier
        from napari_cardioxai.cohorts.manifest import read_manifest
        from napari_cardioxai.files import check_folder_place
        from napari_cardioxai.training.latent.bundle import CLASSES, make_latent_bundle
        from napari_cardioxai.training.latent.recipe import recipe_for
        from napari_cardioxai.training.latent.training import CHECKPOINT, EpochReport, is_unfinished

        manifest = read_manifest(data)
        chosen = recipe_for(
            recipe,
            paper=paper,
            columns=set(manifest.table.columns),
            concepts=concept,
            epochs=epochs,
            settings=setting or [],
        )
        run_dir = run_dir or Path("runs") / output.name
        check_folder_place(run_dir)
        if not resume:
            if is_unfinished(run_dir):
                fail(
                    f"{run_dir} holds an interrupted training; add --resume, or delete that folder."
                )
            (run_dir / CHECKPOINT).unlink(missing_ok=True)

        def tell(report: EpochReport) -> None:
            shown = ", ".join(f"{k} {v:.4g}" for k, v in report.metrics.items())
            say(f"epoch {report.epoch}/{report.epochs} {report.stage}: {shown}")

        with resumable(run_dir, by="--resume"), progress() as on_progress:
            card = make_latent_bundle(
                chosen,
                manifest,
                output,
                run_dir=run_dir,
                label=label,
                classes=classes or CLASSES[recipe],
                licence=licence,
                start=None if start is None else LatentClassifier.load(start, device="cpu"),
                device=device,
                devices=devices,
                command=command_line(),
                on_progress=on_progress,
                on_epoch=tell,
            )
        print_json(card.results)
        say(f"Model in {output}.")


_add_latent_command(
    "clough", "Train a disease classifier on whole labelled cycles, as Clough 2019."
)
_add_latent_command(
    "crt",
    "Train a classifier of response to resynchronisation with its concepts, as Puyol-Antón 2020.",
)
