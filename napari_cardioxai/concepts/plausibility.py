"""Whether a decoded heart still is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import RULES
from napari_cardioxai.anatomy.quality.facts import Facts, NotApplicableError
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.cloud import LatentCloud

SHAPE_RULES = ("presence", "components", "holes", "lv_on_background", "lv_on_rv", "volume_jump")
"""Rules that a decoded heart can break; the others judge how a scan was made."""


@dataclass(frozen=True)
class Plausibility:
    """How far decoded hearts can be trusted; arrays have one value a heart.

    Attributes
    ----------
    near
        Whether the latent lies no farther from the cohort than 99 % of its subjects.
    consistency
        What encoding the decoded heart finds again of the way gone: 1 is all of
        it; NaN where no way was gone.
    sound
        Whether it breaks no rule of shape that the heart at alpha 0 keeps.
    """

    near: NDArray[np.bool_]
    consistency: NDArray[np.float64]
    sound: NDArray[np.bool_]

    @property
    def plausible(self) -> NDArray[np.bool_]:
        """Near, sound, and found again at least half."""
        found = np.isnan(self.consistency) | (self.consistency >= 0.5)
        return self.near & self.sound & found


def judge_walk(
    classifier: LatentClassifier,
    cloud: LatentCloud,
    latents: NDArray,
    labels: list[list[Labels]],
    *,
    start: int,
) -> Plausibility:
    """Judge hearts along walks; arrays of the result have the shape (n, a).

    Parameters
    ----------
    classifier, cloud
        The model and its cohort.
    latents
        Shape (n, a, T, latent).
    labels
        What they decode to, [subject][alpha].
    start
        Index of alpha 0.
    """
    n, a = latents.shape[:2]
    near = cloud.is_near(latents.reshape(n * a, -1)).reshape(n, a)
    near |= ~near[:, start : start + 1]  # a stranger at the start says nothing about the walk
    cycles = np.stack([one.data for row in labels for one in row])
    again = classifier.encode(cycles).reshape(latents.shape)
    way = (latents - latents[:, start : start + 1]).reshape(n, a, -1).astype(float)
    back = (again - again[:, start : start + 1]).reshape(n, a, -1).astype(float)
    length = np.sum(way**2, 2)
    gone = length > 1e-8
    consistency = np.full((n, a), np.nan)
    consistency[gone] = np.sum(way * back, 2)[gone] / length[gone]
    broken = np.array([[broken_rules(one) for one in row] for row in labels], dtype=object)
    sound = np.array(
        [[not (rules - row[start]) for rules in row] for row in broken], dtype=bool
    ).reshape(n, a)
    return Plausibility(near, consistency, sound)


def broken_rules(labels: Labels) -> frozenset[str]:
    """Keys of `SHAPE_RULES` that labels break with a warning."""
    facts = Facts(labels)
    broken = set()
    for rule in RULES:
        if rule.key not in SHAPE_RULES:
            continue
        try:
            findings = rule.judge(facts)
        except NotApplicableError:
            continue
        if any(not one.passed and one.severity == "warning" for one in findings):
            broken.add(rule.key)
    return frozenset(broken)
