"""Patient-wise cross-validation of slice segmenters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from imageio.v3 import imread

from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.bundles.card import SegmenterCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.cohorts.slices import SlicePair, patient_folds
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.segmenters.scores import ScoredPicture, score_pictures, summarise
from napari_cardioxai.training.segmenters.training import SegmenterRecipe, train_segmenter


def cross_validate(
    recipe: SegmenterRecipe,
    pairs: Sequence[SlicePair],
    *,
    run_dir: Path,
    start: Path | None = None,
    folds: int = 5,
    pixel_mm: Mapping[str, float] | None = None,
    doubtful: Sequence[str] = (),
    device: str = "auto",
    on_progress: Progress = silent,
) -> dict[str, object]:
    """Train one network a fold and judge each on the patients that it never saw.

    A fold that was trained before is only scored; an interrupted one goes on.
    The last epoch is judged: nothing is selected on the held-out patients.

    Parameters
    ----------
    recipe, pairs
        How to train, on which pictures.
    run_dir
        Receives `fold-K/` checkpoints, `pictures.csv` (one row a picture) and
        `evaluation.json` (what is returned).
    start
        As for `train_segmenter`; must not come from any of the patients.
    folds
        Number of folds, made of whole patients with groups spread evenly.
    pixel_mm
        In-plane spacing of the patients for whom it is known.
    doubtful
        Patients whose contours are known to be wrong: no fold learns from
        them; the figures are given with them and, under `without_doubtful`,
        without.
    device
        As for `resolve_device`.

    Returns
    -------
    As `summarise`, with the recipe's fields under `recipe`.
    """
    spacing = pixel_mm or {}
    pictures: list[ScoredPicture] = []
    for fold, held_out in enumerate(patient_folds([p.patient for p in pairs], folds)):
        on_progress(fold, folds, f"fold {fold + 1} of {folds}")
        network = train_segmenter(
            recipe,
            [p for p in pairs if p.patient not in (*held_out, *doubtful)],
            run_dir=run_dir / f"fold-{fold}",
            start=start,
            device="cpu" if resolve_device(device) == "cpu" else "auto",
        )
        segmenter = segmenter_of(network, recipe, device=device)
        for pair in (p for p in pairs if p.patient in held_out):
            picture = imread(pair.image)[None, None]
            labels = segmenter.label(picture)
            opinion = segmenter.opinion(picture, labels, frames=[0])
            pictures.append(
                ScoredPicture(
                    patient=pair.patient,
                    slice_index=pair.slice_index,
                    phase=pair.phase,
                    fold=fold,
                    predicted=labels[0, 0] == LV,
                    truth=np.asarray(imread(pair.mask)) > 0,
                    pixel_mm=spacing.get(pair.patient),
                    agreement=opinion.agreement.get(LV, 0.0),
                )
            )
    table = score_pictures(pictures)
    result = {"recipe": vars(recipe), **summarise(table)}
    if doubtful:
        trusted = table[~table["patient"].isin(doubtful)]
        result["without_doubtful"] = {"doubtful": list(doubtful), **summarise(trusted)}
    with replacing(run_dir / "pictures.csv") as beside:
        table.drop(columns=["overlap", "both"]).round(4).to_csv(beside, index=False)
    with replacing(run_dir / "evaluation.json") as beside:
        beside.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    on_progress(folds, folds, "done")
    return result


def segmenter_of(network: torch.nn.Module, recipe: SegmenterRecipe, *, device: str) -> Segmenter:
    """A freshly trained network, ready to label, before it has a bundle of its own."""
    card = SegmenterCard(
        name="in-training",
        title="in training",
        network=recipe.network,
        network_params={"classes": recipe.structures + 1, **recipe.network_params},
        structures={k: k for k in range(1, recipe.structures + 1)},
        pixel_mm=recipe.pixel_mm,
        region=recipe.region or recipe.crop,
        views=recipe.views,
        data="",
        licence="",
        split="",
        results={},
        command="",
    )
    name = resolve_device(device)
    return Segmenter(card, network.to(name).eval(), name, [])
