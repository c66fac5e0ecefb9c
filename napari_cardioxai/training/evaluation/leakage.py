"""Where in the latent space a concept can be read, and where it should not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.folds import stratified_folds
from napari_cardioxai.training.evaluation.inputs import checked_labels

MOST_COMPONENTS = 64


@dataclass(frozen=True)
class ConceptReadout:
    """How well one concept is told from one part of the latent space.

    Attributes
    ----------
    auc, balanced_accuracy
        Means over the held-out folds.
    auc_sd
        Standard deviation of the area over folds.
    permuted_auc, permuted_auc_95
        Mean and 95th percentile of the area when the labels are permuted
        within folds: what chance gives.
    p_value
        Share of permutations, the true labels counted as one, that do as well.
    """

    auc: float
    auc_sd: float
    balanced_accuracy: float
    permuted_auc: float
    permuted_auc_95: float
    p_value: float


@dataclass(frozen=True)
class ConceptLeakage:
    """Where one concept can be read.

    Attributes
    ----------
    concept
        Its name.
    positives, negatives
        Subjects for which it is known.
    own, rest, free, every
        Readout from the part of the latent meant for it, from everything else,
        from the part that is meant for no concept (None when there is none),
        and from all of it. `rest` includes the parts of other concepts, so
        that a concept that goes along with another one is found there without
        having leaked; `free` has no such excuse.
    """

    concept: str
    positives: int
    negatives: int
    own: ConceptReadout
    rest: ConceptReadout
    free: ConceptReadout | None
    every: ConceptReadout


def concept_leakage(
    latent: ArrayLike,
    concepts: Mapping[str, ArrayLike],
    slices: Mapping[str, tuple[int, int]],
    *,
    folds: int = 5,
    permutations: int = 50,
    components: int = MOST_COMPONENTS,
    seed: int = 0,
    patients: Sequence[str] | None = None,
    on_progress: Progress = silent,
) -> list[ConceptLeakage]:
    """Read every concept from the latent part meant for it, from the rest and from all.

    The reader is a class-balanced logistic regression on the largest principal
    components of the part, judged in stratified cross-validation; components
    come from the training subjects of each fold. Latents are not standardised
    before: their prior gives every unit the same scale, and one that carries
    nothing stays small.

    Parameters
    ----------
    latent
        Means of the encoder, shape (n, d), or (n, t, d) with one per frame,
        where a part keeps all of its frames.
    concepts
        0 or 1, NaN where unknown, shape (n,), by name.
    slices
        First unit and number of units meant for each concept, of the last
        axis. Those of concepts that are not asked for count as not free.
    folds, permutations, components, seed
        Of the cross-validation; permutations of the labels for the reference;
        largest number of principal components; of folds and permutations.
    patients
        As for `folds.stratified_folds`.
    on_progress
        Called for every concept and part; may raise `Cancelled`.

    Raises
    ------
    CohortError
        When the shapes do not fit, a slice is missing, empty, outside the
        latent or all of it, or a concept has fewer subjects of a class than
        there are folds.

    References
    ----------
    Alain and Bengio 2016, arXiv:1610.01644 (linear probes); Ojala and Garriga
    2010, J. Mach. Learn. Res. 11:1833, test 1 (permuted labels).
    """
    units = np.asarray(latent, np.float32)  # as encoders give it; halves the time
    if units.ndim not in (2, 3) or not np.isfinite(units).all():
        raise CohortError(
            f"latents of shape {units.shape} cannot be read; "
            "finite values of shape (subjects, units) or (subjects, frames, units) are needed."
        )
    if not concepts:
        return []
    units = units.reshape(len(units), -1, units.shape[-1])
    width = units.shape[-1]
    meant = {name: _units_of(name, slices, width) for name in (*concepts, *slices)}
    free = ~np.any(list(meant.values()), axis=0)
    rng = np.random.default_rng(seed)
    found = []
    for number, (name, values) in enumerate(concepts.items()):
        known, truth = _known(name, values, len(units))
        owners = None if patients is None else [patients[k] for k in known]
        parts = {
            "own": meant[name],
            "rest": ~meant[name],
            "free": free,
            "every": np.ones(width, bool),
        }
        held_out = _held_out(truth, owners, folds, seed)
        shuffled = [_permuted_within(held_out, truth, rng) for _ in range(permutations)]
        readouts = {}
        for step, (part, chosen) in enumerate(parts.items()):
            done = number * len(parts) + step
            on_progress(done, len(concepts) * len(parts), f"where {name} can be read")
            if chosen.any():
                here = units[known][:, :, chosen]
                readouts[part] = _readout(here, truth, held_out, shuffled, components)
        found.append(
            ConceptLeakage(
                concept=name,
                positives=int(truth.sum()),
                negatives=int((~truth).sum()),
                own=readouts["own"],
                rest=readouts["rest"],
                free=readouts.get("free"),
                every=readouts["every"],
            )
        )
    on_progress(len(concepts), len(concepts), "where concepts can be read")
    return found


def _units_of(name: str, slices: Mapping[str, tuple[int, int]], width: int) -> NDArray[np.bool_]:
    if name not in slices:
        raise CohortError(
            f"the concept {name!r} has no slice of the latent; give start and length."
        )
    start, length = slices[name]
    if start < 0 or length < 1 or start + length > width or length == width:
        raise CohortError(
            f"the concept {name!r} is meant to lie in units {start} to {start + length - 1} of "
            f"{width}; its slice must be a part of the latent that leaves another."
        )
    chosen = np.zeros(width, bool)
    chosen[start : start + length] = True
    return chosen


def _known(name: str, values: ArrayLike, subjects: int) -> tuple[NDArray, NDArray[np.bool_]]:
    column = np.asarray(values, np.float64)
    if column.shape != (subjects,):
        raise CohortError(
            f"the concept {name!r} has values of shape {column.shape} for {subjects} subjects."
        )
    known = np.flatnonzero(~np.isnan(column))
    if len(known) == 0:
        raise CohortError(f"the concept {name!r} is known for no subject.")
    return known, checked_labels(column[known])


def _held_out(
    truth: NDArray[np.bool_], owners: Sequence[str] | None, folds: int, seed: int
) -> list[NDArray[np.int64]]:
    """Rows that each fold is judged on."""
    names = [f"{k:09d}" for k in range(len(truth))]
    split = stratified_folds(names, truth, folds=folds, seed=seed, patients=owners)
    return [np.array([int(name) for name in fold.test]) for fold in split]


def _permuted_within(
    held_out: Sequence[NDArray[np.int64]], truth: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    permuted = truth.copy()
    for rows in held_out:
        permuted[rows] = truth[rng.permutation(rows)]
    return permuted


def _readout(
    part: NDArray[np.float32],
    truth: NDArray[np.bool_],
    held_out: Sequence[NDArray[np.int64]],
    shuffled: Sequence[NDArray[np.bool_]],
    components: int,
) -> ConceptReadout:
    flat = part.reshape(len(part), -1)
    reduced = [_reduced(flat, rows, components) for rows in held_out]
    areas, accuracies = _judged(reduced, truth, held_out)
    chance = np.array([_judged(reduced, labels, held_out)[0].mean() for labels in shuffled])
    as_good = int((chance >= areas.mean()).sum())
    return ConceptReadout(
        auc=float(areas.mean()),
        auc_sd=float(areas.std(ddof=1)),
        balanced_accuracy=float(accuracies.mean()),
        permuted_auc=float(chance.mean()) if len(chance) else float("nan"),
        permuted_auc_95=float(np.percentile(chance, 95)) if len(chance) else float("nan"),
        p_value=(1 + as_good) / (1 + len(chance)),
    )


def _reduced(
    flat: NDArray[np.float32], rows: NDArray[np.int64], components: int
) -> NDArray[np.float64]:
    """All subjects on the training subjects' principal components, each of unit variance."""
    from sklearn.decomposition import PCA

    train = np.delete(flat, rows, axis=0)
    if not np.ptp(train, axis=0).any():
        return np.empty((len(flat), 0))  # constant units tell nothing
    pca = PCA(min(components, flat.shape[1], len(train) - 1), svd_solver="auto", random_state=0)
    scores = pca.fit(train).transform(flat)
    scale = np.sqrt(pca.explained_variance_)
    told = scale > 1e-5 * scale[0]
    return np.asarray(scores[:, told] / scale[told])


def _judged(
    reduced: Sequence[NDArray[np.float64]],
    truth: NDArray[np.bool_],
    held_out: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area under the curve and balanced accuracy of each fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    areas, accuracies = [], []
    for table, rows in zip(reduced, held_out, strict=True):
        if table.shape[1] == 0:
            areas.append(0.5)
            accuracies.append(0.5)
            continue
        reader = LogisticRegression(class_weight="balanced", max_iter=1000)
        reader.fit(np.delete(table, rows, axis=0), np.delete(truth, rows))
        logits = reader.decision_function(table[rows])
        areas.append(roc_auc_score(truth[rows], logits))
        accuracies.append(balanced_accuracy_score(truth[rows], logits > 0))
    return np.array(areas), np.array(accuracies)
