"""Subjects of a cohort as a model sees them, whatever the model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.cohorts.manifest import SPLIT, SPLITS, Manifest
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.maps.columns import Column
from napari_cardioxai.progress import Progress, silent

if TYPE_CHECKING:  # torch comes with them
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.concepts.cohort import ConceptCohort
    from napari_cardioxai.scans.scan import Scan

EVERYBODY = "all"
DECISION, CONCEPT = "decision", "concept"
KINDS = ("latent-classifier", "image-classifier")
"""Kinds of models that a map can be made with."""


@dataclass(frozen=True)
class FeatureDirection:
    """A direction among the features that means something.

    Attributes
    ----------
    name
        "gradient", the name of a class, or that of a concept.
    kind
        "decision" or "concept".
    vector
        Shape (p,), of any length.
    """

    name: str
    kind: str
    vector: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class MapSubjects:
    """What a model makes of subjects.

    Attributes
    ----------
    manifest
        Where they come from.
    subjects
        Names, n of them.
    features
        One row a subject, shape (n, p).
    columns
        What is known of them, by name, the most telling first.
    directions
        Of the decision, and of concepts where the model carries them.
    left_out
        Every subject that could not be read, and the reason.
    about_directions
        What those of the decision are, in a sentence.
    hearts
        Latents and rulers, for models that can draw hearts; else None.
    """

    manifest: Manifest
    subjects: tuple[str, ...]
    features: NDArray[np.float32] = field(repr=False)
    columns: Mapping[str, Column] = field(repr=False)
    directions: tuple[FeatureDirection, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict, repr=False)
    about_directions: str = ""
    hearts: ConceptCohort | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.subjects)

    def row_of(self, path: Path | None) -> int | None:
        """Which subject a scan or label file belongs to, or None for a stranger."""
        return None if path is None else self._row_by_path.get(Path(path).resolve())

    @cached_property
    def _row_by_path(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for row, name in enumerate(self.subjects):
            for path in (self.manifest.labels_path(name), self.manifest.scan_path(name)):
                if path is not None:
                    found.setdefault(path.resolve(), row)
        return found


class SubjectReader(Protocol):
    """Turns the subjects of a manifest, and the study in the window, into features.

    The map knows models by this only: a model of anything that can be shown
    as a row of numbers a subject has a map.
    """

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def reads(self) -> str:
        """ "labels" or "scan": what a study must have to find its place."""

    def read(
        self,
        manifest: Manifest,
        subjects: Sequence[str],
        *,
        cache: Path | None = None,
        on_progress: Progress = silent,
    ) -> MapSubjects:
        """Features and columns of subjects; kept in the folder `cache` where that takes long."""

    def features_of(self, labels: Labels | None, scan: Scan | None) -> NDArray[np.float32]:
        """Features of one study, shape (p,)."""


def reader_for(model: str | Path, *, device: str = "auto") -> SubjectReader:
    """The reader of a model.

    Parameters
    ----------
    model
        Name or folder of a latent or image classifier.
    device
        Where it runs.

    Raises
    ------
    BundleError
        For any other kind of model.
    """
    from napari_cardioxai.bundles.bundle import find_bundle, load_card
    from napari_cardioxai.maps.images import ImageReader
    from napari_cardioxai.maps.latents import LatentReader

    card = load_card(find_bundle(model))
    if card.kind == "latent-classifier":
        return LatentReader.load(model, device=device)
    if card.kind == "image-classifier":
        return ImageReader.load(model, device=device)
    raise BundleError(
        f"{card.name} is a {card.kind}; a cohort map needs a classifier of hearts or images."
    )


def available_map_models() -> list[str]:
    """Names of the models that a map can be made with, shipped ones first."""
    from napari_cardioxai.bundles.bundle import available_cards

    return [name for name, card in available_cards()[0].items() if card.kind in KINDS]


def subjects_of(manifest: Manifest, part: str) -> list[str]:
    """Subjects of one split, or everybody.

    Raises
    ------
    CohortError
        When there is no such split, or nobody is in it.
    """
    found = manifest.subjects if part == EVERYBODY else manifest.split(part)
    if not found:
        there = ", ".join(parts_of(manifest))
        raise CohortError(f"{manifest.path.name} has nobody in {part}; choose from {there}.")
    return found


def parts_of(manifest: Manifest) -> dict[str, int]:
    """How many subjects each split has, test first, and everybody where there is not just one."""
    if SPLIT not in manifest.table:
        return {EVERYBODY: len(manifest.subjects)}
    counts = {name: len(manifest.split(name)) for name in ("test", "val", "concept", "train")}
    found = {name: count for name, count in counts.items() if count}
    return found if len(found) == 1 else {**found, EVERYBODY: len(manifest.subjects)}


def by_split(manifest: Manifest, subjects: Sequence[str]) -> list[list[str]]:
    """The same subjects split by split, as other commands read and keep them."""
    wanted = set(subjects)
    parts = [[name for name in manifest.split(split) if name in wanted] for split in SPLITS]
    return [part for part in parts if part]
