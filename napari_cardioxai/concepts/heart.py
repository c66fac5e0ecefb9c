"""One heart under a reader's hands: moved along concepts, drawn frame by frame, measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.volumes import LV, volume_curve_ml
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.normalisation import NormalisedCine
from napari_cardioxai.cohorts.sequences import fitting_cine
from napari_cardioxai.concepts.biomarkers import Ruler, measure_cycle
from napari_cardioxai.concepts.book import ConceptBook
from napari_cardioxai.concepts.fidelity import Walked, walk_and_measure
from napari_cardioxai.concepts.walk import STRAIGHT, Walk
from napari_cardioxai.errors import BundleError
from napari_cardioxai.progress import Progress, silent

REACH = 3.0
"""Standard deviations to either side of a heart that it can be moved."""
STOPS = np.linspace(-REACH, REACH, 13)
"""Where a walk that differs from heart to heart is solved for; between them it is straight."""
AT_ONCE = 5  # frames decoded between two looks at whether anyone still wants them


@dataclass(frozen=True)
class Readout:
    """What is measured of one cycle, and what the model says of it.

    Attributes
    ----------
    biomarkers
        `BIOMARKERS` by key, NaN where not measurable.
    volume_ml
        LV volume of the three slices at the frames of the scan, shape (t,).
    logit, probability
        Of the primary class.
    within, beside
        Distances from the cohort, as `LatentCloud.distances`.
    """

    biomarkers: Mapping[str, float]
    volume_ml: NDArray[np.float64]
    logit: float
    probability: float
    within: float
    beside: float


@dataclass(frozen=True)
class ConceptHeart:
    """A labelled heart in a model's latent, with the walks that can be gone from there.

    Attributes
    ----------
    classifier, book
        The model and its concepts.
    cine, ruler
        The labels as the model reads them, and what their pixels and frames stand for.
    latent
        Where the heart is, shape (T, latent).
    walks
        By the name of the concept, in the order of the book.
    changes
        Of each walk: the latent change of one standard deviation, shape (T,
        latent), or, where it differs from heart to heart, that at each of
        `STOPS`, shape (13, T, latent).
    reconstruction
        The heart as the model draws it again, shape (T, 3, y, x).
    restored
        The same on the grid of the scan, shape (t, z, y, x).
    labelled, redrawn
        What is measured of the labels and of the reconstruction, both in the
        three slices that the model sees, so that they compare with decoded hearts.
    """

    classifier: LatentClassifier
    book: ConceptBook
    cine: NormalisedCine
    ruler: Ruler
    latent: NDArray[np.float32]
    walks: Mapping[str, Walk]
    changes: Mapping[str, NDArray[np.float32]]
    reconstruction: NDArray[np.uint8]
    restored: NDArray[np.uint8]
    labelled: Readout
    redrawn: Readout

    @classmethod
    def of(
        cls,
        labels: Labels,
        classifier: LatentClassifier,
        book: ConceptBook,
        *,
        on_progress: Progress = silent,
    ) -> ConceptHeart:
        """Read a heart, draw it again and measure both.

        Parameters
        ----------
        labels
            A whole cycle of a short-axis stack.
        classifier, book
            The model and its concepts.
        on_progress
            Called per step; may raise `Cancelled`.

        Raises
        ------
        BundleError
            When the model does not draw labels.
        CohortError
            When the labels cannot be brought to the model's form.
        """
        check_draws_labels(classifier)
        on_progress(0, 0, "reading the heart")
        cine = fitting_cine(labels, classifier.spec, model=classifier.card.name)
        ruler = Ruler.of(labels, cine.transform)
        latent = classifier.encode(cine.data[None])[0]
        walks = {name: book.walk(classifier, name) for name in book.directions}
        changes = {}
        for done, (name, walk) in enumerate(walks.items()):
            on_progress(done, len(walks), f"finding the way to {name}")
            changes[name] = (
                walk.change() if walk.way == STRAIGHT else walk.latents(latent[None], STOPS)[0]
            )
            if walk.way != STRAIGHT:
                changes[name] = changes[name] - latent
        reconstruction = _decoded(classifier, latent, on_progress)
        instruments = _Instruments(classifier, book, cine, ruler)
        return cls(
            classifier=classifier,
            book=book,
            cine=cine,
            ruler=ruler,
            latent=latent,
            walks=walks,
            changes=changes,
            reconstruction=reconstruction,
            restored=cine.transform.restore(reconstruction),
            labelled=instruments.readout(cine.data, latent),
            redrawn=instruments.readout(reconstruction, latent),
        )

    def at(self, alphas: Mapping[str, float]) -> NDArray[np.float32]:
        """The latent of this heart moved along concepts at once, shape (T, latent).

        Parameters
        ----------
        alphas
            Standard deviations of the cohort towards each concept, from -`REACH` to `REACH`.
        """
        moved = self.latent.copy()
        for name, alpha in alphas.items():
            if alpha:
                moved += self._change(name, alpha)
        return moved

    def _change(self, name: str, alpha: float) -> NDArray[np.float32]:
        change = self.changes[name]
        if self.walks[name].way == STRAIGHT:
            return np.float32(alpha) * change
        place = np.interp(alpha, STOPS, np.arange(len(STOPS)))
        k = min(int(place), len(STOPS) - 2)
        share = np.float32(place - k)
        return (1 - share) * change[k] + share * change[k + 1]

    def frame(self, latent: NDArray[np.float32], frame: int) -> NDArray[np.uint8]:
        """One frame of the scan of a moved heart, decoding nothing else, shape (z, y, x)."""
        if np.array_equal(latent, self.latent):
            return self.restored[frame]
        transform = self.cine.transform
        pair = self.classifier.decode(latent[None, list(transform.between(frame))])[0]
        return transform.restore_frame(pair, frame)

    def cycle(
        self, latent: NDArray[np.float32], *, on_progress: Progress = silent
    ) -> NDArray[np.uint8]:
        """All frames of a moved heart, shape (T, 3, y, x); of the heart itself its reconstruction."""
        if np.array_equal(latent, self.latent):
            return self.reconstruction
        return _decoded(self.classifier, latent, on_progress)

    def on_scan(self, cycle: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A cycle on the grid of the scan, shape (t, z, y, x)."""
        if cycle is self.reconstruction:
            return self.restored
        return self.cine.transform.restore(cycle)

    def readout(self, cycle: NDArray[np.uint8], latent: NDArray[np.float32]) -> Readout:
        """Measure a decoded cycle and ask the model about its latent."""
        if cycle is self.reconstruction:
            return self.redrawn
        return _Instruments(self.classifier, self.book, self.cine, self.ruler).readout(
            cycle, latent
        )

    def walked(self, name: str, *, on_progress: Progress = silent) -> Walked:
        """This one heart along a concept, decoded and measured at each of `STOPS`."""
        return walk_and_measure(
            self.walks[name],
            self.latent[None],
            [self.ruler],
            alphas=STOPS,
            cloud=self.book.cloud,
            on_progress=on_progress,
        )

    @property
    def slices(self) -> tuple[int, ...]:
        """Slices of the scan that the model sees and draws, the most basal first."""
        return self.cine.transform.slices

    def is_near(self, readout: Readout) -> bool:
        """Whether a heart lies no farther from the cohort than 99 % of its subjects."""
        most_within, most_beside = self.book.cloud.limits
        return readout.within <= most_within and readout.beside <= most_beside


@dataclass(frozen=True)
class _Instruments:
    """Measures cycles of one heart and asks the model about their latents."""

    classifier: LatentClassifier
    book: ConceptBook
    cine: NormalisedCine
    ruler: Ruler

    def readout(self, cycle: NDArray[np.uint8], latent: NDArray[np.float32]) -> Readout:
        said = self.classifier.decide(latent[None])
        within, beside = self.book.cloud.distances(latent[None])
        return Readout(
            measure_cycle(cycle, self.ruler),
            self._volumes(cycle),
            float(said.logit[0]),
            float(said.probability[0]),
            float(within[0]),
            float(beside[0]),
        )

    def _volumes(self, cycle: NDArray[np.uint8]) -> NDArray[np.float64]:
        curve = volume_curve_ml(self.ruler.labels(cycle), LV)
        around = np.append(curve, curve[0])
        return np.interp(self.cine.transform.sequence_frames, np.arange(len(around)), around)


def check_draws_labels(classifier: LatentClassifier) -> None:
    """Refuse a model that has no hearts of labels to show.

    Raises
    ------
    BundleError
        When it reads images or has no decoder.
    """
    if classifier.network.reads != "labels" or not classifier.network.has_decoder:
        raise BundleError(
            f"{classifier.card.name} does not draw labelled hearts, so there is nothing to move; "
            "choose a model of labels with a decoder."
        )


def _decoded(
    classifier: LatentClassifier, latent: NDArray[np.float32], on_progress: Progress
) -> NDArray[np.uint8]:
    """A cycle in small parts, so that a cancel need not wait for all of it."""
    parts = []
    for first in range(0, len(latent), AT_ONCE):
        on_progress(first, len(latent), "decoding")
        parts.append(classifier.decode(latent[None, first : first + AT_ONCE])[0])
    return np.concatenate(parts)
