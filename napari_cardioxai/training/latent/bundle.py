"""From a latent recipe to a bundle: train, set temperature and threshold, judge, write."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Callback
from numpy.typing import NDArray

from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.bundles.card import LatentCard
from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.bundles.latent import LatentClassifier, LatentDecisions
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.sequences import load_sequences
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import check_folder_place
from napari_cardioxai.networks.latent import LatentHeart, channels_last
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.baselines import fit_biomarker_logistic
from napari_cardioxai.training.evaluation.calibration import Temperature, fit_temperature
from napari_cardioxai.training.evaluation.out_of_distribution import (
    fit_training_cloud,
    latent_summary,
)
from napari_cardioxai.training.evaluation.reconstruction import (
    ReconstructionDice,
    reconstruction_dice,
)
from napari_cardioxai.training.evaluation.roc import (
    Threshold,
    auc,
    judge_decisions,
    youden_threshold,
)
from napari_cardioxai.training.latent.cohort import (
    BIOMARKERS,
    LatentCohort,
    cohort_biomarkers,
    load_cohort,
)
from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.pictures import MOST_SUBJECTS, judge_pictures
from napari_cardioxai.training.latent.recipe import LatentRecipe
from napari_cardioxai.training.latent.training import EpochReport, train_latent

TITLES = {
    "CloughRecipe": "Disease from the labelled cycle, after Clough 2019",
    "CrtRecipe": "Response to resynchronisation from the labelled cycle, after Puyol-Antón 2020",
}
CLASSES = {"clough": ("healthy", "diseased"), "crt": ("no response", "response")}
"""Names of label 0 and of label 1, by recipe."""

_READS = {
    "labels": "Reads labels, not images: a wrong segmentation gives a wrong decision.",
    "images": "Reads intensities; labels only say where the ventricle is, and when it is smallest.",
}
_LIMITS = (
    "Knows hearts like those it was trained on; see the distance from them beside every decision.",
    "Research use only; not a medical device.",
)
_ENOUGH = 10  # subjects of each class, for a threshold of their own
_AT_ONCE = 32  # sequences decoded for scoring


def make_latent_bundle(
    recipe: LatentRecipe,
    manifest: Manifest,
    folder: Path,
    *,
    run_dir: Path,
    label: str = "label",
    classes: tuple[str, str] = ("negative", "positive"),
    licence: str = "not stated",
    data: str | None = None,
    start: LatentClassifier | None = None,
    device: str = "auto",
    devices: int | str = 1,
    strategy: str = "auto",
    command: str = "",
    on_progress: Progress = silent,
    on_epoch: Callable[[EpochReport], None] | None = None,
    callbacks: Sequence[Callback] = (),
) -> LatentCard:
    """Train on the training subjects of a cohort and write the bundle.

    Subjects of the splits `test` and `concept` are not learnt from. The
    temperature, and the threshold where ten of each class are there, come from
    validation subjects; figures in the card are of the test subjects.

    Parameters
    ----------
    recipe, manifest, label
        How, on what, and the column of the primary class.
    folder
        Bundle to write.
    run_dir
        Checkpoints and cached sequences; an interrupted training goes on from there.
    classes
        Names of label 0 and of label 1.
    data, licence
        What the cohort is, and under which licence, for the card; the name of
        the manifest by default.
    start
        A model whose autoencoder to start from.
    device, devices, strategy
        As for `train_latent`.
    command
        As typed, for the card.
    on_progress, on_epoch, callbacks
        As for `train_latent`.

    Raises
    ------
    CohortError
        When the cohort does not fit the recipe, or has no label to learn.
    BundleError
        When the machine has no such device, or the classes have one name.
    OutputError
        When nothing can be written to `folder` or `run_dir`.
    """
    resolve_device(device)
    if len({name.strip() for name in classes} - {""}) != 2:
        raise BundleError(f"the classes need two names, not {' and '.join(map(repr, classes))}.")
    for place in (folder, run_dir):  # before hours of work for it
        check_folder_place(place)
    cohort = load_cohort(
        recipe, manifest, label=label, cache=run_dir / "cache", on_progress=on_progress
    )
    if not (cohort.split == "train").any():
        raise CohortError(
            f"{manifest.path.name} has no subject of the split 'train' to learn from."
        )
    check_two_classes(cohort.part("train"), manifest.path.name)
    val = cohort.part("val") if (cohort.split == "val").any() else None
    network = train_latent(
        recipe,
        cohort.part("train"),
        val,
        run_dir=run_dir,
        start=None if start is None else start.network.state_dict(),
        device=device,
        devices=devices,
        strategy=strategy,
        on_progress=on_progress,
        on_epoch=on_epoch,
        callbacks=callbacks,
    )
    on_progress(0, 0, "judging")
    train_rows = [
        n for n, s in zip(cohort.data.subjects, cohort.split, strict=True) if s == "train"
    ]
    classifier = calibrated(
        network,
        recipe,
        cohort,
        classes=classes,
        biomarkers=cohort_biomarkers(manifest, train_rows, on_progress=on_progress),
    )
    results: dict[str, Any] = {"validation": judge(classifier, cohort.part("val"))} if val else {}
    if (cohort.split == "test").any():
        results["test"] = judge(classifier, cohort.part("test"))
        if recipe.reads == "images" and recipe.decoder:
            results["pictures"] = _pictures_judged(
                classifier, manifest, cohort.part("test"), on_progress
            )
    before = (
        ""
        if start is None
        else f"; started from the autoencoder of {start.card.name}, trained on {start.card.data}"
    )
    card = replace(
        classifier.card,
        name=folder.name,
        title=_title(recipe),
        data=f"{data or manifest.path.name}, {len(train_rows)} subjects learnt from{before}",
        licence=licence,
        split=_split_in_words(cohort),
        results=results,
        command=command,
    )
    save_bundle(folder, card, network.state_dict(), extras=classifier.extras)
    return card


def _title(recipe: LatentRecipe) -> str:
    title = TITLES.get(type(recipe).__name__, "Latent classifier of the labelled cycle")
    return title if recipe.reads == "labels" else title.replace("the labelled cycle", "the cine")


def calibrated(
    network: LatentHeart,
    recipe: LatentRecipe,
    cohort: LatentCohort,
    *,
    classes: tuple[str, str] = ("negative", "positive"),
    biomarkers: NDArray[np.float64] | None = None,
) -> LatentClassifier:
    """A trained network with temperature, threshold, training cloud and biomarker baseline.

    Parameters
    ----------
    network, recipe, cohort
        What was trained, how, and on whom.
    classes
        Names of label 0 and of label 1.
    biomarkers
        `BIOMARKERS` of the training subjects, shape (n, f), for the baseline.
    """
    card = LatentCard(
        name="in-training",
        title="in training",
        network="latent-heart",
        network_params=recipe.network_params,
        normalisation=recipe.spec,
        classes=classes,
        concepts=recipe.concepts,
        threshold={"value": 0.5},
        seed=recipe.seed,
        data="",
        licence="",
        split="",
        results={},
        command="",
        recipe=recipe.as_json(),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-cardioxai", "torch", "lightning")},
        },
        limits=(_READS[recipe.reads], *_LIMITS),
    )
    plain = LatentClassifier(card, channels_last(network.eval()), "cpu", {})
    train = _Read.by(plain, cohort.part("train"))
    val = _Read.by(plain, cohort.part("val")) if (cohort.split == "val").any() else None
    temperature, threshold = _operating_point(train, val)
    return LatentClassifier(
        replace(
            card,
            temperature=temperature.value,
            threshold=replace(
                threshold, value=float(temperature.calibrated(threshold.value))
            ).as_json(),
            concept_thresholds={} if val is None else _concept_thresholds(val),
            baseline=_baseline(train.data, biomarkers),
        ),
        plain.network,
        "cpu",
        _whereabouts(plain, train, val, seed=recipe.seed),
    )


@dataclass(frozen=True)
class _Read:
    """Subjects, their latents and what the classifiers say about them."""

    data: TrainingData
    said: LatentDecisions

    @classmethod
    def by(cls, plain: LatentClassifier, data: TrainingData) -> _Read:
        return cls(data, plain.decide(plain.encode(data.sequences)))


def judge(classifier: LatentClassifier, data: TrainingData) -> dict[str, Any]:
    """Figures of a classifier on subjects that it did not learn from, for the card.

    Returns
    -------
    `subjects, positives`; with both classes `auc` and its 95 % interval,
    `balanced_accuracy, sensitivity, specificity` at the threshold; `concepts`
    with the same for each that has both values, at its own; `dice` per structure.
    """
    latent = classifier.encode(data.sequences)
    said = classifier.decide(latent)
    figures: dict[str, Any] = {
        "subjects": len(data),
        "positives": int(np.nansum(data.labels)),
        **_two_class_figures(data.labels, said.logit, said.decision),
    }
    concepts = {
        name: _two_class_figures(
            data.concepts[:, k], values, values >= classifier.card.concept_threshold(name)
        )
        for k, (name, values) in enumerate(said.concepts.items())
    }
    if concepts:
        figures["concepts"] = concepts
    if classifier.network.has_decoder and classifier.network.reads == "labels":
        figures["dice"] = {
            name: round(float(spread["mean"]), 4)
            for name, spread in subject_dice(classifier, data, latent).summary().items()
            if spread["mean"] is not None
        }
    return figures


def _pictures_judged(
    classifier: LatentClassifier, manifest: Manifest, data: TrainingData, on_progress: Progress
) -> dict[str, Any]:
    """Whether decoded pictures of unseen subjects can be read; see `judge_pictures`."""
    known = load_sequences(manifest, data.subjects[:MOST_SUBJECTS], classifier.spec)
    rows = [data.subjects.index(name) for name in known.subjects]
    return judge_pictures(classifier, data.sequences[rows], known.data, on_progress=on_progress)


def subject_dice(
    classifier: LatentClassifier, data: TrainingData, latent: NDArray
) -> ReconstructionDice:
    """Dice of the reconstruction of every subject from its latents."""
    parts = [slice(k, k + _AT_ONCE) for k in range(0, len(data), _AT_ONCE)]
    return reconstruction_dice(
        (data.subjects[part], data.sequences[part], classifier.decode(latent[part]))
        for part in parts
    )


def check_two_classes(data: TrainingData, name: str) -> None:
    """Refuse a cohort from which no decision can be learnt."""
    if len(np.unique(data.labels[~np.isnan(data.labels)])) < 2:
        raise CohortError(
            f"{name}: the training subjects do not have both labels, 0 and 1; a classifier "
            "needs subjects of both classes."
        )


def _operating_point(train: _Read, val: _Read | None) -> tuple[Temperature, Threshold]:
    """Temperature and threshold on raw probabilities; from the training subjects where validation has too few."""
    read = train
    if val is not None and min(_numbers_of(val.data.labels)) >= _ENOUGH:
        read = val
    known = np.flatnonzero(~np.isnan(read.data.labels))
    truth = read.data.labels[known].astype(int)
    names = [read.data.subjects[k] for k in known]
    temperature = fit_temperature(truth, read.said.logit[known])
    return temperature, youden_threshold(truth, read.said.probability[known], train_subjects=names)


def _concept_thresholds(val: _Read) -> dict[str, float]:
    """Youden's index on the validation subjects, for concepts with ten of each value among them."""
    chosen = {}
    for k, (name, values) in enumerate(val.said.concepts.items()):
        column = val.data.concepts[:, k]
        if min(_numbers_of(column)) >= _ENOUGH:
            known = np.flatnonzero(~np.isnan(column))
            names = [val.data.subjects[row] for row in known]
            threshold = youden_threshold(
                column[known].astype(int), values[known], train_subjects=names
            )
            chosen[name] = threshold.value
    return chosen


def _baseline(train: TrainingData, biomarkers: NDArray[np.float64] | None) -> dict[str, Any] | None:
    """The logistic regression on biomarkers for the card; None without both classes."""
    if biomarkers is None or not all(_numbers_of(train.labels)):
        return None
    known = ~np.isnan(train.labels)
    return fit_biomarker_logistic(
        biomarkers[known], train.labels[known].astype(int), features=BIOMARKERS
    ).as_json()


def _whereabouts(
    plain: LatentClassifier, train: _Read, val: _Read | None, *, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Where the training cohort lies, and the Dice (mean over structures) of hearts like the model's own."""
    if len(train.data) < _ENOUGH:
        return {}
    arrays = dict(fit_training_cloud(latent_summary(train.said.latent), seed=seed).as_arrays())
    if val is not None and plain.network.has_decoder and plain.network.reads == "labels":
        scores = subject_dice(plain, val.data, val.said.latent).dice
        arrays["reconstruction_dice"] = np.sort(np.nanmean(scores, axis=1))
    return arrays


def _numbers_of(truth: NDArray) -> tuple[int, int]:
    """How many are 0 and how many are 1."""
    return int((truth == 0).sum()), int((truth == 1).sum())


def _two_class_figures(
    truth: NDArray, scores: NDArray, decisions: NDArray[np.bool_]
) -> dict[str, Any]:
    known = ~np.isnan(truth)
    labels = truth[known].astype(int)
    if len(np.unique(labels)) < 2:
        return {}
    area, judged = auc(labels, scores[known]), judge_decisions(labels, decisions[known])
    return {
        "auc": round(area.value, 4),
        "auc_95": [round(area.low, 4), round(area.high, 4)],
        "balanced_accuracy": round(judged.balanced_accuracy.value, 4),
        "sensitivity": round(judged.sensitivity.value, 4),
        "specificity": round(judged.specificity.value, 4),
    }


def _split_in_words(cohort: LatentCohort) -> str:
    counts = {
        name: int((cohort.split == name).sum()) for name in ("train", "val", "test", "concept")
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    left = f"; {len(cohort.left_out)} left out" if cohort.left_out else ""
    return f"{told}{left}; learnt from train, watched on val, figures of test"
