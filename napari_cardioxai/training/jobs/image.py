"""Image classifiers as jobs: one of their pictures with what the network makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from torch import Tensor

from napari_cardioxai.cohorts.manifest import SPLIT, Manifest, read_manifest
from napari_cardioxai.cohorts.picture_splits import split_pictures
from napari_cardioxai.cohorts.pictures import class_indices
from napari_cardioxai.errors import CohortError, TrainingError
from napari_cardioxai.progress import Progress
from napari_cardioxai.training.images.bundle import make_image_bundle, starting_weights
from napari_cardioxai.training.images.recipe import RECIPES, form_of, recipe_for, with_changes
from napari_cardioxai.training.jobs.fields import FieldSpec
from napari_cardioxai.training.jobs.folder import Look
from napari_cardioxai.training.jobs.heat import LayerHeat, layer_heat
from napari_cardioxai.training.jobs.previews import Panel, Preview, as_bytes
from napari_cardioxai.training.jobs.recipes import JobContext, JobRecipe

_TITLES = {
    "tumour": "Pictures, Brima 2024",
    "tumour-tuned": "Pictures, moved about while learnt",
    "brain3d": "Volumes, small 3-D network",
    "brain3d-hippocampus": "Volumes, around the hippocampi",
}
_SPLIT = FieldSpec(
    "split_column",
    "Column of train, val, test",
    "text",
    SPLIT,
    about="Column of the manifest that says what is learnt from. For a folder of class folders "
    "`split` keeps near-duplicates together, `split_run` holds out runs of file numbers, "
    "`split_random` is drawn at random.",
)
_SPLITS_FILE = "pictures.csv"
_ALIKE = 0.95  # likeness of near-duplicates where there are too few images to learn it from
_MOST_SHOWN = 24
_MOST_LAYERS = 16


def job_recipes() -> Iterator[JobRecipe]:
    """One for each image recipe."""
    for name, recipe in RECIPES.items():
        form = form_of(recipe)
        basic = [spec for spec in form if not spec.advanced]
        yield JobRecipe(
            name=name,
            title=_TITLES.get(name, name),
            fields=(*basic, _SPLIT, *(spec for spec in form if spec.advanced)),
            data="images",
            needs_data=True,
            starts_from={"network": recipe.network},
            run=partial(_train, name),
        )


def _train(name: str, context: JobContext, values: Mapping[str, Any]) -> None:
    job = context.job
    if job.data is None:
        raise TrainingError("an image classifier learns from images; give their folder.")
    fields = dict(values)
    split = fields.pop(_SPLIT.name)
    recipe = with_changes(recipe_for(name), fields)
    manifest = _manifest(job.data, context.run.path / _SPLITS_FILE, context.on_progress)
    _, classes = class_indices(manifest, [])
    make_image_bundle(
        recipe,
        manifest,
        job.output,
        run_dir=context.run.path,
        split=split,
        data=job.data.name,
        start=None if job.start is None else starting_weights(job.start, recipe.network),
        device=job.device,
        command="cardioxai train job job.json",
        on_progress=context.on_progress,
        callbacks=(context.callback(preview=partial(preview, classes=classes)),),
    )


def _manifest(data: Path, splits: Path, on_progress: Progress) -> Manifest:
    """The manifest, or that of a folder, dealt out once and then kept with the run."""
    if not data.is_dir():
        return read_manifest(data)
    if not splits.is_file():
        try:
            split_pictures(data, splits, on_progress=on_progress)
        except CohortError:  # too few to learn from what strangers have in common
            split_pictures(data, splits, threshold=_ALIKE, on_progress=on_progress)
    return read_manifest(splits)


def preview(module: lightning.LightningModule, look: Look, *, classes: Sequence[str]) -> Preview:
    """The chosen picture, what the network says of it, and where its convolutions answer.

    Of a volume its middle slice is shown.
    """
    images, labels, is_unseen = _watched(module)
    count = min(_MOST_SHOWN, len(labels))
    # Spread over all, which may lie in the order of their classes.
    rows = np.linspace(0, len(labels) - 1, count).round().astype(int)
    chosen = min(max(look.picture, 0), count - 1)
    image = images[rows[chosen]][None].to(module.device)
    logits, layers = layer_heat(module.network, module.inputs(image), by=look.heat)
    shares = logits.float().softmax(1)[0]
    said = int(shares.argmax())
    grey = as_bytes(_middle(image[0].float().cpu().numpy()), high=1.0)
    truth = classes[int(labels[rows[chosen]])]
    right = "right" if classes[said] == truth else f"truly {truth}"
    whose = "not learnt from" if is_unseen else "learnt from"
    kept = np.unique(np.linspace(0, len(layers) - 1, min(_MOST_LAYERS, len(layers))).round())
    return Preview(
        kind="image",
        caption=f"{classes[said]}, {100 * float(shares[said]):.0f} %: {right} ({whose})",
        picture=chosen,
        pictures=count,
        panels=(
            Panel("As the network sees it", image=grey, large=True),
            *(_panel(layers[int(k)], grey) for k in kept),
        ),
    )


def _watched(module: lightning.LightningModule) -> tuple[Tensor, Tensor, bool]:
    """Images, labels, and whether they are kept out of the training."""
    trainer = module.trainer
    held_out = trainer.val_dataloaders
    loader = trainer.train_dataloader if held_out is None else held_out
    images, labels = loader.dataset.tensors[:2]
    return images, labels, held_out is not None


def _panel(layer: LayerHeat, grey: np.ndarray) -> Panel:
    maps, *sides = layer.shape
    size = " × ".join(map(str, sides))
    tip = f"{layer.module}: {maps} maps of {size}; brightest at {layer.heat.max():.3g}"
    title = f"{layer.name} · {sides[-1]}" if len(sides) == 3 else f"{layer.name} · {size}"
    return Panel(title, tip, image=grey, heat=as_bytes(_middle(layer.heat)))


def _middle(values: np.ndarray) -> np.ndarray:
    """The picture itself, or the middle slice of a volume."""
    return values if values.ndim == 2 else values[values.shape[0] // 2]
