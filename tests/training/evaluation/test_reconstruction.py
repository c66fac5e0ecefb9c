import numpy as np
import pytest
from sklearn.metrics import f1_score

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.reconstruction import reconstruction_dice


def sequences(seed, subjects=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 4, (subjects, 4, 3, 8, 8), dtype=np.uint8)


def test_dice_is_the_f1_score_of_all_pixels_of_a_subject():
    truth, made = sequences(0), sequences(1)
    made[0] = truth[0]
    found = reconstruction_dice([(["a", "b", "c"], truth, made)])
    assert found.dice[0] == pytest.approx(1.0)
    for k in range(3):
        theirs = f1_score(truth[k].ravel(), made[k].ravel(), labels=[1, 2, 3], average=None)
        assert found.dice[k] == pytest.approx(theirs)


def test_batches_may_come_one_at_a_time():
    truth, made = sequences(2, 5), sequences(3, 5)
    names = list("abcde")
    whole = reconstruction_dice([(names, truth, made)])
    parts = reconstruction_dice(
        (names[k : k + 2], truth[k : k + 2], made[k : k + 2]) for k in range(0, 5, 2)
    )
    assert parts.subjects == whole.subjects == tuple(names)
    assert np.array_equal(parts.dice, whole.dice)


def test_a_structure_that_nobody_drew_is_not_scored_and_an_invented_one_scores_nothing():
    truth = np.zeros((2, 1, 1, 2, 4), np.uint8)
    truth[:, ..., :2] = 1
    made = truth.copy()
    made[1, ..., 3] = 3
    found = reconstruction_dice([(["a", "b"], truth, made)])
    assert found.dice[:, 0] == pytest.approx([1, 1])
    assert np.isnan(found.dice[:, 1]).all()
    assert np.isnan(found.dice[0, 2])
    assert found.dice[1, 2] == 0
    summary = found.summary()
    assert summary["RV cavity"] == {
        "mean": 0.0,
        "sd": None,
        "median": 0.0,
        "worst": 0.0,
        "worst_subject": "b",
    }
    assert set(summary["myocardium"].values()) == {None}
    assert summary["mean of structures"]["mean"] == pytest.approx((1 + 0.5) / 2)
    assert summary["mean of structures"]["worst_subject"] == "b"


def test_half_a_cavity_by_hand():
    truth = np.ones((1, 1, 1, 2, 4), np.uint8)
    made = truth.copy()
    made[..., 2:] = 2
    found = reconstruction_dice([(["a"], truth, made)])
    assert found.dice[0, :2] == pytest.approx([2 * 4 / (8 + 4), 0])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no reconstructed sequences"),
        ([(["a"], np.zeros((1, 1, 1, 2, 2)), np.zeros((1, 1, 1, 2, 3)))], "do not fit together"),
        ([(["a"], np.full((1, 1, 1, 2, 2), 4), np.zeros((1, 1, 1, 2, 2), int))], "a has labels"),
    ],
)
def test_what_is_no_pair_of_label_sequences_is_refused(batches, message):
    with pytest.raises(CohortError, match=message):
        reconstruction_dice(batches)
