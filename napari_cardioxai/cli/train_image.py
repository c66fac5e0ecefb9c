"""`cardioxai train image`: classifiers of pictures and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_cardioxai.cli.console import command_line, print_json, progress, say
from napari_cardioxai.cli.options import Device


def train_image(
    recipe: Annotated[str, typer.Argument(help="tumour, tumour-tuned or brain3d.")],
    data: Annotated[Path, typer.Option(help="Manifest with columns scan, class and the split.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    network: Annotated[
        str | None, typer.Option(help="Architecture instead of the recipe's, such as vgg16.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Published weights of it to start from: safetensors of timm or torchvision."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Column of train, val and test.")] = "split",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    licence: Annotated[str, typer.Option(help="Of the data, for the card.")] = "not stated",
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Checkpoints, from which an interrupted run goes on [runs/NAME]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Train a classifier of pictures or volumes, judge it on the test images, write its bundle."""
    from functools import partial

    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.networks.published_weights import load_published_weights
    from napari_cardioxai.training.image_bundle import make_image_bundle
    from napari_cardioxai.training.image_recipe import recipe_for

    changes: dict[str, object] = {"seed": seed}
    if network is not None:
        changes |= {"network": network, "network_params": {}}
    if epochs is not None:
        changes["epochs"] = epochs
    chosen = recipe_for(recipe, **changes)
    start = None
    if weights is not None:
        start = partial(load_published_weights, name=chosen.network, file=weights)
    with progress() as on_progress:
        card = make_image_bundle(
            chosen,
            read_manifest(data),
            output,
            run_dir=run_dir or Path("runs") / output.name,
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
