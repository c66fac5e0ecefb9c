import pytest
import torch
from torch import nn

from napari_cardioxai.networks.classifiers import classifier
from napari_cardioxai.networks.depth import depth_of


@pytest.mark.parametrize(
    "name, layers",
    # The numbers in their names; the other three as MathWorks' table of networks counts them.
    [
        ("vgg16", 16),
        ("vgg19", 19),
        ("resnet50", 50),
        ("resnet50v2", 50),
        ("densenet121", 121),
        ("xception", 71),
        ("inceptionv3", 48),
        ("efficientnet-b0", 82),
    ],
)
def test_networks_are_as_deep_as_their_names_say(name, layers):
    network = classifier(name, classes=3)
    assert depth_of(network, torch.zeros(1, 1, 96, 96)) == layers


def test_the_longest_way_counts_and_the_mode_is_kept():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.long = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU(), nn.Conv3d(2, 2, 1))
            self.short = nn.Conv3d(1, 2, 1)
            self.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 2))

        def forward(self, x):
            return self.head(self.long(x) + self.short(x))

    network = Fork().train()
    assert depth_of(network, torch.zeros(2, 1, 3, 3, 3)) == 3
    assert network.training
