from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.pictures import load_images, load_regions
from napari_cardioxai.errors import BundleError, CohortError, TrainingError
from napari_cardioxai.networks.classifiers import classifier
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti
from napari_cardioxai.training.images.bundle import make_image_bundle
from napari_cardioxai.training.images.recipe import ImageRecipe, recipe_for
from napari_cardioxai.training.images.region import RegionTask
from napari_cardioxai.training.images.training import LabelledImages, train_image_classifier

RECIPE = ImageRecipe(
    network="brain3d",
    network_params={"channels": (8, 16), "dropout": 0.0},
    size=(24, 24),
    optimizer="adamw",
    learning_rate=5e-3,
    epochs=8,
    batch_size=8,
    region_weight=1.0,
    region_structures=(17,),
)


def discs(count, *, seed):
    """A disc somewhere among brighter stripes, large or small, which is the class."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24]
    labels, images, regions = np.arange(count) % 2, [], []
    for label in labels:
        cy, cx = rng.uniform(7, 17, 2)
        inside = (y - cy) ** 2 + (x - cx) ** 2 < (2.5 if label else 4.5) ** 2
        stripes = 0.8 * (np.sin(x * rng.uniform(0.3, 1) + rng.uniform(0, 6)) > 0)
        images.append(np.where(inside, 0.4, stripes) + 0.05 * rng.random((24, 24)))
        regions.append(inside)
    return LabelledImages(
        np.array(images, np.float16), labels.astype(np.int64), np.array(regions, np.float16)
    )


def test_the_region_is_learnt_beside_the_class_and_leaves_the_network_as_it_was(tmp_path):
    errors = []

    import lightning

    class Watch(lightning.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            errors.append(float(trainer.callback_metrics["region_error"]))

    network = train_image_classifier(
        RECIPE, discs(96, seed=0), classes=2, run_dir=tmp_path, device="cpu", callbacks=(Watch(),)
    )
    assert errors[-1] < 0.5 * errors[0]
    assert set(network.state_dict()) == set(RECIPE.build(2).state_dict())
    assert not any(m._forward_pre_hooks for m in network.modules()), "nothing watches any more"


def test_a_map_that_is_constant_explains_nothing_and_a_right_one_all():
    torch.manual_seed(0)
    task = RegionTask(
        classifier("brain3d", classes=2, spatial_dims=2, channels=(8,)), torch.rand(1, 1, 8, 8)
    )
    region = torch.rand(2, 1, 8, 8)  # one map of features at half of the resolution
    truth = torch.nn.functional.avg_pool2d(region, 2)
    features = torch.cat([truth, torch.zeros(2, 7, 4, 4)], 1)
    task.map.weight.data.zero_()
    task.map.bias.data.fill_(float(truth.mean() / truth.std()))
    assert task.loss(features, region).item() == pytest.approx(31 / 32, rel=1e-4)  # n - 1 over n
    task.map.bias.data.zero_()
    task.map.weight.data[0, 0] = 1 / truth.std()
    assert task.loss(features, region).item() == pytest.approx(0, abs=1e-6)


def test_label_maps_are_brought_to_the_input_like_their_images(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (1, 10, 12, 14)).astype(np.int16) * 17
    geometry = Geometry((1.0, 1.0, 1.0), np.diag([1.0, -1.0, 1.0, 1.0]) @ np.eye(4))
    write_nifti(tmp_path / "a.nii.gz", labels, geometry)
    (tmp_path / "m.csv").write_text(
        "subject,scan,regions,class\na,a.nii.gz,a.nii.gz,x\nb,a.nii.gz,,y\n"
    )
    manifest = read_manifest(tmp_path / "m.csv")
    spec = InputSpec((6, 8, 10), spacing_mm=1.0)
    share = load_regions(manifest, ["a"], spec, (34,), workers=1)
    image = load_images(manifest, ["a"], replace(spec, intensities="range"), workers=1)
    # The brightest label is the structure, so the image says where it must be.
    np.testing.assert_array_equal(share[0] == 1, image.data[0] == 1)
    assert 0.2 < share.mean() < 0.5
    with pytest.raises(CohortError, match="regions of b is blank"):
        load_regions(manifest, ["a", "b"], spec, (34,))
    with pytest.raises(CohortError, match="no column 'truth'"):
        load_regions(manifest, ["a"], spec, (34,), column="truth")


def test_what_a_region_needs_is_asked_for(tmp_path):
    images = discs(12, seed=0)
    without = replace(images, regions=None)
    with pytest.raises(TrainingError, match="come without"):
        train_image_classifier(RECIPE, without, classes=2, run_dir=tmp_path, device="cpu")
    with pytest.raises(BundleError, match="name them in region_structures"):
        replace(RECIPE, region_structures=())
    (tmp_path / "m.csv").write_text("subject,scan,class,split\na,a.npy,x,train\nb,b.npy,y,train\n")
    for name, image in zip("ab", images.images, strict=False):
        np.save(tmp_path / f"{name}.npy", image.astype("f4"))
    manifest = read_manifest(tmp_path / "m.csv")
    with pytest.raises(CohortError, match="no column 'regions'"):
        make_image_bundle(RECIPE, manifest, tmp_path / "x", run_dir=tmp_path / "r", device="cpu")
    assert recipe_for("brain3d-hippocampus").region_structures == (17, 53)
