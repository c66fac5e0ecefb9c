"""Where a concept points in a layer, and how well the layer knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.concepts.estimates import Estimate, share, with_percentiles
from napari_cardioxai.concepts.fitting import LINEAR, PATTERN, REGRESSION, SGD, fit_vectors
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.concepts.samples import ConceptSets, Samples, of_sets, of_values, resampled
from napari_cardioxai.errors import CohortError

ADJUSTED = "adjusted"
KINDS = (LINEAR, SGD, PATTERN, REGRESSION, ADJUSTED)
"""Linear directions; the region of `concepts.region` is the sixth way."""
ON_VALUES = (REGRESSION, ADJUSTED)
_FOLDS = 5
_REPEATS = 50


@dataclass(frozen=True)
class Direction:
    """A concept as a direction of a layer.

    Attributes
    ----------
    concept, kind, layer
        What, how it was found (one of `KINDS`), and where.
    vector
        Unit length, towards the concept, shape (p,).
    sd
        Standard deviation of the pool's projections onto it: one step of a walk.
    holdout
        On subjects that were not used to find it: accuracy of the two sets
        ("linear", "sgd", "pattern") or R² of the biomarker.
    holdout_name
        "accuracy" or "R²".
    stability
        Mean cosine between it and directions from resampled subjects.
    subjects
        How many it was found with.
    """

    concept: Concept
    kind: str
    layer: str
    vector: NDArray[np.float64]
    sd: float
    holdout: Estimate
    holdout_name: str
    stability: float
    subjects: int

    def projection(self, activations: NDArray) -> NDArray[np.float64]:
        """Where subjects lie along it, in standard deviations of the pool, shape (n,)."""
        return np.asarray(activations, float) @ self.vector / self.sd


def samples_for(
    sets: ConceptSets, kind: str, *, others: NDArray[np.float64] | None = None
) -> tuple[Samples, str]:
    """What a kind is fitted on, and with which solver.

    "adjusted" is the pattern of the biomarker while others are held fixed: its
    target is what linear regression on the others leaves of the biomarker
    (Frisch and Waugh 1933), so the pattern is that column of the regression of
    the activations on all of them.

    Parameters
    ----------
    sets, kind
        The concept, and one of `KINDS`.
    others
        Biomarkers to hold fixed, shape (n, b), NaN where not measured; for "adjusted".

    Raises
    ------
    CohortError
        When the kind needs a biomarker that the concept does not have.
    """
    if kind not in ON_VALUES:
        return of_sets(sets), kind
    samples = of_values(sets)
    if kind != ADJUSTED:
        return samples, REGRESSION
    if others is None or not others.shape[1]:
        raise CohortError(f"{sets.concept.name}: there are no other biomarkers to hold fixed.")
    rows, target = samples.rows[0], samples.target[0]
    known = np.isfinite(others[rows]).all(1)
    rows, target = rows[known], target[known]
    design = np.column_stack([np.ones(len(rows)), others[rows]])
    if len(rows) < 2 * design.shape[1]:
        raise CohortError(
            f"{sets.concept.name}: {len(rows)} subjects with all biomarkers are too few to hold "
            f"{others.shape[1]} of them fixed."
        )
    left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return Samples(rows[None], left[None]), PATTERN


def find_direction(
    reading: LayerReading,
    sets: ConceptSets,
    kind: str,
    *,
    rng: np.random.Generator,
    others: NDArray[np.float64] | None = None,
) -> Direction:
    """Find the direction of a concept in a layer and judge it on held-out subjects.

    Parameters
    ----------
    reading
        Of the pool that the rows of `sets` count in.
    sets, kind, others
        As for `samples_for`.
    rng
        Deals subjects into five folds and resamples them.

    Raises
    ------
    CohortError
        When the kind is unknown or does not fit the concept, or the layer is
        the same for everybody.
    """
    if kind not in KINDS:
        raise CohortError(
            f"there are no directions of the kind {kind!r}; choose from {', '.join(KINDS)}."
        )
    samples, solver = samples_for(sets, kind, others=others)
    vector = unit(fit_vectors(reading.activations, samples, solver)[0])
    sd = float((reading.activations @ vector).std())
    if not sd > 0:
        raise CohortError(
            f"{reading.layer} is the same for every subject, so it has no direction of "
            f"{sets.concept.name}."
        )
    again = resampled(samples, count=3 if kind == SGD else _REPEATS, rng=rng)
    others_like_it = unit(fit_vectors(reading.activations, again, solver))
    holdout = _holdout(reading.activations, samples, solver, rng=rng)
    return Direction(
        concept=sets.concept,
        kind=kind,
        layer=reading.layer,
        vector=vector,
        sd=sd,
        holdout=holdout,
        holdout_name="R²" if kind in ON_VALUES else "accuracy",
        stability=float((others_like_it @ vector).mean()),
        subjects=samples.rows.shape[1],
    )


def cosines(directions: Sequence[Direction]) -> NDArray[np.float64]:
    """Cosine between any two directions of one layer, shape (k, k)."""
    vectors = np.stack([direction.vector for direction in directions])
    return vectors @ vectors.T


def turned(direction: Direction) -> Direction:
    """The same direction away from the concept."""
    return replace(direction, vector=-direction.vector)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit length along the last axis; zeros stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def _holdout(
    activations: NDArray, samples: Samples, solver: str, *, rng: np.random.Generator
) -> Estimate:
    """Five folds, each judged by the direction of the other four, pooled."""
    rows, target = samples.rows[0], samples.target[0]
    is_sets = set(np.unique(target)) == {-1.0, 1.0}
    fold = _folds(target if is_sets else np.zeros(len(target)), rng)
    guess = np.empty(len(rows))
    for k in range(_FOLDS):
        learnt = fold != k
        one = Samples(rows[None, learnt], target[None, learnt])
        vector = unit(fit_vectors(activations, one, solver)[0])
        along = activations[rows] @ vector
        if is_sets:  # the border half way between the sets
            ends = [along[learnt & (target == sign)].mean() for sign in (1, -1)]
            guess[~learnt] = along[~learnt] - np.mean(ends)
        else:
            slope, intercept = np.polyfit(along[learnt], target[learnt], 1)
            guess[~learnt] = intercept + slope * along[~learnt]
    if is_sets:
        return share(int(np.sum((guess > 0) == (target > 0))), len(target))
    chosen = rng.integers(0, len(target), (500, len(target)))
    return with_percentiles(_r2(target, guess), [_r2(target[c], guess[c]) for c in chosen])


def _folds(groups: NDArray, rng: np.random.Generator) -> NDArray[np.intp]:
    """Fold of each subject, every group spread evenly."""
    fold = np.empty(len(groups), np.intp)
    for value in np.unique(groups):
        members = np.flatnonzero(groups == value)
        fold[rng.permutation(members)] = np.arange(len(members)) % _FOLDS
    return fold


def _r2(truth: NDArray, guess: NDArray) -> float:
    return float(1 - np.sum((truth - guess) ** 2) / np.sum((truth - truth.mean()) ** 2))
