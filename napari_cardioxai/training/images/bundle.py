"""From an image recipe to a bundle: read, train, judge, write."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
from scipy.special import softmax
from torch import nn

from napari_cardioxai.bundles.bundle import load_network
from napari_cardioxai.bundles.card import ImageClassifierCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.embedding_cloud import EmbeddingCloud
from napari_cardioxai.bundles.image_classifier import (
    ImageClassifier,
    ImageDecisions,
    save_image_classifier,
)
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.manifest import SPLIT, Manifest
from napari_cardioxai.cohorts.pictures import class_indices, load_images, load_regions
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import check_folder_place
from napari_cardioxai.networks.classifiers import last_linear
from napari_cardioxai.networks.published_weights import load_published_weights
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.evaluation import json_form
from napari_cardioxai.training.images.cloud import FEWEST_IMAGES, fit_embedding_cloud
from napari_cardioxai.training.images.evaluation import fit_class_temperature, judge_images
from napari_cardioxai.training.images.recipe import ImageRecipe
from napari_cardioxai.training.images.training import LabelledImages, train_image_classifier

_LIMITS = (
    "Knows images like those that it was trained on, and their classes only.",
    "Research use only; not a medical device.",
)


def make_image_bundle(
    recipe: ImageRecipe,
    manifest: Manifest,
    folder: Path,
    *,
    run_dir: Path,
    split: str = SPLIT,
    data: str = "not stated",
    licence: str = "not stated",
    start: Callable[[nn.Module], object] | None = None,
    device: str = "auto",
    command: str = "",
    on_progress: Progress = silent,
    callbacks: tuple[lightning.Callback, ...] = (),
) -> ImageClassifierCard:
    """Train on a manifest's training images, judge on its test images and write the bundle.

    Parameters
    ----------
    recipe, manifest
        How, and on what: columns `scan`, `class` and the split.
    folder
        Bundle to write.
    run_dir
        Checkpoints; an interrupted training goes on from there.
    split
        Column of train, val and test, such as `split` or `split_random`.
    data, licence
        For the card.
    start, device, on_progress, callbacks
        As for `train_image_classifier`.
    command
        As typed, for the card.

    Raises
    ------
    CohortError
        When there is no such column, nothing to train on, or an image of the
        test cannot be read.
    BundleError
        When the machine has no such device.
    OutputError
        When nothing can be written to `folder` or `run_dir`.
    """
    resolve_device(device)
    for place in (folder, run_dir):  # before hours of work for it
        check_folder_place(place)
    parts, names, failed = read_parts(manifest, split, recipe.spec, on_progress=on_progress)
    check_trainable(manifest, split, parts["train"], names, failed)
    if recipe.region_weight:
        parts["train"] = _with_regions(parts["train"], manifest, split, recipe, on_progress)
    val = parts["val"] if len(parts["val"].labels) else None
    network = train_image_classifier(
        recipe,
        parts["train"],
        val,
        classes=len(names),
        run_dir=run_dir,
        start=start,
        device=device,
        on_progress=on_progress,
        callbacks=callbacks,
    )
    counts = ", ".join(f"{len(p.labels)} {part}" for part, p in parts.items() if len(p.labels))
    settings: dict[str, Any] = {
        "architecture": recipe.network,
        "network_params": recipe.params_for(len(names)),
        "spec": recipe.spec,
        "classes": names,
        "title": f"{recipe.network} for {', '.join(names)}",
        "data": data,
        "licence": licence,
        "split": f"Column {split!r}: {counts}; {len(failed)} images could not be read.",
        "split_column": split,
        "command": command,
        "limits": _LIMITS,
        "recipe": recipe.as_json(),
        "seed": recipe.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-cardioxai", "torch", "monai", "lightning")},
        },
    }
    with TemporaryDirectory() as draft:  # judged before anything stands at its place
        card = save_image_classifier(Path(draft) / folder.name, network, **settings)
    said = {
        part: ImageClassifier(card, network, "cpu").decide(images.images, on_progress=on_progress)
        for part, images in parts.items()
        if len(images.labels)
    }
    results: dict[str, Any] = {}
    if val is not None and len(val.labels) >= FEWEST_IMAGES:
        found = fit_class_temperature(val.labels, said["val"].logits)
        settings["temperature"] = found.value
        results["temperature"] = json_form(found)
    cloud = fit_embedding_cloud(
        said["train"].embedding, said["val"].embedding if "val" in said else None, seed=recipe.seed
    )
    for part in ("val", "test"):
        if part in said:
            labels, temperature = parts[part].labels, settings.get("temperature", 1.0)
            shares = softmax(said[part].logits / temperature, axis=1)
            results[part] = judge_images(labels, shares, names).as_json()
            results[part] |= _strangers(said[part], cloud)
    return save_image_classifier(folder, network, **settings, results=results, cloud=cloud)


def _with_regions(
    train: LabelledImages,
    manifest: Manifest,
    split: str,
    recipe: ImageRecipe,
    on_progress: Progress,
) -> LabelledImages:
    """Training images with where their regions of interest lie."""
    subjects = subjects_of(manifest, split)["train"]
    if len(subjects) != len(train.labels):
        raise CohortError(
            f"{len(subjects) - len(train.labels)} training images cannot be read; a region needs "
            "all of them."
        )
    structures = recipe.region_structures
    regions = load_regions(manifest, subjects, recipe.spec, structures, on_progress=on_progress)
    return replace(train, regions=regions)


def _strangers(said: ImageDecisions, cloud: EmbeddingCloud | None) -> dict[str, float]:
    """How many images lie farther out than the reference of the model."""
    if cloud is None:
        return {}
    beyond = cloud.strangeness(said.embedding).percentile >= 100
    return {"farther_than_all_known_percent": round(100 * float(beyond.mean()), 2)}


def read_parts(
    manifest: Manifest, split: str, spec: InputSpec, *, on_progress: Progress = silent
) -> tuple[dict[str, LabelledImages], tuple[str, ...], dict[str, str]]:
    """Images and classes of train, val and test by a column of the manifest.

    Returns
    -------
    The parts, each of them there though it may be empty; the classes; and every
    image that could not be read with the reason.

    Raises
    ------
    CohortError
        When there is no such column, or a class is blank.
    """
    parts: dict[str, LabelledImages] = {}
    failed: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for part, subjects in subjects_of(manifest, split).items():
        images = load_images(manifest, subjects, spec, on_progress=on_progress)
        labels, names = class_indices(manifest, images.subjects)
        parts[part] = LabelledImages(images.data, labels)
        failed |= images.failed
    return parts, names, failed


def check_trainable(
    manifest: Manifest,
    split: str,
    train: LabelledImages,
    names: tuple[str, ...],
    failed: dict[str, str],
) -> None:
    """Refuse what `read_parts` made when nothing can be learnt from it.

    Raises
    ------
    CohortError
        When there are no training images, with the reason where they could not
        be read, or those of one class only.
    """
    if not len(train.labels):
        first = (f"{subject}: {reason.rstrip('.')}" for subject, reason in failed.items())
        why = f" that can be used; {next(first)}" if failed else ""
        raise CohortError(f"{manifest.path.name} has no images to train on in {split!r}{why}.")
    there = [names[k] for k in sorted(set(train.labels.tolist()))]
    if len(there) < 2:
        raise CohortError(
            f"{manifest.path.name} has training images of one class, {there[0]}; two are needed to "
            "tell apart."
        )


def subjects_of(manifest: Manifest, split: str) -> dict[str, list[str]]:
    """Subjects of train, val and test by a column of the manifest.

    Raises
    ------
    CohortError
        When there is no such column.
    """
    if split not in manifest.table:
        raise CohortError(f"{manifest.path.name} has no column {split!r}.")
    by_column = replace(manifest, table=manifest.table.assign(**{SPLIT: manifest.table[split]}))
    return {part: by_column.split(part) for part in ("train", "val", "test")}


def starting_weights(path: Path, network: str) -> Callable[[nn.Module], object]:
    """What fills an untrained network: a model folder, or a file of published weights.

    Parameters
    ----------
    path
        A bundle of the same architecture, whose last layer may have other
        classes, or safetensors of timm or torchvision.
    network
        Name of the architecture.

    Returns
    -------
    For `train_image_classifier`; raises `BundleError` when weights do not fit.
    """
    if not path.is_dir():
        return partial(load_published_weights, name=network, file=path)

    def fill(untrained: nn.Module) -> None:
        card, trained = load_network(path)
        if card.network != network:
            raise BundleError(f"{card.name} is a {card.network}, not a {network}.")
        head = last_linear(untrained)
        own = {name for name, module in untrained.named_modules() if module is head}
        weights, known = untrained.state_dict(), trained.state_dict()
        odd = [k for k, v in weights.items() if k not in known or known[k].shape != v.shape]
        if any(name.rpartition(".")[0] not in own for name in odd):
            raise BundleError(f"the weights of {card.name} do not fit this {network}: {odd[0]}.")
        untrained.load_state_dict({**weights, **{k: known[k] for k in weights if k not in odd}})

    return fill
