import numpy as np
import pytest

from napari_cardioxai.bundles.opinion import SecondOpinion
from tests.bundles.test_segmenter import a_cine, a_segmenter


def test_a_network_that_knows_what_it_sees_agrees_with_itself_in_every_mirror():
    cine = a_cine(t=2)
    segmenter = a_segmenter()
    opinion = segmenter.opinion(cine, segmenter.label(cine), frames=[0, 1])
    assert opinion.agreement == {1: pytest.approx(1.0)}
    assert opinion.doubtful_slices == ()
    assert opinion.note.endswith("LV cavity 1.00."), "nothing to check"


def test_without_a_check_against_readers_no_dice_is_promised():
    labels = np.ones((1, 1, 4, 4), np.uint8)
    opinion = SecondOpinion.between(labels, [labels], calibration={})
    assert opinion.predicted_dice == {}
    assert "agreement of the views LV cavity 1.00" in opinion.note
    assert "Dice" not in opinion.note


def test_agreement_is_the_mean_dice_over_the_views():
    labels = np.zeros((1, 2, 4, 4), np.uint8)
    labels[0, :, 1, :] = 1  # 4 pixels in either slice
    half = labels.copy()
    half[0, 1] = 0  # Dice 2 * 4 / (8 + 4)
    opinion = SecondOpinion.between(labels, [labels, half], calibration={})
    assert opinion.agreement[1] == pytest.approx((1 + 2 / 3) / 2)
    assert opinion.doubtful_slices == (1,), "the second slice is empty in one of two views"


def test_what_the_agreement_meant_before_is_what_is_predicted():
    labels = np.zeros((1, 1, 4, 4), np.uint8)
    labels[0, 0, :2] = 2
    opinion = SecondOpinion.between(labels, [labels], calibration={2: (-0.6, 1.3)})
    assert opinion.predicted_dice[2] == pytest.approx(0.7)
    assert "Myocardium 0.70; check Myocardium" in opinion.note


def test_doubtful_slices_are_named_worst_first():
    labels = np.zeros((1, 3, 8, 8), np.uint8)
    labels[0, :, 2:6, 2:6] = 1
    other = labels.copy()
    other[0, 2] = 0
    other[0, 1, 4:] = 0
    opinion = SecondOpinion.between(labels, [other], calibration={})
    assert opinion.doubtful_slices == (2, 1)
    assert "check LV cavity, first in slice 3, 2" in opinion.note
