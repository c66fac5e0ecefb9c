from pathlib import Path

import numpy as np
import pytest
import torch

from napari_cardioxai.bundles.bundle import find_bundle, save_bundle
from napari_cardioxai.concepts.book import ConceptBook, has_book
from napari_cardioxai.concepts.keeping import (
    concepts_of,
    is_own,
    keep_book,
    make_and_keep_book,
)
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
from napari_cardioxai.concepts.table import ConceptChoice
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.progress import Cancelled
from tests.concepts import hearts
from tests.concepts.moved_heart import book_of, classifier_of
from tests.concepts.test_commands import place  # noqa: F401

NETWORK = {"latent": 4, "channels": [4, 4], "frame_units": 2, "hidden": [8]}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A model that comes with the package, and an empty folder for one's own."""
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    monkeypatch.setattr("napari_cardioxai.bundles.bundle.shipped_folder", lambda: shipped)
    monkeypatch.setattr("napari_cardioxai.concepts.keeping.shipped_folder", lambda: shipped)
    monkeypatch.setenv("CARDIOXAI_MODELS", str(own))
    torch.manual_seed(0)
    card = hearts.known_card(network_params=NETWORK)
    save_bundle(
        shipped / "known", card, LatentHeart(**NETWORK).state_dict(), extras={"mean": np.ones(2)}
    )
    return shipped, own


def files_of(folder: Path):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_shipped_model_stays_as_it_is_and_ones_own_copy_gets_the_book(places):
    shipped, own = places
    before = files_of(shipped / "known")
    book = book_of(classifier_of(hearts.KnownHeart()))
    folder = keep_book(book, find_bundle("known"))
    assert folder == own / "known" == find_bundle("known")
    assert files_of(shipped / "known") == before
    assert before.items() <= files_of(folder).items()
    assert list(ConceptBook.load(folder).directions) == ["low EF", "low PFR"]
    assert keep_book(book, folder) == folder  # one's own gets the next one in place


def test_ones_own_model_gets_the_book_in_place(places, tmp_path):
    save_bundle(
        tmp_path / "mine",
        hearts.known_card(network_params=NETWORK),
        LatentHeart(**NETWORK).state_dict(),
    )
    assert is_own(tmp_path / "mine") and not is_own(places[0] / "known")
    keep_book(book_of(classifier_of(hearts.KnownHeart())), tmp_path / "mine")
    assert has_book(tmp_path / "mine")


def test_concepts_of_the_card_are_found_where_the_manifest_has_them():
    from napari_cardioxai.bundles.card import ConceptSlice

    slices = [ConceptSlice(name, 0, 3) for name in ("low EF", "septal flash", "dyspnoea")]
    classifier = classifier_of(hearts.KnownHeart())
    object.__setattr__(classifier, "card", hearts.known_card(concepts=tuple(slices)))
    found = concepts_of(classifier, ["subject", "septal flash", "low EF"])
    assert [one.name for one in found] == [one.name for one in CLOUGH_CONCEPTS] + ["septal flash"]
    assert found[-1].biomarker is None


def test_concepts_are_found_on_a_cohort_and_kept_but_not_after_a_cancel(request, monkeypatch):
    folder = request.getfixturevalue("place")
    monkeypatch.setenv("CARDIOXAI_MODELS", str(folder / "own"))
    choice = ConceptChoice(concepts=CLOUGH_CONCEPTS[:1], per_side=10, permutations=19, hearts=1)

    def stop(done, total, what):
        if what.startswith("walking"):
            raise Cancelled

    asked = {"model": str(folder / "model"), "cohort": folder / "manifest.csv", "choice": choice}
    with pytest.raises(Cancelled):
        make_and_keep_book(**asked, on_progress=stop)
    assert not has_book(folder / "model")
    assert make_and_keep_book(**asked) == folder / "model"
    book = ConceptBook.load(folder / "model")
    assert list(book.directions) == ["low EF"]
    walked = book.rows[0]["walked"]
    assert len(walked["alphas"]) == len(walked["values"]) == len(choice.alphas)
    assert {"tcav", "p_holm", "fidelity"} <= book.rows[0].keys()
    (folder / "none.csv").write_text("subject,labels,split\n", encoding="utf-8")
    with pytest.raises(CohortError):
        make_and_keep_book(**asked | {"cohort": folder / "none.csv"})
