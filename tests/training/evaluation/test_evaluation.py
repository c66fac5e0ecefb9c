import csv
import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.calibration import fit_temperature, logits_of
from napari_cardioxai.training.evaluation.comparison import delong_test, mcnemar
from napari_cardioxai.training.evaluation.evaluation import (
    evaluate_classifier,
    json_form,
    write_evaluation,
)
from napari_cardioxai.training.evaluation.folds import stratified_folds
from napari_cardioxai.training.evaluation.intervals import Interval
from napari_cardioxai.training.evaluation.predictions import FoldPredictions
from napari_cardioxai.training.evaluation.roc import Threshold, youden_threshold
from tests.training.evaluation.cases import binormal

NAMES = [f"S{k:03d}" for k in range(200)]


def predictions_of(labels, logits, *, folds, with_temperature=False):
    """A model that gives fixed logits, its thresholds chosen on each fold's training part."""
    row = {name: k for k, name in enumerate(NAMES)}
    made = []
    for fold in folds:
        train, test = ([row[name] for name in part] for part in (fold.train, fold.test))
        made.append(
            FoldPredictions(
                fold.test,
                labels[test],
                expit(logits[test]),
                youden_threshold(labels[train], expit(logits[train]), train_subjects=fold.train),
                fit_temperature(labels[train], logits[train]) if with_temperature else None,
            )
        )
    return made


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    labels, logits = binormal(rng, 60, 140, shift=2.0)
    folds = stratified_folds(NAMES, labels, folds=4)
    return {
        "good": predictions_of(labels, 3 * logits - 3, folds=folds, with_temperature=True),
        "noisy": predictions_of(labels, logits + rng.normal(size=200), folds=folds),
        "blind": predictions_of(labels, rng.normal(size=200), folds=folds),
    }


@pytest.fixture(scope="module")
def evaluation(models):
    return evaluate_classifier(models, resamples=50)


def test_figures_are_those_of_scikit_learn_on_all_folds_together(models, evaluation):
    for name, folds in models.items():
        labels = np.concatenate([fold.labels for fold in folds])
        probabilities = np.concatenate([fold.probabilities for fold in folds])
        decisions = np.concatenate([f.threshold.decide(f.probabilities) for f in folds])
        found = evaluation.models[name]
        assert found.auc.value == pytest.approx(roc_auc_score(labels, probabilities))
        assert found.calibration.brier == pytest.approx(brier_score_loss(labels, probabilities))
        assert found.decisions.balanced_accuracy.value == pytest.approx(
            balanced_accuracy_score(labels, decisions)
        )
    assert (evaluation.subjects, evaluation.positives) == (200, 60)


def test_each_fold_is_judged_on_its_own_too(models, evaluation):
    fold = models["noisy"][2]
    found = evaluation.models["noisy"].folds[2]
    assert found.auc == pytest.approx(roc_auc_score(fold.labels, fold.probabilities))
    assert found.balanced_accuracy == pytest.approx(
        balanced_accuracy_score(fold.labels, fold.threshold.decide(fold.probabilities))
    )
    assert (found.subjects, found.positives) == (50, 15)
    over = evaluation.as_json()["models"]["noisy"]["over_folds"]["auc"]
    by_hand = [roc_auc_score(f.labels, f.probabilities) for f in models["noisy"]]
    assert over == pytest.approx({"mean": np.mean(by_hand), "sd": np.std(by_hand, ddof=1)})


def test_temperature_mends_a_model_that_is_too_sure(evaluation):
    good = evaluation.models["good"]
    assert good.calibration_after_temperature.brier < good.calibration.brier
    assert good.folds[0].temperature.value > 1
    assert evaluation.models["noisy"].calibration_after_temperature is None


def test_every_pair_of_models_is_compared_and_corrected_for_the_number_of_pairs(evaluation):
    pairs = [(pair.first, pair.second) for pair in evaluation.comparisons]
    assert pairs == [("good", "noisy"), ("good", "blind"), ("noisy", "blind")]
    good, noisy = (evaluation.models[name].predictions for name in pairs[0])
    first = evaluation.comparisons[0]
    assert first.mcnemar == mcnemar(good.labels, good.decisions, noisy.decisions)
    assert first.auc_difference == delong_test(good.labels, good.probabilities, noisy.probabilities)
    largest = max(evaluation.comparisons, key=lambda pair: pair.auc_difference.p_value)
    for pair in evaluation.comparisons:
        assert pair.delong_p_holm >= pair.auc_difference.p_value
    smallest = min(evaluation.comparisons, key=lambda pair: pair.auc_difference.p_value)
    assert smallest.delong_p_holm == pytest.approx(3 * smallest.auc_difference.p_value)
    assert largest.delong_p_holm >= largest.auc_difference.p_value
    assert evaluation.comparisons[1].delong_p_holm < 0.001, "blind is worse than good"


def test_the_json_holds_what_is_documented_and_nothing_that_json_does_not_know(evaluation):
    content = json.loads(json.dumps(evaluation.as_json(), allow_nan=False))
    assert set(content) == {
        "subjects", "positives", "confidence", "resamples", "seed", "models", "comparisons"
    }  # fmt: skip
    good = content["models"]["good"]
    assert set(good) == {
        "auc", "sensitivity", "specificity", "balanced_accuracy", "confusion", "roc",
        "calibration", "calibration_after_temperature", "over_folds", "folds",
    }  # fmt: skip
    assert set(good["auc"]) == {"value", "low", "high"}
    assert sum(good["confusion"].values()) == 200
    assert good["roc"]["thresholds"][0] is None
    assert set(good["roc"]["band"]) == {"false_positive_rate", "mean", "low", "high"}
    assert set(good["folds"][0]["threshold"]) == {
        "value", "youden_index", "sensitivity", "specificity"
    }  # fmt: skip
    assert content["models"]["blind"]["calibration_after_temperature"] is None
    assert content["comparisons"][0]["mcnemar"]["p_holm"] <= 1


def test_an_evaluation_is_written_as_json_tables_and_figures(evaluation, tmp_path):
    folder = tmp_path / "new" / "evaluation"
    content = write_evaluation(
        folder, evaluation, sections={"reconstruction": {"LV cavity": Interval(0.95, 0.94, np.nan)}}
    )
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json", "evaluation.md", "predictions.csv", "roc.png", "roc.svg",
        "reliability.png", "reliability.svg", "confusion.png", "confusion.svg",
    }  # fmt: skip
    assert json.loads((folder / "evaluation.json").read_text("utf-8")) == content
    assert content["reconstruction"]["LV cavity"] == {"value": 0.95, "low": 0.94, "high": None}
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["subject"] for row in rows] == NAMES
    pooled = evaluation.models["good"].predictions
    assert float(rows[7]["good: probability"]) == pytest.approx(pooled.probabilities[7])
    assert float(rows[7]["good: calibrated"]) == pytest.approx(pooled.calibrated[7])
    assert int(rows[7]["good: decision"]) == pooled.decisions[7]
    assert "noisy: calibrated" not in rows[7]
    table = (folder / "evaluation.md").read_text("utf-8")
    auc = evaluation.models["noisy"].auc
    assert f"| noisy | {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}) |" in table
    assert "| good against blind |" in table


def test_the_same_evaluation_is_the_same_to_the_byte(models, tmp_path):
    for name in ("a", "b"):
        write_evaluation(tmp_path / name, evaluate_classifier(models, resamples=20, seed=3))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_section_cannot_take_the_place_of_the_models(evaluation, tmp_path):
    with pytest.raises(ValueError, match="'models' is a part of every evaluation"):
        write_evaluation(tmp_path, evaluation, sections={"models": {}})
    assert not any(tmp_path.iterdir())


def test_one_model_on_one_test_set_is_evaluated_without_comparison(tmp_path):
    half = Threshold(0.5, 1.0, 1.0, 1.0)
    only = FoldPredictions(("a", "b", "c", "d"), [0, 1, 1, 0], [0.2, 0.9, 0.4, 0.1], half)
    evaluation = evaluate_classifier({"only": [only]}, resamples=10)
    assert evaluation.comparisons == ()
    assert evaluation.models["only"].decisions.sensitivity.value == 0.5
    content = write_evaluation(tmp_path, evaluation)
    assert content["models"]["only"]["over_folds"]["auc"] == {"mean": 1.0, "sd": None}


def test_models_judged_on_different_subjects_are_not_compared():
    half = Threshold(0.5, 1.0, 1.0, 1.0)
    first = [FoldPredictions(("a", "b"), [0, 1], [0.1, 0.9], half)]
    with pytest.raises(CohortError, match="b is predicted by only one of 'x' and 'y'"):
        evaluate_classifier(
            {"x": first, "y": [FoldPredictions(("a", "c"), [0, 1], [0.1, 0.9], half)]}
        )
    with pytest.raises(CohortError, match="b has another label for 'x' than for 'y'"):
        evaluate_classifier(
            {"x": first, "y": [FoldPredictions(("a", "b"), [0, 0], [0.1, 0.9], half)]}
        )
    with pytest.raises(CohortError, match="no model to evaluate"):
        evaluate_classifier({})


def test_progress_names_the_model(models):
    steps = []
    evaluate_classifier(
        {"good": models["good"]}, resamples=2, on_progress=lambda *step: steps.append(step)
    )
    assert steps == [(0, 1, "evaluating good"), (1, 1, "evaluation")]


def test_json_form_makes_plain_types():
    assert json_form(
        {"a": np.arange(2), 3: (np.float32(0.5), np.inf, np.bool_(True), "x", None)}
    ) == {
        "a": [0, 1],
        "3": [0.5, None, True, "x", None],
    }
    assert json_form(logits_of([0.5])) == [0.0]
