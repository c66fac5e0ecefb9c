"""Concept activation regions: for what has two bad ends, or no straight border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.concepts.estimates import Estimate, share
from napari_cardioxai.concepts.fitting import spread
from napari_cardioxai.concepts.layers import LayerReading
from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.concepts.samples import ConceptSets, Samples, of_sets

REGION = "region"
_FOLDS = 5


@dataclass(frozen=True)
class Region:
    """A concept as the part of a layer where its subjects are denser than the others.

    Attributes
    ----------
    concept, layer
        What and where.
    anchors
        Activations of the subjects of both sets, shape (m, p).
    weights
        Share of each in the density: positive with the concept, shape (m,).
    width
        Of the Gaussian kernel, in the layer's units.
    holdout
        Accuracy of a support vector machine with that kernel on held-out subjects.
    """

    concept: Concept
    layer: str
    anchors: NDArray[np.float64]
    weights: NDArray[np.float64]
    width: float
    holdout: Estimate

    def density(self, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean kernel to subjects with the concept minus that to those without, shape (n,)."""
        return _kernel(activations, self.anchors, self.width) @ self.weights

    def sensitivities(self, reading: LayerReading) -> NDArray[np.float64]:
        """Derivative of the logit along the gradient of the density, shape (n,)."""
        return _pull(reading, self.anchors, self.width) @ self.weights


def find_region(reading: LayerReading, sets: ConceptSets, *, rng: np.random.Generator) -> Region:
    """Find the region of a concept in a layer.

    The kernel is exp(-|h - h'|² / (2 width²)) with the median distance between
    subjects of the sets as its width.

    Parameters
    ----------
    reading
        Of the pool that the rows of `sets` count in.
    sets
        The concept.
    rng
        Deals subjects into five folds.

    References
    ----------
    Crabbé and van der Schaar 2022, arXiv:2209.11222.
    """
    samples = of_sets(sets)
    rows, target = samples.rows[0], samples.target[0]
    anchors = reading.activations[rows]
    width = kernel_width(anchors, rng)
    return Region(
        concept=sets.concept,
        layer=reading.layer,
        anchors=anchors,
        weights=np.where(target > 0, 1 / sets.sizes[0], -1 / sets.sizes[1]),
        width=width,
        holdout=_holdout(anchors, target, width, rng),
    )


def region_sensitivities(
    test: LayerReading, pool: LayerReading, samples: Samples, *, width: float
) -> NDArray[np.float64]:
    """Sensitivities of regions of many samples at once, shape (test subjects, r).

    Parameters
    ----------
    test, pool
        Whose sensitivities, and where the rows of the samples count.
    samples
        Of 1 and -1.
    width
        Of the kernel.
    """
    share_of = np.where(
        samples.target > 0,
        1 / np.sum(samples.target > 0, 1, keepdims=True),
        -1 / np.sum(samples.target < 0, 1, keepdims=True),
    )
    weights = spread(samples.rows, share_of, len(pool.activations))
    return _pull(test, pool.activations, width) @ weights.T


def kernel_width(activations: NDArray, rng: np.random.Generator, *, most: int = 500) -> float:
    """Median distance between subjects."""
    chosen = activations[rng.permutation(len(activations))[:most]]
    distance = np.sqrt(_squared(chosen, chosen)[np.triu_indices(len(chosen), 1)])
    return float(np.median(distance)) or 1.0


def _pull(reading: LayerReading, anchors: NDArray, width: float) -> NDArray[np.float64]:
    """Gradient of the logit times that of the kernel to each anchor, shape (n, m)."""
    kernel = _kernel(reading.activations, anchors, width)
    own = np.sum(reading.gradients * reading.activations, 1, keepdims=True)
    return kernel * (reading.gradients @ anchors.T - own) / width**2


def _kernel(activations: NDArray, anchors: NDArray, width: float) -> NDArray[np.float64]:
    return np.exp(-_squared(activations, anchors) / (2 * width**2))


def _squared(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    squared = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1) - 2 * a @ b.T
    return np.maximum(squared, 0.0)


def _holdout(anchors: NDArray, target: NDArray, width: float, rng: np.random.Generator) -> Estimate:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC

    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    machine = SVC(kernel="rbf", gamma=1 / (2 * width**2))
    guess = cross_val_predict(machine, anchors, target > 0, cv=folds)
    return share(int(np.sum(guess == (target > 0))), len(target))
