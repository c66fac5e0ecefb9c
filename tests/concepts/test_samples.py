import numpy as np
import pytest

from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept, concept_named
from napari_cardioxai.concepts.samples import (
    collected,
    extremes,
    of_values,
    permuted,
    random_sets,
    resampled,
    tagged,
)
from napari_cardioxai.errors import CohortError

LOW_EF, HIGH_LVT = CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[-1]


def test_low_ef_has_the_lowest_fifth_and_high_lvt_the_highest():
    values = np.arange(100.0)
    low, high = extremes(LOW_EF, values), extremes(HIGH_LVT, values)
    assert low.positive.tolist() == high.negative.tolist() == list(range(20))
    assert low.negative.tolist() == high.positive.tolist() == list(range(80, 100))


def test_subjects_that_were_not_measured_are_in_no_set():
    values = np.arange(100.0)
    values[:50] = np.nan
    sets = extremes(LOW_EF, values, per_side=10)
    assert sets.positive.tolist() == list(range(50, 60))


def test_sets_larger_than_the_measured_subjects_are_refused_with_their_number():
    with pytest.raises(CohortError, match="30 subjects are measured, too few for 20"):
        extremes(LOW_EF, np.arange(30.0), per_side=20)


def test_a_column_leaves_out_whom_it_does_not_know():
    told = np.array([1.0] * 10 + [0.0] * 12 + [np.nan] * 5)
    assert tagged(Concept("flash"), told).sizes == (10, 12)


def test_a_collected_set_is_held_against_everybody_else_and_unknown_names_are_refused():
    pool = [f"s{k}" for k in range(40)]
    assert collected(Concept("mine"), pool, pool[:15]).sizes == (15, 25)
    with pytest.raises(CohortError, match="no subject 'x'"):
        collected(Concept("mine"), pool, ["x", *pool[:15]])


def test_random_sets_have_the_sizes_asked_for_and_nobody_twice():
    drawn = random_sets(50, (20, 10), count=7, rng=np.random.default_rng(0))
    assert drawn.rows.shape == (7, 30)
    assert all(len(set(rows)) == 30 for rows in drawn.rows)
    assert (drawn.target.sum(1) == 10).all()


def test_bootstrap_keeps_the_size_of_each_set_and_permutation_every_value():
    values = np.random.default_rng(1).normal(size=60)
    sets = extremes(LOW_EF, values)
    whole = of_values(sets)
    dealt = permuted(whole, count=4, rng=np.random.default_rng(0))
    assert np.allclose(np.sort(dealt.target, 1), np.sort(whole.target, 1))
    again = resampled(whole, count=4, rng=np.random.default_rng(0))
    assert again.rows.shape == (4, 60)
    # Each resampled subject keeps its own value.
    own = dict(zip(whole.rows[0], whole.target[0], strict=True))
    assert all(own[r] == t for r, t in zip(again.rows[0], again.target[0], strict=True))


def test_concepts_are_known_by_name_by_biomarker_and_by_column():
    assert concept_named("LOW pfr").biomarker == "pfr_edv_s"
    assert concept_named("high lvm_g").high
    assert concept_named("septal flash", ["septal flash"]).biomarker is None
    with pytest.raises(CohortError, match="no concept 'low courage'"):
        concept_named("low courage", ["septal flash"])
