"""Pictures that show nearly the same, such as neighbouring slices of one patient.

A split that puts one of them into training and another into the test measures
memory. Where a data set does not say whose its pictures are, likeness must
stand in for it: pictures above a threshold of similarity are linked, and what
is linked, directly or through others, is one group.

The threshold comes from the data. Pictures of different classes are of
different patients as a rule, so the similarities between classes show what
strangers reach; the threshold is what one in a hundred thousand of them does.
Where there are too few such pairs to say, it is the more careful of what they
reach and a fixed likeness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.progress import Progress, silent

THUMBNAIL = InputSpec((64, 64), intensities="range")
"""What pictures are compared at."""

STRANGERS_RATE = 1e-5
"""Of pairs of different classes, how many may reach the threshold."""

_SIGMA = 3.0  # pixels of the thumbnail: shapes larger than that every head has in common
_ROWS_AT_ONCE = 512
_BINS = 4000
_FEWEST_STRANGERS = 1000
_COPIES = 0.9  # what copies of a picture reach after compression and a change of contrast


@dataclass(frozen=True)
class NearDuplicates:
    """Groups of pictures that show nearly the same.

    Attributes
    ----------
    group
        Number of each picture's group, from 0 in the order of the pictures, shape (n,).
    threshold
        Similarity from which on two pictures are linked.
    links
        Linked pairs, the smaller index first, shape (m, 2).
    edges, within, between
        Histogram of the similarities of all pairs: borders of the bins, shape
        (4001,), and the numbers of pairs of one class and of different
        classes, shape (4000,) each.
    """

    group: NDArray[np.int64]
    threshold: float
    links: NDArray[np.int64]
    edges: NDArray[np.float64]
    within: NDArray[np.int64]
    between: NDArray[np.int64]

    @property
    def is_surmised(self) -> bool:
        """Whether there were too few pairs of different classes to derive a threshold from."""
        return int(self.between.sum()) < _FEWEST_STRANGERS

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Pictures in each group."""
        return np.bincount(self.group)

    def straddling(self, is_test: NDArray[np.bool_]) -> int:
        """Test pictures that are linked to one that is trained on."""
        first, second = self.links.T
        apart = is_test[first] != is_test[second]
        return len(set(np.where(is_test[first], first, second)[apart].tolist()))

    def mixed(self, classes: NDArray) -> int:
        """Groups with pictures of more than one class: like strangers, or wrong labels."""
        pairs = {(int(g), c) for g, c in zip(self.group, classes.tolist(), strict=True)}
        return len(pairs) - len(self.sizes)


def find_near_duplicates(
    thumbnails: NDArray,
    classes: Sequence[object] | NDArray,
    *,
    threshold: float | None = None,
    on_progress: Progress = silent,
) -> NearDuplicates:
    """Link pictures whose fine structure is alike, and group what is linked.

    Similarity is the correlation of the pictures after the Gaussian mean over
    3 pixels each way has been taken off: skull and field of view, which all
    have in common, weigh little then, sulci and lesions much.

    Parameters
    ----------
    thumbnails
        As `pictures.load_images` makes them with `THUMBNAIL`, shape (n, y, x).
    classes
        Of the pictures, for the threshold, length n.
    threshold
        Chosen by hand; None derives it from the pairs of different classes.

    Raises
    ------
    Cancelled
        From within `on_progress`.
    """
    kinds = np.unique(np.asarray(classes), return_inverse=True)[1]
    features = _features(np.asarray(thumbnails))
    edges = np.linspace(-1, 1, _BINS + 1)
    within, between = np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64)
    total = 2 * len(features)
    for done, rows, similar, later in _blocks(features):
        on_progress(done, total, "comparing pictures")
        same = kinds[rows][:, None] == kinds[None]
        within += np.histogram(similar[later & same], edges)[0]
        between += np.histogram(similar[later & ~same], edges)[0]
    if threshold is None:
        threshold = _reached_by(between, edges, STRANGERS_RATE)
        if between.sum() < _FEWEST_STRANGERS:
            threshold = max(threshold, _COPIES)
    links = []
    for done, rows, similar, later in _blocks(features):
        on_progress(len(features) + done, total, "linking pictures")
        first, second = np.nonzero((similar >= threshold) & later)
        links.append(np.stack([first + rows.start, second], 1))
    on_progress(total, total, "linking pictures")
    pairs = np.concatenate(links) if links else np.empty((0, 2), np.int64)
    n = len(features)
    graph = sparse.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n))
    group = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return NearDuplicates(group, float(threshold), pairs, edges, within, between)


def _features(thumbnails: NDArray) -> NDArray[np.float32]:
    """Fine structure of each picture, mean 0 and length 1, shape (n, pixels); 0 for empty ones."""
    values = thumbnails.astype(np.float32)
    fine = values - ndimage.gaussian_filter(values, (0, _SIGMA, _SIGMA), mode="nearest")
    flat = fine.reshape(len(fine), -1)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-6)


def _blocks(
    features: NDArray[np.float32],
) -> Iterator[tuple[int, slice, NDArray[np.float32], NDArray[np.bool_]]]:
    """Similarities of some rows with all pictures, and which of these pairs come once."""
    column = np.arange(len(features))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, len(features)))
        similar = np.clip(features[rows] @ features.T, -1, 1)
        yield start, rows, similar, column[None] > column[rows][:, None]


def _reached_by(counts: NDArray[np.int64], edges: NDArray[np.float64], rate: float) -> float:
    """The lowest border of a bin that at most this share of the pairs reaches."""
    total = counts.sum()
    reaching = np.append(np.cumsum(counts[::-1])[::-1], 0)  # at or above each border
    return float(edges[np.flatnonzero(reaching <= rate * total)[0]])
