"""The command line end to end, in process, on the shipped sample and on files made here."""

import errno
import json
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch
from imageio.v3 import imread, imwrite

from napari_cardioxai.bundles.bundle import save_bundle
from napari_cardioxai.cli.segmenter import segmenter_recipe
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.segmentation import SEGMENTERS
from napari_cardioxai.scans.samples import sample_path
from napari_cardioxai.training.segmenters.training import recipe_for
from tests.bundles.test_bundle import a_card
from tests.scans.dicom_factory import write_cine


@pytest.fixture
def bright_model(tmp_path):
    """A bundle that calls bright pixels LV cavity: quick, and its answer is known."""
    card = a_card(network_params={"classes": 2, "channels": [2, 2], "residual_units": 0})
    network = SEGMENTERS["unet"](**card.network_params)
    weights = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    folder = tmp_path / "models" / "small"
    save_bundle(folder, card, weights)
    return folder


def a_label_file(path, value=1):
    """Two frames of a box: 4 x 10 x 10 voxels, then half of it, at 8 x 1.5 x 1.5 mm."""
    data = np.zeros((40, 40, 6, 2), np.uint8)
    data[10:20, 10:20, 1:5, 0] = value
    data[10:20, 10:20, 2:4, 1] = value
    image = nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1]))
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 400
    nib.save(image, path)
    return path


def test_info_describes_the_sample_as_one_short_axis_cine(cardioxai):
    code, out, _ = cardioxai("info", sample_path(), "--json")
    assert code == 0
    found = json.loads(out)
    entry = found["series"][found["default"]]
    assert entry["kind"] == "short-axis cine"
    assert entry["shape"][:2] == [20, 12]
    assert entry["spacing_mm"] == pytest.approx([10.0, 1.367, 1.367], abs=2e-3)
    assert entry["order_rule"] and len(entry["frame_times_ms"]) == 20


def test_measure_prints_hand_computed_volumes(cardioxai, tmp_path):
    code, out, _ = cardioxai("measure", a_label_file(tmp_path / "l.nii.gz"), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["edv_ml"] == pytest.approx(400 * 18e-3)
    assert found["esv_ml"] == pytest.approx(200 * 18e-3)
    assert found["ef_percent"] == pytest.approx(50)
    assert (found["ed_frame"], found["es_frame"]) == (0, 1)
    assert found["heart_rate_bpm"] == pytest.approx(75)


def test_segment_writes_labels_on_the_grid_of_a_nifti_scan(cardioxai, tmp_path, bright_model):
    affine = np.array([[0, 0, -9.0, 5], [-1.4, 0, 0, 7], [0, 1.4, 0, -3], [0, 0, 0, 1.0]])
    data = np.random.default_rng(0).integers(0, 500, (48, 40, 5, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "scan.nii.gz")
    code, _, _ = cardioxai(
        "segment",
        tmp_path / "scan.nii.gz",
        "-o",
        tmp_path / "labels.nii.gz",
        "--model",
        bright_model,
    )
    assert code == 0
    labels = nib.load(tmp_path / "labels.nii.gz")
    assert labels.shape == data.shape
    np.testing.assert_allclose(labels.affine, affine, atol=1e-5)


def test_segment_of_a_picture_folder_gives_one_png_each(cardioxai, tmp_path, bright_model):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        imwrite(
            tmp_path / "in" / name, np.random.default_rng(1).integers(0, 255, (50, 60), np.uint8)
        )
    code, _, _ = cardioxai(
        "segment", tmp_path / "in", "-o", tmp_path / "out", "--model", bright_model
    )
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    label = imread(tmp_path / "out" / "a.png")
    assert label.shape == (50, 60) and set(np.unique(label)) <= {0, 1, 2, 3}


def test_an_interrupt_while_python_still_imports_is_told_in_one_sentence(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n", "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "napari_cardioxai", "--version"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 130
    assert ended.stderr == "Interrupted; nothing was written.\n"


def test_an_interrupt_leaves_no_file_and_ends_with_130(
    cardioxai, tmp_path, bright_model, monkeypatch
):
    from napari_cardioxai.bundles.segmenter import Segmenter

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "_probabilities", interrupted)
    code, _, err = cardioxai(
        "segment", sample_path(), "-o", tmp_path / "out" / "l.nii.gz", "--model", bright_model
    )
    assert code == 130 and "nothing was written" in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_analyze_leaves_labels_numbers_and_a_report(cardioxai, tmp_path):
    code, out, _ = cardioxai("analyze", sample_path(), "-o", tmp_path / "out")
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "labels.nii.gz",
        "measurements.csv",
        "measurements.json",
        "report.html",
    ]
    measured = json.loads((tmp_path / "out" / "measurements.json").read_text())
    assert "ejection fraction" in out
    code, out, _ = cardioxai(
        "measure", tmp_path / "out" / "labels.nii.gz", "--scan", sample_path(), "--json"
    )
    assert json.loads(out)["edv_ml"] == pytest.approx(measured["edv_ml"])
    assert json.loads(out)["ef_percent"] == pytest.approx(measured["ef_percent"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "/nowhere/at/all"),
        ("info", "{empty}"),
        ("info", "{text}"),
        ("segment", "{text}", "-o", "{empty}/l.nii.gz"),
        ("segment", "{sample}", "-o", "{empty}/labels.png"),
        ("segment", "{sample}", "-o", "{empty}/l.nii.gz", "--model", "no-such-model"),
        ("segment", "{sample}", "-o", "{empty}/l.nii.gz", "--device", "tpu"),
        ("segment", "{sample}", "-o", "{empty}/l.nii.gz", "--series", "7"),
        ("measure", "{text}"),
        ("measure", "{empty}/missing.nii.gz"),
        ("analyze", "{empty}", "-o", "{empty}/out"),
        ("bench", "nonsense"),
        ("info",),
        ("paint",),
    ],
)
def test_what_cannot_be_taken_ends_with_2_and_one_sentence(cardioxai, tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    places = {
        "empty": tmp_path / "empty",
        "text": tmp_path / "notes.txt",
        "sample": sample_path(),
    }
    code, out, err = cardioxai(*(a.format(**places) for a in arguments))
    assert code == 2
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in err
    assert lines[0].endswith(".")
    assert not list((tmp_path / "empty").iterdir()), "nothing is left behind"


def test_a_scan_is_never_written_over_by_its_labels(cardioxai, tmp_path, bright_model):
    scan, pictures = tmp_path / "scan.nii.gz", tmp_path / "in"
    nib.save(nib.Nifti1Image(np.ones((20, 20, 3), np.int16), np.eye(4)), scan)
    pictures.mkdir()
    imwrite(pictures / "a.png", np.full((20, 20), 7, np.uint8))
    before = [scan.read_bytes(), (pictures / "a.png").read_bytes()]
    for there in (scan, pictures):
        code, _, err = cardioxai("segment", there, "-o", there, "--model", bright_model)
        assert code == 2 and len(err.strip().splitlines()) == 1
    assert [scan.read_bytes(), (pictures / "a.png").read_bytes()] == before


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (("segment", "{sample}", "-o", "{folder}"), "is a folder"),
        (("segment", "{sample}", "-o", "{file}/l.nii.gz"), "cannot be written to"),
        (("analyze", "{sample}", "-o", "{file}"), "cannot be written to"),
        (("phantom", "mixed", "-o", "{file}"), "cannot be written to"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    cardioxai, tmp_path, monkeypatch, arguments, reason
):
    def too_late(*args, **kwargs):
        raise AssertionError("the work began")

    monkeypatch.setattr("napari_cardioxai.studies.segment", too_late)
    monkeypatch.setattr("napari_cardioxai.phantom.cohort.draw_subject", too_late)
    places = {
        "sample": sample_path(),
        "folder": tmp_path / "l.nii.gz",
        "file": tmp_path / "file",
    }
    places["folder"].mkdir()
    places["file"].write_text("in the way")
    code, _, err = cardioxai(*(a.format(**places) for a in arguments))
    assert code == 2 and reason in err and len(err.strip().splitlines()) == 1
    assert places["file"].read_text() == "in the way"


def test_a_scan_without_a_heart_is_one_sentence_and_leaves_no_folder(
    cardioxai, tmp_path, bright_model
):
    nib.save(nib.Nifti1Image(np.zeros((40, 40, 4), np.int16), np.eye(4)), tmp_path / "dark.nii.gz")
    code, out, err = cardioxai(
        "analyze", tmp_path / "dark.nii.gz", "-o", tmp_path / "out", "--model", bright_model
    )
    assert (code, out) == (2, "") and "found no left ventricle in dark" in err
    assert not (tmp_path / "out").exists()


def test_labels_in_another_axis_order_are_compared_at_their_place(cardioxai, tmp_path):
    """The same box, its slices stored in reverse in one of the files."""
    truth = nib.load(a_label_file(tmp_path / "truth.nii.gz"))
    data, affine = np.asarray(truth.dataobj).copy(), truth.affine.copy()
    data[12:18, 12:18, 5] = 1  # one more slice at one end, so that a flip shows
    nib.save(nib.Nifti1Image(data, affine, truth.header), tmp_path / "truth.nii.gz")
    affine[:, 3] += affine[:, 2] * 5
    affine[:, 2] *= -1
    nib.save(nib.Nifti1Image(data[:, :, ::-1], affine, truth.header), tmp_path / "flipped.nii.gz")
    code, out, _ = cardioxai(
        "evaluate", "labels", tmp_path / "flipped.nii.gz", tmp_path / "truth.nii.gz", "--json"
    )
    assert code == 0 and json.loads(out)["LV cavity"]["dice"] == 1.0


@pytest.mark.parametrize("arguments", [(), ("evaluate",), ("train",), ("--help",)])
def test_a_command_group_alone_is_answered_with_its_help(cardioxai, arguments):
    code, out, err = cardioxai(*arguments)
    assert code == 0 and "Commands:" in out and err == ""


def test_what_is_lost_is_told_beside_the_json_and_not_in_it(cardioxai, tmp_path):
    write_cine(tmp_path, frames=4, slices=3)
    cut = tmp_path / "00000"
    cut.write_bytes(cut.read_bytes()[:300])
    code, out, err = cardioxai("info", tmp_path, "--json")
    assert code == 0 and set(json.loads(out)) == {"series", "default"}
    assert "00000 is cut short" in err


def test_a_full_disk_behind_standard_output_is_one_sentence(cardioxai, tmp_path, monkeypatch):
    def full(value):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("napari_cardioxai.cli.study.print_json", full)
    code, _, err = cardioxai("measure", a_label_file(tmp_path / "l.nii.gz"), "--json")
    assert code == 2 and len(err.strip().splitlines()) == 1 and "No space left" in err


def test_any_field_of_a_segmenter_recipe_can_be_set():
    recipe = segmenter_recipe("lv-unet", ["seed=3", "augmentation=0.5"], epochs=2, decay_rate=None)
    assert recipe == recipe_for("lv-unet", seed=3, augmentation=0.5, epochs=2)
    with pytest.raises(BundleError, match="'pace=1' is no setting"):
        segmenter_recipe("lv-unet", ["pace=1"])
