"""From a segmenter recipe to a bundle that can ship."""

from __future__ import annotations

import inspect
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from napari_cardioxai.bundles.bundle import Card, save_bundle
from napari_cardioxai.cohorts.slices import sunnybrook_pairs
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.segmentation import SEGMENTERS
from napari_cardioxai.training.segmenter import SegmenterRecipe, train_segmenter

_TITLES = {
    "unet": "Residual U-Net, LV cavity in short-axis cine slices",
    "lv-fcn": "LvFcn of Liu 2021, LV cavity in short-axis cine slices",
    "alexnet-fcn": "AlexNet-style FCN, LV cavity in short-axis cine slices",
}
_LIMITS = (
    "Knows the LV cavity only, papillary muscles counted as cavity.",
    "Saw short-axis slices with a left ventricle in them, at end-diastole and end-systole, from one GE 1.5 T site.",
    "Slices beyond the base or the apex may be labelled where nothing should be.",
    "Research use only; not a medical device.",
)


def make_segmenter_bundle(
    recipe: SegmenterRecipe,
    data: Path,
    folder: Path,
    *,
    exclude: Sequence[str],
    evaluation: Path | None,
    run_dir: Path,
    device: str,
    command: str,
) -> Card:
    """Train on every Sunnybrook patient but the excluded ones and write the bundle.

    Parameters
    ----------
    recipe, data
        How, and the folder for `sunnybrook_pairs`.
    folder
        Bundle to write.
    exclude
        Patients that must not be learnt from.
    evaluation
        `evaluation.json` of the cross-validation of the same recipe; its
        figures go into the card.
    run_dir
        Checkpoints; an interrupted training goes on from there.
    device, command
        For Lightning; as typed, for the card.

    Raises
    ------
    CohortError
        When an excluded patient is not among the data.
    """
    pairs = sunnybrook_pairs(data)
    patients = sorted({pair.patient for pair in pairs})
    if unknown := sorted(set(exclude) - set(patients)):
        raise CohortError(
            f"{unknown[0]} cannot be excluded: it is not among {', '.join(patients)}."
        )
    network = train_segmenter(
        recipe,
        [pair for pair in pairs if pair.patient not in exclude],
        run_dir=run_dir,
        device=device,
    )
    results: dict[str, Any] = {}
    if evaluation is not None:
        judged = json.loads(evaluation.read_text("utf-8"))
        results = {"cross_validation": {k: v for k, v in judged.items() if k != "recipe"}}
    card = Card(
        name=folder.name,
        title=_TITLES[recipe.network],
        kind="segmenter",
        network=recipe.network,
        network_params=_all_params(recipe),
        structures={1: 1},
        pixel_mm=recipe.pixel_mm,
        region=recipe.crop,
        data=f"Sunnybrook Cardiac Data (Radau 2009), {len(patients) - len(exclude)} patients, "
        "ED and ES slices",
        licence="CC0 1.0",
        split=f"every patient but {', '.join(exclude) or 'none'}; results are of 5-fold "
        "cross-validation by patient with the same recipe",
        results=results,
        command=command,
        recipe=asdict(recipe),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-cardioxai", "torch", "monai", "lightning")},
        },
        limits=_LIMITS,
    )
    save_bundle(folder, card, network.state_dict())
    return card


def _all_params(recipe: SegmenterRecipe) -> dict[str, Any]:
    """Arguments of the network with its defaults spelled out, so that a card outlives them."""
    parameters = inspect.signature(SEGMENTERS[recipe.network]).parameters.values()
    defaults = {
        p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in parameters
    }
    return {**defaults, **recipe.network_params}
