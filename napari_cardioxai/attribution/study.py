"""From a scan or labels and the name of a model to maps, scores and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.attribution.baselines import Baselines
from napari_cardioxai.attribution.cycles import cycle_of, heart_targets
from napari_cardioxai.attribution.explain import ALL, Depth, StudyMaps, explain_subject
from napari_cardioxai.attribution.pictures import pictures_of, structure_targets
from napari_cardioxai.attribution.subjects import Subject
from napari_cardioxai.attribution.summary_regions import Atlas, aha_atlas, structure_atlas
from napari_cardioxai.bundles.bundle import find_bundle, load_card
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import AttributionError, MeasurementError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Scan

KINDS = ("segmenter", "latent-classifier")
"""Kinds of models that can be explained here."""

Regions = Literal["structures", "aha"]


def kind_of_model(model: str | Path) -> str:
    """One of `KINDS`.

    Raises
    ------
    BundleError
        When there is no such model.
    AttributionError
        When it is of another kind.
    """
    card = load_card(find_bundle(model))
    if card.kind not in KINDS:
        raise AttributionError(
            f"{card.name} is of the kind {card.kind}; maps can be made for {' and '.join(KINDS)}."
        )
    return card.kind


def targets_of(model: str | Path) -> tuple[str, ...]:
    """What can be explained of a model, the default first where it is not the decision itself."""
    if kind_of_model(model) == "segmenter":
        return structure_targets(Segmenter.load(model, device="cpu"))
    return heart_targets(LatentClassifier.load(model, device="cpu"))


def subject_of(
    model: str | Path,
    *,
    scan: Scan | None = None,
    labels: Labels | None = None,
    target: str | None = None,
    frames: tuple[int, ...] | Literal["all"] = (0,),
    slices: tuple[int, ...] | Literal["all"] | None = None,
    truth: NDArray | None = None,
    device: str = "auto",
) -> Subject:
    """What a model of ours is to be explained on.

    Parameters
    ----------
    model
        Name or folder of a bundle.
    scan
        For a segmenter.
    labels
        Of the scan; a latent classifier needs them.
    target, frames, slices, truth
        As for `pictures.pictures_of` and `cycles.cycle_of`.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    AttributionError
        When the model is of another kind, or what it reads is not given.
    """
    if kind_of_model(model) == "segmenter":
        if scan is None:
            raise AttributionError("a segmenter is explained on a scan; give one.")
        return pictures_of(
            scan,
            Segmenter.load(model, device=device),
            target=target,
            frames=frames,
            slices=slices,
            labels=labels,
            truth=truth,
        )
    if labels is None:
        raise AttributionError("a latent classifier is explained on labels; give them.")
    classifier = LatentClassifier.load(model, device=device)
    return cycle_of(labels, classifier, target=target, truth=truth)


def explain_study(
    model: str | Path,
    methods: Sequence[str] = (ALL,),
    *,
    scan: Scan | None = None,
    labels: Labels | None = None,
    target: str | None = None,
    frames: tuple[int, ...] | Literal["all"] = (0,),
    slices: tuple[int, ...] | Literal["all"] | None = None,
    truth: NDArray | None = None,
    baseline: Baselines = None,
    layer: str | None = None,
    depth: Depth = "quick",
    regions: Regions | Atlas | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    memory_mib: float = 512.0,
    seed: int = 0,
    device: str = "auto",
    on_progress: Progress = silent,
) -> StudyMaps:
    """Explain a model of ours on a study; what is shown and written comes from here.

    Parameters
    ----------
    model, scan, labels, target, frames, slices, truth, device
        As for `subject_of`.
    methods, baseline, layer, depth, settings, memory_mib, seed, on_progress
        As for `explain.explain_subject`.
    regions
        Of the table: "structures", "aha", an atlas on the grid of the scan, or
        None for the AHA segments where the labels show them and else the structures.

    Raises
    ------
    CardioxaiError
        When model, target, method or study do not go together.
    """
    on_progress(0, 0, "loading the model")
    subject = subject_of(
        model,
        scan=scan,
        labels=labels,
        target=target,
        frames=frames,
        slices=slices,
        truth=truth,
        device=device,
    )
    return explain_subject(
        subject,
        methods,
        baseline=baseline,
        layer=layer,
        depth=depth,
        atlas=_atlas(regions, subject.labels),
        settings=settings,
        memory_mib=memory_mib,
        seed=seed,
        on_progress=on_progress,
    )


def _atlas(regions: Regions | Atlas | None, labels: Labels) -> Atlas:
    if isinstance(regions, Atlas):
        return regions
    if regions == "structures":
        return structure_atlas(labels)
    try:
        return aha_atlas(labels)
    except MeasurementError:
        if regions == "aha":
            raise
        return structure_atlas(labels)
