import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from napari_cardioxai.attribution.summary import (
    kendalls_w,
    method_weights,
    normalised,
    summarise,
)
from napari_cardioxai.errors import AttributionError


def test_judges_who_agree_have_w_one_and_judges_who_cancel_out_zero():
    order = np.arange(6.0)
    assert kendalls_w(np.stack([order, 2 * order, order**3])) == pytest.approx(1)
    assert kendalls_w(np.stack([order, -order])) == pytest.approx(0)
    latin = np.array([[1, 2, 3], [2, 3, 1], [3, 1, 2]])
    assert kendalls_w(latin) == pytest.approx(0)


def test_w_by_hand():
    # rank sums 4, 5, 9 of two judges and three items... mean 6: S = 4 + 1 + 9 = 14 of 3 judges
    values = np.array([[1, 2, 3], [2, 1, 3], [1, 2, 3]])
    sums = np.array([4, 5, 9])
    assert ((sums - 6) ** 2).sum() == 14
    assert kendalls_w(values) == pytest.approx(12 * 14 / (9 * (27 - 3)))


@pytest.mark.parametrize("ties", [False, True])
def test_w_is_that_of_scipys_friedman_test(ties):
    values = np.random.default_rng(0).random((5, 12))
    if ties:
        values = np.rint(4 * values)
    chi_squared, _ = friedmanchisquare(*values.T)
    assert kendalls_w(values) == pytest.approx(chi_squared / (5 * (12 - 1)))


def test_nobody_telling_items_apart_is_no_agreement():
    assert np.isnan(kendalls_w(np.ones((3, 4))))
    with pytest.raises(AttributionError, match="two maps"):
        kendalls_w(np.ones((1, 4)))


def test_weights_are_faithfulness_without_those_that_failed():
    weights = method_weights({"a": 0.6, "b": 0.2, "c": -0.4, "d": 0.9}, failed={"d"})
    assert weights == pytest.approx({"a": 0.75, "b": 0.25, "c": 0, "d": 0})
    assert method_weights({"a": 140.0, "b": 1.0}) == {"a": 0.5, "b": 0.5}
    assert method_weights({"a": -1.0, "b": float("nan")}) == {"a": 0, "b": 0}


def test_the_scale_of_a_method_does_not_matter():
    heat = np.random.default_rng(0).normal(size=(20, 20))
    np.testing.assert_allclose(normalised(heat), normalised(1000 * heat))
    assert normalised(heat).max() == 1 and normalised(heat).min() >= 0
    assert not normalised(-np.abs(heat)).any()


def test_blurring_is_in_mm_and_not_over_time():
    point = np.zeros((3, 41, 41))
    point[1, 20, 20] = 1
    found = normalised(point, spacing_mm=(None, 1.0, 0.5))
    assert not found[[0, 2]].any()
    tail = found[1] / found[1, 20, 20]  # the peak itself is cut at the 99.5th percentile
    wide = normalised(point, spacing_mm=(None, 1.0, 1.0))[1]
    assert (tail > 0.01).sum() > (wide / wide.max() > 0.01).sum()
    assert found[1, 23, 20] == pytest.approx(found[1, 20, 26]), "3 mm along both axes"


def test_a_summary_is_the_weighted_mean_and_says_how_far_methods_agree():
    a, b = np.array([[0.0, 0.4, 1.0]]), np.array([[0.0, 0.5, 0.9]])
    found = summarise({"a": a, "b": b}, {"a": 0.75, "b": 0.25})
    np.testing.assert_allclose(found.heat, 0.75 * a + 0.25 * b)
    assert found.agreement == pytest.approx(1)
    assert not found.notes


def test_without_a_faithful_method_all_count_alike_and_it_is_said():
    a, b = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    found = summarise({"a": a, "b": b}, {"a": 0.0, "b": 0.0})
    np.testing.assert_allclose(found.heat, 0.5)
    assert found.agreement == pytest.approx(0)
    assert "count alike" in found.notes[0]


def test_a_method_of_no_weight_has_no_say_in_the_agreement():
    a, b = np.array([[0.2, 0.5, 1.0]]), np.array([[1.0, 0.5, 0.2]])
    found = summarise({"a": a, "also a": a, "b": b}, {"a": 0.5, "also a": 0.5, "b": 0.0})
    assert found.agreement == pytest.approx(1)
    assert summarise({"a": a}, {"a": 1.0}).agreement is None


def test_maps_of_different_grids_have_no_summary():
    with pytest.raises(AttributionError, match="grids"):
        summarise({"a": np.ones((2, 2)), "b": np.ones((2, 3))}, {})
