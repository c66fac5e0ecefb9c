"""A complete small training on the command line: its loss falls, and the bundle works."""

import json
import sys

import numpy as np
import pytest

from napari_cardioxai import cli
from napari_cardioxai.anatomy.label_files import read_labels, write_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti
from tests.training.latent_example import beating_rings

SETTINGS = (
    *("latent=8", "channels=8,12", "frame_units=8", "batch_size=2", "frames_per_subject=5"),
    *("vae_epochs=12", "primary_epochs=1", "concept_epochs=1", "head_epochs=12"),
    *("learning_rate=0.006", "head_learning_rate=0.005", "precision=32-true", "shift_px=0"),
)


def a_cohort(folder, count=36):
    """Beating rings as label files with splits, labels and a concept."""
    data = beating_rings(count, seed=5, smooth=True)
    rows = ["subject,labels,split,label,large"]
    splits = ["train"] * 20 + ["val"] * 6 + ["test"] * 10
    for k, name in enumerate(data.subjects):
        sequence = np.repeat(data.sequences[k], 2, axis=1)  # six slices
        write_labels(
            folder / f"{name}.nii.gz",
            Labels(
                sequence,
                Geometry((8.0, 1.25, 1.25), None),
                frame_times_ms=np.arange(25) * 36.0,
                cycle_ms=900.0,
            ),
        )
        concept = "" if np.isnan(data.concepts[k, 0]) else int(data.concepts[k, 0])
        rows.append(f"{name},{name}.nii.gz,{splits[k]},{int(data.labels[k])},{concept}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder / "manifest.csv"


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", ["cardioxai", *map(str, arguments)])
        cli.main()
    return stop.value.code or 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with `manifest.csv`, the run and the bundle `rings`."""
    folder = tmp_path_factory.mktemp("trained")
    manifest = a_cohort(folder)
    command = ["train", "clough", "--data", manifest, "-o", folder / "rings", "--device", "cpu"]
    command += ["--run-dir", folder / "run", "--concept", "large", "--licence", "CC0 1.0"]
    for setting in SETTINGS:
        command += ["--set", setting]
    assert run(*command) == 0
    return folder


def test_the_loss_falls(trained):
    lines = (trained / "run" / "metrics.csv").read_text("utf-8").splitlines()
    column = lines[0].split(",").index("val_reconstruction")
    reconstruction = [float(line.split(",")[column]) for line in lines[1:]]
    assert len(reconstruction) == 14
    assert reconstruction[11] < 0.5 * reconstruction[0]
    assert reconstruction[13] < 1.1 * reconstruction[11], "later stages unlearn little"


def test_the_card_says_how_the_bundle_came_about(trained):
    card = LatentClassifier.load(trained / "rings", device="cpu").card
    assert card.command.startswith("cardioxai train clough --data manifest.csv")
    assert (card.licence, card.seed) == ("CC0 1.0", 0)
    assert "20 train, 6 val, 10 test" in card.split
    assert card.versions.keys() >= {"python", "torch", "lightning", "napari-cardioxai"}
    assert [concept.name for concept in card.concepts] == ["large"]
    test = card.results["test"]
    assert test["subjects"] == 10
    assert {"auc", "balanced_accuracy", "concepts", "dice"} <= test.keys()
    size = sum(file.stat().st_size for file in (trained / "rings").iterdir())
    assert size < 20e6


def test_the_bundle_tells_weak_rings_from_strong_ones(trained):
    classifier = LatentClassifier.load(trained / "rings", device="cpu")
    unseen = beating_rings(30, seed=11, smooth=True)
    said = classifier.decide(classifier.encode(unseen.sequences))
    order = np.argsort(said.probability)
    weak = unseen.labels[order].astype(bool)
    assert weak[-10:].mean() >= 0.8 and weak[:10].mean() <= 0.2


def test_the_bundle_is_judged_beside_the_biomarkers(trained, capsys):
    folder = trained / "judged"
    code = run(
        *("evaluate", "latent", trained / "rings", "--data", trained / "manifest.csv"),
        *("-o", folder, "--device", "cpu", "--json"),
    )
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subjects"] == 10
    assert set(found["models"]) == {
        "rings",
        "logistic regression on biomarkers",
        "random forest on biomarkers",
    }
    card = LatentClassifier.load(trained / "rings", device="cpu").card
    assert found["models"]["rings"]["auc"]["value"] == pytest.approx(
        card.results["test"]["auc"], abs=1e-3
    )
    assert found["models"]["rings"]["balanced_accuracy"]["value"] == pytest.approx(
        card.results["test"]["balanced_accuracy"], abs=1e-3
    )
    assert found["reconstruction"]["LV cavity"]["mean"] == pytest.approx(
        card.results["test"]["dice"]["LV cavity"], abs=1e-3
    )
    assert {"concepts", "concept_leakage", "out_of_distribution"} <= found.keys()
    assert {file.name for file in folder.iterdir()} >= {"evaluation.json", "roc.png", "roc.svg"}


def test_every_subject_is_judged_once_by_a_fold_that_never_saw_it(trained, capsys):
    folder = trained / "folds"
    code = run(
        *("evaluate", "latent", trained / "rings", "--data", trained / "manifest.csv"),
        *("-o", folder, "--folds", "2", "--epochs", "3", "--device", "cpu", "--json"),
    )
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subjects"] == 36
    folds = found["models"]["rings"]["folds"]
    assert [fold["subjects"] for fold in folds] == [18, 18]
    assert found["cohort"]["split"] == "2 folds"
    assert found["concepts"]["large"]["subjects"] == 28


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--classes", "sick", "sick"), "the classes need two names"),
        (("--device", "abacus"), "no 'abacus' device"),
        (("-o", "rings/card.json"), "cannot be written to"),
        (("--run-dir", "manifest.csv/run"), "cannot be written to"),
        (("--devices", "0"), "'--devices'"),
    ],
)
def test_what_would_fail_after_the_training_is_refused_before_it(trained, capsys, more, said):
    paths = [trained / word if word.startswith(("rings", "manifest")) else word for word in more]
    code = run(
        *("train", "clough", "--data", trained / "manifest.csv", "-o", trained / "no"),
        *("--run-dir", trained / "no-run", "--concept", "large", *paths),
    )
    assert code == 2
    err = capsys.readouterr().err
    assert said in err and len(err.strip().splitlines()) == 1
    assert not (trained / "no").exists() and not (trained / "no-run").exists()


def test_training_options_without_folds_are_refused(trained, capsys):
    code = run(
        *("evaluate", "latent", trained / "rings", "--data", trained / "manifest.csv"),
        *("-o", trained / "no", "--epochs", "3", "--device", "cpu"),
    )
    assert code == 2
    assert "they need --folds" in capsys.readouterr().err


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    """A manifest of rings with their pictures, and a bundle that learnt from the pictures."""
    folder = tmp_path_factory.mktemp("images")
    manifest = a_cohort(folder, count=26)
    rng = np.random.default_rng(0)
    rows = manifest.read_text("utf-8").splitlines()
    shades = np.array([0.1, 1.0, 0.3, 0.9])
    for row in rows[1:]:
        name = row.split(",")[0]
        labels = read_labels(folder / f"{name}.nii.gz")
        picture = shades[labels.data] + rng.normal(0, 0.05, labels.data.shape)
        write_nifti(
            folder / f"{name}-scan.nii.gz", (500 * picture).astype(np.int16), labels.geometry
        )
    # Only two are tested on: a segmenter reads every frame of them.
    splits = ["train"] * 18 + ["val"] * 6 + ["test"] * 2
    table = [f"{rows[0]},scan"]
    for row, split in zip(rows[1:], splits, strict=True):
        name, path, _, *known = row.split(",")
        table.append(",".join([name, path, split, *known, f"{name}-scan.nii.gz"]))
    manifest.write_text("\n".join(table) + "\n", "utf-8")
    command = ["train", "clough", "--data", manifest, "-o", folder / "shades", "--device", "cpu"]
    command += ["--run-dir", folder / "run", "--concept", "large", "--licence", "CC0 1.0"]
    changed = ("vae_epochs=8", "reads=images", "image_sd=0.3", "perceptual=1", "head_epochs=4")
    for setting in (*SETTINGS, *changed, "wall=0", "refit=false"):
        command += ["--set", setting]
    assert run(*command) == 0
    return folder


def test_a_model_learns_from_the_pictures_and_says_whether_what_it_draws_can_be_read(of_images):
    classifier = LatentClassifier.load(of_images / "shades", device="cpu")
    assert classifier.network.reads == "images"
    assert any("Reads intensities" in limit for limit in classifier.card.limits)
    judged = classifier.card.results["pictures"]
    assert judged["subjects"] == 2 and judged["segmenter"] == "heart-unet"
    assert 0 < judged["sharpness"]["power_kept_coarse"] < 1
    assert set(judged["dice"]) == set(judged["ef_points"]) == {"decoded", "real"}
    lines = (of_images / "run" / "metrics.csv").read_text("utf-8").splitlines()
    column = lines[0].split(",").index("val_perceptual")
    told = [float(line.split(",")[column]) for line in lines[1:9]]
    assert told[-1] < 0.9 * told[0]


def test_a_model_of_images_decides_from_the_scan_at_the_place_of_the_labels(of_images, capsys):
    manifest = of_images / "manifest.csv"
    code = run("classify", manifest, "--model", of_images / "shades", "--device", "cpu", "--json")
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said) == 26 and all(0 <= entry["probability"] <= 1 for entry in said)
    labels = next(of_images.glob("*-scan.nii.gz")).name.replace("-scan", "")
    code = run("classify", of_images / labels, "--model", of_images / "shades", "--device", "cpu")
    assert code == 2
    assert "give the scan" in capsys.readouterr().err


def test_the_perceptual_distance_is_one_of_pictures(trained, capsys):
    code = run(
        *("train", "clough", "--data", trained / "manifest.csv", "-o", trained / "no"),
        *("--set", "perceptual=1", "--device", "cpu", "--run-dir", trained / "no-run"),
    )
    assert code == 2
    assert "set reads to images" in capsys.readouterr().err
