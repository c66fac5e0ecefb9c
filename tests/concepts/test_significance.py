import numpy as np
import pytest
from scipy.stats import norm

from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept
from napari_cardioxai.concepts.samples import extremes, tagged
from napari_cardioxai.concepts.significance import (
    permutation_p,
    sensitivities,
)
from napari_cardioxai.concepts.significance import test_concepts as run_tests
from tests.concepts import hearts

LOW_EF, LOW_PFR = CLOUGH_CONCEPTS[0], CLOUGH_CONCEPTS[2]


def run(z, concepts, kinds=("pattern",), *, others=None, t_test_runs=20):
    read = hearts.reading(z)
    return run_tests(
        read,
        read,
        concepts,
        kinds=kinds,
        others=others,
        permutations=199,
        bootstraps=40,
        t_test_runs=t_test_runs,
        rng=np.random.default_rng(0),
    )


def test_on_a_linear_model_every_logit_grows_by_the_algebra_towards_low_ef():
    z = hearts.latents(300)
    mean = z.mean(1)[:, hearts.EF]
    direction = find_direction(
        hearts.reading(z), extremes(LOW_EF, mean), "pattern", rng=np.random.default_rng(0)
    )
    # logit = -EF, so one standard deviation of EF down is that much up, for everybody.
    assert np.allclose(sensitivities(hearts.reading(z), direction), mean.std(), rtol=0.02)
    (result,) = run(z, [extremes(LOW_EF, mean)])
    assert result.score.value == 1.0
    assert result.sensitivity.value == pytest.approx(mean.std(), rel=0.02)
    assert result.sensitivity.low < mean.std() < result.sensitivity.high * 1.02


@pytest.mark.parametrize("kind", ["linear", "pattern", "regression", "region"])
def test_a_concept_that_the_classifier_uses_is_significant_and_one_that_it_ignores_is_not(kind):
    z = hearts.latents(300)
    mean = z.mean(1)
    used, ignored = run(
        z, [extremes(LOW_EF, mean[:, hearts.EF]), extremes(LOW_PFR, mean[:, hearts.PFR])], [kind]
    )
    assert used.p_permutation == pytest.approx(1 / 200)
    assert used.p_holm == pytest.approx(2 / 200)
    assert ignored.p_holm > 0.05


def test_a_concept_that_is_only_correlated_loses_its_significance_when_the_cause_is_held_fixed():
    z = hearts.latents(400, correlation=0.8)
    mean = z.mean(1)
    sets = extremes(LOW_PFR, mean[:, hearts.PFR])
    (raw,) = run(z, [sets])
    (adjusted,) = run(z, [sets], ["adjusted"], others=[mean[:, [hearts.EF]]])
    assert raw.p == pytest.approx(1 / 200)
    assert adjusted.p > 0.05


def test_random_concepts_are_called_significant_no_more_often_than_the_level_says():
    z = hearts.latents(150)
    rng = np.random.default_rng(7)
    concepts = [
        tagged(Concept(f"chance {k}"), rng.permutation(np.arange(150) % 2)) for k in range(200)
    ]
    p = np.array([one.p_permutation for one in run(z, concepts, t_test_runs=0)])
    # 200 trials at 5 %: 10 expected, more than 18 in one of a hundred.
    assert (p <= 0.05).sum() <= 18
    assert 0.3 < np.median(p) < 0.7


def test_the_usual_t_test_calls_random_concepts_significant_far_too_often():
    rng = np.random.default_rng(2)
    h = rng.normal(size=(200, 8))
    read = LayerReading("bent", h, np.tanh(h) + 0.5, h.sum(1))
    concepts = [tagged(Concept(f"chance {k}"), rng.random(200) < 0.5) for k in range(40)]
    results = run_tests(
        read, read, concepts, kinds=["pattern"], rng=rng, permutations=99, bootstraps=10
    )
    assert np.mean([one.p_t_test <= 0.05 for one in results]) > 0.2
    assert np.mean([one.p_permutation <= 0.05 for one in results]) < 0.2


def test_the_score_is_the_share_of_positive_derivatives_with_an_interval_around_it():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(500, 3))
    gradients = np.column_stack([rng.normal(0.5, 1.0, 500), np.zeros((500, 2))])
    read = LayerReading("made", h, gradients, np.zeros(500))
    sets = extremes(Concept("up", "ef_percent", high=True), h[:, 0])
    (result,) = run_tests(read, read, [sets], kinds=["pattern"], rng=rng, permutations=19)
    expected = norm.cdf(0.5)  # share of N(0.5, 1) above 0
    assert result.score.value == pytest.approx(expected, abs=0.05)
    assert result.score.low < expected < result.score.high


def test_a_concept_that_the_layer_knows_well_is_not_significant_by_a_sensitivity_that_is_noise():
    # Two units with the concept apart by 20 standard deviations; the decision reads the third.
    rng = np.random.default_rng(3)
    has = np.arange(300) % 2
    h = rng.normal(size=(300, 6))
    h[:, 0] += 20 * has
    gradients = np.tile(np.eye(6)[2], (300, 1))
    read = LayerReading("made", h, gradients, h[:, 2])
    for kind in ("linear", "pattern"):
        (result,) = run_tests(
            read, read, [tagged(Concept("known"), has)], kinds=[kind], rng=rng, permutations=199
        )
        assert result.p > 0.05


def test_the_permutation_p_counts_the_observed_one_among_the_random_ones():
    assert permutation_p(3.0, [0.1, -4.0, 2.0]) == pytest.approx(2 / 4)
    assert permutation_p(-5.0, [0.1, -4.0, 2.0]) == pytest.approx(1 / 4)
