import numpy as np
import pytest
import torch

from napari_cardioxai.attribution.scores.information import compressed_bytes, information_curve
from napari_cardioxai.errors import AttributionError


def a_noisy_square(shape, seed=0):
    """Texture in one corner, flat elsewhere; blurred: flat everywhere."""
    image = torch.zeros(1, *shape)
    corner = (slice(None), *(slice(0, n // 2) for n in shape))
    image[corner] = torch.rand(image[corner].shape, generator=torch.Generator().manual_seed(seed))
    mask = np.zeros(shape)
    mask[corner[1:]] = 1
    return image, mask


def correlation_with(image):
    return lambda x: (x * image).flatten(1).sum(1) / image.square().sum()


@pytest.mark.parametrize("shape", [(32, 32), (12, 12, 12)])
def test_detail_in_the_right_order_brings_the_answer_back_sooner(shape):
    image, _ = a_noisy_square(shape)
    forward = correlation_with(image)
    first, last = (
        information_curve(
            forward,
            image,
            evidence,
            blurred=torch.zeros_like(image),
            rng=np.random.default_rng(0),
        )
        for evidence in (image[0].numpy(), -image[0].numpy())
    )
    assert first.area > last.area
    for curve in (first, last):
        assert (np.diff(curve.performance) >= 0).all(), "never falls"
        assert curve.performance[-1] == 1
        assert 0 < curve.area <= 1


def test_an_answer_that_comes_back_at_once_has_the_whole_area():
    image, _ = a_noisy_square((16, 16))
    seen = (image != 0).float()
    brightest = float(image.max())

    def forward(x):  # right as soon as the brightest voxel is back
        return ((x * seen).flatten(1).amax(1) >= brightest).float()

    curve = information_curve(
        forward,
        image,
        image[0].numpy(),
        blurred=torch.zeros_like(image),
        rng=np.random.default_rng(0),
        revealed=(1 / 256, 0.5),
    )
    # one voxel of 256 is back: performance 1 from its little information on
    assert curve.area > 0.9
    late = information_curve(
        forward,
        image,
        -image[0].numpy(),
        blurred=torch.zeros_like(image),
        rng=np.random.default_rng(0),
        revealed=(1 / 256, 0.5),
    )
    assert late.area < curve.area


def test_the_curve_of_an_answer_that_goes_with_information_is_the_diagonal():
    image, _ = a_noisy_square((24, 24), seed=2)
    blurred = torch.zeros_like(image)
    low, span = float(image.min()), float(image.max() - image.min())

    def forward(x):
        return torch.tensor([float(compressed_bytes(one, low=low, span=span)) for one in x])

    curve = information_curve(
        forward, image, image[0].numpy(), blurred=blurred, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(curve.performance, curve.information, atol=1e-9)
    assert curve.area == pytest.approx(0.5)


def test_more_texture_needs_more_bytes():
    flat, noise = torch.zeros(1, 20, 20), torch.rand(1, 20, 20)
    assert compressed_bytes(flat, low=0, span=1) < compressed_bytes(noise, low=0, span=1)


def test_an_answer_that_blurring_leaves_alone_has_no_curve():
    image, _ = a_noisy_square((8, 8))
    with pytest.raises(AttributionError, match="blurred image"):
        information_curve(
            lambda x: torch.ones(len(x)),
            image,
            image[0].numpy(),
            blurred=torch.zeros_like(image),
            rng=np.random.default_rng(0),
        )
