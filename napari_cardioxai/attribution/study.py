"""From a scan or labels and the name of a model to maps, scores and a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.attribution.baselines import Baselines
from napari_cardioxai.attribution.cycles import cycle_of, heart_targets
from napari_cardioxai.attribution.explain import ALL, Depth, StudyMaps, explain_subject
from napari_cardioxai.attribution.images import class_targets, image_of
from napari_cardioxai.attribution.pictures import pictures_of, structure_targets
from napari_cardioxai.attribution.subjects import Indices, Question, Subject
from napari_cardioxai.attribution.summary_regions import Atlas, aha_atlas, structure_atlas
from napari_cardioxai.bundles.bundle import find_bundle, load_card
from napari_cardioxai.bundles.card import Card
from napari_cardioxai.bundles.image_classifier import ImageClassifier
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import AttributionError, MeasurementError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Scan

Reads = Literal["scan", "labels"]
Regions = Literal["structures", "aha"]


@dataclass(frozen=True)
class ModelKind:
    """How models of a kind are explained; everything after it knows no kinds.

    Attributes
    ----------
    reads
        What of a study its models look at.
    decides
        Whether a model has an answer of its own that is explained when no
        target is named.
    targets
        From a card alone: names of what can be explained, by what they are.
    load
        A bundle by its name or folder, and a device.
    subject
        From a loaded bundle and a question to what is explained.
    """

    reads: Reads
    decides: bool
    targets: Callable[[Any], Mapping[str, tuple[str, ...]]]
    load: Callable[..., Any]
    subject: Callable[[Any, Question], Subject]


KINDS: Mapping[str, ModelKind] = {
    "segmenter": ModelKind("scan", False, structure_targets, Segmenter.load, pictures_of),
    "latent-classifier": ModelKind("labels", True, heart_targets, LatentClassifier.load, cycle_of),
    "image-classifier": ModelKind("scan", True, class_targets, ImageClassifier.load, image_of),
}
"""Kinds of models that can be explained, by the name on their cards."""

_WANTED: Mapping[Reads, str] = {
    "scan": "a scan; give one",
    "labels": "labels of a whole cycle; give them",
}


@dataclass(frozen=True, eq=False)
class ExplainedModel:
    """A bundle that is loaded to be explained.

    Attributes
    ----------
    name
        Its name or folder.
    kind
        How it is explained.
    loaded
        What `ModelKind.load` gave.
    """

    name: str
    kind: ModelKind
    loaded: Any

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> ExplainedModel:
        """Load a bundle of any kind.

        Parameters
        ----------
        model
            Name or folder.
        device
            "auto", "cpu", "cuda" or "mps".

        Raises
        ------
        BundleError
            When the bundle or the device cannot be had.
        AttributionError
            When nothing is known about its kind.
        """
        kind = kind_of_model(model)
        return cls(str(model), kind, kind.load(model, device=device))

    def subject(self, question: Question) -> Subject:
        """What is explained of a study.

        Raises
        ------
        CardioxaiError
            When what the model reads is not given, or study, target and model
            do not go together.
        """
        if getattr(question, self.kind.reads) is None:
            raise AttributionError(f"{self.name} is explained on {_WANTED[self.kind.reads]}.")
        return self.kind.subject(self.loaded, question)


def kind_of_model(model: str | Path) -> ModelKind:
    """How a model is explained, without loading its weights; errors as `ExplainedModel.load`."""
    return kind_of_card(load_card(find_bundle(model)))


def kind_of_card(card: Card) -> ModelKind:
    """As `kind_of_model`, for a card that is loaded already."""
    if card.kind not in KINDS:
        raise AttributionError(
            f"{card.name} is of the kind {card.kind}; maps can be made for {', '.join(KINDS)}."
        )
    return KINDS[card.kind]


def targets_of(model: str | Path) -> tuple[str, ...]:
    """What can be explained of a model, the default first where it is not the decision itself."""
    card = load_card(find_bundle(model))
    return tuple(chain(*kind_of_card(card).targets(card).values()))


def subject_of(
    model: str | Path,
    *,
    scan: Scan | None = None,
    labels: Labels | None = None,
    target: str | None = None,
    frames: Indices = (0,),
    slices: Indices | None = None,
    truth: NDArray | None = None,
    device: str = "auto",
) -> Subject:
    """What a model of ours is to be explained on.

    Parameters
    ----------
    model
        Name or folder of a bundle.
    scan, labels, target, frames, slices, truth
        See `subjects.Question`.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    AttributionError
        When the model is of another kind, or what it reads is not given.
    """
    question = Question(
        scan=scan, labels=labels, target=target, frames=frames, slices=slices, truth=truth
    )
    return ExplainedModel.load(model, device=device).subject(question)


def explain_study(
    model: str | Path,
    methods: Sequence[str] = (ALL,),
    *,
    scan: Scan | None = None,
    labels: Labels | None = None,
    target: str | None = None,
    frames: Indices = (0,),
    slices: Indices | None = None,
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
        None for the AHA segments where the labels show them, else the
        structures, and no table where nothing is labelled.

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
        atlas=atlas_of(regions, subject.labels),
        settings=settings,
        memory_mib=memory_mib,
        seed=seed,
        on_progress=on_progress,
    )


def atlas_of(regions: Regions | Atlas | None, labels: Labels | None) -> Atlas | None:
    """Regions of the table, see `explain_study`.

    Raises
    ------
    AttributionError
        When they are to come from labels, and there are none.
    MeasurementError
        When segments were asked for and the labels do not show where the septum is.
    """
    if isinstance(regions, Atlas):
        return regions
    if labels is None:
        if regions is None:
            return None
        raise AttributionError(
            f"the regions {regions!r} come from labels; give labels, or an atlas."
        )
    if regions == "structures":
        return structure_atlas(labels)
    try:
        return aha_atlas(labels)
    except MeasurementError:
        if regions == "aha":
            raise
        return structure_atlas(labels)
