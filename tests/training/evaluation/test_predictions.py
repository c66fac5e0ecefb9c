import numpy as np
import pytest

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.calibration import Temperature
from napari_cardioxai.training.evaluation.predictions import FoldPredictions, pool
from napari_cardioxai.training.evaluation.roc import Threshold, youden_threshold

HALF = Threshold(0.5, 1.0, 1.0, 1.0)


def test_a_threshold_chosen_on_a_test_subject_is_refused():
    threshold = youden_threshold([0, 1], [0.1, 0.9], train_subjects=["a", "b"])
    assert FoldPredictions(("c",), [1], [0.7], threshold).labels.tolist() == [True]
    with pytest.raises(CohortError, match="chosen on b, which is to be judged"):
        FoldPredictions(("c", "b"), [1, 1], [0.7, 0.9], threshold)


def test_predictions_need_a_name_each_and_probabilities():
    with pytest.raises(CohortError, match="2 predictions come with 1 names"):
        FoldPredictions(("a",), [0, 1], [0.1, 0.9], HALF)
    with pytest.raises(CohortError, match="probability of subject number 1 is -2"):
        FoldPredictions(("a",), [0], [-2.0], HALF)


def test_folds_are_pooled_by_name_each_at_its_own_threshold_and_temperature():
    low = Threshold(0.2, 1.0, 1.0, 1.0)
    first = FoldPredictions(("d", "a"), [0, 1], [0.4, 0.9], HALF, Temperature(1.0, 0.5, 0.5))
    second = FoldPredictions(("b", "c"), [1, 0], [0.4, 0.1], low, Temperature(2.0, 0.5, 0.4))
    pooled = pool([first, second])
    assert pooled.subjects == ("a", "b", "c", "d")
    assert pooled.fold.tolist() == [0, 1, 1, 0]
    assert pooled.labels.tolist() == [True, True, False, False]
    assert pooled.probabilities == pytest.approx([0.9, 0.4, 0.1, 0.4])
    assert pooled.decisions.tolist() == [True, True, False, False]
    # Odds go to their square root at temperature 2: 0.1 has odds of 1 to 9.
    root = np.sqrt(0.4 / 0.6)
    assert pooled.calibrated == pytest.approx([0.9, root / (1 + root), 0.25, 0.4])


def test_nothing_is_calibrated_where_a_fold_has_no_temperature():
    first = FoldPredictions(("a",), [1], [0.9], HALF, Temperature(1.0, 0.5, 0.5))
    assert pool([first, FoldPredictions(("b",), [0], [0.1], HALF)]).calibrated is None


def test_a_subject_is_judged_once():
    fold = FoldPredictions(("a",), [1], [0.9], HALF)
    with pytest.raises(CohortError, match="a is predicted twice"):
        pool([fold, fold])
    with pytest.raises(CohortError, match="no predictions"):
        pool([])
