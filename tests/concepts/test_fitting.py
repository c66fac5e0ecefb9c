import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from napari_cardioxai.concepts.fitting import PENALTY, fit_vectors
from napari_cardioxai.concepts.samples import Samples, random_sets
from napari_cardioxai.errors import CohortError


def a_pool(n=300, p=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 3.0


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_linear_directions_are_those_of_scikit_learn_for_one_set_and_for_many():
    pool = a_pool()
    samples = random_sets(300, (60, 40), count=5, rng=np.random.default_rng(1))
    samples.rows[0] = np.argsort(pool[:, 0])[np.r_[-60:0, 0:40]]  # one that can be separated
    together = fit_vectors(pool, samples, "linear")
    seen = pool - pool.mean(0)
    seen /= np.sqrt(np.mean(seen**2))
    for k in range(5):
        rows, target = samples.rows[k], samples.target[k]
        machine = LogisticRegression(C=1 / (PENALTY * 100), tol=1e-10, max_iter=10_000)
        expected = machine.fit(seen[rows], target).coef_[0]
        assert np.allclose(together[k], expected, atol=1e-4 * np.abs(expected).max())
        alone = fit_vectors(pool, samples.part(slice(k, k + 1)), "linear")[0]
        assert np.allclose(alone, expected, atol=1e-4 * np.abs(expected).max())


def test_pattern_of_two_sets_is_half_the_difference_of_their_means():
    pool = a_pool()
    samples = random_sets(300, (30, 70), count=3, rng=np.random.default_rng(2))
    found = fit_vectors(pool, samples, "pattern")
    for rows, target, vector in zip(samples.rows, samples.target, found, strict=True):
        halves = pool[rows[target > 0]].mean(0) - pool[rows[target < 0]].mean(0)
        assert np.allclose(vector, halves / 2)


def test_regression_is_the_ridge_of_scikit_learn():
    pool = a_pool()
    target = pool[:, 2] + np.random.default_rng(3).normal(size=300)
    found = fit_vectors(pool, Samples(np.arange(300)[None], target[None]), "regression")[0]
    seen = pool - pool.mean(0)
    seen /= np.sqrt(np.mean(seen**2))
    assert np.allclose(found, Ridge(alpha=PENALTY * 300).fit(seen, target).coef_)


def test_the_pattern_finds_the_concept_behind_correlated_noise_where_a_classifier_is_turned():
    rng = np.random.default_rng(4)
    concept, noise = np.eye(20)[0], np.r_[0.6, 0.8, np.zeros(18)]
    has = np.repeat([1.0, -1.0], 200)
    pool = has[:, None] * concept + 3 * rng.normal(size=(400, 1)) * noise
    pool += 0.3 * rng.normal(size=(400, 20))
    samples = Samples(np.arange(400)[None], has[None])
    pattern, linear = (fit_vectors(pool, samples, kind)[0] for kind in ("pattern", "linear"))
    assert cosine(pattern, concept) > 0.95 > 0.9 > cosine(linear, concept)


def test_a_layer_wider_than_the_cohort_is_fitted_in_its_principal_axes():
    rng = np.random.default_rng(5)
    pool = 0.01 * rng.normal(size=(80, 600))
    pool[:40, 7] += 2.0
    samples = Samples(np.arange(80)[None], np.repeat([1.0, -1.0], 40)[None])
    for kind in ("linear", "sgd", "pattern", "regression"):
        assert cosine(fit_vectors(pool, samples, kind)[0], np.eye(600)[7]) > 0.9


def test_an_unknown_kind_is_refused_with_those_that_there_are():
    with pytest.raises(CohortError, match="linear, sgd, pattern, regression"):
        fit_vectors(a_pool(), Samples(np.arange(4)[None], np.ones((1, 4))), "magic")
