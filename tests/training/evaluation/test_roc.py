from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.training.evaluation.roc import (
    RocCurve,
    Threshold,
    auc,
    delong_components,
    judge_decisions,
    roc_band,
    roc_curve,
    youden_threshold,
)
from tests.training.evaluation.cases import binormal


def test_roc_curve_of_five_subjects_by_hand():
    curve = roc_curve([1, 0, 1, 0, 0], [0.9, 0.7, 0.5, 0.5, 0.1])
    # Cut at 0.9: one of two positives. At 0.7: one of three negatives too. At 0.5: a tie of both.
    assert curve.false_positive_rate == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert curve.true_positive_rate == pytest.approx([0, 0.5, 0.5, 1, 1])
    assert curve.thresholds == pytest.approx([np.inf, 0.9, 0.7, 0.5, 0.1])


def test_curve_is_read_straight_between_points_and_at_the_top_of_vertical_parts():
    curve = RocCurve(
        np.array([0, 0, 0.2, 0.2, 1]),
        np.array([0, 0.5, 0.5, 0.9, 1]),
        np.array([np.inf, 4, 3, 2, 1]),
    )
    assert curve.at([0, 0.1, 0.2, 0.6, 1]) == pytest.approx([0.5, 0.5, 0.9, 0.95, 1])


def test_band_covers_the_true_curve_of_normal_scores_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rates = [10, 30, 60]  # of 101 points: 0.1, 0.3, 0.6
    covered = []
    for _ in range(60):
        band = roc_band(*binormal(rng, 60, 80), rng=rng, resamples=120, confidence=0.9)
        true = norm.sf(norm.isf(band.false_positive_rate[rates]) - 1.0)
        covered.append((band.low[rates] <= true) & (true <= band.high[rates]))
    assert band.false_positive_rate[rates] == pytest.approx([0.1, 0.3, 0.6])
    # Three standard errors of 60 trials at 0.9 are 0.12.
    assert np.mean(covered, axis=0) == pytest.approx(0.9, abs=0.12)


def test_band_keeps_both_classes_and_repeats_with_its_generator():
    labels, scores = [1] + [0] * 30, np.arange(31)[::-1]
    bands = [roc_band(labels, scores, rng=np.random.default_rng(3), resamples=20) for _ in "ab"]
    assert np.array_equal(bands[0].low, bands[1].low)
    assert bands[0].low == pytest.approx(np.ones(101)), "one positive above all negatives"


def test_components_and_variance_of_the_area_by_hand():
    labels, scores = [1, 1, 1, 0, 0], [5, 3, 1, 3, 2]
    positives, negatives = delong_components(labels, scores)
    # 5 beats both, 3 ties one and beats one, 1 beats none; 3 is beaten by 5 and tied, 2 by two.
    assert positives == pytest.approx([1, 0.75, 0])
    assert negatives == pytest.approx([1.5 / 3, 2 / 3])
    area = 1.75 / 3
    s10 = ((1 - area) ** 2 + (0.75 - area) ** 2 + area**2) / 2
    s01 = (0.5 - area) ** 2 + (2 / 3 - area) ** 2
    half = norm.ppf(0.9) * np.sqrt(s10 / 3 + s01 / 2)
    found = auc(labels, scores, confidence=0.8)
    assert found.value == pytest.approx(area)
    assert found.low == pytest.approx(area - half)
    assert found.high == pytest.approx(min(area + half, 1))


@pytest.mark.parametrize("decimals", [None, 0])
def test_area_is_that_of_scikit_learn_with_and_without_ties(decimals):
    labels, scores = binormal(np.random.default_rng(1), 70, 130)
    scores = scores if decimals is None else scores.round(decimals)
    assert auc(labels, scores).value == pytest.approx(roc_auc_score(labels, scores))


def test_interval_of_the_area_agrees_with_a_bootstrap():
    rng = np.random.default_rng(2)
    labels, scores = binormal(rng, 150, 300)
    drawn = []
    for _ in range(600):
        rows = np.concatenate([rng.integers(0, 150, 150), rng.integers(150, 450, 300)])
        drawn.append(roc_auc_score(labels[rows], scores[rows]))
    found = auc(labels, scores)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.std(drawn), rel=0.1)


def test_interval_of_the_area_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    true = norm.cdf(1 / np.sqrt(2))
    found = [auc(*binormal(rng, 40, 80)) for _ in range(1500)]
    # Measured on 6,000 samples: 0.94. Three standard errors of 1,500 are 0.018.
    assert np.mean([f.low <= true <= f.high for f in found]) == pytest.approx(0.945, abs=0.02)


def test_youden_threshold_lies_between_the_classes_that_it_separates():
    names = list("abcdef")
    found = youden_threshold(
        [0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.8, 0.9], train_subjects=names
    )
    assert found.value == pytest.approx(0.4)
    assert (found.youden_index, found.sensitivity, found.specificity) == (1.0, 1.0, 1.0)
    assert found.chosen_on == set(names)
    assert found.decide([0.4, 0.39]).tolist() == [True, False]


def test_youden_threshold_is_the_best_of_all_cuts_and_its_figures_are_those_of_its_decisions():
    labels, scores = binormal(np.random.default_rng(4), 60, 240)
    found = youden_threshold(labels, scores, train_subjects=[str(k) for k in range(300)])
    decided = found.decide(scores)
    assert found.sensitivity == pytest.approx(decided[labels == 1].mean())
    assert found.specificity == pytest.approx(1 - decided[labels == 0].mean())
    best = max(
        (scores >= cut)[labels == 1].mean() - (scores >= cut)[labels == 0].mean() for cut in scores
    )
    assert found.youden_index == pytest.approx(best)


def test_of_equally_good_cuts_the_balanced_one_is_taken():
    # Cuts at 1.5, 2.5 and 3.5 all have J = 1/3 or less; by hand: sensitivity, specificity are
    # (1, 1/3), (2/3, 2/3), (1/3, 1) with J = 1/3 each.
    found = youden_threshold([0, 1, 0, 1, 0, 1], [1, 2, 2, 3, 3, 4], train_subjects=list("abcdef"))
    assert (found.sensitivity, found.specificity) == pytest.approx((2 / 3, 2 / 3))
    assert found.value == pytest.approx(2.5)


def test_a_threshold_goes_into_a_card_and_back_without_the_names():
    found = youden_threshold([0, 1], [0.25, 0.75], train_subjects=["a", "b"])
    back = Threshold.from_json(found.as_json(), where=Path("card.json"))
    assert back == Threshold(0.5, 1.0, 1.0, 1.0)
    for broken in ({}, {"value": 0.5}, found.as_json() | {"value": None}):
        with pytest.raises(BundleError, match=r"card\.json: a threshold has"):
            Threshold.from_json(broken, where=Path("card.json"))


def test_decisions_are_counted_and_balanced():
    found = judge_decisions([1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 1])
    assert (found.true_positives, found.false_negatives) == (3, 1)
    assert (found.true_negatives, found.false_positives) == (1, 1)
    assert found.sensitivity.value == 0.75
    assert found.specificity.value == 0.5
    assert found.balanced_accuracy.value == pytest.approx(0.625)
    assert found.balanced_accuracy.low > 0.5 * (found.sensitivity.low + found.specificity.low)


def test_interval_of_balanced_accuracy_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    labels = np.repeat([1, 0], [25, 60])
    true = 0.5 * (0.9 + 0.8)
    found = []
    for _ in range(500):
        decided = rng.random(85) < np.where(labels == 1, 0.9, 0.2)
        interval = judge_decisions(labels, decided).balanced_accuracy
        found.append(interval.low <= true <= interval.high)
    assert np.mean(found) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "all 2 subjects have the label 1"),
        ([1, 0, 2], [0.1, 0.2, 0.3], "subject number 3 is 2"),
        ([1, np.nan], [0.1, 0.2], "subject number 2 is nan"),
        ([1, 0], [0.1, np.nan], "score of subject number 2 is nan"),
        ([1, 0], [0.1], "do not belong together"),
        ([], [], "one 0 or 1 a subject"),
    ],
)
def test_what_is_not_two_classes_of_scores_is_refused_in_a_sentence(labels, scores, message):
    with pytest.raises(CohortError, match=message):
        roc_curve(labels, scores)


def test_a_threshold_wants_a_name_for_every_training_subject():
    with pytest.raises(CohortError, match="2 training predictions come with 1 names"):
        youden_threshold([0, 1], [0.1, 0.9], train_subjects=["a"])
