from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from napari_cardioxai.bundles.image_classifier import ImageClassifier
from napari_cardioxai.cohorts.pictures import class_indices, find_pictures, write_manifest
from napari_cardioxai.errors import BundleError, CohortError, TrainingError
from napari_cardioxai.networks.classifiers import SMALLEST_SIDE
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.training.images.augmentation import augmented
from napari_cardioxai.training.images.bundle import make_image_bundle
from napari_cardioxai.training.images.evaluation import judge_images
from napari_cardioxai.training.images.recipe import RECIPES, ImageRecipe, recipe_for
from napari_cardioxai.training.images.training import (
    LabelledImages,
    class_weights,
    train_image_classifier,
)

SMALL = ImageRecipe(
    network="brain3d",
    network_params={"channels": (8, 16), "dropout": 0.0},
    size=(16, 16),
    optimizer="adamw",
    learning_rate=5e-3,
    epochs=6,
    batch_size=8,
    keep_best=True,
)


def spots(count: int, *, seed: int) -> LabelledImages:
    """A bright spot in one of three corners, which is the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = 0.1 * rng.random((count, 16, 16))
    for image, label in zip(images, labels, strict=True):
        y, x = ((3, 3), (3, 11), (11, 3))[label]
        image[y : y + 3, x : x + 3] += 1
    return LabelledImages(images.astype(np.float16), labels.astype(np.int64))


def test_a_classifier_learns_what_is_where(tmp_path):
    network = train_image_classifier(
        SMALL, spots(48, seed=0), spots(12, seed=1), classes=3, run_dir=tmp_path, device="cpu"
    )
    unseen = spots(30, seed=2)
    with torch.inference_mode():
        said = network(torch.from_numpy(unseen.images).float()[:, None]).argmax(1).numpy()
    assert (said == unseen.labels).mean() > 0.9


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path):
    recipe = replace(SMALL, epochs=3, noise=0.1, shift=0.1, schedule="one-cycle", keep_best=False)
    images = spots(24, seed=0)
    whole = train_image_classifier(recipe, images, classes=3, run_dir=tmp_path / "a", device="cpu")
    steps = 0

    def stop(done, total, what):
        nonlocal steps
        steps += 1
        if steps == 5:  # in the second of three epochs
            raise Cancelled

    with pytest.raises(Cancelled):
        train_image_classifier(
            recipe, images, classes=3, run_dir=tmp_path / "b", device="cpu", on_progress=stop
        )
    assert (tmp_path / "b" / "last.ckpt").is_file()
    with pytest.raises(BundleError, match="another learning_rate"):
        train_image_classifier(
            replace(recipe, learning_rate=1e-4),
            images,
            classes=3,
            run_dir=tmp_path / "b",
            device="cpu",
        )
    again = train_image_classifier(recipe, images, classes=3, run_dir=tmp_path / "b", device="cpu")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_the_recipe_of_the_paper_has_its_numbers():
    recipe = RECIPES["tumour"]
    assert (recipe.size, recipe.optimizer, recipe.momentum) == ((225, 225), "sgd", 0.939)
    assert (recipe.learning_rate, recipe.weight_decay) == (1e-3, 3e-4)
    assert (recipe.batch_size, recipe.epochs) == (32, 20)
    assert RECIPES["brain3d"].spec.dims == 3


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"network": "lenet"}, "there is no network"),
        ({"optimizer": "lion"}, "choose sgd, adamw"),
        ({"learning_rate": 0.0}, "must lie between"),
        ({"pace": 1}, "has no field 'pace'"),
        (
            {"network": "inceptionv3", "size": (64, 64)},
            f"needs {SMALLEST_SIDE['inceptionv3']} pixels",
        ),
    ],
)
def test_recipes_that_cannot_be_followed_are_refused(changes, said):
    with pytest.raises(BundleError, match=said):
        recipe_for("tumour", **changes)


def test_images_that_do_not_fit_are_refused(tmp_path):
    images = spots(12, seed=0)
    for wrong, said in (
        (LabelledImages(images.images[:, :8], images.labels), "do not fit the recipe"),
        (LabelledImages(images.images, images.labels[:3]), "cannot be learnt from"),
        (LabelledImages(images.images, images.labels + 1), "between 0 and 2"),
    ):
        with pytest.raises(TrainingError, match=said):
            train_image_classifier(SMALL, wrong, classes=3, run_dir=tmp_path, device="cpu")


def test_rare_classes_weigh_as_much_as_others():
    labels = np.array([0] * 90 + [1] * 10)
    weights = class_weights(labels, 3, balanced=True).numpy()
    counts = np.bincount(labels, minlength=3)
    assert (weights * counts)[0] == pytest.approx((weights * counts)[1])
    assert (weights[labels]).mean() == pytest.approx(1)
    assert weights[2] == 1
    assert class_weights(labels, 2, balanced=False).tolist() == [1, 1]


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(12, 20), (8, 12, 10)])
def test_without_anything_to_change_images_stay(size):
    images = torch.rand(3, 1, *size)
    assert augmented(images, replace(SMALL, size=size), generator()) is images


@pytest.mark.parametrize("size", [(12, 20), (8, 12, 10)])
def test_mirrored_images_are_exchanged_in_the_last_axis(size):
    images = torch.rand(12, 1, *size)
    made = augmented(images, replace(SMALL, size=size, flip_lr=True), generator())
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(made, images, strict=True)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-5) for a, b in zip(made, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 0 < sum(mirrored) < 12


def test_turning_keeps_shapes_where_sides_differ():
    """A disc stays a disc of its size in a picture that is twice as wide as high."""
    yy, xx = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing="ij")
    disc = (torch.hypot(yy, xx) < 12).float().expand(8, 1, 40, 80)
    made = augmented(disc, replace(SMALL, size=(40, 80), turn_deg=90.0), generator())
    assert (made - disc).abs().mean() < 0.02
    line = (yy.abs() < 2).float().expand(8, 1, 40, 80)
    turned = augmented(line, replace(SMALL, size=(40, 80), turn_deg=90.0), generator())
    assert (turned - line).abs().mean() > 0.05


def test_the_same_generator_draws_the_same():
    images = torch.rand(4, 1, 16, 16)
    recipe = replace(SMALL, turn_deg=10.0, shift=0.1, stretch=0.1, gain=0.2, noise=0.1)
    first, again, other = (augmented(images, recipe, generator(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_figures_are_those_of_scikit_learn_and_of_the_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    said = np.array([0, 0, 0, 1, 1, 0, 2, 2])
    figures = judge_images(labels, np.eye(3)[said], ("a", "b", "c"))
    assert figures.confusion == ((3, 1, 0), (1, 1, 0), (0, 0, 2))
    assert figures.accuracy.value == 6 / 8
    assert [one.sensitivity.value for one in figures.classes] == [0.75, 0.5, 1.0]
    assert figures.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, said))
    assert figures.macro_f1.value == pytest.approx(f1_score(labels, said, average="macro"))
    assert figures.classes[2].auc.value == 1.0
    for interval in (figures.accuracy, figures.balanced_accuracy, figures.macro_f1):
        assert interval.low < interval.value < interval.high
    assert figures.images == 8


def test_a_class_that_is_not_there_does_not_count():
    figures = judge_images(np.array([0, 0, 1]), np.eye(3)[[0, 0, 1]], ("a", "b", "c"))
    assert figures.balanced_accuracy.value == 1.0 and figures.classes[2].auc is None
    with pytest.raises(TrainingError, match="no images to judge"):
        judge_images(np.array([], int), np.empty((0, 3)), ("a", "b", "c"))


def test_a_manifest_becomes_a_bundle_with_its_figures(tmp_path):
    part = spots(36, seed=0)
    for k, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
        (tmp_path / "data" / "abc"[label]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "data" / "abc"[label] / f"{k}.npy", image.astype(np.float32))
    found = find_pictures(tmp_path / "data")
    split = [("train", "train", "val", "test")[k // 3 % 4] for k in range(36)]
    manifest = write_manifest(tmp_path / "m.csv", found, {"split": split})
    recipe = replace(SMALL, epochs=4)
    with pytest.raises(CohortError, match="no column 'other'"):
        make_image_bundle(recipe, manifest, tmp_path / "x", run_dir=tmp_path / "r", split="other")
    card = make_image_bundle(
        recipe, manifest, tmp_path / "spots", run_dir=tmp_path / "run", device="cpu"
    )
    assert card.classes == ("a", "b", "c")
    assert set(card.results) == {"val", "test"}
    model = ImageClassifier.load(tmp_path / "spots", device="cpu")
    assert model.card.recipe["network"] == "brain3d"
    assert model.spec == recipe.spec
    labels, _ = class_indices(manifest, manifest.split("test"))
    assert sum(map(sum, card.results["test"]["confusion"])) == len(labels)


def test_a_cohort_that_teaches_nothing_is_refused_with_the_reason(tmp_path):
    for name in ("a/0", "a/1", "b/0"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", np.zeros((16, 16), np.float32))
    found = find_pictures(tmp_path)
    folders = {"folder": tmp_path / "model", "run_dir": tmp_path / "run", "device": "cpu"}
    one = write_manifest(tmp_path / "one.csv", found, {"split": ["train", "train", "test"]})
    with pytest.raises(CohortError, match="training images of one class, a"):
        make_image_bundle(SMALL, one, **folders)
    none = write_manifest(tmp_path / "none.csv", found, {"split": ["test"] * 3})
    with pytest.raises(CohortError, match=r"no images to train on in 'split'\.$"):
        make_image_bundle(SMALL, none, **folders)
    deep = write_manifest(tmp_path / "deep.csv", found, {"split": ["train"] * 3})
    with pytest.raises(CohortError, match="that can be used; a/0: "):
        make_image_bundle(replace(SMALL, size=(16, 16, 16)), deep, **folders)
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_of_other_classes_is_not_gone_on_with(tmp_path):
    recipe = replace(SMALL, epochs=1)
    three = spots(12, seed=0)
    two = LabelledImages(three.images, three.labels % 2)
    train_image_classifier(recipe, three, classes=3, run_dir=tmp_path, device="cpu")
    with pytest.raises(BundleError, match="another number of classes"):
        train_image_classifier(recipe, two, classes=2, run_dir=tmp_path, device="cpu")
