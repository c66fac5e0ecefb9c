import numpy as np
import pytest
from scipy.stats import truncnorm

from napari_cardioxai.phantom.ranges import RANGES, HeartClass, Normal


def test_a_cut_normal_distribution_is_that_of_scipy():
    drawn = Normal(10, 2, 9, 13)
    rng = np.random.default_rng(1)
    values = np.array([drawn.draw(rng) for _ in range(4000)])
    true = truncnorm(-0.5, 1.5, loc=10, scale=2)
    assert values.min() >= 9 and values.max() <= 13
    assert values.mean() == pytest.approx(true.mean(), abs=4 * true.std() / np.sqrt(4000))
    assert values.std() == pytest.approx(true.std(), rel=0.05)


@pytest.mark.parametrize("kind", HeartClass)
def test_every_class_has_ranges_that_can_be_drawn_from(kind: HeartClass):
    ranges, rng = RANGES[kind], np.random.default_rng(2)
    for _ in range(20):
        edv, ef = ranges.edv_ml.draw(rng), ranges.ef_percent.draw(rng)
        stroke = edv * ef / 100
        right = ranges.draw_right_edv(rng, stroke)
        assert right > stroke
        assert right <= max(ranges.rv_edv_ml[1], 1.15 * stroke)


def test_a_right_ventricle_has_the_ejection_fraction_of_its_class_where_its_size_allows():
    ranges, rng = RANGES[HeartClass.NORMAL], np.random.default_rng(3)
    fractions = [100 * 78 / ranges.draw_right_edv(rng, 78.0) for _ in range(300)]
    low, high = ranges.rv_ef_percent.low, ranges.rv_ef_percent.high
    assert low <= min(fractions) and max(fractions) <= high
    # A stroke volume that fits no size of the range still leaves something behind.
    assert ranges.draw_right_edv(rng, 300.0) == pytest.approx(345.0)
