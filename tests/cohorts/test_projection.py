import time

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as sklearn_trustworthiness

from napari_cardioxai.cohorts import projection
from napari_cardioxai.cohorts.projection import (
    is_installed,
    neighbour_purity,
    project,
    trustworthiness,
)
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Cancelled

RNG_SEED = 3


def two_clouds(*, each: int = 30, apart: float = 20.0, features: int = 6) -> tuple:
    rng = np.random.default_rng(RNG_SEED)
    kinds = np.repeat(["sick", "well"], each)
    table = rng.normal(size=(2 * each, features))
    table[kinds == "sick", 0] += apart
    return table, kinds


# PCA ----------------------------------------------------------------------------------


def test_pca_finds_the_axes_that_a_cloud_was_made_along():
    rng = np.random.default_rng(RNG_SEED)
    first, second = np.array([0.6, 0.8, 0, 0]), np.array([-0.8, 0.6, 0, 0])
    along = rng.normal(size=(400, 2)) * (5, 2)
    along -= along.mean(0)
    made = project(5 + along[:, :1] * first + along[:, 1:] * second)
    assert abs(made.axes @ first) == pytest.approx([1, 0], abs=0.05)
    assert made.explained.sum() == pytest.approx(1)
    variances = np.linalg.eigvalsh(np.cov(along.T))[::-1]
    assert made.explained == pytest.approx(variances / variances.sum())
    assert made.axis_titles()[0] == f"PC 1 ({100 * made.explained[0]:.0f} % of the variance)"


def test_a_subject_that_is_placed_anew_lies_where_it_lay():
    table, _ = two_clouds()
    made = project(table)
    assert made.can_place
    assert made.place(table) == pytest.approx(made.points)
    assert made.place(table.mean(0)[None]) == pytest.approx(np.zeros((1, 2)), abs=1e-9)


def test_pca_of_more_features_than_subjects_equals_scikit_learns():
    rng = np.random.default_rng(RNG_SEED)
    table = rng.normal(size=(40, 900))
    theirs = PCA(2, svd_solver="full").fit(table)
    made = project(table)
    assert made.explained == pytest.approx(theirs.explained_variance_ratio_, rel=1e-2)


def test_an_arrow_says_how_much_of_its_direction_the_plane_holds():
    table = np.zeros((8, 3))
    table[:4, 0] = table[4:, 1] = (-2, -1, 1, 2)
    table[:, 0] *= 3
    made = project(table)
    arrow, share = made.arrow([1, 0, 0])
    assert np.abs(arrow) == pytest.approx([1, 0], abs=1e-9) and share == pytest.approx(1)
    arrow, share = made.arrow([0, 7, 7])
    assert np.abs(arrow) == pytest.approx([0, 1], abs=1e-9)
    assert share == pytest.approx(1 / np.sqrt(2))
    assert made.arrow([0, 0, 1]) == (pytest.approx([0, 0]), 0)


# t-SNE and UMAP -----------------------------------------------------------------------


def test_tsne_keeps_two_clouds_apart_and_is_the_same_again():
    table, kinds = two_clouds()
    made = project(table, method="t-sne", perplexity=10, seed=1)
    assert made.points.shape == (60, 2) and made.explained is None
    assert neighbour_purity(made.points, kinds, neighbours=5).value == 1
    again = project(table, method="t-sne", perplexity=10, seed=1)
    assert again.points == pytest.approx(made.points)
    assert made.axis_titles() == ("t-SNE 1", "t-SNE 2")


def test_tsne_of_many_features_is_made_from_fifty_components():
    table, _ = two_clouds(each=40, features=300)
    made = project(table, method="t-sne")
    assert made.axes.shape == (50, 300) and made.settings["components"] == 50
    few, _ = two_clouds(each=10, features=300)
    assert project(few, method="t-sne").settings == {
        "seed": 0,
        "components": 19,
        "perplexity": pytest.approx(19 / 3),
    }


def test_tsne_has_neither_a_place_for_others_nor_arrows():
    table, _ = two_clouds(each=5)
    made = project(table, method="t-sne")
    with pytest.raises(CohortError, match="no place for new subjects"):
        made.place(table)
    with pytest.raises(CohortError, match="choose PCA for arrows"):
        made.arrow(table[0])


def test_a_long_tsne_is_made_in_a_process_of_its_own_and_gives_the_same(monkeypatch):
    table, _ = two_clouds(each=12)
    here = project(table, method="t-sne")
    monkeypatch.setattr(projection, "_INLINE", 0)
    assert project(table, method="t-sne").points == pytest.approx(here.points, abs=1e-3)


def test_a_cancel_ends_a_long_tsne_at_once():
    table = np.random.default_rng(RNG_SEED).normal(size=(4000, 40))
    started = []

    def listen(done: int, total: int, what: str) -> None:
        assert what == "t-SNE of 4000 subjects"
        started.append(time.monotonic())
        if len(started) > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        project(table, method="t-sne", on_progress=listen)
    assert time.monotonic() - started[-1] < 5, "it takes a minute to its end"


def test_umap_keeps_two_clouds_apart_and_places_others_among_their_like():
    table, kinds = two_clouds()
    made = project(table[:50], method="umap", neighbours=8)
    assert neighbour_purity(made.points, kinds[:50], neighbours=5).value == 1
    placed = made.place(table[50:])
    joined = np.concatenate([made.points, placed])
    assert neighbour_purity(joined, kinds, neighbours=5).by_class["well"] > 0.95


def test_without_umap_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    assert not is_installed("umap") and is_installed("pca")
    with pytest.raises(CohortError, match=r"pip install 'napari-cardioxai\[umap\]'"):
        project(np.eye(9), method="umap")


# How far to trust it ------------------------------------------------------------------


def test_trustworthiness_is_scikit_learns():
    rng = np.random.default_rng(RNG_SEED)
    table, points = rng.normal(size=(80, 7)), rng.normal(size=(80, 2))
    found = trustworthiness(table, points, neighbours=6)
    assert found.value == pytest.approx(sklearn_trustworthiness(table, points, n_neighbors=6))
    assert (found.neighbours, found.subjects) == (6, 80)


def test_a_picture_that_is_the_features_is_wholly_trustworthy():
    table = np.random.default_rng(RNG_SEED).normal(size=(20, 2))
    found = trustworthiness(table, 3 * table)
    assert found.value == 1
    assert found.neighbours == 9, "fewer than half"
    assert found.sentence == "Trustworthiness 1.00 (9 neighbours, 20 subjects)"


def test_a_large_cohort_is_sampled_for_its_trustworthiness(monkeypatch):
    monkeypatch.setattr(projection, "_MOST_COMPARED", 30)
    table = np.random.default_rng(RNG_SEED).normal(size=(90, 2))
    assert trustworthiness(table, table).subjects == 30


def test_purity_by_hand():
    # On a line, the nearest one: a-a-b-b  a; 0, 1 and 3, 4 are pairs, 9 has a b beside it.
    found = neighbour_purity(
        np.array([[0.0], [1.0], [3.0], [4.0], [9.0]]), ["a", "a", "b", "b", "a"], neighbours=1
    )
    assert found.value == pytest.approx(4 / 5)
    assert found.by_class == {"a": pytest.approx(2 / 3), "b": 1}
    assert found.chance == pytest.approx((3 * 2 + 2 * 1) / (5 * 4))


def test_classes_dealt_out_at_random_are_as_pure_as_chance():
    rng = np.random.default_rng(RNG_SEED)
    found = neighbour_purity(rng.normal(size=(3000, 2)), rng.random(3000) < 0.2)
    assert found.value == pytest.approx(found.chance, abs=0.01)
    assert found.chance == pytest.approx(0.2**2 + 0.8**2, abs=0.02)


def test_subjects_without_a_class_do_not_count():
    table, _ = two_clouds(each=10)
    label = np.repeat([1.0, 0.0], 10)
    label[:3] = np.nan
    found = neighbour_purity(table, label, neighbours=4)
    assert (found.value, found.subjects) == (1, 17)
    assert neighbour_purity(table, [None, "a", *["b"] * 18], neighbours=4).subjects == 19


# What is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "asked", "complaint"),
    [
        (np.eye(9), {"method": "mds"}, "'mds' is no projection; choose from pca, t-sne, umap"),
        (np.eye(3), {}, "3 subjects make no picture"),
        (np.ones((9, 5)), {}, "all subjects have the same features"),
        (np.eye(9)[:, :1], {}, "1 features cannot be shown in 2 dimensions"),
        (np.eye(9), {"dimensions": 4}, "use 2 or 3"),
        (np.zeros((9, 2, 2)), {}, "one row a subject"),
        (np.where(np.eye(9) > 0, np.nan, 1), {}, "the features of subject 1 are not all finite"),
    ],
)
def test_what_cannot_be_projected_is_refused_with_a_reason(features, asked, complaint):
    with pytest.raises(CohortError, match=complaint):
        project(features, **asked)


def test_what_cannot_be_compared_is_refused_with_a_reason():
    with pytest.raises(CohortError, match="9 subjects have features, 8 have points"):
        trustworthiness(np.eye(9), np.eye(9)[:8])
    with pytest.raises(CohortError, match="3 subjects have too few neighbours"):
        trustworthiness(np.eye(3), np.eye(3))
    with pytest.raises(CohortError, match="two classes are needed"):
        neighbour_purity(np.eye(9), [1] * 9)
    with pytest.raises(CohortError, match="9 subjects are given with 2 classes"):
        neighbour_purity(np.eye(9), [1, 2])
