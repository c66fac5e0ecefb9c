"""Pictures of a training at work, as files that the window can draw without knowing the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import TrainingError
from napari_cardioxai.files import replacing

LATEST = "latest.npz"
_LAYERS = ("image", "labels", "heat")


@dataclass(frozen=True)
class Panel:
    """One small picture: what it has of image, labels and heat, drawn over each other.

    Attributes
    ----------
    title, tip
        Below it, and when the mouse rests on it.
    image
        Grey values 0 to 255, shape (y, x), uint8.
    labels
        Structures 0 to 3, shape (y, x), uint8.
    heat
        0 (none) to 255 (most of this panel), shape (y, x), uint8.
    large
        Whether it deserves more room than the others.
    """

    title: str
    tip: str = ""
    image: NDArray[np.uint8] | None = None
    labels: NDArray[np.uint8] | None = None
    heat: NDArray[np.uint8] | None = None
    large: bool = False


@dataclass(frozen=True)
class Preview:
    """What a training makes of one of its pictures.

    Attributes
    ----------
    kind
        "segmenter", "image" or "latent": which words make sense beside it.
    caption
        What is seen, in a few words.
    picture, pictures
        Which one it is, of how many that could be shown.
    panels
        In their order.
    position
        Epochs since the start of the training.
    """

    kind: str
    caption: str
    picture: int
    pictures: int
    panels: tuple[Panel, ...]
    position: float = 0.0


def as_bytes(values: NDArray, *, low: float = 0.0, high: float | None = None) -> NDArray[np.uint8]:
    """Values from `low` to `high` (by default their maximum) as 0 to 255."""
    top = float(values.max(initial=0.0)) if high is None else high
    span = max(top - low, float(np.finfo(np.float32).tiny))
    return np.round(255 * np.clip((np.asarray(values, np.float64) - low) / span, 0, 1)).astype(
        np.uint8
    )


def write_preview(file: Path, preview: Preview) -> None:
    """Write a preview beside its place and rename it, so that a reader never sees half of one."""
    panels: list[Mapping[str, Any]] = []
    arrays: dict[str, Any] = {}
    for number, panel in enumerate(preview.panels):
        panels.append({"title": panel.title, "tip": panel.tip, "large": panel.large})
        for layer in _LAYERS:
            if getattr(panel, layer) is not None:
                arrays[f"{layer}{number}"] = getattr(panel, layer)
    said = {k: v for k, v in vars(preview).items() if k != "panels"} | {"panels": panels}
    with replacing(file) as beside, beside.open("wb") as stream:
        np.savez_compressed(stream, said=np.array(json.dumps(said)), **arrays)


def read_preview(file: Path) -> Preview:
    """Inverse of `write_preview`.

    Raises
    ------
    TrainingError
        When the file is missing or holds no preview.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        said = json.loads(str(arrays.pop("said")))
        panels = []
        for k, values in enumerate(said.pop("panels")):
            layers: dict[str, Any] = {layer: arrays.get(f"{layer}{k}") for layer in _LAYERS}
            panels.append(Panel(**values, **layers))
        return Preview(**said, panels=tuple(panels))
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise TrainingError(f"{file} cannot be read as a preview ({error}).") from error
