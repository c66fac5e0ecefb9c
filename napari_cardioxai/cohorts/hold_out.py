"""Keeping a part of a cohort away from training: at random, in whole groups, or in one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.errors import CohortError


def hold_out(
    classes: Sequence[object] | NDArray,
    *,
    share: float = 0.2,
    groups: Sequence[int] | NDArray | None = None,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Choose a test set in which every class has its share.

    Parameters
    ----------
    classes
        Of each subject, length n.
    share
        Part to be held out; with groups one part in a whole number, so that
        0.2 is 1 in 5.
    groups
        Number of each subject's group, which is never divided; None: every
        subject by itself. Whole groups meet the shares only nearly.
    seed
        Of the choice.

    Returns
    -------
    True for the test, shape (n,).

    Raises
    ------
    CohortError
        When the share leaves nothing, or a class has too few subjects or groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

    kinds = np.asarray(classes)
    if not 0 < share <= 0.5:
        raise CohortError(f"{share:g} cannot be held out; choose a share up to 0.5.")
    parts = round(1 / share)
    belongs = np.arange(len(kinds)) if groups is None else np.asarray(groups)
    for kind in np.unique(kinds):
        apart = len(np.unique(belongs[kinds == kind]))
        if apart < parts:
            raise CohortError(
                f"the class {kind} has {apart} {'subjects' if groups is None else 'groups'}; "
                f"{parts} are needed to hold out 1 in {parts}."
            )
    empty = np.zeros(len(kinds))
    if groups is None:
        splitter = StratifiedShuffleSplit(1, test_size=share, random_state=seed)
        _, test = next(splitter.split(empty, kinds))
    else:
        folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        _, test = next(folds.split(empty, kinds, belongs))
    chosen = np.zeros(len(kinds), bool)
    chosen[test] = True
    return chosen


def hold_out_run(
    classes: Sequence[object] | NDArray,
    position: Sequence[float] | NDArray,
    *,
    share: float = 0.2,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Choose one unbroken run of each class in an order, such as that of the files' numbers.

    Where pictures were numbered patient by patient, a run shares patients
    with the rest at its two ends only, which likeness alone cannot promise.

    Parameters
    ----------
    classes, position
        Of each subject, length n; positions need no more than an order.
    share
        Part of each class.
    seed
        Of where the runs start.

    Returns
    -------
    True for the test, shape (n,).
    """
    kinds, order = np.asarray(classes), np.asarray(position, float)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(kinds), bool)
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        members = members[np.argsort(order[members], kind="stable")]
        count = round(share * len(members))
        if not 0 < count < len(members):
            raise CohortError(f"the class {kind} has too few subjects to hold out {share:g} of it.")
        start = int(rng.integers(len(members) - count + 1))
        chosen[members[start : start + count]] = True
    return chosen
