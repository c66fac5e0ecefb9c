"""Image classifiers are explained like every other kind of model."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_cardioxai.attribution.results import write_maps
from napari_cardioxai.attribution.study import explain_study, subject_of, targets_of
from napari_cardioxai.attribution.summary_regions import Atlas
from napari_cardioxai.errors import AttributionError, CohortError
from napari_cardioxai.networks import classifiers
from tests.attribution.pictures import (
    CLASSES,
    LESION,
    a_picture,
    bright_spot,
    lesion_mask,
    save_bright_spot,
)

VOLUME = (48, 44, 56)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(classifiers, "_own", {"bright-spot": bright_spot})


@pytest.fixture
def flat(tmp_path):
    return save_bright_spot(tmp_path / "flat", (28, 32))


@pytest.fixture
def solid(tmp_path):
    return save_bright_spot(tmp_path / "solid", (40, 36, 44))


def test_the_map_of_a_picture_lies_on_its_own_grid_over_the_reason(flat):
    scan = a_picture()
    assert targets_of(flat) == CLASSES
    result = explain_study(
        flat,
        ["input-x-gradient", "ig"],
        scan=scan,
        truth=lesion_mask((56, 64))[None, None],
        device="cpu",
    )
    assert result.subject.target.text == "logit of lesion", "what the model decides for"
    one = result.maps["ig"]
    assert one.heat.shape == (1, 1, 56, 64)
    peak = np.unravel_index(one.heat[0, 0].argmax(), (56, 64))
    assert lesion_mask((56, 64))[peak]
    assert one.scores["auprc"] > 0.8 > result.controls["random"]["auprc"]
    assert {"sic", "aic"} <= one.scores.keys()
    assert result.regions == () and result.as_json()["regions"] == []
    json.dumps(result.as_json(), allow_nan=False)
    assert any("with 9" in note or "with 100" in note for note in result.notes)
    assert any("pixel size is unknown" in note for note in result.notes)


def test_a_class_that_was_not_decided_for_can_be_explained_too(flat):
    subject = subject_of(flat, scan=a_picture(), target="Empty", device="cpu")
    assert subject.target.text == "logit of empty" and subject.probability is None


def test_a_volume_has_a_map_in_every_slice_and_a_table_over_an_atlas(solid):
    scan = a_picture(VOLUME, spacing_mm=(3.0, 2.0, 2.0))
    halves = np.ones((1, *VOLUME), np.uint8)
    halves[:, LESION[0] - 8 :] = 2
    result = explain_study(
        solid,
        ["gradient", "grad-cam"],
        scan=scan,
        depth="none",
        regions=Atlas(halves, {1: "feet", 2: "head"}),
        device="cpu",
    )
    subject = result.subject
    assert subject.places.slices == tuple(range(VOLUME[0]))
    # The largest side in mm, 48 slices of 3, is brought to 40 voxels.
    assert subject.spacing_mm == pytest.approx((3.6, 3.6, 3.6))
    heat = result.maps["grad-cam"].heat
    assert heat.shape == (1, *VOLUME)
    place = np.unravel_index(heat[0].argmax(), VOLUME)
    assert np.abs((np.array(place) - LESION) * (3, 2, 2)).max() <= 15, "within the ball"
    assert max(result.regions, key=lambda row: row.energy).name == "head"


def test_pictures_leave_overlays_beside_the_maps(flat, tmp_path):
    scan = a_picture()
    result = explain_study(flat, ["grad-cam"], scan=scan, depth="none", device="cpu")
    write_maps(result, tmp_path / "out", picture=scan.data[0, 0])
    drawn = np.asarray(Image.open(tmp_path / "out" / "grad-cam.png")).astype(int)
    assert drawn.shape == (56, 64, 3)
    colour = np.ptp(drawn, axis=2)
    inside = lesion_mask((56, 64))
    assert colour[inside].mean() > 60 and colour[~inside].mean() < 20
    assert (tmp_path / "out" / "summary.png").exists()


def test_what_does_not_go_together_is_refused(flat, solid):
    with pytest.raises(CohortError, match="is a volume"):
        subject_of(flat, scan=a_picture(VOLUME), device="cpu")
    with pytest.raises(CohortError, match="is a single picture"):
        subject_of(solid, scan=a_picture(), device="cpu")
    with pytest.raises(AttributionError, match="no target 'tumour'; it has empty, lesion"):
        subject_of(flat, scan=a_picture(), target="tumour", device="cpu")
    with pytest.raises(AttributionError, match="on a scan"):
        subject_of(flat, device="cpu")
    with pytest.raises(AttributionError, match="come from labels"):
        explain_study(
            flat, ["gradient"], scan=a_picture(), depth="none", regions="aha", device="cpu"
        )
