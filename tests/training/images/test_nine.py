import json

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_cardioxai.cli import app
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.pictures import find_pictures, write_manifest
from napari_cardioxai.errors import CohortError
from napari_cardioxai.training.images.nine import Learnt, subset_of, table_of


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Pictures of three classes, a bright bar at three heights; some are held out."""
    folder = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(0)
    for number, kind in enumerate(("high", "low", "middle")):
        (folder / kind).mkdir()
        for k in range(12):
            picture = 0.2 * rng.random((32, 32))
            picture[4 + 10 * number : 10 + 10 * number] += 1
            np.save(folder / kind / f"{k}.npy", picture.astype("f4"))
    found = find_pictures(folder)
    split = ["test" if k % 4 == 0 else "train" for k in range(36)]
    write_manifest(folder / "m.csv", found, {"split": split})
    return folder / "m.csv"


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_networks_are_trained_one_after_the_other_and_told_in_one_table(manifest, tmp_path):
    arguments = (
        *("train", "networks", "tumour-tuned", "--data", manifest, "-o", tmp_path),
        *("--networks", "brain3d,efficientnet-b0", "--subset", 18, "--epochs", 6, "--json"),
        *("--set", "size=32,32", "--set", "batch_size=6", "--set", "flip_lr=off"),
        *("--set", "turn_deg=0", "--set", "shift=0", "--device", "cpu"),
    )
    small, efficient = run(*arguments)
    assert (small["network"], efficient["network"]) == ("brain3d", "efficientnet-b0")
    assert (small["images"], small["epochs"], small["test_accuracy"]) == (18, 6, None)
    assert efficient["depth"] == 82
    assert small["has_learnt"] and small["loss_last"] < small["loss_first"]
    assert (tmp_path / "efficientnet-b0" / "card.json").is_file()
    assert run(*arguments)[0]["loss_last"] == small["loss_last"]  # it was done


def test_a_subset_holds_training_images_of_every_class_alike(manifest):
    table = read_manifest(manifest)
    chosen = subset_of(table, "split", 10, seed=3)
    assert sorted(chosen.table["class"].value_counts()) == [3, 3, 4]
    assert set(chosen.table["split"]) == {"train"}
    assert list(chosen.subjects) == list(subset_of(table, "split", 10, seed=3).subjects)
    with pytest.raises(CohortError, match="10 images of high cannot be chosen from 9"):
        subset_of(table, "split", 30)


def test_what_has_not_learnt_is_told_as_such():
    values = {"parameters": 1, "size_mb": 1.0, "depth": 2, "images": 3, "epochs": 4, "seconds": 5.0,
              "classes": 3}  # fmt: skip
    one = Learnt("x", **values, loss_first=1, loss_last=0.5, accuracy_first=0.3, accuracy_last=0.9,
                 test_accuracy=0.25)  # fmt: skip
    other = Learnt("y", **values, loss_first=1, loss_last=0.5, accuracy_first=0.3,
                   accuracy_last=0.3, test_accuracy=None)  # fmt: skip
    guessing = Learnt("z", **values, loss_first=1.5, loss_last=1.0985, accuracy_first=0.3,
                      accuracy_last=0.4, test_accuracy=None)  # fmt: skip
    assert (one.has_learnt, other.has_learnt) == (True, False)
    assert not guessing.has_learnt, "the loss of three equal odds is 1.0986"
    rows = table_of([one, other]).splitlines()
    assert rows[2].endswith("| 30 → 90 | 25.0 | yes |") and rows[3].endswith("| no |")


def test_a_recipe_is_cross_validated_where_nothing_can_be_held_out(manifest, tmp_path):
    said = run(
        *("evaluate", "images", "--data", manifest, "-o", tmp_path, "--recipe", "tumour-tuned"),
        *("--folds", 3, "--set", "network=brain3d", "--set", "size=16,16", "--set", "epochs=9"),
        *("--set", 'network_params={"channels": [8, 16], "dropout": 0.0}', "--set", "flip_lr=off"),
        *("--set", "learning_rate=0.01", "--set", "batch_size=6", "--device", "cpu", "--json"),
    )
    judged = said["models"]["tumour-tuned"]
    assert judged["split"] == "3 folds" and judged["images"] == 36
    assert judged["accuracy"]["value"] > 0.8
    assert (tmp_path / "evaluation.html").is_file()


@pytest.mark.parametrize(
    "more, said",
    [((), "give --model"), (("--model", "x", "--recipe", "tumour"), "not both")],
)
def test_models_and_recipes_are_not_judged_together(manifest, tmp_path, more, said):
    result = CliRunner().invoke(
        app, ["evaluate", "images", "--data", str(manifest), "-o", str(tmp_path), *more]
    )
    assert result.exit_code == 2 and said in result.stderr
