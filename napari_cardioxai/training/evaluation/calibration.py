"""Whether a probability of 0.8 comes true in eight cases of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from napari_cardioxai.training.evaluation.inputs import checked_probabilities, two_classes
from napari_cardioxai.training.evaluation.intervals import wilson_interval

Binning = Literal["equal-mass", "equal-width"]
TEMPERATURE_LIMITS = (0.05, 20.0)
_NEAREST_TO_CERTAIN = 1e-12  # keeps logits of probabilities 0 and 1 finite


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: what was predicted against what came true.

    Bins without subjects are left out; arrays have shape (b,).

    Attributes
    ----------
    binning
        "equal-mass" or "equal-width".
    low_edge, high_edge
        Limits of each bin; a probability on a limit belongs to the lower bin.
    count
        Subjects in it.
    predicted
        Their mean probability.
    observed, observed_low, observed_high
        Share of them that have label 1, with its Wilson interval.
    expected_calibration_error
        Mean of |observed - predicted| over subjects.
    """

    binning: Binning
    low_edge: NDArray[np.float64]
    high_edge: NDArray[np.float64]
    count: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    observed_low: NDArray[np.float64]
    observed_high: NDArray[np.float64]
    expected_calibration_error: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities can be believed.

    Attributes
    ----------
    brier
        Mean squared difference of probability and label.
    equal_mass, equal_width
        Reliability with its expected calibration error, both ways of binning.
    """

    brier: float
    equal_mass: Reliability
    equal_width: Reliability


@dataclass(frozen=True)
class Temperature:
    """One number that makes a model's probabilities less, or more, certain.

    Attributes
    ----------
    value
        Logits are divided by it: above 1 the model was too certain.
    nll_before, nll_after
        Mean negative log-likelihood of the validation subjects, in nats.
    """

    value: float
    nll_before: float
    nll_after: float

    def probability(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probability of logits, same shape."""
        return np.asarray(expit(np.asarray(logits, np.float64) / self.value))

    def calibrated(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probability of uncalibrated ones, or of a threshold on them."""
        return self.probability(logits_of(probabilities))


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    bins: int = 10,
    binning: Binning = "equal-mass",
    confidence: float = 0.95,
) -> Reliability:
    """Group subjects by probability and compare with how many are positive.

    Parameters
    ----------
    labels
        0 or 1, shape (n,).
    probabilities
        Of label 1, shape (n,).
    bins
        How many; with equal mass fewer where many probabilities are equal,
        because equal ones stay together.
    binning
        "equal-mass": limits are quantiles of the probabilities;
        "equal-width": even steps from 0 to 1.
    confidence
        Coverage of the intervals.

    Raises
    ------
    CohortError
        When the input does not fit together or is no probability.

    References
    ----------
    Niculescu-Mizil and Caruana 2005, ICML; Naeini et al. 2015, AAAI (expected
    calibration error); Nixon et al. 2019, CVPR workshops (equal mass).
    """
    truth, values = checked_probabilities(labels, probabilities)
    steps = np.linspace(0.0, 1.0, bins + 1)
    edges = np.quantile(values, steps) if binning == "equal-mass" else steps
    place = np.searchsorted(edges[1:-1], values)
    count = np.bincount(place, minlength=len(edges) - 1)
    hits = np.bincount(place, weights=truth, minlength=len(count))
    sums = np.bincount(place, weights=values, minlength=len(count))
    filled = np.flatnonzero(count)
    shares = [wilson_interval(int(hits[k]), int(count[k]), confidence=confidence) for k in filled]
    predicted = sums[filled] / count[filled]
    observed = np.array([share.value for share in shares])
    return Reliability(
        binning=binning,
        low_edge=edges[:-1][filled],
        high_edge=edges[1:][filled],
        count=count[filled],
        predicted=predicted,
        observed=observed,
        observed_low=np.array([share.low for share in shares]),
        observed_high=np.array([share.high for share in shares]),
        expected_calibration_error=float(
            np.average(np.abs(observed - predicted), weights=count[filled])
        ),
    )


def judge_calibration(
    labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 10, confidence: float = 0.95
) -> Calibration:
    """Brier score and reliability in bins of both kinds; arguments as for `reliability`."""
    mass, width = (
        reliability(labels, probabilities, bins=bins, binning=binning, confidence=confidence)
        for binning in get_args(Binning)
    )
    return Calibration(brier_score(labels, probabilities), mass, width)


def brier_score(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared difference of probability and label; 0 is best (Brier 1950).

    Raises
    ------
    CohortError
        When the input does not fit together or is no probability.
    """
    truth, values = checked_probabilities(labels, probabilities)
    return float(np.mean((values - truth) ** 2))


def logits_of(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Log odds of probabilities, same shape; 0 and 1 are moved in by 1e-12."""
    values = np.asarray(probabilities, np.float64)
    return np.asarray(logit(np.clip(values, _NEAREST_TO_CERTAIN, 1 - _NEAREST_TO_CERTAIN)))


def fit_temperature(validation_labels: ArrayLike, validation_logits: ArrayLike) -> Temperature:
    """The temperature of largest likelihood on subjects kept out of the training.

    Minimises the mean of log(1 + exp(∓logit / T)) (minus for label 1), which
    has one minimum because it is convex in 1/T. The search is kept between
    0.05 and 20; perfectly separated subjects end at the lower limit. One
    number cannot mend a bias: a model that was trained on another class
    balance stays off by it.

    Parameters
    ----------
    validation_labels
        0 or 1, shape (n,).
    validation_logits
        Log odds of label 1, shape (n,).

    Raises
    ------
    CohortError
        When the input does not fit together or one class is missing.

    References
    ----------
    Guo et al. 2017, ICML, section 4.2.
    """
    truth, values = two_classes(validation_labels, validation_logits)
    towards_truth = np.where(truth, values, -values)

    def nll(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -towards_truth / np.exp(log_temperature)).mean())

    limits = np.log(TEMPERATURE_LIMITS)
    found = minimize_scalar(nll, bounds=limits, method="bounded", options={"xatol": 1e-8})
    return Temperature(float(np.exp(found.x)), nll(0.0), float(found.fun))
