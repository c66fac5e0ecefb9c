"""Subjects as a latent classifier of label sequences sees them: the latents of the whole cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.bundle import find_bundle
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.manifest import CLASS, LABEL, SITE, SPLIT, Manifest
from napari_cardioxai.cohorts.normalisation import normalise_labels
from napari_cardioxai.cohorts.sequences import why_unfit
from napari_cardioxai.concepts.biomarkers import BIOMARKERS
from napari_cardioxai.concepts.book import ConceptBook, has_book
from napari_cardioxai.concepts.cohort import ConceptCohort, load_concept_cohort
from napari_cardioxai.concepts.layers import LATENT, frame_of, read_layer
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.maps.columns import (
    MEASURED,
    OF_MODEL,
    Column,
    class_column,
    in_order,
    manifest_columns,
)
from napari_cardioxai.maps.subjects import (
    CONCEPT,
    DECISION,
    FeatureDirection,
    MapSubjects,
    by_split,
)
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Scan

PREDICTION, PROBABILITY = "prediction", "probability"


@dataclass(frozen=True)
class LatentReader:
    """Reads label files.

    Attributes
    ----------
    classifier
        The model.
    book
        Its concepts, where it carries any.
    """

    classifier: LatentClassifier
    book: ConceptBook | None

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> LatentReader:
        """Load a model with its concepts.

        Raises
        ------
        BundleError
            When it cannot be had, or reads images instead of labels.
        """
        folder = find_bundle(model)
        classifier = LatentClassifier.load(folder, device=device)
        if classifier.network.reads != "labels":
            raise BundleError(
                f"{classifier.card.name} reads images; a cohort map is made with models of labels."
            )
        return cls(classifier, ConceptBook.load(folder) if has_book(folder) else None)

    @property
    def name(self) -> str:
        """Of the model."""
        return self.classifier.card.name

    @property
    def reads(self) -> str:
        """What a study must have."""
        return "labels"

    def read(
        self,
        manifest: Manifest,
        subjects: Sequence[str],
        *,
        cache: Path | None = None,
        on_progress: Progress = silent,
    ) -> MapSubjects:
        """Encode subjects, measure them and ask the model about them.

        Raises
        ------
        CohortError
            When no subject can be used.
        """
        hearts = _joined(
            [
                load_concept_cohort(
                    self.classifier, manifest, part, cache=cache, on_progress=on_progress
                )
                for part in by_split(manifest, subjects)
            ]
        )
        reading = read_layer(self.classifier, hearts.latent, LATENT, on_progress=on_progress)
        kind = self.classifier.card.classes[1]
        features = hearts.latent.reshape(len(hearts), -1)
        # The gradient is what the logit listens to; the pattern is how hearts differ that go
        # with a high one, and only that can be compared with how the cohort varies (Haufe 2014).
        pattern = (reading.logit - reading.logit.mean()) @ (features - features.mean(0))
        decision = (
            FeatureDirection("gradient", DECISION, reading.gradients.mean(0)),
            FeatureDirection("pattern", DECISION, pattern),
        )
        return MapSubjects(
            manifest,
            hearts.subjects,
            features,
            self._columns(hearts),
            (*decision, *self._concept_directions()),
            hearts.left_out,
            f"Bold arrows lead to {kind}: the gradient is what the logit listens to, the pattern "
            "how hearts differ that go with it.",
            hearts,
        )

    def features_of(self, labels: Labels | None, scan: Scan | None) -> NDArray[np.float32]:
        """Latents of one labelled study, shape (T * latent,).

        Raises
        ------
        CohortError
            When there are no labels or they do not fit the model.
        """
        if labels is None:
            raise CohortError("a study needs labels to find its place on this map.")
        if fault := why_unfit(labels):
            raise CohortError(f"these labels have no place on the map: {fault}")
        cine = normalise_labels(labels, self.classifier.spec)
        return self.classifier.encode(cine.data[None]).reshape(-1)

    def _columns(self, hearts: ConceptCohort) -> dict[str, Column]:
        card = self.classifier.card
        said = self.classifier.decide(hearts.latent)
        columns = manifest_columns(hearts.manifest, hearts.subjects, classes=card.classes)
        columns[PREDICTION] = class_column(
            PREDICTION, said.decision, origin=OF_MODEL, names=card.classes
        )
        columns[PROBABILITY] = Column(
            f"probability of {card.classes[1]}", said.probability, False, OF_MODEL
        )
        for name, values in said.concepts.items():
            columns[f"{name} (model)"] = Column(f"probability of {name}", values, False, OF_MODEL)
        for column, biomarker in zip(hearts.biomarkers.T, BIOMARKERS.values(), strict=True):
            columns[biomarker.name] = Column(
                biomarker.name, column, False, MEASURED, biomarker.unit, biomarker.decimals
            )
        concepts = [concept.name for concept in card.concepts]
        told = [f"{name} (model)" for name in concepts]
        measured = [biomarker.name for biomarker in BIOMARKERS.values()]
        first = (LABEL, PREDICTION, PROBABILITY, CLASS, SPLIT, SITE, *concepts, *measured, *told)
        return in_order(columns, first)

    def _concept_directions(self) -> list[FeatureDirection]:
        """Of the book, those found in the latent; a frame's stands in its place of the cycle."""
        if self.book is None:
            return []
        network = self.classifier.network
        found = []
        for name, direction in self.book.directions.items():
            frame = frame_of(direction.layer)
            if direction.layer == LATENT:
                found.append(FeatureDirection(name, CONCEPT, direction.vector))
            elif frame is not None:
                whole = np.zeros((network.frames, network.latent))
                whole[frame] = direction.vector
                found.append(FeatureDirection(name, CONCEPT, whole.reshape(-1)))
        return found


def _joined(parts: Sequence[ConceptCohort]) -> ConceptCohort:
    """Several cohorts of one manifest as one."""
    return ConceptCohort(
        parts[0].manifest,
        tuple(name for part in parts for name in part.subjects),
        np.concatenate([part.latent for part in parts]),
        np.concatenate([part.biomarkers for part in parts]),
        np.concatenate([part.thickening for part in parts]),
        tuple(ruler for part in parts for ruler in part.rulers),
        {name: why for part in parts for name, why in part.left_out.items()},
    )
