import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_cardioxai.attribution.checks import check_methods, inspect_network
from napari_cardioxai.attribution.registry import METHODS
from tests.attribution.nets import (
    a_network,
    an_awkward_network,
    an_image,
    assert_untouched,
    state_of,
)

GUIDED = {"guided-backprop", "guided-grad-cam", "guided-grad-cam++"}
CAMS = {"grad-cam", "grad-cam++", "guided-grad-cam", "guided-grad-cam++", "score-cam"} | {
    "lrp-grad-cam++"
}


def refused(network, x, **options):
    return {n: v.reason for n, v in check_methods(network, x, **options).items() if not v.valid}


@pytest.mark.parametrize("dims", [2, 3])
def test_every_method_is_valid_for_a_plain_network_which_is_left_alone(dims):
    network = a_network(dims).train()
    before = state_of(network)
    assert set(check_methods(network, an_image(dims))) == set(METHODS)
    assert refused(network, an_image(dims)) == {}
    assert_untouched(network, before)


def test_functional_in_place_and_reused_activations_are_counted():
    facts = inspect_network(an_awkward_network(2), an_image())
    assert facts.relus == 5
    assert facts.other_activations == {}


def test_without_relus_there_is_nothing_to_guide():
    network = a_network()
    for k in (2, 5):
        network[k] = nn.SiLU()
    reasons = refused(network, an_image())
    assert set(reasons) == GUIDED
    assert "plain gradient" in reasons["guided-backprop"]


def test_relus_among_other_activations_are_guided_with_a_remark():
    network = a_network()
    network[2] = nn.GELU()
    verdict = check_methods(network, an_image())["guided-backprop"]
    assert verdict.valid and "not gelu" in verdict.reason


def test_a_feature_map_that_is_too_small_is_refused_by_name():
    reasons = refused(a_network(), an_image(side=16), layer="6")
    assert set(reasons) == CAMS | {"layer"}
    reasons = refused(a_network(), an_image(side=12), layer="5")
    assert set(reasons) == CAMS
    assert "only 6 × 6 voxels" in reasons["grad-cam"]


def test_a_network_without_feature_maps_has_no_activation_maps():
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 4), nn.ReLU(), nn.Linear(4, 2))
    assert set(refused(network, an_image())) == CAMS | {"layer"}


def test_attention_and_recurrence_have_no_rule_of_relevance():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(8, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = functional.relu(x[:, 0])
            mixed = torch.bmm(x.softmax(2), x)
            return self.head(self.lstm(mixed)[0][:, -1])

    reasons = refused(Attends(), an_image(side=8))
    assert {"lrp", "lrp-grad-cam++"} <= set(reasons)
    assert "bmm" in reasons["lrp"] and "lstm" in reasons["lrp"]


def test_a_network_that_rounds_can_only_be_occluded():
    class Rounds(nn.Module):
        def forward(self, x):
            return x.detach().round().flatten(1)[:, :2]

    valid = {n for n, v in check_methods(Rounds(), an_image()).items() if v.valid}
    assert valid == {"occlusion", "supervoxel-occlusion"}


def test_batch_norm_without_running_statistics_spoils_everything():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU(), nn.Flatten()
    )
    reasons = refused(network, an_image())
    assert set(reasons) == set(METHODS)
    assert "batch norm" in reasons["ig"]
