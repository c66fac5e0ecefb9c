"""Who has a concept and who has not: sets of subjects, and random ones of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.errors import CohortError

SHARE = 0.2
"""Of the subjects at each end: Clough et al. 2019 take 1,000 of 5,000."""
MOST = 1000
_FEWEST = 10


@dataclass(frozen=True)
class ConceptSets:
    """Two sets of subjects, as rows of a pool.

    Attributes
    ----------
    concept
        Whose.
    positive, negative
        Rows of the pool that have the concept, and that have its opposite.
    values
        The biomarker of every subject of the pool, higher towards the concept,
        shape (n,), NaN where not measured; None where there is no biomarker.
    """

    concept: Concept
    positive: NDArray[np.intp]
    negative: NDArray[np.intp]
    values: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, rows in (("with", self.positive), ("without", self.negative)):
            if len(rows) < _FEWEST:
                raise CohortError(
                    f"{self.concept.name}: {len(rows)} subjects {name} the concept; "
                    f"{_FEWEST} or more are needed for a direction."
                )

    @property
    def sizes(self) -> tuple[int, int]:
        """Subjects with the concept, and without."""
        return len(self.positive), len(self.negative)


@dataclass(frozen=True)
class Samples:
    """Subjects and what is to be found of them, many times over.

    Attributes
    ----------
    rows
        Rows of the pool, shape (r, m).
    target
        1 and -1, or a biomarker, shape (r, m).
    """

    rows: NDArray[np.intp]
    target: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, which: slice) -> Samples:
        """Some of the repetitions."""
        return Samples(self.rows[which], self.target[which])


def extremes(concept: Concept, values: ArrayLike, *, per_side: int | None = None) -> ConceptSets:
    """Both ends of a biomarker.

    Parameters
    ----------
    concept
        Says which end is which.
    values
        Its biomarker for every subject of the pool, shape (n,), NaN where not measured.
    per_side
        Subjects at each end; by default a fifth of the measured ones, at most 1,000.

    Raises
    ------
    CohortError
        When fewer are measured than both ends need.
    """
    towards = concept.sign * np.asarray(values, float)
    known = np.flatnonzero(np.isfinite(towards))
    count = min(MOST, int(SHARE * len(known))) if per_side is None else per_side
    if 2 * count > len(known):
        raise CohortError(
            f"{concept.name}: {len(known)} subjects are measured, too few for {count} at each end."
        )
    order = known[np.argsort(towards[known], kind="stable")]
    return ConceptSets(
        concept, np.sort(order[len(order) - count :]), np.sort(order[:count]), towards
    )


def tagged(concept: Concept, has_it: ArrayLike) -> ConceptSets:
    """Subjects of whom a column or a person says whether they have the concept.

    Parameters
    ----------
    concept
        Whose.
    has_it
        1, 0 or NaN where it is not known, shape (n,).
    """
    told = np.asarray(has_it, float)
    return ConceptSets(concept, np.flatnonzero(told == 1), np.flatnonzero(told == 0))


def collected(
    concept: Concept,
    pool: Sequence[str],
    positive: Sequence[str],
    negative: Sequence[str] | None = None,
) -> ConceptSets:
    """Subjects that a person has picked out.

    Parameters
    ----------
    concept
        Whose.
    pool
        Subjects in the order of the rows.
    positive, negative
        Names; without negative ones, everybody else.

    Raises
    ------
    CohortError
        When a name is not in the pool, or in both sets.
    """
    row = {name: k for k, name in enumerate(pool)}
    for name in [*positive, *(negative or ())]:
        if name not in row:
            raise CohortError(f"{concept.name}: there is no subject {name!r} in the pool.")
    if both := sorted(set(positive) & set(negative or ())):
        raise CohortError(f"{concept.name}: {both[0]} is in both sets.")
    has = {row[name] for name in positive}
    others = set(range(len(pool))) - has if negative is None else {row[n] for n in negative}
    return ConceptSets(concept, np.array(sorted(has), np.intp), np.array(sorted(others), np.intp))


def of_sets(sets: ConceptSets) -> Samples:
    """Both sets as one sample: 1 with the concept, -1 without."""
    rows = np.concatenate([sets.positive, sets.negative])
    return Samples(rows[None], _signs(sets.sizes)[None])


def of_values(sets: ConceptSets) -> Samples:
    """Every measured subject with the standardised biomarker.

    Raises
    ------
    CohortError
        When the concept has no biomarker.
    """
    if sets.values is None:
        raise CohortError(
            f"{sets.concept.name} has no biomarker to be regressed on; use its sets instead."
        )
    rows = np.flatnonzero(np.isfinite(sets.values))
    known = sets.values[rows]
    return Samples(rows[None], ((known - known.mean()) / known.std())[None])


def resampled(samples: Samples, *, count: int, rng: np.random.Generator) -> Samples:
    """Bootstrap samples of one sample; with and without the concept apart where there are sets."""
    rows, target = samples.rows[0], samples.target[0]
    groups = (
        [np.flatnonzero(target == sign) for sign in (1, -1)]
        if set(np.unique(target)) == {-1.0, 1.0}
        else [np.arange(len(rows))]
    )
    chosen = np.concatenate(
        [rng.choice(group, (count, len(group)), replace=True) for group in groups], axis=1
    )
    return Samples(rows[chosen], target[chosen])


def random_sets(
    pool: int, sizes: tuple[int, int], *, count: int, rng: np.random.Generator
) -> Samples:
    """Sets of the same sizes that have nothing in common but chance.

    Parameters
    ----------
    pool
        Number of subjects to draw from.
    sizes
        Subjects with the concept, and without; nobody is in both.
    count
        How many times.
    rng
        Draws them.
    """
    m = sum(sizes)
    if m > pool:
        raise CohortError(f"random sets of {m} subjects cannot be drawn from {pool}.")
    rows = np.argsort(rng.random((count, pool)), axis=1)[:, :m]
    return Samples(rows, np.broadcast_to(_signs(sizes), (count, m)))


def permuted(samples: Samples, *, count: int, rng: np.random.Generator) -> Samples:
    """One sample with its values dealt out anew, many times."""
    rows, target = samples.rows[0], samples.target[0]
    order = np.argsort(rng.random((count, len(rows))), axis=1)
    return Samples(np.broadcast_to(rows, (count, len(rows))), target[order])


def _signs(sizes: tuple[int, int]) -> NDArray[np.float64]:
    return np.concatenate([np.ones(sizes[0]), -np.ones(sizes[1])])
