from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.projection import neighbour_purity, trustworthiness
from napari_cardioxai.maps.cohort_map import apart, arrow_tips, make_map
from napari_cardioxai.maps.columns import Column, class_column
from napari_cardioxai.maps.subjects import DECISION, FeatureDirection, MapSubjects
from napari_cardioxai.maps.table import write_points

COUNT = 40


def subjects(**changes) -> MapSubjects:
    """A long cloud along the first feature, wide along the second; the third is nearly flat."""
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(COUNT, 3)) * (9, 3, 0.01)).astype(np.float32)
    names = [f"p{k}" for k in range(COUNT)]
    index = pd.Index(names, name="subject", dtype=object)
    table = pd.DataFrame({"labels": [f"{n}.nii" for n in names]}, index=index)
    label = class_column("label", features[:, 0] > 0, origin="cohort", names=("left", "right"))
    columns = {"label": label, "EF": Column("EF", np.arange(40.0), False, "measured", "%", 0)}
    directions = (
        FeatureDirection("decision", DECISION, np.array([2.0, 0, 0])),
        FeatureDirection("hidden", "concept", np.array([0.0, 0, 1])),
    )
    values = {"columns": columns, "directions": directions, **changes}
    return MapSubjects(Manifest(Path("/c/cohort.csv"), table), tuple(names), features, **values)


@pytest.fixture(scope="module")
def pca():
    return make_map("a model", subjects())


def test_arrows_of_a_pca_lie_along_their_directions_with_their_share(pca):
    decision, hidden = pca.arrows
    assert abs(decision.vector[0]) == pytest.approx(1, abs=0.02) and decision.share > 0.99
    assert hidden.share < 0.02 and "mostly out of the picture" in hidden.sentence
    assert pca.about_arrows.endswith("In the plane lies: decision 100 %, hidden 0 %.")


def test_other_projections_have_no_arrows():
    assert make_map("a model", subjects(), method="t-sne").arrows == ()
    assert make_map("a model", subjects(), method="t-sne").about_arrows == ""


def test_arrows_end_two_standard_deviations_from_the_middle(pca):
    tips = arrow_tips(pca.points, pca.arrows)
    away = (tips - pca.points.mean(0)) / pca.points.std(0)
    assert np.linalg.norm(away, axis=1) == pytest.approx([2, 2])


def test_names_on_one_side_are_kept_apart_about_their_mean():
    tips = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [1.0, 5.0]])
    assert apart(tips, np.zeros(2), gap=1) == pytest.approx([-0.3, 0.7, 0, 4.7])
    assert apart(np.empty((0, 2)), np.zeros(2), gap=1).shape == (0,)


def test_trust_is_that_of_the_projection_and_of_both_purities(pca):
    trust = pca.trust("label")
    features, kinds = pca.subjects.features, pca.subjects.columns["label"].values
    assert trust.faith == trustworthiness(features, pca.points)
    assert trust.in_features == neighbour_purity(features, kinds)
    assert trust.in_points == neighbour_purity(pca.points, kinds)
    assert "Neighbours of the same label" in trust.sentence
    told = trust.as_json()
    assert told["purity_points"] == trust.in_points.value
    assert told["purity_chance"] == trust.in_points.chance


def test_numbers_have_no_purity(pca):
    trust = pca.trust("EF")
    assert trust.in_features is None and trust.sentence == f"{trust.faith.sentence}."
    assert trust.as_json()["purity_points"] is None


def test_a_stranger_is_placed_and_it_is_said_how_far_out_it_lies(pca):
    features = pca.subjects.features
    near = pca.place(features.mean(0) + np.float32(0.1))
    assert near.is_own and near.row is None and near.farther_than < 60
    assert near.point == pytest.approx(pca.projection.place((features.mean(0) + 0.1)[None])[0])
    far = pca.place(features.mean(0) + np.array([500, 0, 0], np.float32))
    assert far.farther_than == 100
    assert far.nearest == pca.subjects.subjects[int(features[:, 0].argmax())]
    assert "far out" in far.sentence


def test_how_far_out_is_counted_by_hand(pca):
    features = pca.subjects.features.astype(float)
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    reach = np.sort(distance, axis=1)[:, 1:16].mean(1)
    place = pca.place(pca.subjects.features[7], row=7)
    assert place.farther_than == pytest.approx(100 * np.mean(reach < reach[7]), abs=2.6)
    assert place.point == pytest.approx(pca.points[7], abs=1e-4)
    assert place.nearest != "p7"


def test_on_a_tsne_a_stranger_stands_beside_its_nearest():
    tsne = make_map("a model", subjects(), method="t-sne")
    place = tsne.place(tsne.subjects.features[3])
    assert not place.is_own and place.nearest == "p3"
    assert place.point == pytest.approx(tsne.points[3])
    assert "t-SNE has no place for others" in place.sentence
    own = tsne.place(tsne.subjects.features[3], row=3)
    assert own.is_own and own.point == pytest.approx(tsne.points[3])


def test_a_study_is_known_by_its_file():
    found = subjects()
    assert found.row_of(Path("/c/p4.nii")) == 4
    assert found.row_of(Path("/c/other.nii")) is None and found.row_of(None) is None


def test_points_are_written_with_all_that_is_known(pca, tmp_path):
    write_points(tmp_path / "points.csv", pca)
    table = pd.read_csv(tmp_path / "points.csv")
    assert table.columns.tolist() == ["subject", "x", "y", "label", "EF"]
    assert table[["x", "y"]].to_numpy() == pytest.approx(pca.points, rel=1e-4, abs=1e-4)
    assert table["EF"].tolist() == list(range(COUNT))
