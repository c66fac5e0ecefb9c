import json

import numpy as np
import pytest
import torch
from PIL import Image

from napari_cardioxai.attribution.known_places import Boxes
from napari_cardioxai.attribution.located import (
    SUMMARY,
    LocatedCase,
    locate,
    summary_of_cases,
    table_of_cases,
    unseen_cases,
)
from napari_cardioxai.bundles.image_classifier import save_image_classifier
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.networks.classifiers import classifier
from tests.attribution.brains import block_brains

ABOUT = {"title": "", "data": "none", "licence": "CC0 1.0", "split": "none"}


def save(folder, *, dims, size):
    params = {"spatial_dims": dims, "in_channels": 1, "classes": 2, "channels": [8]}
    torch.manual_seed(0)
    save_image_classifier(
        folder,
        classifier("brain3d", **params),
        architecture="brain3d",
        network_params=params,
        spec=InputSpec(size),
        classes=("normal", "severe"),
        split_column="split",
        **ABOUT,
    )
    return folder


def test_maps_are_measured_on_unseen_cases_and_kept(tmp_path):
    brains = block_brains(tmp_path)
    model = save(tmp_path / "model", dims=3, size=(10, 12, 14))
    subjects = unseen_cases(brains, "split", 5, negative="normal")
    assert subjects == ["a", "d"]
    out = tmp_path / "out"
    cases = locate(model, brains, subjects, out, methods=["gradient", "ig"], device="cpu")
    assert [case.subject for case in cases] == ["a", "d"]
    assert cases[0].true_regions == ("left hippocampus",)
    assert cases[0].top_region is not None
    for method in ("gradient", "ig", SUMMARY):
        scores = cases[0].scores[method]
        assert 0 <= scores["energy"] <= 1 and scores["pointing"] in (0, 1)
    stored = json.loads((out / "a.json").read_text("utf-8"))
    (out / "a.json").write_text(json.dumps({**stored, "decision": "kept"}), "utf-8")
    again = locate(model, brains, subjects, out, methods=["gradient"], device="cpu")
    assert again[0].decision == "kept", "what is finished is not made again"


def test_maps_are_held_against_what_a_reader_drew(tmp_path):
    (tmp_path / "severe").mkdir()
    rng = np.random.default_rng(0)
    for name in ("1", "2"):
        picture = Image.fromarray(rng.integers(0, 255, (20, 40), dtype=np.uint8))
        picture.save(tmp_path / "severe" / f"{name}.png")
    (tmp_path / "boxes.csv").write_text(
        "image,x_centre,y_centre,width,height\nsevere/1.png,0.5,0.25,0.2,0.5\n"
    )
    (tmp_path / "m.csv").write_text(
        "subject,scan,class,split\n1,severe/1.png,severe,test\n2,severe/2.png,severe,test\n"
    )
    manifest, boxes = read_manifest(tmp_path / "m.csv"), Boxes.read(tmp_path / "boxes.csv")
    subjects = unseen_cases(manifest, "split", 5, drawn=boxes)
    assert subjects == ["1"], "nothing is drawn into the other"
    model = save(tmp_path / "model", dims=2, size=(20, 40))
    (case,) = locate(
        model,
        manifest,
        subjects,
        tmp_path / "out",
        methods=["gradient"],
        drawn=boxes,
        depth="none",
        device="cpu",
    )
    assert case.top_region is None and case.is_top_true is None
    assert set(case.scores[SUMMARY]) == {"pointing", "energy", "iou", "auprc"}
    with pytest.raises(AttributionError, match="nothing is drawn into what 'split' holds out"):
        unseen_cases(manifest, "split", 5, drawn=Boxes({}))


def test_cases_are_summed_up_with_intervals():
    def case(energy, top):
        return LocatedCase(
            "x", "severe", "severe", {"gradient": {"energy": energy}}, top, ("left hippocampus",)
        )

    cases = [case(0.2, "left hippocampus"), case(0.4, "left amygdala")]
    found = summary_of_cases(cases)
    energy = found["methods"]["gradient"]["energy"]
    assert energy["mean"] == pytest.approx(0.3)
    assert (energy["low"], energy["high"]) == (0.2, 0.4)  # all that two cases can be drawn to
    assert found["top_region"] == {"hits": 1, "cases": 2, "percent": 50.0}
    said = table_of_cases(found)
    assert "| gradient |  | 0.30 (0.20 to 0.40) |" in said and "1 of 2 cases (50 %)" in said


def test_what_cannot_be_located_is_refused(tmp_path):
    brains = block_brains(tmp_path)
    with pytest.raises(AttributionError, match="no column 'site'"):
        unseen_cases(brains, "site", 3)
