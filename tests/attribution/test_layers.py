import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_cardioxai.attribution.layers import (
    LayerActivation,
    as_frames,
    default_layer,
    feature_maps,
    layer_heat_maps,
    onto_grid,
)
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import (
    a_network,
    an_awkward_network,
    an_image,
    assert_untouched,
    state_of,
)


def test_layers_with_a_grid_are_listed_in_order():
    maps = feature_maps(a_network(3), an_image(3))
    assert [m.name for m in maps] == ["0", "1", "2", "3", "4", "5"]
    assert [m.shape for m in maps] == [(16,) * 3] * 3 + [(8,) * 3] * 3
    assert (maps[4].kind, maps[4].channels, maps[4].calls) == ("Conv3d", 6, 1)
    assert default_layer(maps, (16, 16, 16)).name == "5"


def test_the_default_layer_is_not_too_coarse_where_there_is_a_choice():
    maps = feature_maps(a_network(), an_image(side=8))
    assert default_layer(maps, (8, 8)).shape == (4, 4), "nothing between 4 and the input itself"
    assert default_layer([], (8, 8)) is None


@pytest.mark.parametrize("dims", [2, 3])
def test_the_heat_of_a_layer_is_the_mean_magnitude_of_its_channels_on_the_inputs_grid(dims):
    network, x = a_network(dims), an_image(dims, examples=2)
    mode = {2: "bilinear", 3: "trilinear"}[dims]
    with torch.no_grad():
        expected = network[:5](x).abs().mean(1, keepdim=True)
        expected = functional.interpolate(expected, x.shape[2:], mode=mode)
    torch.testing.assert_close(LayerActivation(network, layer="4").attribute(x, 1), expected)
    heats = {h.layer.name: h.heat for h in layer_heat_maps(network, x)}
    torch.testing.assert_close(heats["4"], expected)
    assert set(heats) == {"0", "1", "2", "3", "4", "5"}


def test_heat_maps_beside_a_training_leave_it_alone():
    network = an_awkward_network(2).train()
    before = state_of(network)
    loss = network(an_image(examples=2)).sum()
    state = state_of(network)
    list(layer_heat_maps(network, an_image()))
    loss.backward()
    assert_untouched(network, {**state, "gradients": state_of(network)["gradients"]})
    assert before["modules"] == state["modules"]


def test_frames_that_a_network_reads_one_by_one_find_their_place_again():
    """Two cines of three frames, read in parts of four and two pictures."""
    pictures = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 5, 2, 2)
    frames = as_frames([pictures[:4], pictures[4:]], 2)
    assert frames.shape == (2, 3, 5, 2, 2)
    heat = onto_grid(frames.mean(2), (3, 7, 4, 4))
    assert heat.shape == (2, 1, 3, 7, 4, 4)
    assert heat[:, 0, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_unknown_layer_is_refused_in_a_sentence():
    with pytest.raises(AttributionError, match="'nowhere'"):
        list(layer_heat_maps(a_network(), an_image(), layers=["nowhere"]))


def test_features_of_frames_are_no_feature_map():
    class FrameByFrame(nn.Module):
        """Reads a cine picture by picture; its linear layer gives (b, frames, features)."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3, padding=1)
            self.features = nn.Linear(3, 6)

        def forward(self, x):
            b, _, t, height, width = x.shape
            maps = self.conv(x.reshape(b * t, 1, height, width))
            return self.features(maps.mean((2, 3)).reshape(b, t, 3)).sum(1)

    found = feature_maps(FrameByFrame(), torch.rand(1, 1, 4, 8, 8))
    assert [one.name for one in found] == ["conv"], "six features are no six places along x"
