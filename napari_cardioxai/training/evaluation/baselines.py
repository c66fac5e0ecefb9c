"""What measured biomarkers alone can tell: the models that a latent one must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from napari_cardioxai.errors import BundleError, CohortError, MeasurementError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.folds import Fold
from napari_cardioxai.training.evaluation.inputs import checked_labels
from napari_cardioxai.training.evaluation.predictions import FoldPredictions
from napari_cardioxai.training.evaluation.roc import youden_threshold

LOGISTIC = "logistic regression on biomarkers"
FOREST = "random forest on biomarkers"


@dataclass(frozen=True)
class BiomarkerLogistic:
    """A logistic regression on biomarkers that is small enough to print.

    logit = intercept + sum over biomarkers of coefficient (x - mean) / scale,
    with x the median where it was not measured.

    Attributes
    ----------
    features
        Names of the biomarkers, in the order of the other tuples.
    medians, means, scales
        Of the training subjects, in each biomarker's own unit; means and
        scales (standard deviations) are those after imputation.
    coefficients
        Change of the log odds per standard deviation.
    intercept
        Log odds of a mean subject.
    """

    features: tuple[str, ...]
    medians: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def probability(self, values: ArrayLike) -> NDArray[np.float64]:
        """Probability of label 1 for each row, shape (n,).

        Parameters
        ----------
        values
            Biomarkers in the order of `features`, shape (n, f); NaN where not measured.

        Raises
        ------
        CohortError
            When the table has another number of columns.
        """
        table = _checked_table(values, self.features)
        filled = np.where(np.isnan(table), self.medians, table)
        standardised = (filled - self.means) / np.asarray(self.scales)
        return np.asarray(expit(standardised @ np.asarray(self.coefficients) + self.intercept))

    def probability_of(self, measured: Mapping[str, float | None]) -> float:
        """Probability of label 1 for one study.

        Parameters
        ----------
        measured
            Value of each biomarker by name; None or NaN where it could not be
            measured. Others than `features` are ignored.

        Raises
        ------
        MeasurementError
            When a biomarker that the model knows is not named.
        """
        if missing := [name for name in self.features if name not in measured]:
            raise MeasurementError(
                f"the biomarker model needs {missing[0]!r}, which is not among "
                f"{', '.join(measured) or 'no measurements'}; measure it or give it as missing."
            )
        row = np.array([measured[name] for name in self.features], np.float64)  # None becomes NaN
        return float(self.probability(row[None])[0])

    def as_json(self) -> dict[str, Any]:
        """Plain types for a model card or a file."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, where: Path) -> BiomarkerLogistic:
        """Inverse of `as_json`.

        Raises
        ------
        BundleError
            When fields are missing or unknown, or do not fit together.
        """
        if values.keys() != {f.name for f in fields(cls)}:
            raise BundleError(
                f"{where}: a biomarker model has the fields "
                f"{', '.join(f.name for f in fields(cls))}, not {', '.join(values)}."
            )
        try:
            features = tuple(str(name) for name in values["features"])
            columns = {
                key: tuple(float(number) for number in values[key])
                for key in ("medians", "means", "scales", "coefficients")
            }
            intercept = float(values["intercept"])
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"{where}: the biomarker model is not made of numbers ({error})."
            ) from error
        if {len(c) for c in columns.values()} != {len(features)} or min(
            columns["scales"], default=0
        ) <= 0:
            raise BundleError(
                f"{where}: the biomarker model needs one median, mean, scale above 0 and "
                f"coefficient for each of its {len(features)} biomarkers."
            )
        return cls(features, **columns, intercept=intercept)


@dataclass(frozen=True)
class ForestProbabilities:
    """What a random forest says about its own subjects and about new ones.

    Attributes
    ----------
    train_out_of_bag
        For each training subject, the mean over the trees that did not see it,
        shape (n,): what a new subject would get.
    test
        Shape (m,).
    """

    train_out_of_bag: NDArray[np.float64]
    test: NDArray[np.float64]


def fit_biomarker_logistic(
    values: ArrayLike,
    labels: ArrayLike,
    *,
    features: Sequence[str],
    inverse_regularisation: float = 1.0,
) -> BiomarkerLogistic:
    """Fit a logistic regression on a table of biomarkers.

    Missing values become the median of the column, columns are standardised,
    and both classes weigh the same however many subjects they have. The
    intercept is then moved until the mean probability is the share of
    positives among the training subjects ("calibration in the large",
    Steyerberg 2009, section 15.3); without that it would be near one half.
    Order and decisions at a chosen threshold do not depend on it.

    Parameters
    ----------
    values
        Shape (n, f), NaN where missing. A biomarker that is missing everywhere
        or constant gets the coefficient 0.
    labels
        0 or 1, shape (n,), both present.
    features
        Names of the columns.
    inverse_regularisation
        scikit-learn's C: smaller shrinks the coefficients more.

    Raises
    ------
    CohortError
        When the input does not fit together or one class is missing.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table, truth = _training_table(values, labels, features)
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=inverse_regularisation, class_weight="balanced", max_iter=1000),
    ).fit(table, truth)
    imputer, scaler, regression = (step for _, step in pipeline.steps)
    logits = pipeline.decision_function(table) - regression.intercept_[0]
    # Between these the mean probability passes the share of positives, strictly rising.
    reach = np.abs(logits).max() + abs(logit(truth.mean())) + 1
    intercept = brentq(lambda shift: expit(logits + shift).mean() - truth.mean(), -reach, reach)
    return BiomarkerLogistic(
        features=tuple(map(str, features)),
        medians=tuple(np.nan_to_num(imputer.statistics_).tolist()),
        means=tuple(scaler.mean_.tolist()),
        scales=tuple(scaler.scale_.tolist()),
        coefficients=tuple(regression.coef_[0].tolist()),
        intercept=float(intercept),
    )


def forest_probabilities(
    train_values: ArrayLike,
    train_labels: ArrayLike,
    test_values: ArrayLike,
    *,
    features: Sequence[str],
    seed: int = 0,
    trees: int = 500,
    smallest_leaf: int = 5,
) -> ForestProbabilities:
    """Fit a random forest on a table of biomarkers and apply it.

    Missing values become the median of the training column; classes are
    balanced within each tree's bootstrap sample, so that probabilities refer
    to classes of equal size. For evaluation only: a forest cannot be kept
    without a pickle.

    Parameters
    ----------
    train_values, test_values
        Shapes (n, f) and (m, f), NaN where missing.
    train_labels
        0 or 1, shape (n,), both present.
    features
        Names of the columns.
    seed, trees, smallest_leaf
        Of the forest; number of trees; fewest subjects in a leaf.

    Raises
    ------
    CohortError
        When the input does not fit together or one class is missing.

    References
    ----------
    Breiman 2001, Mach. Learn. 45:5 (scikit-learn's).
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    table, truth = _training_table(train_values, train_labels, features)
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        RandomForestClassifier(
            trees,
            min_samples_leaf=smallest_leaf,
            class_weight="balanced_subsample",
            oob_score=True,
            random_state=seed,
        ),
    ).fit(table, truth)
    return ForestProbabilities(
        train_out_of_bag=pipeline[-1].oob_decision_function_[:, 1],
        test=pipeline.predict_proba(_checked_table(test_values, features))[:, 1],
    )


def baseline_predictions(
    values: ArrayLike,
    labels: ArrayLike,
    *,
    subjects: Sequence[str],
    features: Sequence[str],
    folds: Sequence[Fold],
    seed: int = 0,
    trees: int = 500,
    on_progress: Progress = silent,
) -> dict[str, list[FoldPredictions]]:
    """Both baselines on every fold, ready for `evaluation.evaluate_classifier`.

    Imputation, standardisation, models and thresholds come from each fold's
    training subjects alone; the forest's threshold from its out-of-bag
    predictions.

    Parameters
    ----------
    values, labels
        Shapes (n, f), NaN where missing, and (n,).
    subjects, features
        Names of the rows and of the columns.
    folds
        Subjects of a fold that have no row here are an error.
    seed, trees
        Of the forests.
    on_progress
        Called before every fold.

    Returns
    -------
    One list over folds under `LOGISTIC` and one under `FOREST`.

    Raises
    ------
    CohortError
        When the input does not fit together.
    """
    table, truth = _checked_table(values, features), checked_labels(labels)
    if not len(subjects) == len(table) == len(truth):
        raise CohortError(
            f"{len(subjects)} subjects, {len(table)} rows and {len(truth)} labels do not fit."
        )
    row = {str(name): k for k, name in enumerate(subjects)}
    predictions: dict[str, list[FoldPredictions]] = {LOGISTIC: [], FOREST: []}
    for number, fold in enumerate(folds):
        on_progress(number, len(folds), f"biomarker baselines, fold {number + 1}")
        if strange := [name for name in fold.train + fold.test if name not in row]:
            raise CohortError(f"{strange[0]} is in a fold but has no row of biomarkers.")
        train = [row[name] for name in fold.train]
        test = [row[name] for name in fold.test]
        logistic = fit_biomarker_logistic(table[train], truth[train], features=features)
        forest = forest_probabilities(
            table[train], truth[train], table[test], features=features, seed=seed, trees=trees
        )
        said = {
            LOGISTIC: (logistic.probability(table[train]), logistic.probability(table[test])),
            FOREST: (forest.train_out_of_bag, forest.test),
        }
        for name, (on_train, on_test) in said.items():
            threshold = youden_threshold(truth[train], on_train, train_subjects=fold.train)
            predictions[name].append(FoldPredictions(fold.test, truth[test], on_test, threshold))
    on_progress(len(folds), len(folds), "biomarker baselines")
    return predictions


def _checked_table(values: ArrayLike, features: Sequence[str]) -> NDArray[np.float64]:
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[1] != len(features):
        raise CohortError(
            f"a table of shape {table.shape} does not hold the {len(features)} biomarkers "
            f"{', '.join(features)}; give one row a subject and one column a biomarker."
        )
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        raise CohortError(
            f"{features[column]!r} of subject number {row + 1} is infinite; leave it blank."
        )
    return table


def _training_table(
    values: ArrayLike, labels: ArrayLike, features: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    table, truth = _checked_table(values, features), checked_labels(labels)
    if len(table) != len(truth):
        raise CohortError(f"{len(table)} rows of biomarkers and {len(truth)} labels do not fit.")
    if truth.all() or not truth.any():
        raise CohortError(
            f"all {len(truth)} subjects have the label {int(truth[0])}; "
            "a classifier needs subjects of both classes."
        )
    return table, truth
