"""Finding a model's concepts on a cohort and keeping them where the user may write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from napari_cardioxai.bundles.bundle import (
    CARD,
    EXTRAS,
    WEIGHTS,
    find_bundle,
    own_folder,
    shipped_folder,
)
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.concepts.book import ConceptBook
from napari_cardioxai.concepts.cohort import load_concept_cohort, pool_and_test
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS, Concept, concept_named
from napari_cardioxai.concepts.table import ConceptChoice, concept_table
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent

_CACHE = "concepts-cache"


def make_and_keep_book(
    model: str,
    cohort: Path,
    *,
    choice: ConceptChoice | None = None,
    on_progress: Progress = silent,
) -> Path:
    """Find a model's concepts on a cohort, test and walk them, and keep the book with the model.

    Parameters
    ----------
    model
        Name or folder of a latent classifier.
    cohort
        Manifest of labelled subjects: split concept (or train) to find them on,
        test (or val) to test them on.
    choice
        What to find; by default the concepts of Clough and those that the card
        names and the manifest has as columns.
    on_progress
        May raise `Cancelled`; nothing is kept then.

    Returns
    -------
    The folder that the book went to. Models that come with the package stay as
    they are: one's own copy gets the book, and goes before them.

    Raises
    ------
    CohortError, BundleError, OutputError
        When the cohort does not allow it, the model is of another kind, or
        nothing can be written.
    """
    on_progress(0, 0, f"loading {model}")
    folder = find_bundle(model)
    classifier = LatentClassifier.load(folder)
    manifest = read_manifest(cohort)
    columns = [str(name) for name in manifest.table.columns]
    choice = choice or ConceptChoice(concepts=concepts_of(classifier, columns))
    pool, test = (
        load_concept_cohort(
            classifier, manifest, part, cache=own_folder().parent / _CACHE, on_progress=on_progress
        )
        for part in pool_and_test(manifest)
    )
    table = concept_table(classifier, pool, test, choice, on_progress=on_progress)
    return keep_book(table.book, folder)


def concepts_of(classifier: LatentClassifier, columns: Sequence[str]) -> tuple[Concept, ...]:
    """Clough's concepts, and those of the model's card that a manifest has as columns."""
    known = {concept.name for concept in CLOUGH_CONCEPTS}
    named = [concept.name for concept in classifier.card.concepts]
    more = [name for name in named if name not in known and name in columns]
    return (*CLOUGH_CONCEPTS, *(concept_named(name, columns) for name in more))


def keep_book(book: ConceptBook, folder: Path) -> Path:
    """Save a book in the model's folder, or with one's own copy of a model that is not one's own.

    Raises
    ------
    OutputError
        When neither can be written to.
    """
    if is_own(folder):
        book.save(folder)
        return folder
    copy = own_folder() / folder.name
    for name in (WEIGHTS, EXTRAS, CARD):  # the card last: it makes a folder a model
        if (folder / name).is_file():
            with replacing(copy / name) as beside:
                shutil.copyfile(folder / name, beside)
    book.save(copy)
    return copy


def is_own(folder: Path) -> bool:
    """Whether a model's folder may be added to: it is no part of the package, and writable."""
    return not folder.resolve().is_relative_to(shipped_folder().resolve()) and os.access(
        folder, os.W_OK
    )
