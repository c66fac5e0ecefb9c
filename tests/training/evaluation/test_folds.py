import numpy as np
import pytest

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.folds import hold_back, stratified_folds

NAMES = [f"S{k:03d}" for k in range(200)]
LABELS = (np.arange(200) % 10 == 0).astype(int)


def test_every_subject_is_judged_on_once_and_never_learnt_from_then():
    folds = stratified_folds(NAMES, LABELS, folds=5)
    assert sorted(name for fold in folds for name in fold.test) == NAMES
    for fold in folds:
        assert sorted(fold.train + fold.test) == NAMES


def test_each_class_is_spread_evenly():
    positives = {name for name, label in zip(NAMES, LABELS, strict=True) if label}
    for fold in stratified_folds(NAMES, LABELS, folds=5):
        assert len(fold.test) == 40
        assert len(positives.intersection(fold.test)) == 4


def test_folds_depend_on_the_seed_and_not_on_the_order():
    shuffled = np.random.default_rng(0).permutation(200)
    folds = stratified_folds(NAMES, LABELS, seed=3)
    assert stratified_folds([NAMES[k] for k in shuffled], LABELS[shuffled], seed=3) == folds
    assert stratified_folds(NAMES, LABELS, seed=4) != folds


def test_all_studies_of_a_patient_fall_into_one_fold():
    patients = [f"P{k // 2}" for k in range(200)]
    labels = (np.arange(200) // 2 % 4 == 0).astype(int)
    for fold in stratified_folds(NAMES, labels, patients=patients):
        owners = [
            {patients[NAMES.index(name)] for name in part} for part in (fold.train, fold.test)
        ]
        assert owners[0].isdisjoint(owners[1])


def test_a_part_is_held_back_with_both_classes_in_proportion():
    fold = hold_back(NAMES, LABELS, share=0.1, seed=1)
    assert len(fold.test) == 20
    assert sum(LABELS[NAMES.index(name)] for name in fold.test) == 2
    assert sorted(fold.train + fold.test) == NAMES


@pytest.mark.parametrize(
    ("subjects", "labels", "options", "message"),
    [
        (NAMES[:12], [1] * 3 + [0] * 9, {"folds": 5}, "3 patients with the label 1"),
        (["a", "a", "b"], [0, 1, 1], {"folds": 2}, "'a' comes 2 times"),
        (["a", "b"], [0, 1, 1], {"folds": 2}, "2 subjects, 3 labels"),
        (NAMES, LABELS, {"folds": 1}, "1 folds leave nothing"),
    ],
)
def test_what_cannot_be_spread_is_said(subjects, labels, options, message):
    with pytest.raises(CohortError, match=message):
        stratified_folds(subjects, labels, **options)


def test_more_than_half_is_not_held_back():
    with pytest.raises(CohortError, match=r"0\.7 cannot be set aside"):
        hold_back(NAMES, LABELS, share=0.7)
