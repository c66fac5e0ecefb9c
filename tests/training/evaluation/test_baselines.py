import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_cardioxai.errors import BundleError, CohortError, MeasurementError
from napari_cardioxai.training.evaluation.baselines import (
    FOREST,
    LOGISTIC,
    BiomarkerLogistic,
    baseline_predictions,
    fit_biomarker_logistic,
    forest_probabilities,
)
from napari_cardioxai.training.evaluation.folds import Fold, stratified_folds
from napari_cardioxai.training.evaluation.roc import auc, youden_threshold

FEATURES = ("EF", "PER", "PFR")


@pytest.fixture(scope="module")
def cohort():
    """400 subjects; the label follows EF and PER by a known logistic law, PFR is noise."""
    rng = np.random.default_rng(0)
    values = rng.normal((58, 420, 400), (8, 90, 110), (400, 3))
    logit = -2.2 - 1.5 * (values[:, 0] - 58) / 8 + 0.8 * (values[:, 1] - 420) / 90
    labels = rng.random(400) < 1 / (1 + np.exp(-logit))
    values[rng.random((400, 3)) < 0.05] = np.nan
    return values, labels


def test_logistic_regression_finds_the_law_that_made_the_labels():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20_000, 3))
    labels = rng.random(20_000) < expit(-2.2 + values @ [-1.5, 0.8, 0.0])
    model = fit_biomarker_logistic(values, labels, features=FEATURES)
    assert model.coefficients == pytest.approx((-1.5, 0.8, 0.0), abs=0.1)
    assert model.intercept == pytest.approx(-2.2, abs=0.12)


def test_logistic_regression_says_what_scikit_learn_says_up_to_the_class_balance(cohort):
    values, labels = cohort
    pipeline = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(class_weight="balanced"),
    ).fit(values, labels)
    balanced = pipeline.predict_proba(values)[:, 1]
    found = fit_biomarker_logistic(values, labels, features=FEATURES).probability(values)
    moved = logit(found) - logit(balanced)
    assert np.ptp(moved) < 1e-9, "the same but for the intercept"
    assert found.mean() == pytest.approx(labels.mean(), rel=1e-6)


def test_logistic_regression_goes_into_json_and_back(cohort):
    model = fit_biomarker_logistic(*cohort, features=FEATURES)
    text = json.dumps(model.as_json(), allow_nan=False)
    back = BiomarkerLogistic.from_json(json.loads(text), where=Path("card.json"))
    assert back == model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"medians": [1.0]}, "one median, mean, scale above 0"),
        ({"scales": [1.0, 0.0, 1.0]}, "one median, mean, scale above 0"),
        ({"intercept": "much"}, "not made of numbers"),
        ({"colour": "red"}, "has the fields"),
    ],
)
def test_a_broken_biomarker_model_is_refused(cohort, change, message):
    values = fit_biomarker_logistic(*cohort, features=FEATURES).as_json() | change
    with pytest.raises(BundleError, match=message):
        BiomarkerLogistic.from_json(values, where=Path("card.json"))


def test_one_study_is_judged_by_name_and_what_is_missing_counts_as_the_median():
    model = BiomarkerLogistic(
        ("EF", "PER"), (60.0, 400.0), (58.0, 420.0), (8.0, 80.0), (-1.0, 2.0), 0.5
    )
    by_hand = 1 / (1 + np.exp(-(0.5 - (50 - 58) / 8 + 2 * (460 - 420) / 80)))
    assert model.probability_of({"PER": 460.0, "EF": 50.0, "mass": 99.0}) == pytest.approx(by_hand)
    for missing in (None, float("nan")):
        assert model.probability_of({"EF": 50.0, "PER": missing}) == pytest.approx(
            model.probability_of({"EF": 50.0, "PER": 400.0})
        )
    with pytest.raises(MeasurementError, match="needs 'PER', which is not among EF"):
        model.probability_of({"EF": 50.0})


def test_a_biomarker_that_nobody_has_or_everybody_equally_decides_nothing(cohort):
    values, labels = cohort
    odd = np.column_stack([values, np.full(400, np.nan), np.full(400, 7.0)])
    model = fit_biomarker_logistic(odd, labels, features=(*FEATURES, "empty", "constant"))
    assert model.coefficients[3:] == (0.0, 0.0)
    known = fit_biomarker_logistic(values, labels, features=FEATURES)
    assert model.probability(odd) == pytest.approx(known.probability(values), abs=1e-4)


def test_forest_judges_its_own_subjects_as_new_ones(cohort):
    values, labels = cohort
    found = forest_probabilities(
        values[:300], labels[:300], values[300:], features=FEATURES, seed=1, trees=120
    )
    out_of_bag = auc(labels[:300], found.train_out_of_bag)
    unseen = auc(labels[300:], found.test)
    assert unseen.value > 0.7
    assert out_of_bag.low < unseen.value < out_of_bag.high + 0.1
    again = forest_probabilities(
        values[:300], labels[:300], values[300:], features=FEATURES, seed=1, trees=120
    )
    assert np.array_equal(again.test, found.test)


def test_nothing_of_a_test_subject_reaches_the_baselines_of_its_fold(cohort):
    values, labels = cohort
    names = [str(k) for k in range(60)]
    fold = Fold(tuple(names[:40]), tuple(names[40:]))
    options = {"subjects": names, "features": FEATURES, "folds": [fold], "trees": 30}
    found = baseline_predictions(values[:60], labels[:60], **options)
    strange, other = values[:60].copy(), labels[:60].copy()
    strange[41:] *= 1000
    other[40:] = ~other[40:]
    changed = baseline_predictions(strange, other, **options)
    for name in (LOGISTIC, FOREST):
        assert changed[name][0].probabilities[0] == found[name][0].probabilities[0]
        assert changed[name][0].threshold == found[name][0].threshold


def test_baselines_judge_every_subject_once_at_thresholds_of_training_subjects(cohort):
    values, labels = cohort
    rows = slice(0, 150)
    names = [f"S{k:03d}" for k in range(150)]
    folds = stratified_folds(names, labels[rows], folds=3)
    steps = []
    found = baseline_predictions(
        values[rows],
        labels[rows],
        subjects=names,
        features=FEATURES,
        folds=folds,
        trees=100,
        on_progress=lambda done, total, what: steps.append((done, total)),
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert list(found) == [LOGISTIC, FOREST]
    for predictions in found.values():
        assert [p.subjects for p in predictions] == [fold.test for fold in folds]
    train = [names.index(name) for name in folds[0].train]
    model = fit_biomarker_logistic(values[train], labels[train], features=FEATURES)
    by_hand = youden_threshold(
        labels[train], model.probability(values[train]), train_subjects=folds[0].train
    )
    assert found[LOGISTIC][0].threshold == by_hand


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        (np.ones((4, 2)), [0, 1, 0, 1], r"shape \(4, 2\) does not hold the 3 biomarkers"),
        (np.ones((4, 3)), [0, 1, 0], "4 rows of biomarkers and 3 labels"),
        (np.ones((2, 3)), [1, 1], "all 2 subjects have the label 1"),
        ([[1, 2, np.inf], [1, 2, 3]], [0, 1], "'PFR' of subject number 1 is infinite"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(values, labels, message):
    with pytest.raises(CohortError, match=message):
        fit_biomarker_logistic(values, labels, features=FEATURES)


def test_a_fold_with_a_subject_that_was_never_measured_is_refused():
    with pytest.raises(CohortError, match="c is in a fold but has no row"):
        baseline_predictions(
            np.ones((2, 3)),
            [0, 1],
            subjects=["a", "b"],
            features=FEATURES,
            folds=[Fold(("a", "b"), ("c",))],
        )
