import pytest
import torch
from torch.nn import functional

from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.latent import CONCEPT_UNITS, LatentHeart, check_concept_slices
from napari_cardioxai.networks.latent_blocks import PatchesToPixels, pixels_to_patches

SMALL = {"frames": 8, "size": 32, "latent": 12, "channels": (8, 12), "frame_units": 4}


def a_heart(**changes) -> LatentHeart:
    torch.manual_seed(0)
    return LatentHeart(**{**SMALL, **changes}).eval()


def some_labels(count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 4, (count, 8, 3, 32, 32), generator=generator, dtype=torch.uint8)


def test_shapes_are_those_of_the_contract():
    heart = a_heart(concepts=[(0, 4), (2, 6)])
    mean, log_variance = heart.encode(some_labels())
    assert mean.shape == log_variance.shape == (2, 8, 12)
    assert heart.decode(mean).shape == (2, 8, 3, 4, 32, 32)
    said = heart.classify(mean)
    assert said["logit"].shape == (2,)
    assert said["features"].shape == (2, CONCEPT_UNITS) == (2, 64)
    assert said["concepts"].shape == (2, 2)
    torch.testing.assert_close(heart(some_labels()), said["logit"])


def test_the_papers_size_has_128_units_per_frame():
    heart = LatentHeart().eval()
    with torch.inference_mode():
        mean, _ = heart.encode(torch.zeros(1, 25, 3, 80, 80, dtype=torch.uint8))
        assert mean.shape == (1, 25, 128)
        assert heart.decode(mean).shape == (1, 25, 3, 4, 80, 80)


def test_labels_and_their_memberships_are_encoded_alike_and_gradients_reach_the_latter():
    heart, labels = a_heart(), some_labels()
    memberships = functional.one_hot(labels.long(), 4).movedim(-1, 3).float().requires_grad_()
    torch.testing.assert_close(heart.encode(memberships)[0], heart.encode(labels)[0])
    heart(memberships).sum().backward()
    assert memberships.grad.abs().sum() > 0


def test_every_frame_is_encoded_on_its_own():
    heart, labels = a_heart(), some_labels(1)
    changed = labels.clone()
    changed[0, 3] = 0
    difference = (heart.encode(labels)[0] - heart.encode(changed)[0]).abs().sum((0, 2))
    assert difference[3] > 0
    assert difference[[0, 1, 2, 4, 5, 6, 7]].max() < 1e-5


def test_a_concept_classifier_sees_its_own_slice_only():
    heart = a_heart(concepts=[(0, 4), (3, 5)])
    z = torch.randn(1, 8, 12, generator=torch.Generator().manual_seed(2)).requires_grad_()
    heart.classify_concepts(z)[0, 1].backward()
    reached = z.grad.abs().sum((0, 1)) > 0
    assert reached.tolist() == [False] * 3 + [True] * 5 + [False] * 4


def test_features_are_the_output_of_the_concept_layer():
    heart, caught = a_heart(), []
    heart.concept_layer.register_forward_hook(lambda module, args, output: caught.append(output))
    said = heart.classify(torch.zeros(1, 8, 12))
    assert said["features"] is caught[0]


@pytest.mark.parametrize("time", ["concat", "lstm", "conv"])
def test_each_time_model_uses_the_order_of_the_frames(time):
    heart = a_heart(time=time, frame_units=8)
    z = torch.randn(1, 8, 12, generator=torch.Generator().manual_seed(3))
    there, back = (heart.classify(x)["logit"] for x in (z, z.flip(1)))
    assert not torch.isclose(there, back).item()


def test_an_encoder_alone_classifies_and_says_that_it_cannot_decode():
    heart = a_heart(decoder=False)
    mean, log_variance = heart.encode(some_labels())
    assert log_variance is None and not heart.has_decoder
    assert heart.classify(mean)["logit"].shape == (2,)
    with pytest.raises(BundleError, match="no decoder"):
        heart.decode(mean)


def test_an_image_model_decodes_intensities():
    heart = a_heart(reads="images")
    mean, _ = heart.encode(torch.randn(2, 8, 3, 32, 32))
    assert heart.decode(mean).shape == (2, 8, 3, 32, 32)


def test_patches_and_pixels_are_two_orders_of_the_same_numbers():
    pictures = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    rows = pixels_to_patches(pictures, 4)
    assert rows.shape == (2 * 2 * 2, 3 * 16)
    coarse = rows.reshape(2, 2, 2, 3 * 16).permute(0, 3, 1, 2)
    spread = PatchesToPixels(channels=1, slices=3, patch=4)(coarse)
    assert torch.equal(spread.squeeze(2), pictures)


@pytest.mark.parametrize(
    ("slices", "complaint"),
    [
        ([(0, 8), (8, 4)], "leave some free"),
        ([(10, 4)], "4 units from 10"),
        ([(-1, 4)], "from -1"),
        ([(0, 0)], "0 units"),
    ],
)
def test_concept_slices_stay_within_the_latent_and_leave_some_free(slices, complaint):
    with pytest.raises(BundleError, match=complaint):
        check_concept_slices(slices, 12)


def test_overlapping_slices_are_allowed():
    check_concept_slices([(0, 8), (4, 7)], 12)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"size": 36}, "multiple of 8"),
        ({"reads": "echo"}, "'echo'"),
        ({"time": "transformer"}, "transformer"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(change, complaint):
    with pytest.raises(BundleError, match=complaint):
        a_heart(**change)


def test_nothing_works_in_place_and_no_activation_is_hidden():
    names = {type(module).__name__ for module in a_heart(concepts=[(0, 4)]).modules()}
    assert "ReLU" in names
    assert not any(getattr(module, "inplace", False) for module in a_heart().modules())
