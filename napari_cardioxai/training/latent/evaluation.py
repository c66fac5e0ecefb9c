"""Judge latent classifiers: a finished one on unseen subjects, or a recipe by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from napari_cardioxai.bundles.latent import LatentClassifier, LatentDecisions
from napari_cardioxai.bundles.training_cloud import latent_summary
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.baselines import baseline_predictions
from napari_cardioxai.training.evaluation.calibration import Temperature, logits_of
from napari_cardioxai.training.evaluation.evaluation import (
    evaluate_classifier,
    json_form,
    write_evaluation,
)
from napari_cardioxai.training.evaluation.folds import Fold, hold_back, stratified_folds
from napari_cardioxai.training.evaluation.intervals import mean_of_two
from napari_cardioxai.training.evaluation.leakage import concept_leakage
from napari_cardioxai.training.evaluation.predictions import FoldPredictions
from napari_cardioxai.training.evaluation.reconstruction import ReconstructionDice
from napari_cardioxai.training.evaluation.roc import Threshold, auc, judge_decisions
from napari_cardioxai.training.latent.bundle import calibrated, subject_dice
from napari_cardioxai.training.latent.cohort import (
    BIOMARKERS,
    LatentCohort,
    cohort_biomarkers,
    load_cohort,
)
from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.heads import new_classifiers
from napari_cardioxai.training.latent.recipe import LatentRecipe
from napari_cardioxai.training.latent.training import train_latent

FAR_PERCENTILE = 99.0
_FEWEST_OF_A_CLASS = 10  # subjects, for a readout of leakage in five folds
_VALIDATION_SHARE = 0.2  # of the training subjects of a fold


@dataclass(frozen=True)
class _Seen:
    """What a classifier made of subjects that it did not learn from."""

    data: TrainingData
    said: LatentDecisions
    dice: ReconstructionDice | None
    percentile: NDArray[np.float64] | None
    present: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def by(cls, classifier: LatentClassifier, data: TrainingData, progress: Progress) -> _Seen:
        latent = classifier.encode(data.sequences, on_progress=progress)
        can_draw = classifier.network.has_decoder and classifier.network.reads == "labels"
        cloud = classifier.cloud
        said = classifier.decide(latent)
        return cls(
            data,
            said,
            subject_dice(classifier, data, latent) if can_draw else None,
            None if cloud is None else cloud.strangeness(latent_summary(latent)).percentile,
            {
                name: values >= classifier.card.concept_threshold(name)
                for name, values in said.concepts.items()
            },
        )


def evaluate_bundles(
    classifiers: Sequence[LatentClassifier],
    manifest: Manifest,
    folder: Path,
    *,
    label: str = "label",
    split: str | None = None,
    cache: Path | None = None,
    seed: int = 0,
    on_progress: Progress = silent,
) -> dict[str, Any]:
    """Judge finished models, and the biomarker baselines beside, on the same unseen subjects.

    Thresholds and temperatures are those of the bundles. The baselines learn
    from the split `train` of the manifest, with the threshold chosen there; a
    manifest without splits leaves them nothing to learn from.

    Parameters
    ----------
    classifiers
        The first is the one in question: reconstruction, concepts, leakage and
        distances are of it; the others stand beside it. All read the same form.
    manifest, label
        The cohort and the column of the primary class.
    split
        Whom to judge on; by default `test` where there is one, else everybody.
    folder
        For `evaluation.json` and the other files of `write_evaluation`.
    cache
        As for `load_sequences`.
    seed
        Of bootstrap, forest and permutations.

    Returns
    -------
    The content of `evaluation.json`.

    Raises
    ------
    CohortError
        When the cohort does not fit, or has nobody of a class.
    """
    first = classifiers[0]
    recipe = recipe_of(first)
    cohort = load_cohort(recipe, manifest, label=label, cache=cache, on_progress=on_progress)
    chosen = split or ("test" if manifest.split("test") else None)
    rows = _labelled(cohort, None if chosen is None else (chosen,))
    if not len(rows):
        raise CohortError(
            f"{manifest.path.name} has no subjects with a label to judge on in the split {chosen!r}."
        )
    seen = {c.card.name: _Seen.by(c, cohort.data.rows(rows), on_progress) for c in classifiers}
    models = {
        c.card.name: [_predictions(c, seen[c.card.name].data, seen[c.card.name].said)]
        for c in classifiers
    }
    train = _labelled(cohort, ("train",))
    if chosen not in (None, "train") and len(np.unique(cohort.data.labels[train])) == 2:
        fold = Fold(_names(cohort, train), _names(cohort, rows))
        models |= _baselines(manifest, cohort, [fold], seed=seed, on_progress=on_progress)
    evaluation = evaluate_classifier(models, seed=seed, on_progress=on_progress)
    one = seen[first.card.name]
    sections = {
        "models_judged": {
            c.card.name: {"command": c.card.command, "data": c.card.data} for c in classifiers
        },
        "cohort": {"manifest": manifest.path.name, "split": chosen or "all"},
        "left_out": dict(cohort.left_out),
        **_sections([one], recipe, seed=seed, on_progress=on_progress),
    }
    return write_evaluation(folder, evaluation, sections=sections, classes=first.card.classes)


def cross_validate_latent(
    recipe: LatentRecipe,
    manifest: Manifest,
    folder: Path,
    *,
    folds: int = 5,
    label: str = "label",
    classes: tuple[str, str] = ("negative", "positive"),
    name: str = "latent classifier",
    autoencoder: LatentClassifier | None = None,
    device: str = "auto",
    seed: int = 0,
    on_progress: Progress = silent,
) -> dict[str, Any]:
    """Train a recipe anew for every fold and judge it on the subjects left out.

    A fifth of each fold's training subjects is watched on, and gives threshold
    and temperature where ten of each class are among them; otherwise all of the
    fold's training subjects give them, as in the papers. Folds that were
    interrupted go on from `folder`.

    Parameters
    ----------
    recipe, manifest, label
        As for `make_latent_bundle`; the column `split` is not used.
    folder
        For checkpoints of the folds and for the files of `write_evaluation`.
    folds, seed
        How many, and how subjects are dealt.
    classes, name
        For figures and tables.
    autoencoder
        A bundle whose autoencoder is kept in every fold, so that only the
        classifiers are trained: few subjects do not teach what a heart looks
        like. Its own training must not have seen these subjects.

    Returns
    -------
    The content of `evaluation.json`.
    """
    cohort = load_cohort(
        recipe, manifest, label=label, cache=folder / "cache", on_progress=on_progress
    )
    known = _labelled(cohort, None)
    names, truth = _names(cohort, known), cohort.data.labels[known].astype(int)
    dealt = stratified_folds(names, truth, folds=folds, seed=seed)
    row = {subject: k for k, subject in enumerate(cohort.data.subjects)}
    seen: list[_Seen] = []
    predictions: list[FoldPredictions] = []
    for number, fold in enumerate(dealt):

        def tell(done: int, total: int, what: str, number: int = number) -> None:
            on_progress(number * total + done, folds * total, f"fold {number + 1}, {what}")

        learnt = np.array([row[subject] for subject in fold.train])
        aside = hold_back(
            fold.train,
            cohort.data.labels[learnt].astype(int),
            share=_VALIDATION_SHARE,
            seed=seed,
        )
        split = np.full(len(cohort.data), "", dtype="<U7")
        for subjects, part in ((aside.train, "train"), (aside.test, "val"), (fold.test, "test")):
            split[[row[subject] for subject in subjects]] = part
        own = replace(cohort, split=split)
        if autoencoder is None:
            network = train_latent(
                recipe,
                own.part("train"),
                own.part("val"),
                run_dir=folder / f"fold-{number + 1}",
                device=device,
                on_progress=tell,
            )
        else:
            network = new_classifiers(
                autoencoder.network, own.part("train"), recipe, on_progress=tell
            )
        classifier = calibrated(network, recipe, own, classes=classes)
        test = own.part("test")
        seen.append(_Seen.by(classifier, test, silent))
        predictions.append(_predictions(classifier, test, seen[-1].said))
    models = {name: predictions}
    models |= _baselines(manifest, cohort, dealt, seed=seed, on_progress=on_progress)
    evaluation = evaluate_classifier(models, seed=seed, on_progress=on_progress)
    sections = {
        "recipe": recipe.as_json(),
        "cohort": {"manifest": manifest.path.name, "split": f"{folds} folds"},
        "left_out": dict(cohort.left_out),
        **_sections(seen, recipe, seed=seed, on_progress=on_progress, with_leakage=False),
    }
    return write_evaluation(folder, evaluation, sections=sections, classes=classes)


def recipe_of(classifier: LatentClassifier) -> LatentRecipe:
    """The recipe that a bundle was made by, from its card."""
    return LatentRecipe.from_json(classifier.card.recipe)


def _sections(
    seen: Sequence[_Seen],
    recipe: LatentRecipe,
    *,
    seed: int,
    on_progress: Progress,
    with_leakage: bool = True,
) -> dict[str, Any]:
    """Reconstruction, concepts, leakage and distances of one model, all folds together."""
    sections: dict[str, Any] = {}
    drawn = [one.dice for one in seen if one.dice is not None]
    if drawn:
        together = ReconstructionDice(
            tuple(name for dice in drawn for name in dice.subjects),
            np.concatenate([dice.dice for dice in drawn]),
        )
        sections["reconstruction"] = together.summary()
    truth = np.concatenate([one.data.concepts for one in seen])
    sections["concepts"] = {
        concept.name: _concept_figures(
            truth[:, k],
            np.concatenate([one.said.concepts[concept.name] for one in seen]),
            np.concatenate([one.present[concept.name] for one in seen]),
        )
        for k, concept in enumerate(recipe.concepts)
    }
    if with_leakage:
        sections["concept_leakage"] = _leakage(seen[0], recipe, seed, on_progress)
    placed = [one.percentile for one in seen if one.percentile is not None]
    if placed:
        percentile = np.concatenate(placed)
        sections["out_of_distribution"] = {
            "median_percentile": float(np.median(percentile)),
            "share_beyond_99": float((percentile >= FAR_PERCENTILE).mean()),
        }
    return sections


def _leakage(
    one: _Seen, recipe: LatentRecipe, seed: int, on_progress: Progress
) -> list[dict[str, Any]]:
    columns = {
        concept.name: one.data.concepts[:, k]
        for k, concept in enumerate(recipe.concepts)
        if min((one.data.concepts[:, k] == value).sum() for value in (0, 1)) >= _FEWEST_OF_A_CLASS
    }
    found = concept_leakage(
        one.said.latent,
        columns,
        {concept.name: (concept.start, concept.length) for concept in recipe.concepts},
        seed=seed,
        on_progress=on_progress,
    )
    return [json_form(leakage) for leakage in found]


def _concept_figures(
    truth: NDArray, probabilities: NDArray, present: NDArray[np.bool_]
) -> dict[str, Any]:
    """Area and balanced accuracy with their intervals; empty where a class is missing."""
    known = ~np.isnan(truth)
    labels = truth[known].astype(int)
    if len(np.unique(labels)) < 2:
        return {"subjects": int(known.sum())}
    judged = judge_decisions(labels, present[known])
    return {
        "subjects": int(known.sum()),
        "positives": int(labels.sum()),
        "auc": auc(labels, probabilities[known]),
        "balanced_accuracy": mean_of_two(judged.sensitivity, judged.specificity),
        "sensitivity": judged.sensitivity,
        "specificity": judged.specificity,
    }


def _predictions(
    classifier: LatentClassifier, data: TrainingData, said: LatentDecisions
) -> FoldPredictions:
    """Raw probabilities with the bundle's temperature beside, so that both are judged."""
    card = classifier.card
    stored = Threshold.from_json(card.threshold, where=Path(card.name))
    raw = float(expit(logits_of(stored.value) * card.temperature))
    return FoldPredictions(
        data.subjects,
        data.labels.astype(bool),
        np.asarray(expit(said.logit)),
        replace(stored, value=raw),
        Temperature(card.temperature, math.nan, math.nan),
    )


def _baselines(
    manifest: Manifest,
    cohort: LatentCohort,
    folds: Sequence[Fold],
    *,
    seed: int,
    on_progress: Progress,
) -> Mapping[str, list[FoldPredictions]]:
    wanted = sorted({subject for fold in folds for subject in (*fold.train, *fold.test)})
    row = {subject: k for k, subject in enumerate(cohort.data.subjects)}
    return baseline_predictions(
        cohort_biomarkers(manifest, wanted, on_progress=on_progress),
        cohort.data.labels[[row[subject] for subject in wanted]].astype(int),
        subjects=wanted,
        features=BIOMARKERS,
        folds=folds,
        seed=seed,
        on_progress=on_progress,
    )


def _labelled(cohort: LatentCohort, splits: tuple[str, ...] | None) -> NDArray[np.intp]:
    known = ~np.isnan(cohort.data.labels)
    return np.flatnonzero(known if splits is None else known & np.isin(cohort.split, splits))


def _names(cohort: LatentCohort, rows: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(cohort.data.subjects[k] for k in rows)
