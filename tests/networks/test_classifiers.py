from functools import cache

import pytest
import torch
from torch import nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks import classifiers
from napari_cardioxai.networks.classifiers import (
    CLASSIFIERS,
    PUBLISHED,
    SMALLEST_SIDE,
    attribution_obstacles,
    classifier,
    last_linear,
    register_classifier,
)
from napari_cardioxai.networks.layers import Branches, ConvNormAct
from napari_cardioxai.networks.resnet import BrainResNet

# Trainable parameters for 1,000 classes and 3 channels.
#   torchvision: `num_params` of the weights in its documentation of models.
#   timm: the sum over the parameters of the models of version 1.0.31; its table of results
#   gives them in millions (25.55, 22.86, 23.83, 55.84).
#   Keras counts moving means and variances too, and its Inceptions have no factor in their
#   norms, its ResNet50V2 has 19,008 biases more: 25,613,800, 22,910,480, 23,851,784 and
#   55,873,736 in `keras.io/api/applications` are these networks.
PUBLISHED_PARAMETERS = {
    "vgg16": 138_357_544,  # torchvision, Keras
    "vgg19": 143_667_240,  # torchvision, Keras
    "resnet50": 25_557_032,  # torchvision
    "resnet50v2": 25_549_352,  # timm resnetv2_50
    "densenet121": 7_978_856,  # torchvision
    "xception": 22_855_952,  # timm legacy_xception
    "inceptionv3": 23_834_568,  # timm inception_v3; torchvision's 27,161,264 has the auxiliary head
    "inceptionresnetv2": 55_843_464,  # timm inception_resnet_v2
    "efficientnet-b0": 5_288_548,  # torchvision
}
# Keras's totals, from which those of torch follow.
KERAS_TOTAL = {
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet50v2": 25_613_800,
    "densenet121": 8_062_504,
    "xception": 22_910_480,
    "inceptionv3": 23_851_784,
    "inceptionresnetv2": 55_873_736,
    "efficientnet-b0": 5_330_571,
}


@cache
def built(name: str, **params) -> nn.Module:
    """Without memory or values, which counting and shapes do not need."""
    with torch.device("meta"):
        return classifier(name, **{"spatial_dims": 2, "classes": 3, **params})


def an_input(name: str, *, dims: int, batch: int = 1) -> torch.Tensor:
    side = SMALLEST_SIDE.get(name, 32)
    return torch.empty(batch, 1, *(side + k for k in range(dims)), device="meta")


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    network = built(name, in_channels=3, classes=1000)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("name", KERAS_TOTAL)
def test_keras_counts_the_same_network(name):
    network = built(name, in_channels=3, classes=1000)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    total = sum(p.numel() for p in network.parameters())
    total += sum(norm.running_mean.numel() + norm.running_var.numel() for norm in norms)
    if name.startswith("inception"):  # Keras: scale=False
        total -= sum(norm.weight.numel() for norm in norms)
    if name == "resnet50v2":  # Keras: biases in the stem, in shortcuts and in last convolutions
        shortcuts, last = 256 + 512 + 1024 + 2048, 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
        total += 64 + shortcuts + last
    if name == "efficientnet-b0":  # Keras: mean, variance and count of its input normalisation
        total += 3 + 3 + 1
    assert total == KERAS_TOTAL[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_channel_takes_two_channels_of_the_first_layer_away(name):
    three, one = (built(name, in_channels=channels) for channels in (3, 1))
    first = next(p for p in three.parameters())
    fewer = sum(p.numel() for p in three.parameters()) - sum(p.numel() for p in one.parameters())
    assert fewer == first.numel() * 2 // 3


@pytest.mark.parametrize("name", ["resnet50", "xception"])
def test_untrained_networks_give_finite_logits(name):
    network = classifier(name, in_channels=2, classes=3).eval()
    with torch.inference_mode():
        logits = network(torch.randn(2, 2, 48, 53))
    assert logits.shape == (2, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", SMALLEST_SIDE)
def test_a_side_below_the_smallest_is_too_small(name):
    network = built(name, spatial_dims=2, in_channels=1).eval()
    side = SMALLEST_SIDE[name] - 1
    with pytest.raises(RuntimeError):
        network(torch.empty(1, 1, side, side, device="meta"))


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_module_is_used_once_and_none_in_place(name, dims):
    network = built(name, spatial_dims=dims, in_channels=1)
    shapes = []
    hook = network.register_forward_hook(lambda _module, _x, logits: shapes.append(logits.shape))
    assert attribution_obstacles(network, an_input(name, dims=dims)) == []
    hook.remove()
    assert shapes == [(1, 3)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_activation_is_a_function(name, monkeypatch):
    """Outside of activation modules no activation function is called."""
    inside = []
    for kind in (nn.ReLU, nn.SiLU, nn.Sigmoid):
        original = kind.forward

        def forward(self, x, original=original):
            inside.append(self)
            try:
                return original(self, x)
            finally:
                inside.pop()

        monkeypatch.setattr(kind, "forward", forward)

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            called = getattr(function, "__name__", "")
            if called in ("relu", "relu_", "silu", "sigmoid", "sigmoid_", "hardswish", "gelu"):
                assert inside, f"{called} is called outside of a module"
            return function(*args, **(kwargs or {}))

    with Watch():
        built(name, spatial_dims=2, in_channels=1).eval()(an_input(name, dims=2))


def test_obstacles_are_named():
    relu = nn.ReLU(inplace=True)
    network = nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu)
    said = attribution_obstacles(network, torch.zeros(1, 4))
    assert said == ["1 works in place.", "1 is used 2 times in one pass."]
    assert network.training


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_brain_network_learns_where_something_is(norm):
    torch.manual_seed(0)
    network = BrainResNet(classes=2, channels=(8, 16), norm=norm, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    x = 0.1 * torch.randn(16, 1, 12, 12, 12)
    y = torch.arange(16) % 2
    x[y == 1, :, 3:8, 3:8, 3:8] += 1
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
    network.eval()
    assert (network(x).argmax(1) == y).all()


def test_with_group_norms_a_case_does_not_depend_on_its_batch():
    network = BrainResNet(classes=2, dropout=0.0).train()
    x = torch.randn(3, 1, 16, 16, 16)
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-6)


def test_stochastic_depth_keeps_the_mean_and_drops_whole_cases():
    from napari_cardioxai.networks.efficientnet import StochasticDepth

    torch.manual_seed(0)
    layer = StochasticDepth(0.25).train()
    out = layer(torch.ones(4000, 2, 3))
    per_case = out.flatten(1)
    assert ((per_case == 0).all(1) | (per_case == 1 / 0.75).all(1)).all()
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert (layer.eval()(torch.ones(5, 2)) == 1).all()


def test_long_kernels_in_three_dimensions_reach_along_every_axis():
    network = built("inceptionv3", spatial_dims=3, in_channels=1)
    mixed = network.get_submodule("features.Mixed_6b")
    assert isinstance(mixed, Branches)
    kernels = [
        part.conv.kernel_size
        for part in mixed.get_submodule("branch7x7")
        if isinstance(part, ConvNormAct)
    ]
    assert kernels == [(1, 1, 1), (1, 1, 7), (1, 7, 1), (7, 1, 1)]


def test_the_last_linear_layer_makes_the_logits():
    assert last_linear(built("vgg16")).in_features == 4096
    with pytest.raises(BundleError, match="no linear layer"):
        last_linear(nn.Sequential(nn.Conv2d(1, 1, 1)))


def test_an_own_network_is_built_by_its_name(monkeypatch):
    monkeypatch.setattr(classifiers, "_own", {})

    def build(*, spatial_dims, in_channels, classes, width=4):
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, classes),
        )

    register_classifier("mine", build)
    assert "mine" in list(CLASSIFIERS)
    assert last_linear(classifier("mine", classes=5, width=7)).weight.shape == (5, 7)
    with pytest.raises(BundleError, match="choose another"):
        register_classifier("vgg16", build)


def test_an_installed_network_is_found_by_its_entry_point(monkeypatch):
    class Point:
        name = "theirs"

        @staticmethod
        def load():
            return lambda *, spatial_dims, in_channels, classes: nn.Linear(in_channels, classes)

    monkeypatch.setattr(
        classifiers,
        "entry_points",
        lambda *, group, name=None: [Point] if name in (None, "theirs") else [],
    )
    assert "theirs" in CLASSIFIERS
    assert classifier("theirs", in_channels=6, classes=2).in_features == 6


@pytest.mark.parametrize(
    "params, said",
    [
        ({"name": "lenet"}, "there is no network 'lenet'"),
        ({"spatial_dims": 4}, "2 or 3 dimensions"),
        ({"classes": 1}, "two classes"),
        ({"depth": 3}, "cannot be built"),
        ({"norm": "layer"}, "a norm is batch or group"),
    ],
)
def test_what_cannot_be_built_is_said(params, said):
    with pytest.raises(BundleError, match=said):
        classifier(**{"name": "resnet50", "classes": 2, **params})
