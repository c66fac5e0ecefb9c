import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.training.latent.perceptual import PerceptualDistance


class Doubled(nn.Module):
    """Two channels: a picture and twice its negative."""

    def forward(self, x):
        first = x[:, :1]
        return torch.cat([first, -2 * first], 1)


def test_the_distance_is_that_of_vectors_of_length_one():
    distance = PerceptualDistance([Doubled()])
    made = torch.tensor([[[[3.0, -1.0]]]])
    true = torch.tensor([[[[0.5, 2.0]]]])
    # Of each place (1, -2) / sqrt 5, with the sign of the picture: alike, then opposite.
    opposite = (2 / 5**0.5) ** 2 + (4 / 5**0.5) ** 2
    assert float(distance(made, true)) == pytest.approx((0 + opposite) / 2)
    assert float(distance(true, true)) == 0


def test_levels_follow_each_other_and_add_up():
    both = PerceptualDistance([Doubled(), Doubled()])
    made, true = torch.randn((2, 1, 4, 4)), torch.randn((2, 1, 4, 4))
    alone = PerceptualDistance([Doubled()])
    assert float(both(made, true)) == pytest.approx(2 * float(alone(made, true)))


def test_the_more_a_heart_is_blurred_the_farther_it_is():
    distance = PerceptualDistance.of_segmenter()
    yy, xx = torch.meshgrid(torch.arange(80.0), torch.arange(80.0), indexing="ij")
    radius = torch.hypot(yy - 40, xx - 40)
    texture = 0.2 * torch.randn((80, 80), generator=torch.Generator().manual_seed(0))
    picture = 2.0 * (radius < 16) - 1.0 * ((radius > 16) & (radius < 23)) + texture
    told = [
        float(
            distance(
                torch.from_numpy(gaussian_filter(picture, width))[None, None], picture[None, None]
            )
        )
        for width in (0.0, 0.5, 1.0, 2.0, 4.0)
    ]
    assert told[0] == 0
    assert told == sorted(told) and told[-1] > 3 * told[1]


def test_gradients_reach_the_picture_and_not_the_network():
    distance = PerceptualDistance.of_segmenter(levels=2)
    made = torch.zeros((1, 1, 32, 32), requires_grad=True)
    distance(made, torch.randn((1, 1, 32, 32))).backward()
    assert made.grad is not None and float(made.grad.abs().sum()) > 0
    assert all(p.grad is None for p in distance.parameters())
    assert not distance.training


def test_a_network_without_residual_units_cannot_compare():
    with pytest.raises(BundleError, match="no residual U-Net"):
        PerceptualDistance.of_segmenter("lv-fcn")
