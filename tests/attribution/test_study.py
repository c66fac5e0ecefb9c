import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_cardioxai.attribution.cycles import sequence_on_scan
from napari_cardioxai.attribution.results import write_maps
from napari_cardioxai.attribution.shown import ShownMaps, layer_boxes
from napari_cardioxai.attribution.study import explain_study, subject_of, targets_of
from napari_cardioxai.attribution.summary_regions import structure_atlas
from napari_cardioxai.bundles.bundle import NETWORKS
from napari_cardioxai.cohorts.normalisation import NormalisationSpec, normalise_labels
from napari_cardioxai.errors import AttributionError, BundleError
from napari_cardioxai.progress import Cancelled
from tests.attribution.studies import Bright, a_scan, save_bright, save_heart
from tests.cohorts.cines import a_cine


@pytest.fixture
def bright(tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORKS["segmenter"], "bright", Bright)
    return save_bright(tmp_path / "bright")


@pytest.fixture
def heart(tmp_path):
    return save_heart(tmp_path / "heart")


def test_a_picture_of_the_scan_is_the_networks_input_and_its_map_comes_back_in_place(bright):
    scan = a_scan()
    subject = subject_of(bright, scan=scan, device="cpu")
    assert subject.places.slices == (1,), "where most of the structure is"
    assert subject.inputs.shape == (1, 1, 48, 48)
    back = subject.places.on_scan(subject.to_scan(subject.inputs[:, 0].numpy()))
    assert back.shape == scan.data.shape
    assert back[0, 1, 26, 28] == pytest.approx(float(subject.inputs.max()), abs=0.2)
    assert not back[1].any() and not back[0, [0, 2]].any()
    disc = scan.data[0, 1] > 500
    inside = subject.places.on_scan(subject.to_scan(subject.truth[None].astype(np.float32)))[0, 1]
    assert (inside[disc] > 0).mean() > 0.9


def test_frames_and_slices_are_examples_and_each_comes_back_where_it_was(bright):
    scan = a_scan()
    subject = subject_of(bright, scan=scan, frames="all", slices=(2, 0), device="cpu")
    assert len(subject.inputs) == 4
    marks = torch.arange(4.0)[:, None, None].expand(4, 48, 48).numpy()
    whole = subject.places.on_scan(subject.to_scan(marks))
    assert whole[0, 2].max() == 0 and whole[1, 2].max() == 1
    assert whole[0, 0].max() == 2 and whole[1, 0].max() == 3


def test_maps_scores_controls_and_regions_of_a_structures_volume(bright):
    result = explain_study(
        bright,
        ["gradient", "input-x-gradient", "guided-backprop", "lrp"],
        scan=a_scan(),
        depth="full",
        device="cpu",
    )
    assert set(result.maps) == {"gradient", "input-x-gradient", "guided-backprop"}
    assert "logit" in result.invalid["lrp"] or "linear" in result.invalid["lrp"]
    assert set(result.controls) == {"random", "centre", "edges"}
    shares = result.maps["input-x-gradient"]
    assert shares.scores["auprc"] > result.controls["random"]["auprc"]
    assert {"faithfulness", "infidelity", "sic", "max_sensitivity", "randomised"} <= set(
        shares.scores
    )
    assert shares.judgement is not None and shares.judgement.sentence
    assert shares.heat.shape == (1, 1, 56, 52)
    assert sum(result.summary.weights.values()) == pytest.approx(1)
    cavity = next(row for row in result.regions if row.name == "LV cavity")
    assert cavity.energy > 0.3
    json.dumps(result.as_json(), allow_nan=False)


def test_the_logit_of_a_structure_can_be_explained_by_relevance_too(bright):
    result = explain_study(
        bright, ["lrp"], scan=a_scan(), target="lv logit", depth="none", device="cpu"
    )
    assert result.maps["lrp"].scores.keys() == {"completeness_percent"}
    assert result.controls == {} and result.maps["lrp"].judgement is None


def test_what_a_latent_classifier_decides_is_explained_on_the_frames_of_the_scan(heart):
    labels = a_cine(frames=20)
    assert targets_of(heart) == ("diseased", "healthy", "large")
    result = explain_study(
        heart, ["input-x-gradient"], labels=labels, target="large", depth="none", device="cpu"
    )
    assert result.subject.target.text == "logit of large"
    assert not result.subject.has_detail, "memberships cannot be blurred"
    heat = result.maps["input-x-gradient"].heat
    assert heat.shape == (20, 3, 120, 110)
    assert np.abs(heat).max() > 0
    assert any(row.name == "mid inferior" for row in result.regions)


def test_the_other_class_is_the_same_number_with_the_other_sign(heart):
    labels = a_cine(frames=20)
    values = []
    for name in ("healthy", "diseased"):
        subject = subject_of(heart, labels=labels, target=name, device="cpu")
        with torch.no_grad():
            values.append(
                float(subject.target(subject.model(subject.inputs), torch.zeros(1, dtype=int)))
            )
    assert values[0] == pytest.approx(-values[1])
    decided = subject_of(heart, labels=labels, device="cpu").target.text
    assert decided == ("logit of diseased" if values[1] > 0 else "logit of healthy")


def test_a_latent_classifier_of_images_is_explained_on_the_intensities(tmp_path):
    labels = a_cine(frames=20)
    heart = save_heart(tmp_path / "images", reads="images")
    with pytest.raises(BundleError, match="give the scan beside its labels"):
        subject_of(heart, labels=labels, device="cpu")
    pictures = np.choose(labels.data, (100.0, 900.0, 300.0, 850.0))
    scan = replace(a_scan(), data=pictures, geometry=labels.geometry)
    result = explain_study(
        heart, ["input-x-gradient"], scan=scan, labels=labels, depth="none", device="cpu"
    )
    assert result.subject.inputs.shape == (1, 1, 25, 3, 80, 80) and result.subject.has_detail
    assert float(result.subject.inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert result.maps["input-x-gradient"].heat.shape == (20, 3, 120, 110)


def test_a_sequence_lies_on_the_scan_where_its_labels_do():
    labels = a_cine(frames=20)
    cine = normalise_labels(labels, NormalisationSpec())
    back = sequence_on_scan((cine.data == 1).astype(float), cine.transform)
    there = labels.data[:, list(cine.transform.slices)] == 1
    overlap = 2 * ((back > 0.5) & there).sum() / ((back > 0.5).sum() + there.sum())
    assert overlap > 0.95


def test_maps_are_written_on_the_scans_grid_with_the_tables(bright, tmp_path):
    scan = a_scan()
    result = explain_study(bright, ["gradient"], scan=scan, depth="none", device="cpu")
    files = write_maps(result, tmp_path / "out")
    assert [f.name for f in files] == [
        "attribution.json",
        "gradient.nii.gz",
        "regions.csv",
        "scores.csv",
        "summary.nii.gz",
    ]
    stored = nib.load(tmp_path / "out" / "gradient.nii.gz")
    assert stored.shape == (52, 56, 3, 2)
    np.testing.assert_allclose(stored.affine, scan.geometry.affine)
    np.testing.assert_allclose(
        stored.get_fdata()[..., 1, 0].T, result.maps["gradient"].heat[0, 0], rtol=1e-5
    )


def test_what_a_window_shows_is_cut_out_with_its_curves_and_peaks(heart):
    labels = a_cine(frames=20)
    made = explain_study(
        heart, ["input-x-gradient", "grad-cam"], labels=labels, depth="none", device="cpu"
    )
    shown = ShownMaps.of(made)
    assert set(shown.boxes) == {"input-x-gradient", "grad-cam", "summary"}
    box, heat = shown.boxes["input-x-gradient"], made.maps["input-x-gradient"].heat
    np.testing.assert_array_equal(box.data[0, 0].max(), heat[0, 0].max())
    assert box.sign == "signed" and shown.boxes["summary"].sign == "positive"
    for name, (t, z, y, x) in ((r.name, shown.peaks[r.region]) for r in made.regions if r.rank):
        found = made.atlas.names[made.atlas.data[t, z, y, x]]
        assert found == name
    curves = shown.curves["grad-cam"]
    assert sum(curve.sum() for curve in curves.percent.values()) == pytest.approx(100)
    other = shown.with_atlas(structure_atlas(labels))
    assert other.boxes is shown.boxes
    assert [row.name for row in other.result.regions][:2] == ["LV cavity", "Myocardium"]


def test_every_layer_of_a_segmenter_has_a_map_on_the_scan(bright):
    subject = subject_of(bright, scan=a_scan(), device="cpu")
    boxes = layer_boxes(subject)
    assert [name.split(".")[-1] for name in boxes] == ["smooth", "relu", "scores"]
    with torch.no_grad():
        seen = subject.model.network.smooth(subject.inputs).abs().mean(1)
    whole = subject.places.on_scan(subject.to_scan(seen.numpy()))
    box = boxes["network.smooth"]
    place = tuple(slice(s, s + n) for s, n in zip(box.start, box.data.shape, strict=True))
    np.testing.assert_allclose(box.data, whole[place], rtol=1e-5)


def test_a_cancel_leaves_nothing_behind(bright, tmp_path):
    result = explain_study(bright, ["gradient"], scan=a_scan(), depth="none", device="cpu")

    def stop(done, total, what):
        if "table" in what:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_maps(result, tmp_path / "out", on_progress=stop)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"target": "RV cavity"}, "no target 'RV cavity'; it has LV cavity"),
        ({"frames": (7,)}, "no frame 8: the scan has 2"),
        ({"slices": (5,)}, "no slice 6: the scan has 3"),
        ({"methods": ["gradcam"]}, "no method 'gradcam'; choose all"),
        ({"baseline": "grey"}, "no baseline 'grey'; choose zero"),
        ({"scan": None}, "on a scan"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(bright, how, sentence):
    given = {"methods": ["gradient"], "scan": a_scan(), "depth": "none", "device": "cpu", **how}
    with pytest.raises(AttributionError, match=sentence):
        explain_study(bright, **given)
