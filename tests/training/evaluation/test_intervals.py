import numpy as np
import pytest
from scipy.stats import norm

from napari_cardioxai.training.evaluation.intervals import Interval, mean_of_two, wilson_interval


def test_wilson_interval_is_that_of_the_formula():
    z, p, n = norm.ppf(0.95), 7 / 20, 20
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    found = wilson_interval(7, 20, confidence=0.9)
    assert (found.value, found.low, found.high) == pytest.approx((p, middle - half, middle + half))


def test_wilson_interval_keeps_a_width_where_all_succeed():
    found = wilson_interval(10, 10)
    assert found.high == 1.0
    assert found.low == pytest.approx(10 / (10 + norm.ppf(0.975) ** 2))  # n / (n + z²) at p = 1


def test_nothing_is_known_of_a_proportion_of_nobody():
    found = wilson_interval(0, 0)
    assert np.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)


def test_mean_of_two_adds_half_the_squares_of_each_side():
    found = mean_of_two(Interval(0.9, 0.6, 0.96), Interval(0.8, 0.4, 0.88))
    assert found.value == pytest.approx(0.85)
    assert found.low == pytest.approx(0.85 - 0.5 * 0.5)  # 3, 4, 5
    assert found.high == pytest.approx(0.85 + 0.5 * 0.1)  # 6, 8, 10
