import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.classifiers import classifier
from napari_cardioxai.networks.published_weights import load_published_weights, published_names

# SHA-256 of the sorted lines "name (shape)" of all tensors but the counters of batches, for 1,000
# classes (VGG of timm: 10) and 3 channels, as timm 1.0.31 and torchvision 0.28.0 write them; without
# the auxiliary head of InceptionV3.
LISTINGS = {
    ("vgg16", "torchvision"): "ba63c2556d912509",
    ("vgg19", "torchvision"): "393fac8b08b63fbe",
    ("resnet50", "torchvision"): "cf11dad974eadeaa",
    ("densenet121", "torchvision"): "222a58d1fd8d2818",
    ("inceptionv3", "torchvision"): "5beceaea5a4204b9",
    ("efficientnet-b0", "torchvision"): "b5ec7b4b5e4fedbb",
    ("resnet50", "timm"): "cf11dad974eadeaa",
    ("resnet50v2", "timm"): "006195ff3e60c01e",
    ("densenet121", "timm"): "222a58d1fd8d2818",
    ("xception", "timm"): "ebc179d61e31c9f7",
    ("inceptionv3", "timm"): "5beceaea5a4204b9",
    ("inceptionresnetv2", "timm"): "a27c53ab9bde77e9",
    ("efficientnet-b0", "timm"): "f62a5c98a74c6670",
    ("vgg16", "timm"): "05e6a9d0992fbbcb",
    ("vgg19", "timm"): "aed418a1e91ab622",
}
# A few of the names, as they stand in the files.
EXAMPLES = {
    ("vgg16", "torchvision"): {"classifier.3.weight": (4096, 4096), "features.28.bias": (512,)},
    ("vgg16", "timm"): {"pre_logits.fc1.bias": (4096,), "head.fc.bias": (3,)},
    ("resnet50", "torchvision"): {"layer2.0.downsample.0.weight": (512, 256, 1, 1)},
    ("resnet50v2", "timm"): {"stages.1.blocks.0.downsample.conv.weight": (512, 256, 1, 1)},
    ("densenet121", "torchvision"): {
        "features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3),
        "features.transition1.conv.weight": (128, 256, 1, 1),
        "classifier.weight": (3, 1024),
    },
    ("xception", "timm"): {
        "block12.rep.4.conv1.weight": (728, 1, 3, 3),
        "block12.skipbn.weight": (1024,),
        "conv3.pointwise.weight": (1536, 1024, 1, 1),
    },
    ("inceptionv3", "torchvision"): {
        "Mixed_6b.branch7x7dbl_5.conv.weight": (192, 128, 1, 7),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_6a.branch3x3.bn.running_var": (384,),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
    },
    ("inceptionresnetv2", "timm"): {
        "repeat.9.branch2.2.conv.weight": (64, 48, 3, 3),
        "repeat_1.0.conv2d.bias": (1088,),
        "mixed_7a.branch0.1.conv.weight": (384, 256, 3, 3),
        "block8.branch0.conv.weight": (192, 2080, 1, 1),
        "classif.weight": (3, 1536),
    },
    ("efficientnet-b0", "torchvision"): {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.6.3.block.1.0.weight": (1152, 1, 5, 5),
        "classifier.1.weight": (3, 1280),
    },
    ("efficientnet-b0", "timm"): {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.se.conv_expand.weight": (32, 8, 1, 1),
        "blocks.5.3.conv_pwl.weight": (192, 1152, 1, 1),
        "bn2.running_mean": (1280,),
    },
}


def listed(name, source, *, classes):
    with torch.device("meta"):
        network = classifier(name, in_channels=3, classes=classes)
    state = network.state_dict()
    names = published_names(name, source, network)
    return {theirs: tuple(state[ours].shape) for ours, theirs in names.items()}


@pytest.mark.parametrize("name, source", LISTINGS)
def test_all_names_and_shapes_are_those_of_the_library(name, source):
    shapes = listed(
        name, source, classes=10 if name.startswith("vgg") and source == "timm" else 1000
    )
    if source == "timm":  # there these layers are convolutions over the whole map
        if name.startswith("vgg"):
            shapes["pre_logits.fc1.weight"] = (4096, 512, 7, 7)
            shapes["pre_logits.fc2.weight"] = (4096, 4096, 1, 1)
        if name == "resnet50v2":
            shapes["head.fc.weight"] = (1000, 2048, 1, 1)
    lines = sorted(f"{key} {shape}" for key, shape in shapes.items() if "num_batches" not in key)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest[:16] == LISTINGS[name, source]


@pytest.mark.parametrize("name, source", EXAMPLES)
def test_tensors_are_named_as_in_the_library(name, source):
    assert EXAMPLES[name, source].items() <= listed(name, source, classes=3).items()


def filled(network: nn.Module, seed: int) -> nn.Module:
    """Weights and statistics that are all different and keep signals of order 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias, module.running_mean):
                tensor.data.normal_(0, 0.1, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    "name, source",
    [
        ("densenet121", "torchvision"),
        ("inceptionv3", "torchvision"),
        ("efficientnet-b0", "torchvision"),
        ("efficientnet-b0", "timm"),
    ],
)
def test_weights_under_the_names_of_the_library_give_the_same_outputs(tmp_path, name, source):
    torch.manual_seed(0)
    original = filled(classifier(name, in_channels=3, classes=3), seed=1)
    names = published_names(name, source, original)
    file = tmp_path / "weights.safetensors"
    save_file({names[ours]: value for ours, value in original.state_dict().items()}, file)
    other = classifier(name, in_channels=3, classes=3).eval()
    x = torch.randn(1, 3, 75, 75)
    with torch.inference_mode():
        assert not torch.allclose(other(x), original(x), atol=1e-3)
        assert load_published_weights(other, name, file) == []
        torch.testing.assert_close(other(x), original(x))


def test_heads_that_are_convolutions_there_are_linear_layers_here(tmp_path):
    settings = {"in_channels": 3, "classes": 3, "blocks": (1, 1, 1, 1)}
    original, other = (classifier("resnet50v2", **settings).eval() for _ in range(2))
    state = original.state_dict()
    file = tmp_path / "weights.safetensors"
    save_file(state | {"head.fc.weight": state["head.fc.weight"][:, :, None, None]}, file)
    assert load_published_weights(other, "resnet50v2", file) == []
    x = torch.randn(1, 3, 40, 40)
    with torch.inference_mode():
        torch.testing.assert_close(other(x), original(x))


def test_names_of_dense_layers_as_torchvision_once_wrote_them_are_read(tmp_path):
    network = classifier("densenet121", in_channels=3, classes=3)
    state = {
        published_names("densenet121", "torchvision", network)[ours]: value
        for ours, value in network.state_dict().items()
    }
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "layer" in key else key: v
        for key, v in state.items()
        if "num_batches" not in key
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, tmp_path / "old.safetensors")
    other = classifier("densenet121", in_channels=3, classes=3)
    assert load_published_weights(other, "densenet121", tmp_path / "old.safetensors") == []
    first = "features.denseblock1.denselayer1.layers.norm1.weight"
    assert torch.equal(other.state_dict()[first], network.state_dict()[first])


def test_the_auxiliary_head_of_torchvision_is_passed_over(tmp_path):
    network = classifier("inceptionv3", in_channels=3, classes=3)
    names = published_names("inceptionv3", "torchvision", network)
    state = {names[ours]: value for ours, value in network.state_dict().items()}
    save_file(state | {"AuxLogits.fc.bias": torch.zeros(3)}, tmp_path / "w.safetensors")
    assert load_published_weights(network, "inceptionv3", tmp_path / "w.safetensors") == []


@pytest.fixture(scope="module")
def three_channels(tmp_path_factory):
    torch.manual_seed(0)
    network = filled(classifier("efficientnet-b0", in_channels=3, classes=4), seed=1)
    names = published_names("efficientnet-b0", "timm", network)
    file = tmp_path_factory.mktemp("weights") / "three.safetensors"
    save_file({names[ours]: value for ours, value in network.state_dict().items()}, file)
    return network, file


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_pictures_mean_the_same_to_weights_for_colours(three_channels, channels):
    network, file = three_channels
    grey = classifier("efficientnet-b0", in_channels=channels, classes=4).eval()
    (note,) = load_published_weights(grey, "efficientnet-b0", file)
    assert f"{channels} input channels" in note
    x = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            grey(x.expand(-1, channels, -1, -1)), network(x.expand(-1, 3, -1, -1))
        )


def test_other_classes_keep_their_own_last_layer(three_channels):
    network, file = three_channels
    other = classifier("efficientnet-b0", in_channels=3, classes=2)
    before = other.classifier[1].weight.clone()
    notes = load_published_weights(other, "efficientnet-b0", file)
    assert notes == [
        "classifier.weight is for other classes and was left out.",
        "classifier.bias is for other classes and was left out.",
    ]
    assert torch.equal(other.classifier[1].weight, before)
    assert torch.equal(other.features[0].conv.weight, network.features[0].conv.weight)


def test_weights_of_another_network_or_format_are_refused(three_channels, tmp_path):
    _, file = three_channels
    with pytest.raises(BundleError, match="is no resnet50: it has no"):
        load_published_weights(classifier("resnet50", classes=2), "resnet50", file)
    with pytest.raises(BundleError, match="does not exist"):
        load_published_weights(classifier("resnet50", classes=2), "resnet50", tmp_path / "none")
    with pytest.raises(BundleError, match=r"weights\.pth is refused"):
        load_published_weights(nn.Identity(), "resnet50", tmp_path / "weights.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="not a readable safetensors"):
        load_published_weights(nn.Identity(), "resnet50", tmp_path / "bad.safetensors")
    with pytest.raises(BundleError, match="names of xception from torchvision are not known"):
        published_names("xception", "torchvision", nn.Identity())


def test_a_tensor_too_many_is_named(three_channels, tmp_path):
    from safetensors.torch import load_file

    _, file = three_channels
    save_file(load_file(file) | {"extra.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(BundleError, match=r"it has extra\.weight too"):
        load_published_weights(
            classifier("efficientnet-b0", in_channels=3, classes=4),
            "efficientnet-b0",
            tmp_path / "more.safetensors",
        )


def test_a_volume_network_does_not_take_weights_of_pictures(three_channels):
    _, file = three_channels
    with pytest.raises(BundleError, match="is no efficientnet-b0 as built"):
        load_published_weights(
            classifier("efficientnet-b0", spatial_dims=3, in_channels=3, classes=4),
            "efficientnet-b0",
            file,
        )
