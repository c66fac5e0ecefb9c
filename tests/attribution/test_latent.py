import pytest
import torch

from napari_cardioxai.attribution.latent import (
    FramesToLogits,
    LatentToLogits,
    memberships,
    through_decoder,
)
from napari_cardioxai.attribution.registry import make_method
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.networks.latent import LatentHeart


def a_heart(**changes) -> LatentHeart:
    torch.manual_seed(0)
    sizes = {"frames": 6, "size": 16, "latent": 8, "channels": (6, 8), "frame_units": 4, "patch": 2}
    heart = LatentHeart(**{**sizes, "concepts": [(0, 3)], **changes}).eval()
    for p in heart.parameters():
        p.data += 0.05 * torch.randn(p.shape)
    return heart


def some_labels(count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 4, (count, 6, 3, 16, 16), generator=generator, dtype=torch.uint8)


def test_memberships_give_the_logits_of_the_labels():
    heart, labels = a_heart(), some_labels(2)
    x = memberships(labels)
    assert x.shape == (2, 4, 6, 3, 16, 16)
    assert torch.equal(x.argmax(1), labels.long())
    said = heart.classify(heart.encode(labels)[0])
    logits = FramesToLogits(heart)(x)
    torch.testing.assert_close(logits[:, 0], said["logit"])
    torch.testing.assert_close(logits[:, 1:], said["concepts"])
    with pytest.raises(AttributionError, match="between 0 and 3"):
        memberships(labels + 4)


@pytest.mark.parametrize("target", [0, 1])
def test_integrated_gradients_from_background_share_out_the_logit_among_frames(target):
    heart, x = a_heart(), memberships(some_labels())
    network = FramesToLogits(heart)
    told = make_method("ig", network).explain(x, target, baselines="background")
    empty = torch.zeros_like(x)
    empty[:, 0] = 1
    difference = (network(x) - network(empty))[:, target]
    torch.testing.assert_close(told.heat.flatten(1).sum(1), difference, rtol=0.011, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["gradient", "lrp", "grad-cam", "grad-cam++", "layer", "fast-xrai", "occlusion"]
)
def test_methods_reach_each_frames_input_through_the_encoder(name):
    network, x = FramesToLogits(a_heart()), memberships(some_labels())
    settings = {"layer": "heart.down"} if "cam" in name or name == "layer" else {}
    told = make_method(name, network, **settings).explain(x, 0, spacing_mm=(None, 8.0, 1.25, 1.25))
    assert told.heat.shape[2:] == (6, 3, 16, 16)
    assert told.heat.abs().max() > 0
    if name == "lrp":
        assert told.completeness_percent < 0.1


def test_an_activation_map_of_frames_is_theirs():
    """Frames that look alike have the same map; a frame that differs has its own."""
    labels = some_labels()
    labels[:] = labels[:, :1]
    labels[:, 4] = 1
    network = FramesToLogits(a_heart())
    heat = make_method("layer", network, layer="heart.stem").attribute(memberships(labels))
    torch.testing.assert_close(heat[:, :, 0], heat[:, :, 5])
    assert not torch.allclose(heat[:, :, 0], heat[:, :, 4])


def test_units_of_the_latent_can_be_explained_themselves():
    heart = a_heart()
    z = heart.encode(some_labels())[0].detach()
    heat = make_method("gradient", LatentToLogits(heart)).attribute(z.transpose(1, 2), 1)
    assert heat.shape == (1, 8, 6)
    assert not heat[:, 3:].any(), "the concept sees three units only"


def test_the_change_through_the_decoder_is_its_derivative_towards_the_logit():
    heart = a_heart(concepts=()).double()
    z = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    change = through_decoder(heart, z)
    leaf = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(heart.classify(leaf)["logit"].sum(), leaf)
    towards = slope / slope.norm()
    with torch.no_grad():
        moved = heart.decode(z + 1e-6 * towards) - heart.decode(z - 1e-6 * towards)
    torch.testing.assert_close(change, moved.movedim(3, 1) / 2e-6, rtol=1e-5, atol=1e-7)


def test_what_the_model_has_not_is_said():
    heart = a_heart(decoder=False)
    z = heart.encode(some_labels())[0].detach()
    with pytest.raises(AttributionError, match="no decoder"):
        through_decoder(heart, z)
    with pytest.raises(AttributionError, match="no logit 2"):
        through_decoder(a_heart(), z, logit=2)
