"""Models whose concepts can be walked; what is here runs in a worker, because it imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import leave_a_core_to_the_window, sentence
from napari_cardioxai.errors import BundleError

if TYPE_CHECKING:
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.concepts.book import ConceptBook


@dataclass(frozen=True)
class ModelChoice:
    """A latent classifier that can be chosen.

    Attributes
    ----------
    title
        Of its card.
    folder
        Where it lies.
    book_time_ns
        When its concepts were last written; None without any.
    """

    title: str
    folder: Path
    book_time_ns: int | None


@dataclass(frozen=True)
class Loaded:
    """A model with its concepts.

    Attributes
    ----------
    classifier
        Ready to run.
    book
        Its concepts; None where it carries none.
    fault
        Why its hearts cannot be moved, in a sentence; empty where they can.
    """

    classifier: LatentClassifier
    book: ConceptBook | None
    fault: str = ""


def list_models() -> dict[str, ModelChoice]:
    """Latent classifiers by name."""
    import_torch()
    from napari_cardioxai.bundles.bundle import find_bundle, load_card
    from napari_cardioxai.concepts.book import BOOK, has_book
    from napari_cardioxai.decisions import available_classifiers

    found = {}
    for name in available_classifiers():
        folder = find_bundle(name)
        written = (folder / BOOK).stat().st_mtime_ns if has_book(folder) else None
        found[name] = ModelChoice(load_card(folder).title, folder, written)
    return found


def load_model(name: str) -> Loaded:
    """A model and its concepts.

    Raises
    ------
    BundleError
        When either cannot be read.
    """
    import_torch()
    leave_a_core_to_the_window()
    from napari_cardioxai.bundles.bundle import find_bundle
    from napari_cardioxai.bundles.latent import LatentClassifier
    from napari_cardioxai.concepts.book import ConceptBook, has_book
    from napari_cardioxai.concepts.heart import check_draws_labels

    folder = find_bundle(name)
    classifier = LatentClassifier.load(folder)
    try:
        check_draws_labels(classifier)
    except BundleError as error:
        return Loaded(classifier, None, sentence(str(error)))
    return Loaded(classifier, ConceptBook.load(folder) if has_book(folder) else None)
