import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.calibration import (
    TEMPERATURE_LIMITS,
    brier_score,
    fit_temperature,
    logits_of,
    reliability,
)
from napari_cardioxai.training.evaluation.intervals import wilson_interval


@pytest.fixture
def honest():
    """Subjects whose probabilities come true."""
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.7, 2.0, 4000)
    return (rng.random(4000) < probabilities).astype(int), probabilities


def test_brier_score_by_hand_and_as_scikit_learn_has_it(honest):
    assert brier_score([1, 0], [0.7, 0.4]) == pytest.approx((0.09 + 0.16) / 2)
    assert brier_score(*honest) == pytest.approx(brier_score_loss(*honest))


def test_two_bins_by_hand():
    labels, probabilities = [0, 1, 1, 1, 0], [0.1, 0.3, 0.5, 0.8, 1.0]
    found = reliability(labels, probabilities, bins=2, binning="equal-width")
    assert found.count.tolist() == [3, 2], "0.5 belongs to the lower bin"
    assert found.predicted == pytest.approx([0.3, 0.9])
    assert found.observed == pytest.approx([2 / 3, 0.5])
    assert found.expected_calibration_error == pytest.approx(0.6 * (2 / 3 - 0.3) + 0.4 * 0.4)
    assert found.observed_high[0] == pytest.approx(wilson_interval(2, 3).high)


@pytest.mark.parametrize(
    ("binning", "theirs"), [("equal-width", "uniform"), ("equal-mass", "quantile")]
)
def test_bins_are_those_of_scikit_learn(honest, binning, theirs):
    found = reliability(*honest, bins=8, binning=binning)
    observed, predicted = calibration_curve(*honest, n_bins=8, strategy=theirs)
    assert found.observed == pytest.approx(observed)
    assert found.predicted == pytest.approx(predicted)
    assert found.count.sum() == 4000


def test_equal_mass_bins_hold_equally_many_and_equal_width_ones_leave_out_the_empty(honest):
    assert np.ptp(reliability(*honest, bins=10).count) <= 1
    found = reliability([0, 1], [0.05, 0.95], bins=10, binning="equal-width")
    assert found.low_edge == pytest.approx([0.0, 0.9])
    assert found.high_edge == pytest.approx([0.1, 1.0])


def test_equal_probabilities_stay_in_one_bin():
    found = reliability([0, 0, 1, 1, 0, 1], [0.2] * 5 + [0.9], bins=3)
    assert found.count.tolist() == [5, 1]
    found = reliability([0, 1], [0.5, 0.5], bins=10)
    assert found.count.tolist() == [2]
    assert found.expected_calibration_error == 0


def test_error_is_small_for_honest_probabilities_and_large_for_exaggerated_ones(honest):
    labels, probabilities = honest
    assert reliability(labels, probabilities).expected_calibration_error < 0.02
    exaggerated = expit(3 * logit(probabilities))
    assert reliability(labels, exaggerated).expected_calibration_error > 0.05


def test_temperature_has_its_closed_form_when_all_logits_are_equally_sure():
    # Right in 8 of 10: the likeliest temperature makes sigmoid(4 / T) = 0.8, so T = 4 / log 4.
    labels = np.array([1] * 5 + [0] * 5)
    logits = np.array([4.0] * 4 + [-4.0] + [-4.0] * 4 + [4.0])
    found = fit_temperature(labels, logits)
    assert found.value == pytest.approx(4 / np.log(4), rel=1e-5)
    assert found.nll_before == pytest.approx(0.8 * np.log1p(np.exp(-4)) + 0.2 * np.log1p(np.exp(4)))
    assert found.nll_after == pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.2))
    assert found.probability([4.0]) == pytest.approx([0.8], rel=1e-5)


def test_temperature_takes_back_a_known_exaggeration(honest):
    labels, probabilities = honest
    exaggerated = expit(2.5 * logit(probabilities))
    found = fit_temperature(labels[:2000], logits_of(exaggerated[:2000]))
    assert found.value == pytest.approx(2.5, rel=0.1)
    before = reliability(labels[2000:], exaggerated[2000:]).expected_calibration_error
    after = reliability(labels[2000:], found.calibrated(exaggerated[2000:]))
    assert after.expected_calibration_error < 0.5 * before


def test_separated_subjects_end_at_the_limit_and_certain_probabilities_stay_finite():
    assert fit_temperature([0, 1], [-3.0, 3.0]).value == pytest.approx(
        TEMPERATURE_LIMITS[0], rel=1e-4
    )
    assert np.isfinite(logits_of([0.0, 1.0])).all()
    assert logits_of([0.25]) == pytest.approx([-np.log(3)])


def test_logits_given_as_probabilities_are_refused():
    with pytest.raises(CohortError, match=r"probability of subject number 2 is 3\.5"):
        brier_score([0, 1], [0.5, 3.5])
