"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyPath = Annotated[Path, typer.Argument(help="DICOM folder or file, NIfTI, PNG, JPEG or NPY.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Model = Annotated[
    str, typer.Option(help="Name or folder of a model; `cardioxai models` lists them.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Series = Annotated[
    int | None, typer.Option(help="Index from `cardioxai info`; the default series when left out.")
]
RecipeName = Annotated[
    str, typer.Option(help="heart-unet, phantom-unet, lv-unet, lv-fcn or alexnet-fcn.")
]
Start = Annotated[
    Path | None, typer.Option(help="Model folder or safetensors file whose weights to start from.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="FIELD=VALUE of the recipe, such as seed=1, several numbers with commas; repeatable.",
    ),
]
ManifestPath = Annotated[
    Path, typer.Argument(help="CSV or Parquet, one row a subject; paths start at its folder.")
]
