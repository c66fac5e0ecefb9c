"""`cardioxai train image` and `train networks`: classifiers of pictures and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import command_line, print_json, progress, resumable, say
from napari_cardioxai.cli.options import Device, Json, Settings

Recipe = Annotated[
    str, typer.Argument(help="tumour, tumour-tuned, brain3d or brain3d-hippocampus.")
]
Data = Annotated[Path, typer.Option(help="Manifest with columns scan, class and the split.")]
Split = Annotated[str, typer.Option(help="Column of train, val and test.")]
Licence = Annotated[str, typer.Option(help="Of the data, for the card.")]


def train_image(
    recipe: Recipe,
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    network: Annotated[
        str | None, typer.Option(help="Architecture instead of the recipe's, such as vgg16.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from: a model folder, or safetensors of timm or torchvision."
        ),
    ] = None,
    split: Split = "split",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    setting: Settings = None,
    licence: Licence = "not stated",
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Checkpoints, from which an interrupted run goes on [runs/NAME]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Train a classifier of pictures or volumes, judge it on the test images, write its bundle."""
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.training.images.bundle import make_image_bundle, starting_weights
    from napari_cardioxai.training.images.recipe import recipe_for, with_settings

    changes: dict[str, object] = {"seed": seed}
    if network is not None:
        changes |= {"network": network, "network_params": {}}
    if epochs is not None:
        changes["epochs"] = epochs
    chosen = with_settings(recipe_for(recipe, **changes), setting or [])
    start = None if weights is None else starting_weights(weights, chosen.network)
    run_dir = run_dir or Path("runs") / output.name
    with resumable(run_dir), progress() as on_progress:
        card = make_image_bundle(
            chosen,
            read_manifest(data),
            output,
            run_dir=run_dir,
            split=split,
            data=data.name,
            licence=licence,
            start=start,
            device=device,
            command=command_line(),
            on_progress=on_progress,
        )
    print_json(card.results)
    say(f"Model in {output}.")


def train_networks(
    recipe: Recipe,
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of model folders.")],
    networks: Annotated[
        str | None, typer.Option(help="Separated by commas [the nine of Brima and Atemkeng].")
    ] = None,
    subset: Annotated[
        int, typer.Option(min=0, help="Learn from so many images only, and judge nothing [all].")
    ] = 0,
    split: Split = "split",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    setting: Settings = None,
    licence: Licence = "not stated",
    run_dir: Annotated[
        Path | None, typer.Option(help="Checkpoints of each network [OUTPUT/runs].")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train several networks by one recipe and print how each of them learnt.

    The table of the paper, on a GPU, for both kinds of split, then judged::

        cardioxai cohort pictures brain-tumour-2d -o tumours.csv
        cardioxai train networks tumour --data tumours.csv --split split_random -o random --device cuda
        cardioxai train networks tumour --data tumours.csv --split split -o together --device cuda
        cardioxai evaluate images --model random/densenet121,... --data tumours.csv -o table

    `tumour-tuned` instead of `tumour` for the better setting; `--set
    precision=bf16-mixed` halves the time. Without a GPU, `--subset 36 --epochs
    10 --set size=96,96` shows in minutes that each of them runs and learns.
    """
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.networks.classifiers import PUBLISHED
    from napari_cardioxai.training.images import nine as image_nine
    from napari_cardioxai.training.images.recipe import recipe_for, with_settings

    names = [n.strip() for n in (networks or ",".join(PUBLISHED)).split(",") if n.strip()]
    changes: dict[str, object] = {"seed": seed}
    if epochs is not None:
        changes["epochs"] = epochs
    run_dir = run_dir or output / "runs"
    with resumable(run_dir), progress() as on_progress:
        learnt = image_nine.train_networks(
            with_settings(recipe_for(recipe, **changes), setting or []),
            names,
            read_manifest(data),
            output,
            run_dir=run_dir,
            split=split,
            subset=subset,
            device=device,
            command=command_line(),
            licence=licence,
            on_progress=on_progress,
        )
    if as_json:
        print_json([one.as_json() for one in learnt])
    else:
        print(image_nine.table_of(learnt))
    say(f"Models in {output}.")
