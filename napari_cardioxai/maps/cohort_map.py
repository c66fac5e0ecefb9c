"""A cohort in a plane, with the arrows of the decision and the concepts, and a place for a stranger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.cohorts.projection import (
    NEIGHBOURS,
    PCA,
    PERPLEXITY,
    Faith,
    Projection,
    Purity,
    neighbour_purity,
    project,
    trustworthiness,
)
from napari_cardioxai.maps.subjects import MapSubjects
from napari_cardioxai.progress import Progress, silent

_MOST_SAMPLED = 1000  # subjects whose own neighbours are looked at, to judge a stranger's
FAINT = 0.2
"""Share of a direction in the plane under which its arrow says little."""


@dataclass(frozen=True)
class Arrow:
    """A direction of the features as it lies in the plane.

    Attributes
    ----------
    name, kind
        As `FeatureDirection`.
    vector
        Unit length in the plane, shape (2,).
    share
        Of the direction's length that lies in the plane, 0 to 1.
    """

    name: str
    kind: str
    vector: NDArray[np.float64]
    share: float

    @property
    def sentence(self) -> str:
        """How far it can be read."""
        doubt = ": mostly out of the picture" if self.share < FAINT else ""
        return f"{self.name}: {100 * self.share:.0f} % in the plane{doubt}"


@dataclass(frozen=True)
class Trust:
    """How far the picture can be believed.

    Attributes
    ----------
    faith
        Trustworthiness of the points.
    in_features, in_points
        Purity of a column's classes among the features and in the picture; None
        where the column is no class.
    column
        Its name.
    """

    faith: Faith
    column: str
    in_features: Purity | None
    in_points: Purity | None

    @property
    def sentence(self) -> str:
        """Both measures in words."""
        text = self.faith.sentence
        if self.in_features is None or self.in_points is None:
            return f"{text}."
        return (
            f"{text}. Neighbours of the same {self.column}: {100 * self.in_points.value:.0f} % in "
            f"the picture, {100 * self.in_features.value:.0f} % among the features, "
            f"{100 * self.in_points.chance:.0f} % by chance."
        )

    def as_json(self) -> dict[str, Any]:
        """Plain types, for the command line."""
        told: dict[str, Any] = {
            "trustworthiness": self.faith.value,
            "neighbours": self.faith.neighbours,
            "subjects": self.faith.subjects,
            "column": self.column,
        }
        for name, purity in (("features", self.in_features), ("points", self.in_points)):
            told[f"purity_{name}"] = None if purity is None else purity.value
        told["purity_chance"] = None if self.in_points is None else self.in_points.chance
        return told


@dataclass(frozen=True)
class Place:
    """Where a study lies among the cohort.

    Attributes
    ----------
    point
        In the picture, shape (2,).
    is_own
        Whether the map knows the place: of a stranger on a t-SNE it is that of
        the nearest subject.
    nearest
        Name of the nearest subject.
    farther_than
        Percentage of the cohort that lies nearer to its neighbours than this study.
    row
        Of the study itself, where it is one of the subjects.
    """

    point: NDArray[np.float64]
    is_own: bool
    nearest: str
    farther_than: float
    row: int | None

    @property
    def sentence(self) -> str:
        """How far out it lies, in words."""
        far = f"{self.farther_than:.0f} % of the cohort"
        if self.farther_than >= 99:
            how = f"far out: farther from its neighbours than {far}"
        elif self.farther_than <= 1:
            how = "in the midst of its neighbours"
        else:
            how = f"farther from its neighbours than {far}"
        where = "" if self.is_own else " The star stands beside it: t-SNE has no place for others."
        return f"It lies {how}; nearest is {self.nearest}.{where}"


@dataclass(frozen=True)
class CohortMap:
    """A picture of a cohort.

    Attributes
    ----------
    model
        Whose features.
    subjects
        Who.
    projection
        Where.
    arrows
        Of the decision and the concepts; none but for a PCA.
    """

    model: str
    subjects: MapSubjects
    projection: Projection
    arrows: tuple[Arrow, ...] = field(default=())

    @property
    def points(self) -> NDArray[np.float64]:
        """Shape (n, 2)."""
        return self.projection.points

    @property
    def about_arrows(self) -> str:
        """What the arrows are, and how much of each lies in the plane; "" without any."""
        if not self.arrows:
            return ""
        shares = ", ".join(f"{arrow.name} {100 * arrow.share:.0f} %" for arrow in self.arrows)
        return f"{self.subjects.about_directions} In the plane lies: {shares}.".strip()

    def trust(self, column: str, *, on_progress: Progress = silent) -> Trust:
        """How far the picture can be believed, with the purity of a column's classes."""
        chosen = self.subjects.columns[column]
        on_progress(0, 3, "trustworthiness")
        faith = self._faith
        if not chosen.is_class or len(chosen.classes) < 2:
            return Trust(faith, chosen.name, None, None)
        on_progress(1, 3, "neighbours among the features")
        in_features = neighbour_purity(self.subjects.features, chosen.values)
        on_progress(2, 3, "neighbours in the picture")
        in_points = neighbour_purity(self.points, chosen.values)
        return Trust(faith, chosen.name, in_features, in_points)

    @cached_property
    def _faith(self) -> Faith:
        return trustworthiness(self.subjects.features, self.points)

    def place(self, features: NDArray, *, row: int | None = None) -> Place:
        """Where a study lies.

        Parameters
        ----------
        features
            Its own, shape (p,).
        row
            Of the study where it is one of the subjects; it is not its own neighbour.
        """
        away = np.linalg.norm(self.subjects.features - features, axis=1).astype(float)
        if row is not None:
            away[row] = np.inf
        count = min(NEIGHBOURS, len(away) - 1)
        reach = float(np.sort(away)[:count].mean())
        nearest = int(np.argmin(away))
        is_own = self.projection.can_place
        point = self.projection.place(features[None])[0] if is_own else self.points[nearest]
        if not is_own and row is not None:  # its labels may have been edited meanwhile
            point, is_own = self.points[row], True
        percent = 100 * float(np.mean(self._reaches < reach))
        return Place(point, is_own, self.subjects.subjects[nearest], percent, row)

    @cached_property
    def _reaches(self) -> NDArray[np.float64]:
        """Mean distance of subjects to their nearest others."""
        from sklearn.neighbors import NearestNeighbors

        table = self.subjects.features
        count = min(NEIGHBOURS, len(table) - 1)
        near = NearestNeighbors(n_neighbors=count + 1).fit(table)
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(table))[:_MOST_SAMPLED]
        return near.kneighbors(table[rows])[0][:, 1:].mean(1)


def make_map(
    model: str,
    subjects: MapSubjects,
    *,
    method: str = PCA,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    neighbours: int = NEIGHBOURS,
    on_progress: Progress = silent,
) -> CohortMap:
    """Bring subjects into a plane.

    Parameters
    ----------
    model
        Name, for titles.
    subjects
        As a `SubjectReader` reads them.
    method, seed, perplexity, neighbours
        As for `projection.project`.
    on_progress
        May raise `Cancelled`.

    Raises
    ------
    CohortError
        When there are too few subjects, or UMAP is not installed.
    """
    projection = project(
        subjects.features,
        method=method,
        seed=seed,
        perplexity=perplexity,
        neighbours=neighbours,
        on_progress=on_progress,
    )
    arrows = []
    for direction in subjects.directions if method == PCA else ():
        vector, share = projection.arrow(direction.vector)
        if share > 0:
            arrows.append(Arrow(direction.name, direction.kind, vector, share))
    return CohortMap(model, subjects, projection, tuple(arrows))


def arrow_tips(points: NDArray, arrows: Sequence[Arrow]) -> NDArray[np.float64]:
    """Where arrows end that start at the mean of the points, shape (arrows, 2).

    Each as far as the cloud is wide, two standard deviations: they show a way
    and not a size.
    """
    spread = np.maximum(points.std(0), 1e-12)
    ways = np.array([arrow.vector for arrow in arrows]).reshape(-1, 2)
    length = 2 / np.linalg.norm(ways / spread, axis=1, keepdims=True)
    return points.mean(0) + ways * length


def apart(tips: NDArray, middle: NDArray, *, gap: float) -> NDArray[np.float64]:
    """Heights at which the names of arrows can be read, shape (arrows,).

    Parameters
    ----------
    tips
        Where arrows end, shape (arrows, 2).
    middle
        Where they start; names to its left and to its right do not meet.
    gap
        Least distance of two heights on one side.
    """
    heights = tips[:, 1].astype(float).copy()
    for side in (tips[:, 0] < middle[0], tips[:, 0] >= middle[0]):
        order = np.flatnonzero(side)[np.argsort(tips[side, 1], kind="stable")]
        if not len(order):
            continue
        pushed = heights[order]
        for k in range(1, len(pushed)):
            pushed[k] = max(pushed[k], pushed[k - 1] + gap)
        heights[order] = pushed - (pushed - tips[order, 1]).mean()  # as much down as up
    return heights
