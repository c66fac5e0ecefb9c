"""What models make of subjects, and `cardioxai cohort map`, on beating rings and on small pictures."""

import json

import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.normalisation import normalise_labels
from napari_cardioxai.cohorts.pictures import find_pictures
from napari_cardioxai.concepts.layers import LATENT, read_layer
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.maps.subjects import parts_of, reader_for, subjects_of
from napari_cardioxai.networks.classifiers import last_linear
from napari_cardioxai.scans.catalogue import load_scan
from tests.maps import levels, rings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    rings.write_cohort(folder)
    rings.save_model(folder / "rings-model")
    return folder


@pytest.fixture(scope="module")
def read(place):
    """The reader of the model, and the test subjects as it reads them."""
    reader = reader_for(place / "rings-model", device="cpu")
    manifest = read_manifest(place / "rings.csv")
    return reader, reader.read(manifest, subjects_of(manifest, "test"), cache=place / "cache")


def test_hearts_are_the_latents_of_the_whole_cycle(read, place):
    reader, found = read
    assert found.features.shape == (rings.TEST, 25 * 8) and found.left_out == {}
    labels = read_labels(place / "p3.nii.gz")
    cine = normalise_labels(labels, reader.classifier.spec)
    latent = reader.classifier.encode(cine.data[None]).reshape(-1)
    np.testing.assert_allclose(found.features[3], latent, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reader.features_of(labels, None), latent, rtol=1e-5)


def test_hearts_know_label_prediction_biomarkers_and_what_the_manifest_says(read):
    reader, found = read
    assert list(found.columns)[:3] == ["label", "prediction", "probability"]
    said = reader.classifier.decide(found.hearts.latent)
    assert found.columns["probability"].values.tolist() == said.probability.tolist()
    names = [rings.CLASSES[int(yes)] for yes in said.decision]
    assert found.columns["prediction"].values.tolist() == names
    ef = found.columns["EF"]
    assert (ef.unit, ef.origin) == ("%", "measured") and np.isfinite(ef.values).all()
    assert found.columns["large"].classes == ("no", "yes")
    assert found.columns["site"].classes == ("A", "B")
    assert not found.columns["age"].is_class


def test_the_gradient_is_that_of_the_logit_and_the_pattern_its_covariance(read):
    reader, found = read
    gradient, pattern = found.directions
    reading = read_layer(reader.classifier, found.hearts.latent, LATENT)
    np.testing.assert_allclose(gradient.vector, reading.gradients.mean(0), rtol=1e-5)
    by_hand = [np.cov(reading.logit, column)[0, 1] for column in found.features.T.astype(float)]
    np.testing.assert_allclose(pattern.vector / (rings.TEST - 1), by_hand, rtol=1e-3, atol=1e-7)


def test_a_study_without_labels_has_no_place(read):
    with pytest.raises(CohortError, match="needs labels"):
        read[0].features_of(None, None)


def test_parts_are_counted_and_an_empty_one_is_refused(place):
    manifest = read_manifest(place / "rings.csv")
    assert parts_of(manifest) == {"test": 20, "train": 2, "all": 22}
    assert len(subjects_of(manifest, "all")) == 22
    with pytest.raises(CohortError, match="nobody in val; choose from test, train, all"):
        subjects_of(manifest, "val")


def test_a_segmenter_has_no_map():
    with pytest.raises(BundleError, match="a cohort map needs a classifier"):
        reader_for("lv-fcn")


# The command --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pca", "t-sne"])
def test_a_map_is_drawn_written_and_told(cardioxai, place, tmp_path, method):
    code, out, err = cardioxai(
        *("cohort", "map", place / "rings.csv", "--model", place / "rings-model"),
        *("--method", method, "-o", tmp_path / "map", "--cache", place / "cache", "--json"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert (told["method"], told["subjects"], told["left_out"]) == (method, 20, {})
    assert [arrow["name"] for arrow in told["arrows"]] == (
        ["gradient", "pattern"] if method == "pca" else []
    )
    assert [one["column"] for one in told["columns"]] == ["label", "prediction"]
    for one in told["columns"]:
        assert 0 <= one["trustworthiness"] <= 1 and one["neighbours"] == 9
    table = pd.read_csv(tmp_path / "map" / "points.csv")
    assert table["subject"].tolist() == [f"p{k}" for k in range(20)]
    for name in told["files"]:
        assert (tmp_path / "map" / name.rsplit("/", 1)[1]).is_file()
    assert (tmp_path / "map" / "map_label.png").is_file()


def test_an_unknown_column_or_method_is_a_sentence(cardioxai, place, tmp_path):
    asked = (place / "rings.csv", "--model", place / "rings-model", "-o", tmp_path / "map")
    cache = ("--cache", place / "cache")
    code, _, err = cardioxai("cohort", "map", *asked, *cache, "--colour", "mood")
    assert code == 2 and "no column 'mood'" in err and "prediction" in err
    code, _, err = cardioxai("cohort", "map", *asked, *cache, "--method", "mds")
    assert code == 2 and "'mds' is no projection" in err
    assert not (tmp_path / "map").exists()


# Pictures -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    levels.save_model(folder / "model")
    return levels.write_pictures(folder / "pictures")


def test_pictures_are_their_embeddings_with_class_and_prediction(pictures, tmp_path):
    reader = reader_for(pictures.parent / "model", device="cpu")
    manifest = find_pictures(pictures)
    found = reader.read(manifest, manifest.subjects, cache=tmp_path)
    assert list(found.left_out) == ["dark/0"] and len(found) == 11 and found.hearts is None
    scan = load_scan(manifest.scan_path("bright/2"))
    said = reader.classifier.classify(scan)
    row = found.subjects.index("bright/2")
    np.testing.assert_allclose(found.features[row], said.embedding[0], rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(reader.features_of(None, scan), said.embedding[0])
    assert found.columns["prediction"].values[row] == said.names[0]
    assert list(found.columns)[:2] == ["class", "prediction"]
    assert found.row_of(manifest.scan_path("bright/2")) == row
    (towards,) = found.directions
    weight = last_linear(reader.classifier.network).weight.detach().numpy()
    assert towards.name == "bright"
    np.testing.assert_allclose(towards.vector, (weight[1] - weight[0]) / 2, rtol=1e-5, atol=1e-7)


def test_embeddings_are_kept_until_a_file_changes(pictures, tmp_path, monkeypatch):
    from napari_cardioxai.maps import images

    reader = reader_for(pictures.parent / "model", device="cpu")
    manifest = find_pictures(pictures)
    first = reader.read(manifest, manifest.subjects, cache=tmp_path)
    monkeypatch.setattr(images, "load_images", None)  # whatever is read anew fails
    again = reader.read(manifest, manifest.subjects, cache=tmp_path)
    np.testing.assert_array_equal(again.features, first.features)
    assert again.left_out == first.left_out
    (pictures / "bright" / "5.png").touch()
    with pytest.raises(TypeError):
        reader.read(manifest, manifest.subjects, cache=tmp_path)
