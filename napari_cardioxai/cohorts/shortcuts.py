"""Whether something other than the heart tells the label.

A model takes the easiest way. Where sick subjects come from one site, or lie
elsewhere in the picture, it learns that (Zech et al. 2018), and no curve of its
training shows it. So it is asked beforehand how well the label follows from
what is not anatomy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

THRESHOLD_AUC = 0.65
SIGNIFICANT = 0.05  # over all properties together, Bonferroni
FEWEST_PER_CLASS = 5
FOLDS = 5
TOGETHER = "all of them together"


@dataclass(frozen=True)
class Shortcut:
    """How well a property tells the label.

    Attributes
    ----------
    name
        Of the property; `TOGETHER` for all at once.
    auc
        Area under the ROC curve, turned so that it is at least 0.5 for a single number.
    p_value
        Of the Mann-Whitney test between the classes, two-sided.
    method
        "rank" for a single number, "logistic regression" for names and for
        several at once, judged by cross-validation.
    subjects
        For how many the property is known.
    threatens
        Whether the area is above `THRESHOLD_AUC`.
    is_certain
        Whether chance is ruled out: p, times the number of properties that
        were tried, is below `SIGNIFICANT`.
    """

    name: str
    auc: float
    p_value: float
    method: str
    subjects: int
    threatens: bool
    is_certain: bool

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name."""
        return asdict(self)


def find_shortcuts(
    properties: pd.DataFrame, label: NDArray[np.float64], *, seed: int = 0
) -> tuple[Shortcut, ...]:
    """Try every property alone, and all of them together, as a predictor of the label.

    Parameters
    ----------
    properties
        One row a subject: numbers, or text for what is a name; missing allowed.
        That something is missing is a property itself.
    label
        0, 1 or NaN (left out), shape (subjects,).
    seed
        Of the folds.

    Returns
    -------
    The strongest first; empty where a class has fewer than five subjects.
    """
    known = np.isfinite(label)
    truth = label[known].astype(int)
    if min(np.count_nonzero(truth == value) for value in (0, 1)) < FEWEST_PER_CLASS:
        return ()
    table = _with_missing(properties.loc[known].reset_index(drop=True))
    found = []
    for name in table.columns:
        column = table[name]
        there = column.notna().to_numpy()
        if column[there].nunique() < 2:
            continue
        if min(np.count_nonzero(truth[there] == value) for value in (0, 1)) < FEWEST_PER_CLASS:
            continue
        found.append(_alone(column[there], truth[there], seed))
    varying = [name for name, *_ in found]
    if len(varying) > 1:
        scores = _cross_validated(table[varying], truth, seed)
        found.append((TOGETHER, *_judged(scores, truth), _REGRESSION, len(truth)))
    shortcuts = [
        Shortcut(name, auc, p, method, count, auc > THRESHOLD_AUC, p * len(found) < SIGNIFICANT)
        for name, auc, p, method, count in found
    ]
    return tuple(sorted(shortcuts, key=lambda shortcut: -shortcut.auc))


_MISSING = ": is missing"
_REGRESSION = "logistic regression"
_Found = tuple[str, float, float, str, int]


def _with_missing(table: pd.DataFrame) -> pd.DataFrame:
    """The table and a column for every pattern of missing values."""
    patterns: dict[tuple[bool, ...], str] = {}
    for name in table.columns:
        pattern = tuple(table[name].isna().tolist())
        if any(pattern) and not all(pattern):
            patterns.setdefault(pattern, f"{name}{_MISSING}")
    extra = {name: np.array(pattern, float) for pattern, name in patterns.items()}
    return table.assign(**extra)


def _alone(column: pd.Series, truth: NDArray[np.int_], seed: int) -> _Found:
    name = str(column.name)
    if pd.api.types.is_numeric_dtype(column):
        auc, p = _judged(column.to_numpy(float), truth)
        return name, max(auc, 1 - auc), p, "rank", len(truth)
    scores = _cross_validated(column.to_frame(), truth, seed)
    return name, *_judged(scores, truth), _REGRESSION, len(truth)


def _judged(scores: NDArray[np.float64], truth: NDArray[np.int_]) -> tuple[float, float]:
    """Area under the ROC curve and p-value, both from the Mann-Whitney statistic."""
    from scipy.stats import mannwhitneyu

    sick, well = scores[truth == 1], scores[truth == 0]
    if np.ptp(scores) == 0:
        return 0.5, 1.0
    test = mannwhitneyu(sick, well, alternative="two-sided", method="asymptotic")
    return float(test.statistic / (len(sick) * len(well))), float(test.pvalue)


def _cross_validated(
    table: pd.DataFrame, truth: NDArray[np.int_], seed: int
) -> NDArray[np.float64]:
    """Scores of a logistic regression that never saw the subject, shape (subjects,)."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [n for n in table.columns if pd.api.types.is_numeric_dtype(table[n])]
    names = [n for n in table.columns if n not in numbers]
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), names),
        ),
        LogisticRegression(max_iter=1000, class_weight="balanced"),
    )
    table = table.astype(dict.fromkeys(names, str))  # missing names are a name
    folds = StratifiedKFold(_folds(truth), shuffle=True, random_state=seed)
    scores = cross_val_predict(model, table, truth, cv=folds, method="decision_function")
    return np.asarray(scores, float)


def _folds(truth: Sequence[int] | NDArray[np.int_]) -> int:
    return min(FOLDS, int(np.bincount(np.asarray(truth)).min()))
