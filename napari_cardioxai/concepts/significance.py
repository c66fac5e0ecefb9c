"""Whether the decision depends on a concept, and whether more than on chance.

The usual t-test between scores of many concept vectors takes vectors that share
their concept set for independent and calls random concepts significant in half
of the trials. Here the null is what random sets of the same size give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, ttest_ind_from_stats

from napari_cardioxai.concepts.directions import KINDS, ON_VALUES, Direction, samples_for, unit
from napari_cardioxai.concepts.estimates import Estimate, with_percentiles
from napari_cardioxai.concepts.fitting import SGD, fit_vectors
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.region import REGION, kernel_width, region_sensitivities
from napari_cardioxai.concepts.samples import (
    ConceptSets,
    Samples,
    permuted,
    random_sets,
    resampled,
)
from napari_cardioxai.errors import CohortError
from napari_cardioxai.multiple_testing import holm
from napari_cardioxai.progress import Progress, silent

PERMUTATIONS = 999
BOOTSTRAPS = 200
T_TEST_RUNS = 20
"""Concept vectors against as many random ones in the usual t-test."""
_SGD_MOST = 199


@dataclass(frozen=True)
class Tcav:
    """What testing with a concept says.

    Attributes
    ----------
    concept, kind, layer
        Which direction.
    score
        Share of subjects whose logit grows towards the concept, with its
        bootstrap interval over concept and test subjects.
    sensitivity
        Mean change of the logit per standard deviation towards the concept;
        for a region per unit of density.
    p_permutation
        Against random sets of the same size, two-sided; see `permutation_p`.
    p_sampling
        That the mean sensitivity is 0, two-sided, from the spread of its
        bootstrap: a concept that the layer knows well and the decision ignores
        can leave random sets behind by a sensitivity that is only noise.
    p_holm
        The larger of both after Holm's correction over everything that was
        tested with it.
    p_t_test
        The usual t-test, for comparison only: it calls far too much significant.
    permutations
        How many random sets.
    """

    concept: str
    kind: str
    layer: str
    score: Estimate
    sensitivity: Estimate
    p_permutation: float
    p_sampling: float
    p_holm: float
    p_t_test: float
    permutations: int

    @property
    def p(self) -> float:
        """What counts, before correction: the larger of `p_permutation` and `p_sampling`."""
        return max(self.p_permutation, self.p_sampling)


def sensitivities(reading: LayerReading, direction: Direction) -> NDArray[np.float64]:
    """Change of the logit per standard deviation towards the concept, shape (n,).

    Parameters
    ----------
    reading
        Gradients of the test subjects at the direction's layer.
    direction
        Of the concept.
    """
    return reading.gradients @ direction.vector * direction.sd


def test_concepts(
    pool: LayerReading,
    test: LayerReading,
    concepts: Sequence[ConceptSets],
    *,
    kinds: Sequence[str],
    rng: np.random.Generator,
    others: Sequence[NDArray[np.float64] | None] | None = None,
    permutations: int = PERMUTATIONS,
    bootstraps: int = BOOTSTRAPS,
    t_test_runs: int = T_TEST_RUNS,
    on_progress: Progress = silent,
) -> list[Tcav]:
    """Test every concept in every way, corrected by Holm over all of them.

    Parameters
    ----------
    pool, test
        Readings of one layer: subjects that the sets were taken from, and
        subjects whose decision is asked about.
    concepts
        Rows count in the pool.
    kinds
        Of `directions.KINDS`, or "region".
    rng
        Draws random sets and bootstraps.
    others
        For each concept the biomarkers to hold fixed, for "adjusted".
    permutations, bootstraps
        How many random sets and how many resamplings; "sgd", which is solved
        one set after the other, takes at most 199 and a tenth.
    t_test_runs
        Concept vectors in the usual t-test; 0 leaves it out, with p 1.
    on_progress
        Called per concept and kind; may raise `Cancelled`.

    Returns
    -------
    One a concept and kind, concepts outermost.
    """
    if pool.layer != test.layer:
        raise CohortError(f"the pool was read at {pool.layer}, the test subjects at {test.layer}.")
    held = [None] * len(concepts) if others is None else list(others)
    tasks = [
        (sets, fixed, kind) for sets, fixed in zip(concepts, held, strict=True) for kind in kinds
    ]
    counts = (permutations, bootstraps, t_test_runs)
    tests = {kind: _Test.of(pool, test, kind, counts, rng) for kind in kinds}
    found = []
    for done, (sets, fixed, kind) in enumerate(tasks, start=1):
        found.append(tests[kind].judge(sets, fixed, rng))
        on_progress(done, len(tasks), f"testing {sets.concept.name}")
    return corrected(found)


def corrected(results: Sequence[Tcav]) -> list[Tcav]:
    """The same results with `p_holm` over all of them: concepts, kinds, layers, classes."""
    adjusted = holm([result.p for result in results])
    return [replace(one, p_holm=float(p)) for one, p in zip(results, adjusted, strict=True)]


def permutation_p(observed: float, null: ArrayLike) -> float:
    """Two-sided p of a statistic among those of random sets: (1 + as far from 0) / (1 + n).

    The statistic of a direction is the mean derivative of the logit along its
    unit vector times how far the concept moves subjects along it (the slope of
    the projection on the standardised target): the change of the logit, to
    first order, that goes with the concept. The TCAV score itself will not do:
    where a classifier is nearly linear every direction, random ones included,
    has a score close to 0 or to 1.
    """
    others = np.abs(np.asarray(null, float))
    return float((1 + np.sum(others >= abs(observed) * (1 - 1e-12))) / (1 + len(others)))


@dataclass(frozen=True)
class _Test:
    """One layer and kind, with the random sets that concepts of one size share."""

    pool: LayerReading
    test: LayerReading
    kind: str
    permutations: int
    bootstraps: int
    t_test_runs: int
    width: float
    nulls: dict[tuple[int, int], NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        pool: LayerReading,
        test: LayerReading,
        kind: str,
        counts: tuple[int, int, int],
        rng: np.random.Generator,
    ) -> _Test:
        permutations, bootstraps, t_test_runs = counts
        if kind not in (*KINDS, REGION):
            raise CohortError(
                f"there are no directions of the kind {kind!r}; choose from "
                f"{', '.join((*KINDS, REGION))}."
            )
        if kind == SGD:
            permutations, bootstraps = min(permutations, _SGD_MOST), max(20, bootstraps // 10)
        width = kernel_width(pool.activations, rng) if kind == REGION else 0.0
        return cls(pool, test, kind, permutations, bootstraps, t_test_runs, width, {})

    def judge(
        self, sets: ConceptSets, others: NDArray[np.float64] | None, rng: np.random.Generator
    ) -> Tcav:
        kind = LINEAR_OF.get(self.kind, self.kind)
        samples, solver = samples_for(sets, kind, others=others)
        (observed,), along = self._statistics(samples, solver)
        null = self._null(sets, samples, solver, rng)
        again = resampled(samples, count=self.bootstraps, rng=rng)
        moved = self._along(again, solver)
        chosen = rng.integers(0, len(moved), (self.bootstraps, len(moved)))
        picked = moved[chosen, np.arange(self.bootstraps)[:, None]]
        return Tcav(
            concept=sets.concept.name,
            kind=self.kind,
            layer=self.pool.layer,
            score=with_percentiles(float((along > 0).mean()), (picked > 0).mean(1)),
            sensitivity=with_percentiles(float(along.mean()), picked.mean(1)),
            p_permutation=permutation_p(observed, null),
            p_sampling=_sampling_p(float(along.mean()), picked.mean(1)),
            p_holm=1.0,
            p_t_test=self._t_test(sets, samples, solver, rng),
            permutations=len(null),
        )

    def _null(
        self, sets: ConceptSets, samples: Samples, solver: str, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Statistics of random sets, or of the sample with its values dealt out anew."""
        if self.kind in ON_VALUES:
            return self._statistics(permuted(samples, count=self.permutations, rng=rng), solver)[0]
        if sets.sizes not in self.nulls:
            drawn = random_sets(
                len(self.pool.activations), sets.sizes, count=self.permutations, rng=rng
            )
            self.nulls[sets.sizes] = self._statistics(drawn, solver)[0]
        return self.nulls[sets.sizes]

    def _along(self, samples: Samples, solver: str) -> NDArray[np.float64]:
        """Change of the logit per standard deviation, shape (test subjects, r)."""
        if self.kind == REGION:
            return region_sensitivities(self.test, self.pool, samples, width=self.width)
        vectors = unit(fit_vectors(self.pool.activations, samples, solver))
        sd = (self.pool.activations @ vectors.T).std(0)
        return self.test.gradients @ vectors.T * sd

    def _statistics(
        self, samples: Samples, solver: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`permutation_p`'s statistic of each sample (r,), and what `_along` gives of the first."""
        if self.kind == REGION:  # the density is itself a difference between the sets
            along = self._along(samples, solver)
            return along.mean(0), along[:, 0]
        vectors = unit(fit_vectors(self.pool.activations, samples, solver))
        projections = self.pool.activations @ vectors.T
        mean_gradient = self.test.gradients.mean(0) @ vectors.T
        slopes = _slopes(projections, samples)
        first = self.test.gradients @ vectors[0] * projections[:, 0].std()
        return mean_gradient * slopes, first

    def _t_test(
        self, sets: ConceptSets, samples: Samples, solver: str, rng: np.random.Generator
    ) -> float:
        """Scores with random negatives against scores of random sets, as in the tcav code."""
        if not self.t_test_runs:
            return 1.0
        if self.kind in ON_VALUES:
            own = resampled(samples, count=self.t_test_runs, rng=rng)
            chance = permuted(samples, count=self.t_test_runs, rng=rng)
        else:
            chance = random_sets(
                len(self.pool.activations), sets.sizes, count=self.t_test_runs, rng=rng
            )
            rows = chance.rows.copy()
            rows[:, : sets.sizes[0]] = sets.positive
            own = Samples(rows, chance.target)
        first, second = ((self._along(one, solver) > 0).mean(0) for one in (own, chance))
        if np.ptp(first) == 0 and np.ptp(second) == 0:  # without spread there is no t
            return float(first[0] == second[0])
        # From moments: the other form warns on standard error where shares are all but alike.
        moments = [(shares.mean(), shares.std(ddof=1), len(shares)) for shares in (first, second)]
        return float(ttest_ind_from_stats(*moments[0], *moments[1]).pvalue)


LINEAR_OF = {REGION: "pattern"}
"""Kinds whose samples are those of another kind."""


def _sampling_p(value: float, resampled: NDArray) -> float:
    """Two-sided p of a mean of 0 by the bootstrap's standard error."""
    error = float(np.std(resampled))
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * norm.sf(abs(value) / error))


def _slopes(projections: NDArray, samples: Samples) -> NDArray[np.float64]:
    """Change of the projection per standard deviation of the target, shape (r,)."""
    found = np.empty(len(samples))
    for k, (rows, target) in enumerate(zip(samples.rows, samples.target, strict=True)):
        offset = target - target.mean()
        found[k] = projections[rows, k] @ offset / np.sqrt(len(rows) * np.sum(offset**2))
    return found
