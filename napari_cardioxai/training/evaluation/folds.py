"""Which subjects are learnt from and which are kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.evaluation.inputs import checked_labels


@dataclass(frozen=True)
class Fold:
    """Names of subjects to learn from and of those to judge on, each sorted."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def stratified_folds(
    subjects: Sequence[str],
    labels: ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
    patients: Sequence[str] | None = None,
) -> list[Fold]:
    """Cross-validation by patient, with each class spread evenly.

    Depends on names, labels and seed, not on the order of the subjects.

    Parameters
    ----------
    subjects
        Names, each once.
    labels
        0 or 1 each, shape (n,).
    folds
        How many; every subject is judged on in exactly one.
    seed
        Of the shuffling.
    patients
        Whose each subject is, where a patient has several studies; all of them
        fall into the same fold. By default every subject is a patient.

    Raises
    ------
    CohortError
        When a name comes twice, lengths differ, or a class has fewer patients
        than there are folds.

    References
    ----------
    scikit-learn, `StratifiedGroupKFold`.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    owners = list(subjects if patients is None else patients)
    truth = checked_labels(labels)
    if not len(subjects) == len(truth) == len(owners):
        raise CohortError(
            f"{len(subjects)} subjects, {len(truth)} labels and {len(owners)} patients do not fit."
        )
    name, times = Counter(subjects).most_common(1)[0]
    if times > 1:
        raise CohortError(f"the subject {name!r} comes {times} times; names must differ.")
    if folds < 2:
        raise CohortError(
            f"{folds} folds leave nothing to judge on or to learn from; ask for 2 or more."
        )
    for label in (0, 1):
        count = len({owner for owner, own in zip(owners, truth, strict=True) if own == label})
        if count < folds:
            raise CohortError(
                f"{count} patients with the label {label} cannot be spread over {folds} folds; "
                f"ask for fewer folds or add subjects."
            )
    order = np.argsort(np.asarray(subjects, str), kind="stable")
    names = np.asarray(subjects, str)[order]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    split = splitter.split(names, truth[order], np.asarray(owners, str)[order])
    return [
        Fold(tuple(names[train].tolist()), tuple(names[test].tolist())) for train, test in split
    ]


def hold_back(
    subjects: Sequence[str],
    labels: ArrayLike,
    *,
    share: float = 0.1,
    seed: int = 0,
    patients: Sequence[str] | None = None,
) -> Fold:
    """Set part of the subjects aside by patient, with each class in proportion.

    For validation within the training part of a fold: early stopping and
    temperature. The part is 1/k of the subjects with k the whole number
    nearest to 1 / `share`.

    Returns
    -------
    Fold
        `test` is the part set aside.

    Raises
    ------
    CohortError
        As `stratified_folds`, and when the share is not between 0 and 0.5.
    """
    if not 0 < share <= 0.5:
        raise CohortError(f"a share of {share:g} cannot be set aside; choose above 0, up to 0.5.")
    parts = round(1 / share)
    return stratified_folds(subjects, labels, folds=parts, seed=seed, patients=patients)[0]
