"""The whole judgement of one or several classifiers on the same subjects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.multiple_testing import holm
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.calibration import (
    Calibration,
    Temperature,
    judge_calibration,
)
from napari_cardioxai.training.evaluation.comparison import (
    AucDifference,
    McNemar,
    delong_test,
    mcnemar,
)
from napari_cardioxai.training.evaluation.figures import (
    NamedRoc,
    confusion_figure,
    markdown_table,
    reliability_figure,
    roc_figure,
)
from napari_cardioxai.training.evaluation.intervals import Interval
from napari_cardioxai.training.evaluation.predictions import (
    FoldPredictions,
    PooledPredictions,
    pool,
)
from napari_cardioxai.training.evaluation.roc import (
    Decisions,
    RocBand,
    RocCurve,
    Threshold,
    auc,
    judge_decisions,
    roc_band,
    roc_curve,
)

_DOTS_PER_INCH = 150


@dataclass(frozen=True)
class FoldFigures:
    """One fold on its own; NaN where the fold lacks a class.

    Attributes
    ----------
    subjects, positives
        Number of test subjects, and of those with label 1.
    auc, balanced_accuracy
        On them.
    threshold, temperature
        As chosen for this fold; `temperature` is None where there was none.
    """

    subjects: int
    positives: int
    auc: float
    balanced_accuracy: float
    threshold: Threshold
    temperature: Temperature | None


@dataclass(frozen=True)
class ModelEvaluation:
    """One model.

    Attributes
    ----------
    auc, curve, band
        Over the test subjects of all folds together.
    decisions
        At each fold's own threshold.
    calibration, calibration_after_temperature
        Of the probabilities as they are and after each fold's temperature
        (None where there was none).
    folds
        Each fold on its own.
    predictions
        Every subject.
    """

    auc: Interval
    curve: RocCurve
    band: RocBand
    decisions: Decisions
    calibration: Calibration
    calibration_after_temperature: Calibration | None
    folds: tuple[FoldFigures, ...]
    predictions: PooledPredictions


@dataclass(frozen=True)
class Comparison:
    """Two models on the same subjects.

    Attributes
    ----------
    first, second
        Their names.
    mcnemar, mcnemar_p_holm
        Of their decisions; p corrected for the number of pairs.
    auc_difference, delong_p_holm
        Of their areas under the curve, first minus second; likewise.
    """

    first: str
    second: str
    mcnemar: McNemar
    mcnemar_p_holm: float
    auc_difference: AucDifference
    delong_p_holm: float


@dataclass(frozen=True)
class Evaluation:
    """Several models side by side.

    Attributes
    ----------
    subjects, positives
        Number of test subjects, and of those with label 1.
    confidence, resamples, seed
        Coverage of all intervals; bootstrap of the ROC bands.
    models
        By name.
    comparisons
        Every pair of models.
    """

    subjects: int
    positives: int
    confidence: float
    resamples: int
    seed: int
    models: dict[str, ModelEvaluation]
    comparisons: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        """The content of `evaluation.json`, plain types only.

        What is not defined (NaN, the infinite first threshold of a curve) is
        None. An interval is `{value, low, high}`. Keys:

        - `subjects, positives, confidence, resamples, seed`
        - `models.NAME`
            - `auc`: interval
            - `sensitivity, specificity, balanced_accuracy`: intervals, decisions
              at each fold's threshold
            - `confusion`: `true_positives, false_positives, true_negatives, false_negatives`
            - `roc`: `false_positive_rate, true_positive_rate, thresholds` and
              `band` with `false_positive_rate, mean, low, high`
            - `calibration`, `calibration_after_temperature` (or None): `brier`,
              `ece_equal_mass, ece_equal_width`, `equal_mass, equal_width` (fields
              of `Reliability`)
            - `over_folds`: `auc, balanced_accuracy`, each `{mean, sd}` over folds
            - `folds`: list of `subjects, positives, auc, balanced_accuracy`,
              `threshold` (`value, youden_index, sensitivity, specificity`, on the
              training subjects) and `temperature` (`value, nll_before, nll_after`, or None)
        - `comparisons`: list of `first, second`, `mcnemar` (`only_first, only_second,
          p_value, method, statistic, p_holm`) and `delong` (`first, second` areas,
          `difference` interval, `z, p_value, p_holm`)
        """
        return {
            "subjects": self.subjects,
            "positives": self.positives,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
            "models": {name: _model_json(model) for name, model in self.models.items()},
            "comparisons": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "mcnemar": json_form(pair.mcnemar) | {"p_holm": json_form(pair.mcnemar_p_holm)},
                    "delong": json_form(pair.auc_difference)
                    | {"p_holm": json_form(pair.delong_p_holm)},
                }
                for pair in self.comparisons
            ],
        }

    def as_markdown(self) -> str:
        """Tables of the models and of their comparisons."""
        models = markdown_table(
            [
                "model",
                "AUC",
                "sensitivity %",
                "specificity %",
                "balanced accuracy %",
                "over folds (SD)",
                "Brier",
                "ECE",
                "ECE after temperature",
            ],
            [_table_row(name, model) for name, model in self.models.items()],
        )
        if not self.comparisons:
            return models + "\n"
        pairs = markdown_table(
            [
                "first against second",
                "AUC difference",
                "p (DeLong, Holm)",
                "right only: first / second",
                "p (McNemar, Holm)",
            ],
            [
                [
                    f"{pair.first} against {pair.second}",
                    str(pair.auc_difference.difference),
                    _p(pair.delong_p_holm),
                    f"{pair.mcnemar.only_first} / {pair.mcnemar.only_second}",
                    _p(pair.mcnemar_p_holm),
                ]
                for pair in self.comparisons
            ],
        )
        return f"{models}\n\n{pairs}\n"


def evaluate_classifier(
    models: Mapping[str, Sequence[FoldPredictions]],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 1000,
    bins: int = 10,
    on_progress: Progress = silent,
) -> Evaluation:
    """Judge one or several classifiers on the same subjects.

    The test subjects of all folds are taken together: every subject once, its
    probability and decision from the model that never saw it. Figures of each
    fold stand beside, because the models of different folds need not share a scale.
    With one test set, give one `FoldPredictions` a model.

    Parameters
    ----------
    models
        Predictions of every fold, by name of the model; the same test subjects
        with the same labels in each.
    seed, resamples
        Of the bootstrap of the ROC bands.
    confidence
        Coverage of all intervals.
    bins
        Of the reliability diagrams.
    on_progress
        Called before every model.

    Raises
    ------
    CohortError
        When there is no model, models were judged on different subjects or
        labels, a subject comes twice, or one class is missing.

    References
    ----------
    Airola et al. 2011, Comput. Stat. Data Anal. 55:1828 (pooled against
    averaged areas in cross-validation).
    """
    if not models:
        raise CohortError("there is no model to evaluate.")
    pooled = {name: pool(folds) for name, folds in models.items()}
    reference, first = next(iter(pooled.items()))
    for name, predictions in pooled.items():
        _check_same_subjects(reference, first, name, predictions)
    judged = {}
    for number, (name, predictions) in enumerate(pooled.items()):
        on_progress(number, len(models), f"evaluating {name}")
        judged[name] = _judge(
            predictions,
            models[name],
            rng=np.random.default_rng(seed),
            confidence=confidence,
            resamples=resamples,
            bins=bins,
        )
    on_progress(len(models), len(models), "evaluation")
    return Evaluation(
        subjects=len(first.labels),
        positives=int(first.labels.sum()),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        models=judged,
        comparisons=_compare(pooled, confidence),
    )


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    *,
    sections: Mapping[str, Any] | None = None,
    classes: tuple[str, str] = ("negative", "positive"),
) -> dict[str, Any]:
    """Write an evaluation as one JSON file, tables and figures.

    The files are `evaluation.json` (`Evaluation.as_json` and the sections),
    `evaluation.md`, `predictions.csv` (one row a subject: label, and for each
    model fold, probability, calibrated probability and decision), and `roc`,
    `reliability` and `confusion`, each as PNG and SVG. All of them or none.

    Parameters
    ----------
    folder
        Made when it is not there.
    evaluation
        Of `evaluate_classifier`.
    sections
        Further results under their own keys in the JSON: dataclasses, arrays
        and plain types, such as `{"reconstruction": dice.summary(),
        "concept_leakage": leakages}`.
    classes
        Names of label 0 and of label 1, for the figures.

    Returns
    -------
    The content of `evaluation.json`.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    ValueError
        When a section has the name of a part of the evaluation.
    """
    content = evaluation.as_json()
    further = {name: json_form(section) for name, section in (sections or {}).items()}
    if taken := sorted(content.keys() & further.keys()):
        raise ValueError(f"{taken[0]!r} is a part of every evaluation; name the section otherwise")
    content |= further
    models = evaluation.models
    figures = {
        "roc": roc_figure({k: NamedRoc(m.curve, m.band, m.auc) for k, m in models.items()}),
        "reliability": reliability_figure(
            {k: (m.calibration, m.calibration_after_temperature) for k, m in models.items()}
        ),
        "confusion": confusion_figure(
            {name: model.decisions for name, model in models.items()}, classes=classes
        ),
    }
    with replacing_files_in(folder) as beside:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        (beside / "evaluation.json").write_text(text + "\n", "utf-8")
        (beside / "evaluation.md").write_text(evaluation.as_markdown(), "utf-8")
        prediction_table(evaluation).to_csv(beside / "predictions.csv")
        for name, figure in figures.items():
            _save(figure, beside / name)
    return content


def prediction_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row a subject, as in `predictions.csv`.

    Columns are `label` and, for each model, `NAME: fold`, `NAME: probability`,
    `NAME: calibrated` (where there were temperatures) and `NAME: decision`.
    """
    first = next(iter(evaluation.models.values())).predictions
    columns: dict[str, NDArray] = {"label": first.labels.astype(int)}
    for name, model in evaluation.models.items():
        said = model.predictions
        columns[f"{name}: fold"] = said.fold
        columns[f"{name}: probability"] = said.probabilities
        if said.calibrated is not None:
            columns[f"{name}: calibrated"] = said.calibrated
        columns[f"{name}: decision"] = said.decisions.astype(int)
    return pd.DataFrame(columns, index=pd.Index(first.subjects, name="subject"))


def json_form(value: Any) -> Any:
    """Dataclasses, arrays and numpy numbers as plain types; what is not finite as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_form(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_form(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return json_form(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_form(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _check_same_subjects(
    reference: str, first: PooledPredictions, name: str, other: PooledPredictions
) -> None:
    if odd := sorted(set(first.subjects) ^ set(other.subjects)):
        raise CohortError(
            f"{odd[0]} is predicted by only one of {reference!r} and {name!r}; "
            "models are compared on the same subjects."
        )
    differ = np.flatnonzero(first.labels != other.labels)
    if len(differ):
        raise CohortError(
            f"{first.subjects[differ[0]]} has another label for {reference!r} than for {name!r}."
        )


def _judge(
    pooled: PooledPredictions,
    folds: Sequence[FoldPredictions],
    *,
    rng: np.random.Generator,
    confidence: float,
    resamples: int,
    bins: int,
) -> ModelEvaluation:
    labels, probabilities = pooled.labels, pooled.probabilities

    calibration_of = partial(judge_calibration, labels, bins=bins, confidence=confidence)
    return ModelEvaluation(
        auc=auc(labels, probabilities, confidence=confidence),
        curve=roc_curve(labels, probabilities),
        band=roc_band(labels, probabilities, rng=rng, resamples=resamples, confidence=confidence),
        decisions=judge_decisions(labels, pooled.decisions, confidence=confidence),
        calibration=calibration_of(probabilities),
        calibration_after_temperature=(
            None if pooled.calibrated is None else calibration_of(pooled.calibrated)
        ),
        folds=tuple(_judge_fold(fold) for fold in folds),
        predictions=pooled,
    )


def _judge_fold(fold: FoldPredictions) -> FoldFigures:
    labels = fold.labels
    has_both = labels.any() and not labels.all()
    decisions = judge_decisions(labels, fold.threshold.decide(fold.probabilities))
    return FoldFigures(
        subjects=len(labels),
        positives=int(labels.sum()),
        auc=auc(labels, fold.probabilities).value if has_both else float("nan"),
        balanced_accuracy=decisions.balanced_accuracy.value,
        threshold=fold.threshold,
        temperature=fold.temperature,
    )


def _compare(pooled: Mapping[str, PooledPredictions], confidence: float) -> tuple[Comparison, ...]:
    pairs = list(combinations(pooled, 2))
    if not pairs:
        return ()
    labels = next(iter(pooled.values())).labels
    decisions = [mcnemar(labels, pooled[a].decisions, pooled[b].decisions) for a, b in pairs]
    areas = [
        delong_test(labels, pooled[a].probabilities, pooled[b].probabilities, confidence=confidence)
        for a, b in pairs
    ]
    decisions_p = holm([test.p_value for test in decisions])
    areas_p = holm([test.p_value for test in areas])
    return tuple(
        Comparison(a, b, decisions[k], float(decisions_p[k]), areas[k], float(areas_p[k]))
        for k, (a, b) in enumerate(pairs)
    )


def _model_json(model: ModelEvaluation) -> dict[str, Any]:
    decisions = json_form(model.decisions)
    rates = ("sensitivity", "specificity", "balanced_accuracy")
    return {
        "auc": json_form(model.auc),
        **{rate: decisions.pop(rate) for rate in rates},
        "confusion": decisions,
        "roc": json_form(model.curve) | {"band": json_form(model.band)},
        "calibration": _calibration_json(model.calibration),
        "calibration_after_temperature": (
            model.calibration_after_temperature
            and _calibration_json(model.calibration_after_temperature)
        ),
        "over_folds": {
            name: json_form(_mean_and_sd([getattr(fold, name) for fold in model.folds]))
            for name in ("auc", "balanced_accuracy")
        },
        "folds": [
            {
                "subjects": fold.subjects,
                "positives": fold.positives,
                "auc": json_form(fold.auc),
                "balanced_accuracy": json_form(fold.balanced_accuracy),
                "threshold": json_form(fold.threshold.as_json()),
                "temperature": json_form(fold.temperature),
            }
            for fold in model.folds
        ],
    }


def _calibration_json(calibration: Calibration) -> dict[str, Any]:
    return {
        "brier": calibration.brier,
        "ece_equal_mass": calibration.equal_mass.expected_calibration_error,
        "ece_equal_width": calibration.equal_width.expected_calibration_error,
        "equal_mass": json_form(calibration.equal_mass),
        "equal_width": json_form(calibration.equal_width),
    }


def _mean_and_sd(values: Sequence[float]) -> dict[str, float]:
    """Over the folds where it is defined; NaN where there are too few."""
    known = np.array([value for value in values if np.isfinite(value)])
    return {
        "mean": float(known.mean()) if len(known) else float("nan"),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else float("nan"),
    }


def _table_row(name: str, model: ModelEvaluation) -> list[str]:
    decisions, after = model.decisions, model.calibration_after_temperature
    spread = _mean_and_sd([fold.balanced_accuracy for fold in model.folds])
    return [
        name,
        str(model.auc),
        _percent(decisions.sensitivity),
        _percent(decisions.specificity),
        _percent(decisions.balanced_accuracy),
        f"{100 * spread['mean']:.1f} ({100 * spread['sd']:.1f})" if len(model.folds) > 1 else "",
        f"{model.calibration.brier:.3f}",
        f"{model.calibration.equal_mass.expected_calibration_error:.3f}",
        "" if after is None else f"{after.equal_mass.expected_calibration_error:.3f}",
    ]


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _p(value: float) -> str:
    if np.isnan(value):
        return "not defined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _save(figure: Figure, path: Path) -> None:
    """As PNG and as SVG, the same bytes for the same figure."""
    figure.savefig(path.with_suffix(".png"), dpi=_DOTS_PER_INCH)
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
