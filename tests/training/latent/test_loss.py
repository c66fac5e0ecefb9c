import math

import pytest
import torch
from torch.nn import functional

from napari_cardioxai.networks.latent import LatentHeart
from napari_cardioxai.training.latent.loss import kl_divergence, known_bce, patch_cross_entropy


def test_patch_cross_entropy_and_its_gradient_are_those_of_torch_on_pixels():
    torch.manual_seed(0)
    heart = LatentHeart(frames=8, size=32, latent=6, channels=(8, 12))
    z = torch.randn(2, 3, 6)
    labels = torch.randint(0, 4, (6, 3, 32, 32), dtype=torch.uint8)
    (part,) = heart.decode_patches(z)
    mine = patch_cross_entropy(part, labels, classes=4, patch=4)
    pixels = heart.to_pixels(part)
    theirs = functional.cross_entropy(
        pixels.flatten(0, 1), labels.flatten(0, 1).long(), reduction="sum"
    )
    torch.testing.assert_close(mine, theirs)
    parameters = list(heart.to_patches.parameters())
    for a, b in zip(
        torch.autograd.grad(mine, parameters, retain_graph=True),
        torch.autograd.grad(theirs, parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_kl_of_known_normals():
    # KL(N(1, 1) | N(0, 1)) = 1/2; KL(N(0, 4) | N(0, 1)) = (4 - 1 - log 4) / 2.
    mean = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    log_variance = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, math.log(4)]])
    expected = torch.tensor([0.0, 0.5, 0.5 + (3 - math.log(4)) / 2])
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


def test_kl_is_that_of_torch_distributions():
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    mine = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(5, 7), torch.ones(5, 7))
    expected = torch.distributions.kl_divergence(mine, standard).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


def test_unknown_truth_does_not_count_and_columns_are_added_up():
    # log(1 + e^0) = log 2 for the known ones of the first column, nothing known in the second.
    logits = torch.zeros(3, 3, requires_grad=True)
    nan = float("nan")
    truth = torch.tensor([[1.0, nan, 0.0], [0.0, nan, nan], [nan, nan, nan]])
    loss = known_bce(logits, truth)
    assert loss.item() == pytest.approx(2 * math.log(2))
    loss.backward()
    # Mean over the known: gradient (sigmoid - truth) / known = -/+ 1/4 and 1/2.
    expected = torch.tensor([[-0.25, 0.0, 0.5], [0.25, 0.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(logits.grad, expected)


def test_positives_count_by_their_weight():
    logits, truth = torch.zeros(2), torch.tensor([1.0, 0.0])
    loss = known_bce(logits, truth, positive_weight=torch.tensor(9.0))
    assert loss.item() == pytest.approx(10 * math.log(2) / 2)
