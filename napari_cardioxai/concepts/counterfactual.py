"""The nearest heart on the other side of the decision, and what is different about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit as log_odds
from torch import Tensor

from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Ruler, measure_cycle
from napari_cardioxai.concepts.cloud import LatentCloud
from napari_cardioxai.concepts.fidelity import BiomarkerScale
from napari_cardioxai.errors import CohortError

_STEPS = 100
_BOLDEST = 0.5  # standard deviations of the cohort in one step
_BEYOND = 0.01  # logits past the boundary, so that rounding does not undo the crossing
_TOLD = 4
_WORTH_TELLING = 0.1  # standard deviations


@dataclass(frozen=True)
class Counterfactual:
    """A heart that is decided the other way, as near as can be.

    Attributes
    ----------
    latent
        Shape (T, latent).
    decoded, cycle
        The heart as it was reconstructed and as it would have to be, shape (T, 3, y, x).
    logit_before, logit_after, boundary
        Of the primary class, and where the decision changes.
    distance
        Of the change, in the cohort's standard deviations (Mahalanobis).
    is_plausible
        Whether it lies no farther from the cohort than 99 % of its subjects.
    before, after
        `BIOMARKERS` of the two decoded hearts, NaN where not measurable.
    sentence
        What changed, the most telling first.
    """

    latent: NDArray[np.float32]
    decoded: NDArray[np.uint8]
    cycle: NDArray[np.uint8]
    logit_before: float
    logit_after: float
    boundary: float
    distance: float
    is_plausible: bool
    before: dict[str, float]
    after: dict[str, float]
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Without the arrays; NaN as None."""
        return {
            "logit_before": self.logit_before,
            "logit_after": self.logit_after,
            "boundary": self.boundary,
            "distance": self.distance,
            "is_plausible": self.is_plausible,
            "before": {k: v if np.isfinite(v) else None for k, v in self.before.items()},
            "after": {k: v if np.isfinite(v) else None for k, v in self.after.items()},
            "sentence": self.sentence,
        }


def decision_boundary(classifier: LatentClassifier) -> float:
    """Logit at which the decision changes."""
    threshold = float(np.clip(classifier.card.threshold["value"], 1e-9, 1 - 1e-9))
    return float(log_odds(threshold)) * classifier.card.temperature


def nearest_crossing(
    classifier: LatentClassifier, cloud: LatentCloud, latent: NDArray
) -> NDArray[np.float32]:
    """The latent of the smallest change that crosses the decision boundary.

    Small is meant in the cohort's standard deviations: the change follows the
    covariance times the gradient of the logit, in steps of at most half a
    standard deviation, each linearised anew (DeepFool in the cohort's metric).
    At the end the whole change is shortened to what crosses.

    Parameters
    ----------
    classifier, cloud
        The model and its cohort.
    latent
        Of one heart, shape (T, latent).

    Raises
    ------
    CohortError
        When a hundred steps do not cross.

    References
    ----------
    Moosavi-Dezfooli et al. 2016, CVPR (DeepFool).
    """
    boundary = decision_boundary(classifier)
    start = torch.from_numpy(np.array(latent, np.float32))[None].to(classifier.device)
    side = 1.0 if _logit(classifier, start) >= boundary else -1.0
    target = boundary - side * _BEYOND
    z = start
    for _ in range(_STEPS):
        value, change, gained = _steepest(classifier, cloud, z)
        left = target - value
        if left * side >= 0:
            break
        # The Mahalanobis length of t * C g is |t| sqrt(g' C g).
        most = _BOLDEST / gained**0.5
        z = z + float(np.clip(left / gained, -most, most)) * change
    else:
        raise CohortError(
            "no plausible change of this heart crosses the decision boundary; the model decides "
            "it the same way wherever it was looked."
        )
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        past = (boundary - _logit(classifier, start + middle * (z - start))) * side
        crossed = past > 0.5 * _BEYOND  # not by rounding, which differs with the size of a batch
        low, high = (low, middle) if crossed else (middle, high)
    return (start + high * (z - start))[0].cpu().numpy()


def counterfactual(
    classifier: LatentClassifier,
    cloud: LatentCloud,
    scale: BiomarkerScale,
    latent: NDArray,
    ruler: Ruler,
) -> Counterfactual:
    """Find, decode and measure the nearest heart that is decided the other way.

    Parameters
    ----------
    classifier, cloud, scale
        The model, its cohort, and how biomarkers vary there.
    latent, ruler
        One heart, shape (T, latent), and what its pixels and frames stand for.

    Raises
    ------
    CohortError
        When no change crosses.
    """
    crossed = nearest_crossing(classifier, cloud, latent)
    both = np.stack([np.asarray(latent, np.float32), crossed])
    decoded, cycle = classifier.decode(both)
    logits = classifier.decide(both).logit
    before, after = measure_cycle(decoded, ruler), measure_cycle(cycle, ruler)
    change = torch.from_numpy((crossed - both[0]).astype(np.float64)).flatten()[None]
    return Counterfactual(
        latent=crossed,
        decoded=decoded,
        cycle=cycle,
        logit_before=float(logits[0]),
        logit_after=float(logits[1]),
        boundary=decision_boundary(classifier),
        distance=float(cloud.length(change.numpy())[0]),
        is_plausible=bool(cloud.is_near(crossed[None])[0]),
        before=before,
        after=after,
        sentence=what_changed(before, after, scale),
    )


def what_changed(before: dict[str, float], after: dict[str, float], scale: BiomarkerScale) -> str:
    """The largest changes, in the cohort's standard deviations, as "EF 52 to 41 %, ..."."""
    moved = []
    for b, (key, measure) in enumerate(BIOMARKERS.items()):
        size = abs(after[key] - before[key]) / scale.sd[b]
        texts = measure.text(before[key]), measure.text(after[key])
        if np.isfinite(size) and size >= _WORTH_TELLING and texts[0] != texts[1]:
            moved.append((size, f"{measure.name} {texts[0]} to {texts[1]} {measure.unit}"))
    moved.sort(key=lambda one: -one[0])
    return ", ".join(text for _, text in moved[:_TOLD]) or "no biomarker changed visibly"


def _steepest(
    classifier: LatentClassifier, cloud: LatentCloud, z: Tensor
) -> tuple[float, Tensor, float]:
    """Logit, covariance times its gradient, and what going along that gains."""
    with torch.enable_grad():
        at = z.detach().requires_grad_(True)
        value = _logit_of(classifier, at)
        (gradient,) = torch.autograd.grad(value.sum(), at)
    gradient = gradient.flatten(1)
    change = cloud.spread(gradient)
    gained = float((change * gradient).sum())
    if not gained > 0:
        raise CohortError("the decision does not depend on this heart: its gradient is zero.")
    return float(value), change.reshape(z.shape), gained


def _logit(classifier: LatentClassifier, z: Tensor) -> float:
    with torch.inference_mode():
        return float(_logit_of(classifier, z))


def _logit_of(classifier: LatentClassifier, z: Tensor) -> Tensor:
    value = classifier.network.classify(z)["logit"]
    assert value is not None
    return value
