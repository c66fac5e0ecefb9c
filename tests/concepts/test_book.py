import numpy as np
import pytest

from napari_cardioxai.concepts.book import ARRAYS, BOOK, ConceptBook, has_book
from napari_cardioxai.concepts.cloud import fit_cloud
from napari_cardioxai.concepts.directions import find_direction
from napari_cardioxai.concepts.fidelity import BiomarkerScale
from napari_cardioxai.concepts.named import CLOUGH_CONCEPTS
from napari_cardioxai.concepts.samples import extremes
from napari_cardioxai.errors import BundleError, CohortError
from tests.concepts import hearts


@pytest.fixture(scope="module")
def book():
    z, rng = hearts.latents(100), np.random.default_rng(0)
    direction = find_direction(
        hearts.reading(z, "latent"),
        extremes(CLOUGH_CONCEPTS[0], z.mean(1)[:, hearts.EF]),
        "pattern",
        rng=rng,
    )
    return ConceptBook(
        model="known",
        cohort="manifest.csv",
        way="latent",
        directions={"low EF": direction},
        cloud=fit_cloud(z, rng=rng),
        scale=BiomarkerScale.of(hearts.biomarkers(z)),
        rows=({"concept": "low EF", "tcav": 1.0},),
    )


def test_a_saved_book_walks_as_before(book, tmp_path):
    book.save(tmp_path)
    assert has_book(tmp_path)
    again = ConceptBook.load(tmp_path)
    classifier, z = hearts.known_classifier(), hearts.latents(2)
    before, after = (one.walk(classifier, "LOW ef").latents(z, [-1, 2]) for one in (book, again))
    assert np.allclose(before, after, atol=1e-5)
    assert again.rows == book.rows
    assert again.directions["low EF"].holdout == book.directions["low EF"].holdout
    assert again.cloud.limits == book.cloud.limits
    assert np.array_equal(again.scale.sd, book.scale.sd, equal_nan=True)


def test_a_concept_of_ones_own_is_put_beside_the_others_and_replaces_its_former_self(book):
    from dataclasses import replace

    from napari_cardioxai.concepts.named import Concept

    mine = replace(book.directions["low EF"], concept=Concept("mine"))
    more = book.with_concept(mine, {"concept": "mine", "tcav": 0.5})
    assert list(more.directions) == ["low EF", "mine"]
    again = more.with_concept(mine, {"concept": "mine", "tcav": 0.7})
    assert [(row["concept"], row["tcav"]) for row in again.rows] == [("low EF", 1.0), ("mine", 0.7)]
    assert list(book.directions) == ["low EF"] and len(book.rows) == 1


def test_a_concept_that_the_book_does_not_have_is_refused_with_those_that_it_has(book):
    with pytest.raises(CohortError, match="no direction of 'low PER'; it has low EF"):
        book.walk(hearts.known_classifier(), "low PER")


def test_a_model_without_concepts_says_how_to_find_them(tmp_path):
    assert not has_book(tmp_path)
    with pytest.raises(BundleError, match=r"cardioxai concepts .* --cohort MANIFEST --save"):
        ConceptBook.load(tmp_path)


def test_a_broken_book_is_refused_in_a_sentence(book, tmp_path):
    book.save(tmp_path)
    (tmp_path / BOOK).write_text('{"version": 1}', encoding="utf-8")
    with pytest.raises(BundleError, match="not a readable book"):
        ConceptBook.load(tmp_path)
    book.save(tmp_path)
    (tmp_path / ARRAYS).write_bytes(b"nonsense")
    with pytest.raises(BundleError, match="not a readable book"):
        ConceptBook.load(tmp_path)
