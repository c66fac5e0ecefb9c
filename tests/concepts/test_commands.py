"""`cardioxai concepts` and `cardioxai traverse` on a small cohort of phantom curves."""

import json

import numpy as np
import pytest
import torch

from napari_cardioxai.anatomy.label_files import read_labels, write_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.concepts.traverse import alphas_from, label_names
from napari_cardioxai.errors import CohortError
from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.scans.geometry import Geometry
from tests.concepts import hearts

SUBJECTS = 26
NETWORK = {"latent": 4, "channels": [4, 4], "frame_units": 2, "hidden": [8]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, and a cohort whose EF and filling are known, with a column that says so."""
    folder = tmp_path_factory.mktemp("concepts")
    rng = np.random.default_rng(0)
    spacing = (hearts.SLICE_MM, hearts.PIXEL_MM, hearts.PIXEL_MM)
    geometry = Geometry(spacing, np.diag([*spacing[::-1], 1.0]))
    lines = ["subject,labels,split,fast"]
    for k in range(SUBJECTS + 3):
        ef, pfr = np.clip(rng.normal(size=2), -1.5, 1.5).round(2)
        cycle = hearts.known_cycle(ef, pfr).copy()
        cycle[:, :, 34:46, 73:79] = 3  # a right ventricle, which the decoded hearts do without
        labels = Labels(cycle, geometry, hearts.RULER.frame_times_ms, hearts.CYCLE_MS)
        write_labels(folder / f"s{k}.nii.gz", labels)
        lines.append(f"s{k},s{k}.nii.gz,{'concept' if k < SUBJECTS else 'test'},{int(pfr > 0)}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    network = LatentHeart(**NETWORK)
    card = hearts.known_card(network_params=NETWORK)
    save_bundle(folder / "model", card, network.state_dict())
    return folder


def test_concepts_are_found_tested_walked_and_kept_and_then_a_heart_is_walked(cardioxai, place):
    asked = [
        *("--cohort", place / "manifest.csv", "--concept", "low EF", "--concept", "low PFR"),
        *("--per-side", 10, "--permutations", 19, "--cache", place / "cache", "--json"),
    ]
    code, out, err = cardioxai("concepts", place / "model", *asked, "--hearts", 1, "--save")
    assert code == 0, err
    found = json.loads(out)
    assert [row["concept"] for row in found["rows"]] == ["low EF", "low PFR"]
    for row in found["rows"]:
        assert row["kind"] == "linear"
        assert row["tcav_low"] <= row["tcav"] <= row["tcav_high"]
        assert 1 / 20 <= row["p_permutation"] <= row["p_holm"] <= 1
        assert {"mean_sensitivity", "holdout_score"} <= row.keys()
        assert {"spearman", "slope", "specificity"} <= row["fidelity"].keys()
    again = json.loads(cardioxai("concepts", place / "model", *asked, "--hearts", 0)[1])
    for row, same in zip(found["rows"], again["rows"], strict=True):  # from the cache
        assert same == row | {"fidelity": None}

    code, out, err = cardioxai(
        *("traverse", place / "s0.nii.gz", "--model", place / "model", "--concept", "low EF"),
        *("--alphas=-1:1:3", "-o", place / "out", "--json"),
    )
    assert code == 0, err
    steps = json.loads(out)["steps"]
    assert [step["alpha"] for step in steps] == [-1, 0, 1]
    scan = read_labels(place / "s0.nii.gz")
    for step in steps:
        decoded = read_labels(step["labels"])
        assert decoded.data.shape == scan.data.shape
        assert np.allclose(decoded.geometry.affine, scan.geometry.affine)
        assert np.isfinite(step["logit"])
        assert "ef_percent" in step["biomarkers"]

    # A figure that cannot be written leaves no labels behind either.
    code, out, err = cardioxai(
        *("traverse", place / "s0.nii.gz", "--model", place / "model", "--concept", "low EF"),
        *("--alphas=0,1", "-o", place / "nowhere", "--figure", place / "s0.nii.gz" / "walk.png"),
    )
    assert (code, out) == (2, "")
    assert "cannot be written to" in err and not (place / "nowhere").exists()


def test_a_column_of_the_manifest_is_a_concept_without_fidelity(cardioxai, place):
    code, out, err = cardioxai(
        *("concepts", place / "model", "--cohort", place / "manifest.csv", "--concept", "fast"),
        *("--hearts", 0, "--permutations", 19, "--cache", place / "cache", "--json"),
    )
    assert code == 0, err
    assert json.loads(out)["rows"][0]["fidelity"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--concept", "low courage"], "there is no concept 'low courage'"),
        (["--layer", "attic"], "has no layer 'attic'"),
        (["--kind", "magic"], "no directions of the kind 'magic'"),
        (["--way", "gradient"], "cannot be walked by 'gradient'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(cardioxai, place, arguments, sentence):
    code, out, err = cardioxai(
        *("concepts", place / "model", "--cohort", place / "manifest.csv"),
        *("--cache", place / "cache", *arguments),
    )
    assert (code, out) == (2, "")
    assert sentence in err and "Traceback" not in err


def test_alphas_are_a_range_or_a_list():
    assert alphas_from("-3:3:7") == (-3, -2, -1, 0, 1, 2, 3)
    assert alphas_from("-2,0,0.5") == (-2, 0, 0.5)
    for text in ("a", "1:2", "0:1:0", "nan", "0:1:100000", "0,0", "1:1:3"):
        with pytest.raises(CohortError, match="are no alphas"):
            alphas_from(text)


def test_labels_of_near_alphas_have_names_of_their_own():
    assert label_names("low EF", [-1, 0.5]) == ["low-EF_-1.00.nii.gz", "low-EF_+0.50.nii.gz"]
    assert label_names("low EF", [0.101, 0.102]) == [
        "low-EF_+0.101.nii.gz",
        "low-EF_+0.102.nii.gz",
    ]
