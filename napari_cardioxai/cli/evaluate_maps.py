"""`cardioxai evaluate maps`: maps of image classifiers against boxes and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from napari_cardioxai.cli.console import print_json, progress, say
from napari_cardioxai.cli.options import Device, Json

METHODS = "gradient,smoothgrad,ig,guided-ig,blur-ig,xrai,fast-xrai,grad-cam,grad-cam++,lrp"


def evaluate_maps(
    model: Annotated[str, typer.Option(help="Name or folder of an image classifier.")],
    data: Annotated[
        Path, typer.Option(help="Manifest; of brains with the columns truth and regions.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for cases and results.")],
    boxes: Annotated[
        Path | None, typer.Option(help="Table of boxes around what is to be found, CSV.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks of it, named as the images.")
    ] = None,
    methods: Annotated[str, typer.Option(help="Separated by commas, or all.")] = METHODS,
    cases: Annotated[int, typer.Option(min=1, help="How many, evenly over the classes.")] = 24,
    negative: Annotated[
        str | None, typer.Option(help="Class in which there is nothing to find.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Column of the test [that the model was trained by].")
    ] = None,
    depth: Annotated[str, typer.Option(help="none, quick or full; weights need quick.")] = "quick",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Explain images that a model never saw, and measure whether the maps point at the known place."""
    import json

    from napari_cardioxai.attribution import located
    from napari_cardioxai.attribution.known_places import Boxes, Masks
    from napari_cardioxai.bundles.bundle import find_bundle, load_card
    from napari_cardioxai.cohorts.manifest import read_manifest
    from napari_cardioxai.errors import AttributionError
    from napari_cardioxai.files import replacing

    if boxes is not None and masks is not None:
        raise AttributionError("Boxes and masks are two truths; give one of them.")
    drawn = Boxes.read(boxes) if boxes else Masks.read(masks) if masks else None
    manifest = read_manifest(data)
    column = split or getattr(load_card(find_bundle(model)), "split_column", "") or "split"
    subjects = located.unseen_cases(manifest, column, cases, negative=negative, drawn=drawn)
    with progress() as on_progress:
        found = located.locate(
            model,
            manifest,
            subjects,
            output / "cases",
            methods=[name.strip() for name in methods.split(",") if name.strip()],
            drawn=drawn,
            depth=cast(Any, depth),
            device=device,
            on_progress=on_progress,
        )
    result = {"model": model, "split": column, **located.summary_of_cases(found)}
    text = json.dumps({**result, "each": [case.as_json() for case in found]}, indent=2)
    with replacing(output / "maps.json") as beside:
        beside.write_text(text + "\n", "utf-8")
    if as_json:
        print_json(result)
    else:
        print(located.table_of_cases(result))
    say(f"Every case in {output / 'maps.json'}.")
