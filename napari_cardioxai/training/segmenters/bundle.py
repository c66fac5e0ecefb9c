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

from lightning import Callback

from napari_cardioxai.bundles.bundle import CARD, load_card, save_bundle
from napari_cardioxai.bundles.card import SegmenterCard
from napari_cardioxai.cohorts.slices import sunnybrook_pairs
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.segmentation import SEGMENTERS
from napari_cardioxai.training.segmenters.training import SegmenterRecipe, train_segmenter

_TITLES = {
    "unet": "Residual U-Net",
    "lv-fcn": "LvFcn of Liu 2021",
    "alexnet-fcn": "AlexNet-style FCN",
}
_KNOWS = {
    1: "LV cavity in short-axis cine slices",
    3: "LV cavity, myocardium and RV cavity in short-axis cine slices",
}
_LIMITS = {
    1: (
        "Knows the LV cavity only, papillary muscles counted as cavity.",
        "Slices beyond the base or the apex may be labelled where nothing should be.",
    ),
    3: (
        "Papillary muscles are counted as cavity.",
        "Myocardium and right ventricle were learnt from drawn hearts; only the LV cavity from real ones.",
    ),
}
_REAL = "Saw real slices with a left ventricle in them, at end-diastole and end-systole, from one GE 1.5 T site."
_RESEARCH = "Research use only; not a medical device."


def make_segmenter_bundle(
    recipe: SegmenterRecipe,
    data: Path | None,
    folder: Path,
    *,
    start: Path | None = None,
    exclude: Sequence[str],
    evaluation: Path | None,
    run_dir: Path,
    device: str,
    command: str,
    callbacks: Sequence[Callback] = (),
) -> SegmenterCard:
    """Train on every Sunnybrook patient but the excluded ones and write the bundle.

    Parameters
    ----------
    recipe, data
        How, and the folder for `sunnybrook_pairs`; None: the recipe's phantoms alone.
    folder
        Bundle to write.
    start
        As for `train_segmenter`.
    exclude
        Patients that must not be learnt from.
    evaluation
        `evaluation.json` of the cross-validation of the same recipe; its
        figures go into the card.
    run_dir
        Checkpoints; an interrupted training goes on from there.
    device, command
        For Lightning; as typed, for the card.
    callbacks
        As for `train_segmenter`.

    Raises
    ------
    CohortError
        When an excluded patient is not among the data.
    """
    pairs = [] if data is None else sunnybrook_pairs(data)
    patients = sorted({pair.patient for pair in pairs})
    if unknown := sorted(set(exclude) - set(patients)):
        raise CohortError(
            f"{unknown[0]} cannot be excluded: it is not among {', '.join(patients)}."
        )
    network = train_segmenter(
        recipe,
        [pair for pair in pairs if pair.patient not in exclude],
        run_dir=run_dir,
        start=start,
        device=device,
        callbacks=callbacks,
    )
    card = SegmenterCard(
        name=folder.name,
        title=f"{_TITLES[recipe.network]}, {_KNOWS[recipe.structures]}",
        network=recipe.network,
        network_params=_all_params(recipe),
        structures={k: k for k in range(1, recipe.structures + 1)},
        pixel_mm=recipe.pixel_mm,
        region=recipe.region or recipe.crop,
        views=recipe.views,
        data=_data(recipe, len(patients) - len(exclude), start),
        licence="CC0 1.0",
        split=_split(exclude, evaluation),
        results={} if evaluation is None else _results(evaluation),
        command=command,
        recipe=asdict(recipe),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-cardioxai", "torch", "monai", "lightning")},
        },
        limits=(*_LIMITS[recipe.structures], *([_REAL] if pairs else []), _RESEARCH),
    )
    save_bundle(folder, card, network.state_dict())
    return card


def _split(exclude: Sequence[str], evaluation: Path | None) -> str:
    if not exclude:
        return "nothing kept apart"
    kept = f"every patient but {', '.join(exclude)}"
    if evaluation is None:
        return kept
    return f"{kept}; results are of 5-fold cross-validation by patient with the same recipe"


def _all_params(recipe: SegmenterRecipe) -> dict[str, Any]:
    """Arguments of the network with its defaults spelled out, so that a card outlives them."""
    given = {"classes": recipe.structures + 1, **recipe.network_params}
    parameters = inspect.signature(SEGMENTERS[recipe.network]).parameters.values()
    defaults = {
        p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in parameters
    }
    return {**defaults, **given}


def _results(evaluation: Path) -> dict[str, Any]:
    judged = json.loads(evaluation.read_text("utf-8"))
    trusted = judged.get("without_doubtful", judged)
    return {
        "cross_validation": {k: v for k, v in judged.items() if k != "recipe"},
        # At the top, since the second opinion's calibration is part of the model at work.
        "second_opinion": trusted["second_opinion"],
    }


def _data(recipe: SegmenterRecipe, patients: int, start: Path | None) -> str:
    parts = []
    if patients:
        parts.append(f"Sunnybrook Cardiac Data (Radau 2009), {patients} patients, ED and ES slices")
    if recipe.phantoms:
        parts.append(f"{recipe.phantoms * recipe.epochs} pictures of phantom hearts")
    if start is not None and (start.parent / CARD).is_file():
        first = load_card(start.parent)
        parts.append(f"started from {first.name}, trained on {first.data}")
    return "; ".join(parts)
