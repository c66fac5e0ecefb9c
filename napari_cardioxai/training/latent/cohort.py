"""From a manifest to what a latent heart learns from, and to the biomarkers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.anatomy.measurements import Measurements, measure
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.cohorts.sequences import load_sequences
from napari_cardioxai.errors import CardioxaiError, CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.folds import hold_back
from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.recipe import LatentRecipe

BIOMARKERS = (
    *("edv_ml", "esv_ml", "sv_ml", "ef_percent", "lvm_g"),
    *("per_ml_s", "pfr_ml_s", "pafr_ml_s", "per_edv_s", "pfr_edv_s", "pafr_edv_s"),
    *("third_filling_fraction", "ea_ratio", "thickening_variance_percent2", "wall_ed_max_mm"),
    *("sdi_percent", "rv_edv_ml", "rv_esv_ml", "rv_sv_ml", "rv_ef_percent", "heart_rate_bpm"),
)
"""What the baselines see, by the names that `Measurements.as_json` has."""


@dataclass(frozen=True)
class LatentCohort:
    """A cohort as a latent heart takes it.

    Attributes
    ----------
    data
        Every subject that has a sequence, in the order of the manifest.
    split
        Of each: train, val, test or concept.
    left_out
        Every other subject, and the reason.
    """

    data: TrainingData
    split: NDArray[np.str_]
    left_out: dict[str, str]

    def part(self, *splits: str) -> TrainingData:
        """The subjects of some splits."""
        return self.data.rows(np.flatnonzero(np.isin(self.split, splits)))


def load_cohort(
    recipe: LatentRecipe,
    manifest: Manifest,
    *,
    label: str = "label",
    cache: Path | None = None,
    on_progress: Progress = silent,
) -> LatentCohort:
    """Sequences, labels and concepts of a cohort.

    Where the manifest names no validation subjects, a tenth of the training
    subjects with a label is set aside, each class in proportion.

    Parameters
    ----------
    recipe
        Says what sequences are like and which columns are concepts.
    manifest, label
        The cohort, and the column of the primary class.
    cache
        As for `load_sequences`.

    Raises
    ------
    CohortError
        When a column is missing, or no subject has a sequence.
    """
    loaded = load_sequences(
        manifest,
        manifest.subjects,
        recipe.spec,
        reads=recipe.reads,
        cache=cache,
        on_progress=on_progress,
    )
    if not loaded.subjects:
        name, reason = next(iter(loaded.failed.items()))
        raise CohortError(f"{manifest.path.name}: no subject can be used; {name}: {reason}")
    subjects = loaded.subjects
    columns = [manifest.binary(concept.name, subjects) for concept in recipe.concepts]
    data = TrainingData.of(
        loaded.data,
        labels=manifest.binary(label, subjects),
        concepts=np.column_stack(columns) if columns else None,
        subjects=subjects,
    )
    of = {
        name: part for part in ("train", "val", "test", "concept") for name in manifest.split(part)
    }
    split = np.array([of[name] for name in subjects], dtype="<U7")
    if not (split == "val").any():
        split = _with_validation(data, split, seed=recipe.seed)
    return LatentCohort(data, split, loaded.failed)


def biomarkers_of(measurements: Measurements) -> dict[str, float | None]:
    """The values of `BIOMARKERS` of one study; None where one could not be measured."""
    values = measurements.as_json()
    return {name: values[name] for name in BIOMARKERS}


def cohort_biomarkers(
    manifest: Manifest, subjects: Sequence[str], *, on_progress: Progress = silent
) -> NDArray[np.float64]:
    """Measured biomarkers of a cohort, shape (n, len(BIOMARKERS)), NaN where not measurable."""
    rows = each_in_order(
        _measured,
        [manifest.labels_path(name) for name in subjects],
        what="biomarkers",
        on_progress=on_progress,
    )
    return np.array(list(rows), np.float64).reshape(len(subjects), len(BIOMARKERS))


def _measured(path: Path | None) -> list[float]:
    if path is None:
        return [np.nan] * len(BIOMARKERS)
    try:
        found = biomarkers_of(measure(read_labels(path)))
    except CardioxaiError:
        return [np.nan] * len(BIOMARKERS)
    return [np.nan if value is None else float(value) for value in found.values()]


def _with_validation(data: TrainingData, split: NDArray[np.str_], *, seed: int) -> NDArray[np.str_]:
    """Set a tenth of the labelled training subjects aside, where each class has ten."""
    candidates = np.flatnonzero((split == "train") & ~np.isnan(data.labels))
    truth = data.labels[candidates]
    if min((truth == 1).sum(), (truth == 0).sum()) < 10:
        return split
    fold = hold_back([data.subjects[k] for k in candidates], truth.astype(int), seed=seed)
    aside = set(fold.test)
    return np.array(
        ["val" if name in aside else part for name, part in zip(data.subjects, split, strict=True)],
        dtype=split.dtype,
    )
