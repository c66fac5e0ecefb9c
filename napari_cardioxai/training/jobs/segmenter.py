"""Segmenters as jobs: held-out pictures, their Dice while it trains, and what the layers see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from imageio.v3 import imread
from torch.utils.data import Dataset

from napari_cardioxai.anatomy.agreement import dice
from napari_cardioxai.bundles.bundle import WEIGHTS, load_network, save_bundle
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.cohorts.phantom_slices import PhantomSlices
from napari_cardioxai.cohorts.slices import (
    PIXEL_MM,
    SliceDataset,
    SlicePair,
    patient_folds,
    sunnybrook_pairs,
)
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.networks.segmentation import STRIDE
from napari_cardioxai.training.jobs.fields import FieldSpec, fields_of
from napari_cardioxai.training.jobs.folder import Look
from napari_cardioxai.training.jobs.heat import LayerHeat, layer_heat
from napari_cardioxai.training.jobs.previews import Panel, Preview, as_bytes
from napari_cardioxai.training.jobs.recipes import JobContext, JobRecipe
from napari_cardioxai.training.latent.recipe import PRECISIONS
from napari_cardioxai.training.segmenters.bundle import make_segmenter_bundle
from napari_cardioxai.training.segmenters.training import RECIPES, SegmenterRecipe, recipe_for

_TITLES = {
    "phantom-unet": "U-Net, drawn hearts",
    "heart-unet": "U-Net, pictures + drawn hearts",
    "lv-fcn": "LvFcn for the LV, Liu 2021",
    "alexnet-fcn": "AlexNet-style FCN for the LV",
}
_BASIC = ("epochs", "batch_size", "learning_rate", "phantoms", "structures")
_FIXED = ("network",)
_KEEPING = ("taught", "start_share")  # keep something of the weights that were begun with
_NOTES: dict[str, dict[str, Any]] = {
    "network_params": {"label": "Network options"},
    "structures": {"label": "Structures", "choices": (1, 3)},
    "taught": {"label": "First weights stay as teacher"},
    "start_share": {"label": "Share of the first weights kept", "min": 0, "max": 1},
    "phantoms": {"label": "Drawn hearts per epoch", "unit": "pictures", "min": 0, "max": 100_000},
    "pixel_mm": {"label": "Pixel size", "unit": "mm", "min": 0.2, "max": 5},
    "crop": {"label": "Training crop", "unit": "pixels", "min": 32, "max": 512},
    "region": {"label": "Region around the heart", "unit": "pixels", "min": 32, "max": 1024},
    "augmentation": {"label": "Augmentation", "min": 0, "max": 1},
    "turned": {"label": "Share turned at random", "min": 0, "max": 1},
    "bend": {"label": "Bending", "unit": "pixels", "min": 0, "max": 30},
    "epochs": {"label": "Epochs", "min": 1, "max": 10_000},
    "batch_size": {"label": "Pictures per step", "min": 1, "max": 1024},
    "learning_rate": {"label": "Learning rate", "min": 1e-7, "max": 1},
    "decay_rate": {"label": "Decay of the learning rate", "min": 0.01, "max": 1},
    "decay_steps": {"label": "Decay after", "unit": "steps", "min": 1, "max": 1_000_000},
    "weight_decay": {"label": "Weight decay", "min": 0, "max": 10},
    "ema_decay": {"label": "Averaging of weights", "min": 0, "max": 0.99999},
    "precision": {"label": "Precision", "choices": PRECISIONS},
    "seed": {"label": "Seed", "min": 0, "max": 2**31 - 1},
}
_KEPT_APART = FieldSpec(
    "kept_apart_percent",
    "Patients kept apart",
    "whole",
    20,
    unit="%",
    low=0,
    high=50,
    about="Share of the patients that the network never learns from; its Dice on them is shown "
    "while it trains and stands in the finished model's card. 0 %: learn from all.",
)
_MOST_SHOWN = 24
_DRAWN = 24
_SEED_OF_PREVIEW = 1_000_003  # drawn hearts that no training of this recipe has seen


def job_recipes() -> Iterator[JobRecipe]:
    """One for each segmenter recipe."""
    for name in RECIPES:
        recipe = recipe_for(name)
        form = form_of(recipe)
        basic = [spec for spec in form if not spec.advanced]
        yield JobRecipe(
            name=name,
            title=_TITLES.get(name, name),
            fields=(*basic, _KEPT_APART, *(spec for spec in form if spec.advanced)),
            data="pictures",
            needs_data=not recipe.phantoms,
            starts_from={"network": recipe.network},
            start_if=_KEEPING,
            run=partial(_train, name),
        )


def form_of(recipe: SegmenterRecipe) -> tuple[FieldSpec, ...]:
    """The fields of a recipe as a form shows them and a command line reads them."""
    return fields_of(recipe, notes=_NOTES, basic=_BASIC, fixed=_FIXED)


def _train(name: str, context: JobContext, values: Mapping[str, Any]) -> None:
    job = context.job
    fields = {k: v for k, v in values.items() if k != _KEPT_APART.name}
    recipe = recipe_for(name, **fields)
    if job.start is None and any(values[field] for field in _KEEPING):
        raise TrainingError("this training keeps something of its first weights; choose a model.")
    pairs = [] if job.data is None else sunnybrook_pairs(job.data)
    kept = kept_apart([pair.patient for pair in pairs], values[_KEPT_APART.name])
    held_out = [pair for pair in pairs if pair.patient in kept]
    watch = PictureWatch(recipe, held_out or pairs)
    callbacks: list[lightning.Callback] = [HeldOutDice(watch)] if held_out else []
    context.on_progress(0, 0, "reading the pictures" if pairs else "drawing hearts")
    make_segmenter_bundle(
        recipe,
        job.data,
        job.output,
        start=_weights(job.start),
        exclude=kept,
        evaluation=None,
        run_dir=context.run.path,
        device=job.device,
        command="cardioxai train job job.json",
        callbacks=[*callbacks, context.callback(preview=watch.preview)],
    )
    if held_out:
        _write_results(context, held_out)


def _weights(start: Path | None) -> Path | None:
    return start / WEIGHTS if start is not None and start.is_dir() else start


def kept_apart(patients: Sequence[str], percent: int) -> list[str]:
    """Patients that are not learnt from: about that share, every group in proportion."""
    names = sorted(set(patients))
    if not percent or len(names) < 2:
        return []
    return patient_folds(names, min(len(names), max(2, round(100 / percent))))[0]


def _write_results(context: JobContext, held_out: Sequence[SlicePair]) -> None:
    """Judge the finished model on whom it never saw, as it will be used, and say so in its card."""
    folder = context.job.output
    segmenter = Segmenter.load(folder, device=context.job.device)
    overlap: dict[str, list[int]] = {pair.patient: [0, 0] for pair in held_out}
    for done, pair in enumerate(held_out):
        context.on_progress(done, len(held_out), "judging on the patients kept apart")
        found = segmenter.label(imread(pair.image)[None, None])[0, 0] == 1
        truth = np.asarray(imread(pair.mask)) > 0
        overlap[pair.patient][0] += int(2 * (found & truth).sum())
        overlap[pair.patient][1] += int(found.sum() + truth.sum())
    scores = [both / max(total, 1) for both, total in overlap.values()]
    card, network = load_network(folder)
    judged = {
        "patients": len(scores),
        "pictures": len(held_out),
        "lv_dice_mean": round(float(np.mean(scores)), 4),
        "lv_dice_worst": round(float(np.min(scores)), 4),
    }
    save_bundle(folder, replace(card, results={"kept_apart": judged}), network.state_dict())


class PictureWatch:
    """A few pictures that the training is watched on, as the network sees them.

    Parameters
    ----------
    recipe
        Says at which pixel size.
    pairs
        Labelled pictures to choose from; none: hearts are drawn.
    """

    def __init__(self, recipe: SegmenterRecipe, pairs: Sequence[SlicePair]) -> None:
        self._recipe = recipe
        step = max(1, len(pairs) // _MOST_SHOWN)
        self._pairs = list(pairs)[::step][:_MOST_SHOWN]
        self._items: list[tuple[torch.Tensor, np.ndarray, str]] = []

    def items(self) -> list[tuple[torch.Tensor, np.ndarray, str]]:
        """Image (1, 1, y, x), labels (y, x) and a name of each."""
        if not self._items:
            recipe = self._recipe
            data: Dataset[dict[str, torch.Tensor]]
            if self._pairs:
                data = SliceDataset(self._pairs, zoom=PIXEL_MM / recipe.pixel_mm)
                names = [f"{p.patient}, slice {p.slice_index + 1}" for p in self._pairs]
            else:
                data = PhantomSlices(_DRAWN, pixel_mm=recipe.pixel_mm, seed=_SEED_OF_PREVIEW)
                data.draw(0)
                names = [f"drawn heart, picture {k + 1}" for k in range(_DRAWN)]
            for k, name in enumerate(names):
                image, label = data[k]["image"][0], data[k]["label"][0]
                window = _middle(image.shape, recipe.region or recipe.crop)
                self._items.append((image[window][None, None], label[window].numpy(), name))
        return self._items

    def preview(self, module: lightning.LightningModule, look: Look) -> Preview:
        """The chosen picture with its labels, what the network makes of it, and every layer."""
        items = self.items()
        chosen = min(max(look.picture, 0), len(items) - 1)
        image, truth, name = items[chosen]
        logits, layers = layer_heat(module.network, image.to(module.device), by=look.heat)
        grey = as_bytes(image[0, 0].numpy(), high=1.0)
        found = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
        agreement = dice(found == 1, truth == 1)
        said = "nothing to find" if np.isnan(agreement) else f"LV Dice {agreement:.2f}"
        return Preview(
            kind="segmenter",
            caption=f"{name}: {said}",
            picture=chosen,
            pictures=len(items),
            panels=(
                Panel("With its labels", image=grey, labels=truth.astype(np.uint8), large=True),
                Panel("As the network sees it", image=grey, labels=found, large=True),
                *(_panel(layer, grey) for layer in layers),
            ),
        )


def _panel(layer: LayerHeat, grey: np.ndarray) -> Panel:
    maps, rows, columns = layer.shape
    tip = f"{layer.module}: {maps} maps of {rows} × {columns}; brightest at {layer.heat.max():.3g}"
    size = f"{rows}²" if rows == columns else f"{rows} × {columns}"
    return Panel(f"{layer.name} · {size}", tip, image=grey, heat=as_bytes(layer.heat))


def _middle(shape: Sequence[int], side: int) -> tuple[slice, slice]:
    """The square in the middle, its side a multiple of what the networks need."""
    sizes = [min(side, n) // STRIDE * STRIDE for n in shape]
    starts = [(n - size) // 2 for n, size in zip(shape, sizes, strict=True)]
    rows, columns = (slice(a, a + size) for a, size in zip(starts, sizes, strict=True))
    return rows, columns


class HeldOutDice(lightning.Callback):
    """Logs `dice_kept_apart` after every epoch: of the LV, over all watched pictures together.

    Of the weights as they are; the finished model has averaged ones and is better.
    """

    def __init__(self, watch: PictureWatch) -> None:
        self._watch = watch

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Measure."""
        both = total = 0
        network = pl_module.network
        network.eval()
        with torch.inference_mode():
            for image, truth, _ in self._watch.items():
                found = (network(image.to(pl_module.device))[0].argmax(0) == 1).cpu().numpy()
                both += int((found & (truth == 1)).sum())
                total += int(found.sum() + (truth == 1).sum())
        network.train()
        pl_module.log("dice_kept_apart", 2 * both / max(total, 1))
