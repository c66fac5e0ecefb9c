"""What training and judging a segmenter have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_cardioxai.training.segmenters.training import SegmenterRecipe


def weights(start: Path | None) -> Path | None:
    """The weights of a model folder, or the safetensors file itself."""
    return start / "weights.safetensors" if start is not None and start.is_dir() else start


def segmenter_recipe(name: str, settings: Sequence[str], **given: float | None) -> SegmenterRecipe:
    """A named recipe with what was given on the command line in place of its own values."""
    from napari_cardioxai.training.jobs.fields import read_settings
    from napari_cardioxai.training.jobs.segmenter import form_of
    from napari_cardioxai.training.segmenters.training import recipe_for

    own = {k: v for k, v in given.items() if v is not None}
    return recipe_for(name, **own, **read_settings(form_of(recipe_for(name)), settings))
