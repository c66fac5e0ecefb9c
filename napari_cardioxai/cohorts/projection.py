"""A cohort on a plane: PCA, t-SNE or UMAP of what a model makes of it, and how far to trust the picture."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

PCA, TSNE, UMAP = "pca", "t-sne", "umap"
METHODS = (PCA, TSNE, UMAP)
TITLES: Mapping[str, str] = MappingProxyType({PCA: "PCA", TSNE: "t-SNE", UMAP: "UMAP"})
"""As readers write them."""
NEIGHBOURS = 15
"""Of `trustworthiness` and `neighbour_purity`, and of UMAP."""
PERPLEXITY = 30.0
COMPONENTS_BEFORE = 50
"""Principal components that t-SNE and UMAP are given: van der Maaten & Hinton 2008 take 30, their code 50."""

_MOST_COMPARED = 5000
_INLINE = 500  # subjects that are projected sooner than a process has started
_LISTEN_S = 0.1  # how long a cancel may wait
_FEWEST = 4

Result = TypeVar("Result")


@dataclass(frozen=True)
class Projection:
    """Subjects in a plane.

    Attributes
    ----------
    method
        One of `METHODS`.
    points
        Shape (n, dimensions).
    explained
        Share of the variance along each axis, shape (dimensions,); None for
        t-SNE and UMAP, whose axes mean nothing.
    settings
        What else it depends on, for a caption: seed, perplexity, components.
    mean, axes
        Of the PCA whose plane this is or that came before, shapes (p,) and (k,
        p); empty where there was none.
    """

    method: str
    points: NDArray[np.float64]
    explained: NDArray[np.float64] | None
    settings: Mapping[str, float]
    mean: NDArray[np.float64] = field(repr=False)
    axes: NDArray[np.float64] = field(repr=False)
    _reducer: Any = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """As readers write the method."""
        return TITLES[self.method]

    @property
    def can_place(self) -> bool:
        """Whether subjects that it was not made with have a place: not with t-SNE."""
        return self.method != TSNE

    def axis_titles(self) -> tuple[str, ...]:
        """ "PC 1 (34 % of the variance)", or "t-SNE 1"."""
        count = self.points.shape[1]
        if self.explained is None:
            return tuple(f"{self.title} {k + 1}" for k in range(count))
        return tuple(
            f"PC {k + 1} ({100 * share:.0f} % of the variance)"
            for k, share in enumerate(self.explained)
        )

    def place(self, features: NDArray) -> NDArray[np.float64]:
        """Where other subjects lie in the same plane.

        Parameters
        ----------
        features
            As those of the cohort, shape (m, p).

        Returns
        -------
        Shape (m, dimensions).

        Raises
        ------
        CohortError
            For t-SNE, which has no map from features to the plane.
        """
        if not self.can_place:
            raise CohortError("t-SNE has no place for new subjects; choose PCA or UMAP.")
        table = np.asarray(features, float)
        if len(self.axes):
            table = (table - self.mean) @ self.axes.T
        if self.method == PCA:
            return table
        return np.asarray(self._reducer.transform(table), float)

    def arrow(self, direction: ArrayLike) -> tuple[NDArray[np.float64], float]:
        """A direction of the features as it lies in the plane of a PCA.

        Parameters
        ----------
        direction
            Shape (p,), of any length.

        Returns
        -------
        Unit vector in the plane, shape (dimensions,), and the share of the
        direction's length that the plane holds, 0 to 1: an arrow of a small
        share is mostly perpendicular to what is seen.

        Raises
        ------
        CohortError
            For t-SNE and UMAP, whose axes are no directions of the features.
        """
        if self.method != PCA:
            raise CohortError(f"{self.title} has no directions; choose PCA for arrows.")
        vector = np.asarray(direction, float).ravel()
        seen = self.axes @ vector
        length, whole = float(np.linalg.norm(seen)), float(np.linalg.norm(vector))
        if not length > 0:
            return np.zeros(len(seen)), 0.0
        return seen / length, min(length / whole, 1.0)


def is_installed(method: str) -> bool:
    """Whether a method can be used: UMAP is an extra."""
    return method in METHODS and (method != UMAP or find_spec("umap") is not None)


def project(
    features: NDArray,
    *,
    method: str = PCA,
    dimensions: int = 2,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    neighbours: int = NEIGHBOURS,
    on_progress: Progress = silent,
) -> Projection:
    """Bring a cohort into a plane.

    t-SNE and UMAP of more than 50 features are made from the first 50
    principal components. They run in a process of their own when there are
    many subjects, so that a cancel ends them at once.

    Parameters
    ----------
    features
        One row a subject, shape (n, p), n at least 4; all finite.
    method
        One of `METHODS`.
    dimensions
        Of the result: 2, or 3 for a space.
    seed
        Of all that is random.
    perplexity
        Of t-SNE, about how many neighbours count; no more than a third of the others.
    neighbours
        Of UMAP.
    on_progress
        May raise `Cancelled`.

    Raises
    ------
    CohortError
        When method or features do not allow it, or UMAP is not installed.

    References
    ----------
    van der Maaten & Hinton 2008 (t-SNE); McInnes, Healy & Melville 2018 (UMAP).
    """
    table = _checked(features, method, dimensions)
    on_progress(0, 0, f"{TITLES[method]} of {len(table)} subjects")
    if method == PCA:
        mean, axes, points, explained = _principal(table, dimensions, seed)
        return Projection(PCA, points, explained, {}, mean, axes)
    mean, axes = np.empty(0), np.empty((0, table.shape[1]))
    settings: dict[str, float] = {"seed": seed}
    if table.shape[1] > COMPONENTS_BEFORE:
        mean, axes, table, _ = _principal(table, min(COMPONENTS_BEFORE, len(table) - 1), seed)
        settings["components"] = len(axes)
    if method == TSNE:
        settings["perplexity"] = min(perplexity, (len(table) - 1) / 3)
        make: Callable[..., Any] = _tsne
        arguments = (table, dimensions, seed, settings["perplexity"])
    else:
        settings["neighbours"] = min(neighbours, len(table) - 1)
        make, arguments = _umap, (table, dimensions, seed, int(settings["neighbours"]))
    what = f"{TITLES[method]} of {len(table)} subjects"
    made = _apart(make, arguments, what, len(table) > _INLINE, on_progress)
    points, reducer = made if method == UMAP else (made, None)
    return Projection(method, np.asarray(points, float), None, settings, mean, axes, reducer)


@dataclass(frozen=True)
class Faith:
    """How far neighbours in the picture are neighbours in truth.

    Attributes
    ----------
    value
        1 when no subject has a neighbour in the picture that is not one; about
        0.5 for points at random.
    neighbours
        How many were looked at for each subject.
    subjects
        How many were compared: more than 5,000 are sampled.
    """

    value: float
    neighbours: int
    subjects: int

    @property
    def sentence(self) -> str:
        """ "Trustworthiness 0.93 (15 neighbours, 500 subjects)"."""
        return (
            f"Trustworthiness {self.value:.2f} ({self.neighbours} neighbours, "
            f"{self.subjects} subjects)"
        )


def trustworthiness(
    features: NDArray,
    points: NDArray,
    *,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> Faith:
    """Whether subjects that a picture puts together belong together.

    scikit-learn's, after Venna & Kaski 2001.

    Parameters
    ----------
    features, points
        One row a subject, shapes (n, p) and (n, d).
    neighbours
        How many of each subject; fewer than half of the cohort, and made so.
    seed
        Of the sample when there are more than 5,000 subjects.

    Raises
    ------
    CohortError
        When there are fewer than 4 subjects or they do not belong together.
    """
    from sklearn.manifold import trustworthiness as measured

    table, plane = np.asarray(features, float), np.asarray(points, float)
    if len(table) != len(plane):
        raise CohortError(
            f"{len(table)} subjects have features, {len(plane)} have points; compare the same ones."
        )
    if len(table) < _FEWEST:
        raise CohortError(f"{len(table)} subjects have too few neighbours; {_FEWEST} are needed.")
    if len(table) > _MOST_COMPARED:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(table), _MOST_COMPARED, replace=False))
        table, plane = table[rows], plane[rows]
    count = min(neighbours, (len(table) - 1) // 2)
    return Faith(float(measured(table, plane, n_neighbors=count)), count, len(table))


@dataclass(frozen=True)
class Purity:
    """How far neighbours are of one class.

    Attributes
    ----------
    value
        Mean share of a subject's nearest neighbours that are of its class.
    chance
        What it would be if classes were dealt out at random.
    neighbours, subjects
        How many were looked at for each subject, and of how many the class is known.
    by_class
        The mean over the subjects of each class.
    """

    value: float
    chance: float
    neighbours: int
    subjects: int
    by_class: Mapping[str, float]

    @property
    def sentence(self) -> str:
        """ "Neighbours of the same class 81 % (chance 50 %)"."""
        return (
            f"Neighbours of the same class {100 * self.value:.0f} % (chance "
            f"{100 * self.chance:.0f} %)"
        )


def neighbour_purity(
    features: NDArray, classes: Sequence[Any] | NDArray, *, neighbours: int = NEIGHBOURS
) -> Purity:
    """Whether classes lie apart, among features or in a picture.

    Parameters
    ----------
    features
        Features or points, one row a subject, shape (n, d).
    classes
        Name or number of each, length n; subjects with None or NaN do not count.
    neighbours
        How many nearest others of each subject.

    Raises
    ------
    CohortError
        When fewer than 4 subjects have a class, or all have the same.
    """
    from sklearn.neighbors import NearestNeighbors

    table, kinds = np.asarray(features, float), np.asarray(classes)
    if len(table) != len(kinds):
        raise CohortError(f"{len(table)} subjects are given with {len(kinds)} classes.")
    known = np.array([kind is not None and kind == kind for kind in kinds], bool)  # NaN is not NaN
    table, kinds = table[known], kinds[known]
    names, which, counts = np.unique(kinds.astype(str), return_inverse=True, return_counts=True)
    if len(table) < _FEWEST or len(names) < 2:
        raise CohortError(
            f"{len(table)} subjects of {len(names)} classes have no purity; {_FEWEST} subjects of "
            "two classes are needed."
        )
    count = min(neighbours, len(table) - 1)
    near = NearestNeighbors(n_neighbors=count).fit(table).kneighbors(return_distance=False)
    same = (which[near] == which[:, None]).mean(1)
    n = len(table)
    return Purity(
        float(same.mean()),
        float(np.sum(counts * (counts - 1)) / (n * (n - 1))),
        count,
        n,
        {str(name): float(same[which == k].mean()) for k, name in enumerate(names)},
    )


# How they are made -----------------------------------------------------------------------


def _checked(features: NDArray, method: str, dimensions: int) -> NDArray[np.float64]:
    if method not in METHODS:
        raise CohortError(f"{method!r} is no projection; choose from {', '.join(METHODS)}.")
    if not is_installed(method):
        raise CohortError(
            "UMAP is not installed; get it with pip install 'napari-cardioxai[umap]', or choose "
            "pca or t-sne."
        )
    table = np.asarray(features, float)
    if table.ndim != 2:
        raise CohortError(f"features have one row a subject, not the shape {table.shape}.")
    n, p = table.shape
    if n < _FEWEST:
        raise CohortError(f"{n} subjects make no picture; {_FEWEST} are needed.")
    if dimensions not in (2, 3) or dimensions > p:
        raise CohortError(f"{p} features cannot be shown in {dimensions} dimensions; use 2 or 3.")
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise CohortError(f"the features of subject {row + 1} are not all finite.")
    if not np.ptp(table, axis=0).any():
        raise CohortError("all subjects have the same features, so there is nothing to show.")
    return table


def _principal(
    table: NDArray[np.float64], count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean (p,), axes (k, p), points (n, k), share of the variance (k,)."""
    from sklearn.decomposition import PCA as Pca

    pca = Pca(count, random_state=seed)
    points = pca.fit_transform(table)
    return pca.mean_, pca.components_, points, pca.explained_variance_ratio_


def _tsne(
    table: NDArray[np.float64], dimensions: int, seed: int, perplexity: float
) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE as Tsne

    made = Tsne(dimensions, perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(made.fit_transform(table.astype(np.float32)), float)


def _umap(
    table: NDArray[np.float64], dimensions: int, seed: int, neighbours: int
) -> tuple[NDArray[np.float64], Any]:
    import umap

    reducer = umap.UMAP(
        n_components=dimensions, n_neighbors=neighbours, random_state=seed, n_jobs=1
    )
    return reducer.fit_transform(table), reducer


def _apart(
    function: Callable[..., Result],
    arguments: tuple[Any, ...],
    what: str,
    is_long: bool,
    on_progress: Progress,
) -> Result:
    """What a function gives, from a process that a cancel ends: neither method can be stopped."""
    if not is_long:
        return function(*arguments)
    context = multiprocessing.get_context("spawn")  # the only way that every platform has
    listener, teller = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(teller, function, arguments), daemon=True)
    process.start()
    teller.close()  # so that its end is heard
    try:
        while not listener.poll(_LISTEN_S):
            on_progress(0, 0, what)
        try:
            made = listener.recv()
        except EOFError:
            raise CohortError(
                f"{what} was ended from outside, most likely for want of memory; free some and "
                "try again."
            ) from None
        if isinstance(made, Exception):
            raise made
        return made
    finally:
        process.kill()
        process.join()
        listener.close()


def _tell(teller: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run in the process: send the result, or what went wrong."""
    try:
        made = function(*arguments)
    except Exception as error:  # noqa: BLE001  the process that asked decides what it means
        made = error
    teller.send(made)
