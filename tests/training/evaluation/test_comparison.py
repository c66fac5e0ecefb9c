import numpy as np
import pytest
from scipy.stats import binom, chi2, norm

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.comparison import delong_test, mcnemar
from napari_cardioxai.training.evaluation.roc import auc
from tests.training.evaluation.cases import binormal


def decisions_with(only_first, only_second, both=10, neither=5):
    """Labels and two models' decisions with given numbers of subjects decided rightly."""
    first = np.repeat([1, 1, 0, 0], [both, only_first, only_second, neither])
    second = np.repeat([1, 0, 1, 0], [both, only_first, only_second, neither])
    labels = np.arange(len(first)) % 2
    return labels, np.where(first, labels, 1 - labels), np.where(second, labels, 1 - labels)


def test_few_discordant_subjects_are_compared_exactly():
    found = mcnemar(*decisions_with(2, 8))
    assert (found.only_first, found.only_second, found.method) == (2, 8, "exact")
    assert found.statistic is None
    assert found.p_value == pytest.approx(2 * binom.cdf(2, 10, 0.5))
    assert found.p_value == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_many_discordant_subjects_are_compared_with_chi_squared():
    found = mcnemar(*decisions_with(40, 20))
    assert found.method == "chi-squared"
    assert found.statistic == pytest.approx(19**2 / 60)
    assert found.p_value == pytest.approx(chi2.sf(19**2 / 60, 1))


def test_the_two_ways_meet_at_their_limit():
    assert mcnemar(*decisions_with(7, 17)).method == "exact"
    found = mcnemar(*decisions_with(7, 18))
    assert found.method == "chi-squared"
    assert found.p_value == pytest.approx(2 * binom.cdf(7, 25, 0.5), abs=0.003)


@pytest.mark.parametrize("each", [0, 5, 40])
def test_models_that_err_equally_often_do_not_differ(each):
    assert mcnemar(*decisions_with(each, each)).p_value == pytest.approx(1.0)


def test_decisions_of_other_subjects_are_refused():
    with pytest.raises(CohortError, match="3 labels and 2 decisions"):
        mcnemar([0, 1, 1], [0, 1, 1], [0, 1])


def test_delong_difference_of_five_subjects_by_hand():
    labels, first, second = [1, 1, 1, 0, 0], [5, 3, 1, 3, 2], [1, 2, 3, 0, 2.5]
    found = delong_test(labels, first, second)
    # Second model: 1 and 2 beat one of two, 3 beats both; 0 is beaten by all, 2.5 by one of three.
    positives = np.array([1 - 0.5, 0.75 - 0.5, 0 - 1])
    negatives = np.array([1.5 / 3 - 1, 2 / 3 - 1 / 3])
    error = np.sqrt(positives.var(ddof=1) / 3 + negatives.var(ddof=1) / 2)
    assert (found.first, found.second) == pytest.approx((1.75 / 3, 2 / 3))
    assert found.difference.value == pytest.approx(1.75 / 3 - 2 / 3)
    assert found.z == pytest.approx(found.difference.value / error)
    assert found.p_value == pytest.approx(2 * norm.cdf(-abs(found.z)))
    assert found.difference.high == pytest.approx(found.difference.value + 1.959964 * error)


def test_delong_error_agrees_with_a_paired_bootstrap():
    rng = np.random.default_rng(0)
    labels, first = binormal(rng, 100, 200)
    second = first + rng.normal(size=300)
    drawn = []
    for _ in range(500):
        rows = np.concatenate([rng.integers(0, 100, 100), rng.integers(100, 300, 200)])
        drawn.append(auc(labels[rows], first[rows]).value - auc(labels[rows], second[rows]).value)
    found = delong_test(labels, first, second)
    assert found.difference.value / found.z == pytest.approx(np.std(drawn), rel=0.12)


def test_delong_p_is_spread_evenly_when_models_are_equally_good():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(400):
        labels, shared = binormal(rng, 40, 60)
        noisy = [shared + rng.normal(size=100) for _ in "ab"]
        p_values.append(delong_test(labels, *noisy).p_value)
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.045)
    assert np.mean(np.array(p_values) < 0.5) == pytest.approx(0.5, abs=0.075)


def test_delong_of_a_model_with_itself_is_no_difference():
    labels, scores = binormal(np.random.default_rng(2), 10, 10)
    found = delong_test(labels, scores, 2 * scores + 1)
    assert (found.difference.value, found.z, found.p_value) == (0.0, 0.0, 1.0)


def test_delong_is_not_defined_where_nothing_varies():
    found = delong_test([1, 1, 0, 0], [2, 2, 1, 1], [1, 1, 1, 1])
    assert found.difference.value == 0.5
    assert np.isnan(found.z)
    assert np.isnan(found.p_value)


def test_delong_wants_two_subjects_of_each_class():
    with pytest.raises(CohortError, match="at least two subjects of each class"):
        delong_test([1, 0, 0], [1, 2, 3], [3, 2, 1])
