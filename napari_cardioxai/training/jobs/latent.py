"""Latent hearts as jobs: input against reconstruction while they train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray

from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.fields import FieldSpec, fields_of, plain
from napari_cardioxai.training.jobs.folder import Look
from napari_cardioxai.training.jobs.previews import Panel, Preview, as_bytes
from napari_cardioxai.training.jobs.recipes import JobContext, JobRecipe
from napari_cardioxai.training.latent.bundle import CLASSES, make_latent_bundle
from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.recipe import RECIPES, LatentRecipe, recipe_for

_TITLES = {
    "clough": "Disease, Clough 2019",
    "crt": "CRT response, Puyol-Antón 2020",
}
_BASIC = (
    *("vae_epochs", "primary_epochs", "concept_epochs", "batch_size", "learning_rate"),
    *("beta", "gamma", "alpha"),
)
_LABEL = FieldSpec(
    "label_column",
    "Column of the class",
    "text",
    "label",
    about="Column of the manifest to predict: 0, 1 or blank.",
)
_FRAMES_SHOWN = 4
_MOST_SHOWN = 24
_SLICE_NAMES = ("basal", "middle", "apical")


def job_recipes() -> Iterator[JobRecipe]:
    """One for each latent recipe, with the tuned settings as defaults."""
    for name in RECIPES:
        recipe = _tuned(name)
        form = fields_of(recipe, basic=_BASIC, fixed=("concepts",))
        concepts = FieldSpec(
            "concept_columns",
            "Columns of concepts",
            "text",
            ", ".join(concept.name for concept in recipe.concepts),
            optional=True,
            about="Columns of the manifest to learn as concepts, separated by commas: 0, 1 or blank.",
        )
        basic = [spec for spec in form if not spec.advanced]
        yield JobRecipe(
            name=name,
            title=_TITLES.get(name, name),
            fields=(_LABEL, concepts, *basic, *(spec for spec in form if spec.advanced)),
            data="manifest",
            needs_data=True,
            run=partial(_train, name),
        )


def _train(name: str, context: JobContext, values: Mapping[str, Any]) -> None:
    job = context.job
    if job.data is None:
        raise TrainingError("a latent heart learns from a cohort; give its manifest.")
    manifest = read_manifest(job.data)
    fields = dict(values)
    label, asked = fields.pop(_LABEL.name), fields.pop("concept_columns")
    names = [part.strip() for part in (asked or "").split(",") if part.strip()]
    tuned = _tuned(name)
    own = [concept.name for concept in tuned.concepts]
    is_tuned = names == own and fields["latent"] == tuned.latent  # or their slices do not fit
    recipe = recipe_for(
        name,
        columns=set(manifest.table.columns),
        concepts=None if is_tuned else names,
        settings=[
            f"{k}={_as_setting(v)}" for k, v in fields.items() if v != plain(getattr(tuned, k))
        ],
    )
    make_latent_bundle(
        recipe,
        manifest,
        job.output,
        run_dir=context.run.path,
        label=label,
        classes=CLASSES[name],
        device=job.device,
        command="cardioxai train job job.json",
        on_progress=context.on_progress,
        callbacks=[context.callback(preview=reconstruction)],
    )


def _tuned(name: str) -> LatentRecipe:
    kind: Any = RECIPES[name]  # each has tuned settings, their common base has none
    return kind.tuned()


def _as_setting(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def reconstruction(module: lightning.LightningModule, look: Look) -> Preview | None:
    """A subject's cycle, and what is left of it after the latent; None without a decoder."""
    network = module.network
    if not network.has_decoder:
        return None
    batches = module.trainer.datamodule
    data: TrainingData = batches.train if batches.val is None else batches.val
    count = min(_MOST_SHOWN, len(data))
    chosen = min(max(look.picture, 0), count - 1)
    rows = data.rows([chosen])
    frames = np.linspace(0, rows.sequences.shape[1], _FRAMES_SHOWN, endpoint=False).astype(int)
    given = np.ascontiguousarray(rows.sequences[:, frames])
    network.eval()
    with torch.inference_mode():
        mean, _ = network.encode(torch.from_numpy(given).to(module.device))
        decoded = network.decode(mean)
    network.train()
    made = (decoded.argmax(3).to(torch.uint8) if network.reads == "labels" else decoded).cpu()
    shares = 100 * frames / rows.sequences.shape[1]
    panels = [
        _panel(
            f"{what} {share:.0f} %",
            picture[t, z],
            tip=f"{_SLICE_NAMES[z]} slice, {share:.0f} % of the cycle",
        )
        for z in range(given.shape[2])
        for what, picture in ((_SLICE_NAMES[z], given[0]), ("decoded", made[0].numpy()))
        for t, share in enumerate(shares)
    ]
    return Preview(
        kind="latent",
        caption=f"{rows.subjects[0]}: {_agreement(given[0], made[0].numpy(), network.reads)}",
        picture=chosen,
        pictures=count,
        panels=tuple(panels),
    )


def _panel(title: str, picture: NDArray, *, tip: str) -> Panel:
    if picture.dtype == np.uint8:
        return Panel(title, tip, labels=picture)
    return Panel(title, tip, image=as_bytes(picture, low=-2.0, high=3.0))


def _agreement(given: NDArray, made: NDArray, reads: str) -> str:
    if reads != "labels":
        return f"mean distance {np.abs(given - made).mean():.3f}"
    both = 2 * ((given == made) & (given > 0)).sum() / max((given > 0).sum() + (made > 0).sum(), 1)
    return f"Dice of the structures {both:.2f} in the frames shown"
