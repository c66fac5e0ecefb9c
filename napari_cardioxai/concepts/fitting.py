"""Directions from samples, hundreds at once.

Every kind of linear direction is a function of activations, rows and targets.
Significance needs it for hundreds of random sets, so each is solved for all of
them together instead of in a loop.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from napari_cardioxai.concepts.cloud import principal_axes
from napari_cardioxai.concepts.samples import Samples
from napari_cardioxai.errors import CohortError

PENALTY = 0.01
"""Of the squared norm, half of it, beside the mean loss: that of Kim et al. 2018."""
WIDEST = 256
"""Units up to which a classifier is fitted on the layer itself; wider layers first lose all but
as many principal components of the pool."""
_VALUES_AT_ONCE = 2**21  # weights of the pool for several samples, 16 MiB
_STEPS = 25
_CONVERGED = 1e-10

LINEAR, SGD, PATTERN, REGRESSION = "linear", "sgd", "pattern", "regression"
SOLVERS = (LINEAR, SGD, PATTERN, REGRESSION)


def fit_vectors(
    activations: NDArray[np.float64], samples: Samples, kind: str, *, seed: int = 0
) -> NDArray[np.float64]:
    """One direction a sample, not normalised, towards higher targets, shape (r, p).

    - "linear": weights of a logistic regression, the minimum of mean log-loss +
      0.005 |w|² by Newton's method, on activations over their root-mean-square
      deviation; the intercept is free.
    - "sgd": the linear support vector machine of Kim et al. 2018, as their code
      has it (`SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3)`).
    - "pattern": cov(activations, target) / var(target); of two sets half the
      difference of their means. What the classifier must ignore does not turn it.
    - "regression": weights of a ridge regression on the target, penalty as above.

    Parameters
    ----------
    activations
        Of the pool, shape (n, p).
    samples
        Rows of the pool with their targets; of 1 and -1 for "linear" and "sgd".
    kind
        One of `SOLVERS`.
    seed
        Order of the subjects in "sgd".

    Raises
    ------
    CohortError
        When there is no such kind.

    References
    ----------
    Kim et al. 2018, arXiv:1711.11279; Pahde et al. 2022, arXiv:2202.03482,
    equation 6; Graziani et al. 2018, arXiv:1904.04520.
    """
    if kind == PATTERN:
        return _patterns(activations, samples)
    if kind not in SOLVERS:
        raise CohortError(
            f"there are no directions of the kind {kind!r}; choose from {', '.join(SOLVERS)}."
        )
    centre, axes = _view(activations)
    seen = (activations - centre) if axes is None else (activations - centre) @ axes.T
    seen = seen / (np.sqrt(np.mean(seen**2)) or 1.0)
    solve = {SGD: _sgd, LINEAR: _logistic, REGRESSION: _ridge}[kind]
    parts = [solve(seen, part, seed) for part in _parts(samples, len(seen))]
    found = np.concatenate(parts)
    return found if axes is None else found @ axes


def _patterns(activations: NDArray, samples: Samples) -> NDArray[np.float64]:
    """cov(h, y) / var(y) of every sample, by one product with the pool."""
    target = samples.target - samples.target.mean(1, keepdims=True)
    weights = spread(samples.rows, target, len(activations))
    return (weights @ activations) / np.sum(target**2, 1, keepdims=True)


def spread(rows: NDArray[np.intp], values: NDArray, pool: int) -> NDArray[np.float64]:
    """Sum of the values of each sample on every row of the pool, (r, m) to (r, pool)."""
    count = len(rows)
    place = (np.arange(count)[:, None] * pool + rows).ravel()
    total = np.bincount(place, values.ravel().astype(np.float64), count * pool)
    return np.asarray(total, np.float64).reshape(count, pool)


def _logistic(x: NDArray, samples: Samples, seed: int) -> NDArray[np.float64]:
    """Newton's method on all samples of the pool x (n, p), one curvature for all at first.

    Random sets, and resampled ones, differ little from their mean, so steps with
    the curvature of the mean converge and cost two products with the pool.
    Samples for which they do not are solved one by one.
    """
    n, p = x.shape
    x = np.column_stack([x, np.ones(n)])
    each = 1 / samples.rows.shape[1]
    has, lacks = (spread(samples.rows, each * (samples.target * sign > 0), n) for sign in (1, -1))
    mean = _newton(x, has.mean(0), lacks.mean(0))
    if len(samples) == 1:
        return mean[None, :p]
    inverse = np.linalg.inv(_curvature(x, mean, has.mean(0) + lacks.mean(0)))
    w = np.tile(mean, (len(samples), 1))
    open_still = np.arange(len(samples))
    best = np.full(len(samples), np.inf)
    for _ in range(_STEPS):
        slope = _slope(x, w[open_still], has[open_still], lacks[open_still])
        step = slope @ inverse
        left = np.sum(step * slope, 1)
        going = (left > _CONVERGED) & (left < 2 * best[open_still])
        lost = (left > _CONVERGED) & ~going
        best[open_still] = np.where(lost, np.inf, np.minimum(best[open_still], left))
        w[open_still] -= step
        open_still = open_still[going]
        if not len(open_still):
            break
    else:
        best[open_still] = np.inf
    for k in np.flatnonzero(~np.isfinite(best)):
        w[k] = _newton(x, has[k], lacks[k])
    return w[:, :p]


def _newton(x: NDArray, has: NDArray, lacks: NDArray) -> NDArray[np.float64]:
    """Minimum of the penalised log-loss; `has` and `lacks` are weights of the pool, (n,)."""
    there = np.flatnonzero(has + lacks)
    x, has, lacks = x[there], has[there], lacks[there]
    w = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        slope = _slope(x, w[None], has[None], lacks[None])[0]
        step = np.linalg.solve(_curvature(x, w, has + lacks), slope)
        w -= step
        if step @ slope < _CONVERGED:
            break
    return w


def _slope(x: NDArray, w: NDArray, has: NDArray, lacks: NDArray) -> NDArray[np.float64]:
    """Gradient of the penalised log-loss at each row of w, (r, p + 1)."""
    probability = expit(w @ x.T)
    residual = probability * (has + lacks) - has
    slope = residual @ x
    slope[:, :-1] += PENALTY * w[:, :-1]
    return slope


def _curvature(x: NDArray, w: NDArray, weights: NDArray) -> NDArray[np.float64]:
    probability = expit(x @ w)
    curve = (x * (weights * probability * (1 - probability))[:, None]).T @ x
    inner = np.arange(len(w) - 1)
    curve[inner, inner] += PENALTY
    return curve


def _ridge(x: NDArray, samples: Samples, seed: int) -> NDArray[np.float64]:
    """One factorisation where the samples share their rows, as permuted ones do."""
    shared = bool((samples.rows == samples.rows[0]).all())
    if not shared:
        return np.stack(
            [_ridge(x, samples.part(slice(k, k + 1)), seed)[0] for k in range(len(samples))]
        )
    here = x[samples.rows[0]]
    here = here - here.mean(0)
    gram = here.T @ here / len(here) + PENALTY * np.eye(x.shape[1])
    target = samples.target - samples.target.mean(1, keepdims=True)
    return np.linalg.solve(gram, here.T @ target.T / len(here)).T


def _sgd(x: NDArray, samples: Samples, seed: int) -> NDArray[np.float64]:
    from sklearn.linear_model import SGDClassifier

    machine = SGDClassifier(alpha=PENALTY, max_iter=1000, tol=1e-3, random_state=seed)
    return np.stack(
        [
            machine.fit(x[rows], target > 0).coef_[0]
            for rows, target in zip(samples.rows, samples.target, strict=True)
        ]
    )


def _view(activations: NDArray) -> tuple[NDArray, NDArray | None]:
    """Mean of the pool, and its first principal axes (k, p) where the layer is wide."""
    centre = activations.mean(0)
    if activations.shape[1] <= WIDEST:
        return centre, None
    return centre, principal_axes(activations - centre)[1][:WIDEST]


def _parts(samples: Samples, pool: int) -> Iterator[Samples]:
    """As many samples at once as fit into the memory set aside."""
    size = max(1, _VALUES_AT_ONCE // pool)
    for first in range(0, len(samples), size):
        yield samples.part(slice(first, first + size))
