import numpy as np
import pytest
import torch

from napari_cardioxai.bundles.image_classifier import ImageClassifier
from napari_cardioxai.cohorts.pictures import find_pictures, write_manifest
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.classifiers import classifier
from napari_cardioxai.training.images.bundle import starting_weights
from napari_cardioxai.training.images.recipe import recipe_for, with_settings
from napari_cardioxai.training.jobs.__main__ import run_job
from napari_cardioxai.training.jobs.events import TrainingState, read_run
from napari_cardioxai.training.jobs.folder import RunFolder, TrainingJob
from napari_cardioxai.training.jobs.heat import layer_heat
from napari_cardioxai.training.jobs.previews import read_preview
from napari_cardioxai.training.jobs.recipes import find_recipe

SMALL = {
    "network": "brain3d",
    "network_params": {"channels": [8, 8], "dropout": 0.0},
    "epochs": 2,
    "batch_size": 8,
}


@pytest.fixture
def folder(tmp_path):
    """Volumes of two classes with a bright block above or below, and pictures likewise."""
    rng = np.random.default_rng(0)
    for kind, rows in (("above", slice(2, 5)), ("below", slice(9, 12))):
        for what, shape in (("volumes", (12, 14, 16)), ("pictures", (14, 16))):
            place = tmp_path / what / kind
            place.mkdir(parents=True)
            for k in range(14):
                image = 0.2 * rng.random(shape)
                image[rows] += 1
                if what == "pictures":
                    np.save(place / f"{k}.npy", image.astype("f4"))
                else:
                    np.save(place / f"{k}.npy", image[None].astype("f4"))
    return tmp_path


def job(folder, recipe, data, **values):
    run = RunFolder(folder / "runs" / "x")
    recipe_values = {**SMALL, **values}
    run.write_job(TrainingJob(recipe, recipe_values, folder / "models" / "x", data, device="cpu"))
    return run


def test_a_folder_of_class_folders_becomes_a_model_with_its_pictures(folder):
    run = job(folder, "tumour-tuned", folder / "pictures", size=[14, 16])
    state, text = run_job(run.path)
    assert (state, text) == (TrainingState.DONE, "The model x is ready.")
    model = ImageClassifier.load(folder / "models" / "x", device="cpu")
    assert model.card.classes == ("above", "below") and model.card.split_column == "split"
    assert set(model.card.results) >= {"val", "test"}
    made = read_preview(run.previews / "latest.npz")
    assert (made.kind, made.position) == ("image", 2.0)
    assert "(not learnt from)" in made.caption
    first, *layers = made.panels
    assert first.image.shape == (14, 16) and len(layers) == 6
    assert all(panel.heat.shape == (14, 16) for panel in layers)
    assert {"loss", "val_loss", "val_accuracy"} <= set(read_run(run.path).values)


def test_a_volume_is_previewed_by_its_middle_slice(folder):
    found = find_pictures(folder / "volumes")
    split = ["test" if k % 4 == 0 else "train" for k in range(len(found.subjects))]
    write_manifest(folder / "m.csv", found, {"split": split})
    run = job(folder, "brain3d", folder / "m.csv", size=[12, 14, 16], spacing_mm=0.0)
    assert run_job(run.path)[0] is TrainingState.DONE
    made = read_preview(run.previews / "latest.npz")
    assert made.panels[0].image.shape == (14, 16)
    assert "(learnt from)" in made.caption  # nothing was set aside for validation


def test_recipes_come_with_forms_that_a_person_can_fill(folder):
    recipe = find_recipe("tumour")
    names = {spec.name: spec for spec in recipe.fields}
    assert "densenet121" in names["network"].choices
    assert names["size"].default == [225, 225]
    checked = recipe.checked({"network": "vgg16", "epochs": 3})
    assert checked["learning_rate"] == 1e-3 and checked["split_column"] == "split"


def test_settings_are_read_as_their_fields_are():
    recipe = with_settings(
        recipe_for("brain3d"), ["size=64,64,80", "precision=bf16-mixed", "flip_lr=off"]
    )
    assert (recipe.size, recipe.precision, recipe.flip_lr) == ((64, 64, 80), "bf16-mixed", False)
    # Options of the first network are nothing to another.
    assert with_settings(recipe, ["network=resnet50"]).network_params == {}
    with pytest.raises(BundleError, match="'pace=1' is no setting"):
        with_settings(recipe, ["pace=1"])


def test_a_network_starts_from_a_model_with_other_classes(folder):
    run = job(folder, "tumour-tuned", folder / "pictures", size=[14, 16])
    run_job(run.path)
    params = {"spatial_dims": 2, "channels": [8, 8], "dropout": 0.0}
    network = classifier("brain3d", classes=3, **params)
    head = network.head.fc.weight.clone()
    starting_weights(folder / "models" / "x", "brain3d")(network)
    trained = ImageClassifier.load(folder / "models" / "x", device="cpu").network
    torch.testing.assert_close(network.stem.conv.weight, trained.stem.conv.weight)
    torch.testing.assert_close(network.head.fc.weight, head)
    with pytest.raises(BundleError, match="is a brain3d, not a vgg16"):
        starting_weights(folder / "models" / "x", "vgg16")(network)
    wider = classifier("brain3d", classes=2, **{**params, "channels": [16, 8]})
    with pytest.raises(BundleError, match="do not fit this brain3d"):
        starting_weights(folder / "models" / "x", "brain3d")(wider)


def test_the_heat_of_a_classifier_is_that_of_the_class_it_says():
    torch.manual_seed(0)
    network = classifier("brain3d", classes=2, channels=(8, 8), spatial_dims=3)
    image = torch.rand(1, 1, 8, 9, 10)
    logits, layers = layer_heat(network, image, by="gradient")
    assert logits.shape == (1, 2) and layers[0].heat.shape == (8, 9, 10)
    said = int(logits.argmax())
    network.head.fc.weight.data[said] = 0  # what is not used for the class has no gradient
    network.head.fc.bias.data[said] = 100
    _, layers = layer_heat(network, image, by="gradient")
    assert all(not layer.heat.any() for layer in layers)
