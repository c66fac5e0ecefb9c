"""Whether a direction does what its name says: walk, decode, measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Ruler, measure_labels
from napari_cardioxai.concepts.cloud import LatentCloud
from napari_cardioxai.concepts.estimates import Estimate, mean_over_subjects
from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.concepts.plausibility import Plausibility, judge_walk
from napari_cardioxai.concepts.walk import Walk
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

ALPHAS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""Standard deviations; beyond two of them few hearts of a cohort lie, and rates bend back."""
CLUSTER = 0.5
"""Correlation in the cohort from which biomarkers belong together."""
MOVES = 0.8
"""Spearman from which a direction moves its biomarker."""
_MOSTLY = 0.8  # of the hearts, for an alpha to count as plausible


@dataclass(frozen=True)
class BiomarkerScale:
    """How biomarkers vary in a cohort.

    Attributes
    ----------
    sd
        Standard deviation of each of `BIOMARKERS`, shape (b,).
    correlation
        Between them, shape (b, b).
    """

    sd: NDArray[np.float64]
    correlation: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> BiomarkerScale:
        """From measured subjects, shape (n, b), NaN where not measured."""
        import pandas as pd

        table = pd.DataFrame(values)
        return cls(np.nanstd(values, axis=0), table.corr().to_numpy())

    def cluster(self, biomarker: str) -> list[str]:
        """The biomarkers that go with one, itself included."""
        keys = list(BIOMARKERS)
        row = self.correlation[keys.index(biomarker)]
        return [
            key
            for key, r in zip(keys, row, strict=True)
            if key == biomarker or (np.isfinite(r) and abs(r) >= CLUSTER)
        ]


@dataclass(frozen=True)
class Walked:
    """What was measured along a walk of several hearts.

    Attributes
    ----------
    concept, way
        What was walked along, and how (`Walk.sentence`).
    alphas
        Shape (a,), ascending, 0 among them.
    values
        Each of `BIOMARKERS` of each decoded heart, shape (n, a, b), NaN where
        not measurable.
    logits
        Of the primary class, shape (n, a).
    plausibility
        With arrays of shape (n, a); None where it was not judged.
    """

    concept: Concept
    way: str
    alphas: NDArray[np.float64]
    values: NDArray[np.float64]
    logits: NDArray[np.float64]
    plausibility: Plausibility | None = field(default=None, repr=False)

    def curve(self, biomarker: str) -> NDArray[np.float64]:
        """Mean over the hearts of one biomarker at each alpha, shape (a,), NaN where none has it."""
        values = self.values[..., list(BIOMARKERS).index(biomarker)]
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(0)
        return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


@dataclass(frozen=True)
class Fidelity:
    """How a walk moves the biomarker that its concept is named for, and the others.

    Attributes
    ----------
    concept, way
        Of the walk.
    spearman
        Mean over the hearts of the rank correlation of alpha and the named
        biomarker, counted towards the concept: 1 does what the name says.
    slope
        Change of the named biomarker towards the concept per step of one
        standard deviation of the walk, in the biomarker's own standard
        deviations; interval over the hearts.
    monotone
        Share of single steps that go towards the concept.
    specificity
        `slope` over the largest slope, without its sign, of any other
        biomarker: above 1 the named one moves most.
    cluster_specificity
        The same among the biomarkers that go with it in the cohort; None where
        there are none.
    slopes
        Of every biomarker, in its own standard deviations, with its own sign.
    plausible_alpha
        First and last alpha, around 0, at which four of five hearts stay
        plausible; None where it was not judged.
    """

    concept: Concept
    way: str
    spearman: float
    slope: Estimate
    monotone: float
    specificity: float
    cluster_specificity: float | None
    slopes: Mapping[str, Estimate]
    plausible_alpha: tuple[float, float] | None

    @property
    def moves_its_own(self) -> bool:
        """Whether the walk moves the biomarker that it is named for, the right way."""
        return self.spearman >= MOVES and self.slope.low > 0

    @property
    def is_specific(self) -> bool:
        """Whether that is the most moved of those that go with it in the cohort."""
        return self.cluster_specificity is None or self.cluster_specificity >= 1

    @property
    def verdict(self) -> str:
        """One sentence for the reader."""
        measure = self.concept.measure
        assert measure is not None
        told = f"{self.slope.value:.2f} SD per step, Spearman {self.spearman:.2f}"
        if not self.moves_its_own:
            return (
                f"{self.concept.name} does not move {measure.name} ({told}): do not read this "
                "direction as its name."
            )
        if self.is_specific:
            return f"{self.concept.name} moves {measure.name} ({told})."
        most = max(
            (key for key in self.slopes if key != measure.key),
            key=lambda key: np.nan_to_num(abs(self.slopes[key].value)),
        )
        return (
            f"{self.concept.name} moves {measure.name} ({told}), but {BIOMARKERS[most].name} more "
            f"({abs(self.slopes[most].value):.2f} SD)."
        )

    def as_json(self) -> dict[str, Any]:
        """Plain types; NaN as None."""
        return {
            "spearman": _plain(self.spearman),
            "slope": _plain(self.slope.value),
            "slope_low": _plain(self.slope.low),
            "slope_high": _plain(self.slope.high),
            "specificity": _plain(self.specificity),
            "cluster_specificity": _plain(self.cluster_specificity),
            "monotone": _plain(self.monotone),
            "slopes": {key: _plain(one.value) for key, one in self.slopes.items()},
            "plausible_alpha": None if self.plausible_alpha is None else list(self.plausible_alpha),
            "way": self.way,
            "moves_its_own": self.moves_its_own,
            "verdict": self.verdict,
        }


def walk_and_measure(
    walk: Walk,
    latent: NDArray,
    rulers: Sequence[Ruler],
    *,
    alphas: ArrayLike = ALPHAS,
    cloud: LatentCloud | None = None,
    on_progress: Progress = silent,
) -> Walked:
    """Decode and measure hearts along a walk.

    Parameters
    ----------
    walk
        Along what, and how.
    latent, rulers
        Hearts to start from, shape (n, T, latent), and what their pixels and
        frames stand for.
    alphas
        Standard deviations; 0 is added where it is missing.
    cloud
        The cohort, to judge plausibility by; left out, it is not judged.
    on_progress
        Called per heart; may raise `Cancelled`.
    """
    steps = np.unique(np.append(np.asarray(alphas, float), 0.0))
    start = int(np.flatnonzero(steps == 0)[0])
    classifier, count = walk.classifier, len(latent)
    values = np.empty((count, len(steps), len(BIOMARKERS)))
    logits = np.empty((count, len(steps)))
    judged = []
    for k in range(count):
        path = walk.latents(latent[k : k + 1], steps)[0]
        cycles = classifier.decode(path)
        labels = [rulers[k].labels(cycle) for cycle in cycles]
        values[k] = [list(measure_labels(one).values()) for one in labels]
        logits[k] = classifier.decide(path).logit
        if cloud is not None:
            judged.append(judge_walk(classifier, cloud, path[None], [labels], start=start))
        on_progress(k + 1, count, f"walking {walk.direction.concept.name}")
    plausibility = (
        Plausibility(*(np.concatenate([getattr(one, name) for one in judged]) for name in _JUDGED))
        if judged
        else None
    )
    return Walked(walk.direction.concept, walk.sentence(), steps, values, logits, plausibility)


_JUDGED = ("near", "consistency", "sound")


def fidelity(walked: Walked, scale: BiomarkerScale, *, rng: np.random.Generator) -> Fidelity:
    """How faithful a measured walk is to its name.

    Parameters
    ----------
    walked
        From `walk_and_measure`.
    scale
        Of the cohort.
    rng
        Resamples the hearts.

    Raises
    ------
    CohortError
        When the concept has no biomarker.
    """
    concept = walked.concept
    if concept.biomarker is None:
        raise CohortError(f"{concept.name} names no biomarker, so there is none to be moved.")
    keys = list(BIOMARKERS)
    own = keys.index(concept.biomarker)
    slopes = {
        key: mean_over_subjects(
            _slopes(walked.alphas, walked.values[..., b]) / scale.sd[b], rng=rng
        )
        for b, key in enumerate(keys)
    }
    along = concept.sign * walked.values[..., own]
    ranks = [_spearman(walked.alphas, row) for row in along]
    steps = np.diff(along, axis=1)
    mine = slopes[concept.biomarker]
    towards = mine if concept.sign > 0 else Estimate(-mine.value, -mine.high, -mine.low)
    cluster = [key for key in scale.cluster(concept.biomarker) if key != concept.biomarker]
    return Fidelity(
        concept=concept,
        way=walked.way,
        spearman=_mean(np.array(ranks)),
        slope=towards,
        monotone=_mean(np.where(np.isfinite(steps), steps > 0, np.nan)),
        specificity=_over(towards, [slopes[key] for key in keys if key != concept.biomarker]),
        cluster_specificity=_over(towards, [slopes[key] for key in cluster]) if cluster else None,
        slopes=slopes,
        plausible_alpha=_plausible(walked),
    )


def _slopes(alphas: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Least-squares slope over alpha of each heart, shape (n,); NaN of fewer than three values."""
    found = np.full(len(values), np.nan)
    for k, row in enumerate(values):
        known = np.isfinite(row)
        if known.sum() >= 3:
            found[k] = np.polyfit(alphas[known], row[known], 1)[0]
    return found


def _spearman(alphas: NDArray, values: NDArray) -> float:
    known = np.isfinite(values)
    if known.sum() < 3:
        return float("nan")
    if np.ptp(values[known]) == 0:
        return 0.0  # a biomarker that stays where it is follows nothing
    return float(spearmanr(alphas[known], values[known]).statistic)


def _over(own: Estimate, others: Sequence[Estimate]) -> float:
    largest = max((abs(one.value) for one in others if np.isfinite(one.value)), default=0.0)
    return own.value / largest if largest > 0 else float("inf") * np.sign(own.value or 1.0)


def _mean(values: NDArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _plausible(walked: Walked) -> tuple[float, float] | None:
    if walked.plausibility is None:
        return None
    good = walked.plausibility.plausible.mean(0) >= _MOSTLY
    start = int(np.flatnonzero(walked.alphas == 0)[0])
    first = last = start
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return float(walked.alphas[first]), float(walked.alphas[last])


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
