import json

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_cardioxai.cli import app
from napari_cardioxai.errors import CohortError
from napari_cardioxai.image_decisions import many_images
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti
from tests.cohorts.radiographs import draw_chest, write_radiograph


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def xrays(tmp_path_factory):
    """Made-up chests in class folders, as CR and DX files, some stored inverted."""
    folder = tmp_path_factory.mktemp("xrays")
    rng = np.random.default_rng(0)
    for name, is_opaque in (("clear", False), ("effusion", True)):
        (folder / name).mkdir()
        for k in range(60):
            write_radiograph(
                folder / name / f"{k}.dcm",
                draw_chest(rng, is_opaque=is_opaque),
                modality=("CR", "DX")[k % 2],
                inverted=k % 3 == 0,
            )
    return folder


@pytest.fixture(scope="module")
def model(xrays, tmp_path_factory):
    """Trained by the commands that a user would type."""
    place = tmp_path_factory.mktemp("models")
    manifest = place / "xrays.csv"
    run("cohort", "pictures", xrays, "-o", manifest, "--val", 0.25, "--threshold", 0.999, "--json")
    result = CliRunner().invoke(
        app,
        [
            *(
                "train",
                "image",
                "tumour-tuned",
                "--data",
                str(manifest),
                "-o",
                str(place / "chest"),
            ),
            *("--network", "brain3d", "--epochs", "12", "--run-dir", str(place / "run")),
            *("--set", "size=32,32", "--set", "batch_size=8", "--set", "learning_rate=0.01"),
            *("--set", 'network_params={"channels": [8, 16, 16], "dropout": 0.0}'),
            *("--set", "label_smoothing=0", "--device", "cpu"),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["test"]["accuracy"]["value"] >= 0.9
    return place / "chest"


def test_a_radiograph_is_decided_with_its_doubts(model, xrays):
    said = run("classify", xrays / "effusion" / "3.dcm", "--model", model, "--json")
    assert said["decision"] == "effusion"
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert said["probability"] == max(said["probabilities"].values())
    assert said["calibration"]["temperature"] > 0
    assert 0 <= said["calibration"]["expected_calibration_error"] <= 1
    assert not said["out_of_distribution"]["is_strange"] and not said["warnings"]


def test_a_folder_and_a_manifest_say_the_same_of_every_image(model, xrays, tmp_path):
    by_folder = run("classify", xrays, "--model", model, "--json")
    assert len(by_folder) == 120 and by_folder[0]["class"] is None
    by_table = run("classify", model.parent / "xrays.csv", "--model", model, "--json")
    right = [one["decision"] == one["class"] for one in by_table]
    assert np.mean(right) >= 0.9
    first = {one["subject"].removesuffix(".dcm"): one["probability"] for one in by_folder}
    for one in by_table:
        assert first[one["subject"]] == pytest.approx(one["probability"])


def test_a_picture_of_something_else_is_noticed(model, tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "noise.npy", rng.random((60, 50)).astype("f4"))
    said = run("classify", tmp_path / "noise.npy", "--model", model, "--json")
    assert said["out_of_distribution"]["is_strange"]
    assert "not to be trusted" in said["warnings"][0]


def test_a_volume_is_refused_by_a_model_of_pictures(model, tmp_path):
    file = tmp_path / "volume.nii.gz"
    write_nifti(file, np.zeros((1, 5, 6, 7), np.int16), Geometry((2.0, 2.0, 2.0)))
    with pytest.raises(CohortError, match="a volume of 5 slices; the model reads single pictures"):
        run("classify", file, "--model", model)
    (refused,) = run("classify", tmp_path, "--model", model, "--json")
    assert "single pictures" in refused["refused"]


def test_a_folder_stands_for_its_files_or_for_one_series(xrays, tmp_path):
    assert len(many_images(xrays, volumes=False).subjects) == 120
    assert many_images(xrays, volumes=True) is None  # DICOM alone is one series
    assert many_images(xrays / "clear" / "0.dcm", volumes=False) is None
    with pytest.raises(CohortError, match="holds no picture"):
        many_images(tmp_path, volumes=False)
