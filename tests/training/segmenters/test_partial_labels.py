import math

import pytest
import torch
from monai.losses import DiceCELoss

from napari_cardioxai.training.segmenters.partial_labels import PartialLabelLoss


def known(*flags):
    return torch.tensor([flags], dtype=torch.bool)


def test_one_pixel_by_hand():
    """Probabilities 0.1, 0.2, 0.3, 0.4; class 1 is true and myocardium and RV were never drawn."""
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().reshape(1, 4, 1, 1)
    label = torch.ones(1, 1, 1, 1, dtype=torch.long)
    loss = PartialLabelLoss()(logits, label, known(True, True, False, False))
    dice = (2 * 0.2 + 1) / (0.2 + 1 + 1)
    assert loss.item() == pytest.approx(-math.log(0.2) + 1 - dice, rel=1e-5)


def test_a_structure_that_was_never_drawn_may_lie_in_the_background():
    logits = torch.tensor([0.0, -20.0, 20.0, 0.0]).reshape(1, 4, 1, 1)
    background = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    loss = PartialLabelLoss()
    assert loss(logits, background, known(True, True, False, False)).item() < 1e-3
    assert loss(logits, background, known(True, True, True, True)).item() > 5


@pytest.mark.parametrize("picture_by_picture", [False, True])
def test_with_everything_known_it_is_monais_dice_and_cross_entropy(picture_by_picture):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 8, 8, generator=generator)
    label = torch.randint(0, 4, (3, 1, 8, 8), generator=generator)
    loss = PartialLabelLoss(picture_by_picture=picture_by_picture)
    ours = loss(logits, label, torch.ones(3, 4, dtype=torch.bool))
    theirs = DiceCELoss(
        to_onehot_y=True,
        softmax=True,
        include_background=False,
        batch=not picture_by_picture,
        smooth_nr=1.0,
        smooth_dr=1.0,
    )(logits, label)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_picture_by_picture_a_small_cavity_counts_as_much_as_a_large_one():
    """The loss of two pictures is the mean of both; 1 pixel of cavity was missed in one, 15 in the other."""
    label = torch.zeros(2, 1, 4, 4, dtype=torch.long)
    label[0, 0, 0, 0] = 1
    label[1, 0] = 1
    label[1, 0, 0, 0] = 0
    logits = torch.zeros(2, 2, 4, 4)
    logits[:, 1] = -40.0
    both = known(True, True)
    for each in (True, False):
        loss = PartialLabelLoss(picture_by_picture=each)
        small, large = (loss(logits[k : k + 1], label[k : k + 1], both).item() for k in (0, 1))
        together = loss(logits, label, both.expand(2, 2)).item()
        assert (together == pytest.approx((small + large) / 2, rel=1e-4)) is each


def test_picture_by_picture_a_structure_counts_where_it_was_drawn():
    """Twice the pixel from above; the wall and the RV were drawn in the second picture alone."""
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().reshape(1, 4, 1, 1).expand(2, 4, 1, 1)
    label = torch.ones(2, 1, 1, 1, dtype=torch.long)
    drawn = torch.cat([known(True, True, False, False), known(True, True, True, True)])
    loss = PartialLabelLoss(picture_by_picture=True)(logits, label, drawn)
    lv, wall, rv = 1 - (2 * 0.2 + 1) / (0.2 + 1 + 1), 1 - 1 / (0.3 + 1), 1 - 1 / (0.4 + 1)
    assert loss.item() == pytest.approx(-math.log(0.2) + (lv + wall + rv) / 3, rel=1e-5)


def test_an_unknown_structure_is_not_pulled_down_by_dice():
    """The gradient on two hidden classes depends on the background's share alone."""
    logits = torch.zeros(1, 4, 2, 2, requires_grad=True)
    label = torch.tensor([[[[1, 0], [0, 0]]]])
    PartialLabelLoss()(logits, label, known(True, True, False, False)).backward()
    assert torch.allclose(logits.grad[:, 2], logits.grad[:, 0])
    assert torch.allclose(logits.grad[:, 3], logits.grad[:, 0])


def test_a_teacher_is_heeded_where_the_labels_are_silent():
    """Hidden classes 2 and 3 beside the background: cross-entropy of shares 1/4, 1/2, 1/4 with thirds is log 3."""
    logits = torch.zeros(1, 4, 1, 1)
    taught = torch.tensor([0.25, 0.9, 0.5, 0.25]).log().reshape(1, 4, 1, 1)
    background = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    loss, some = PartialLabelLoss(), known(True, True, False, False)
    added = loss(logits, background, some, taught=taught) - loss(logits, background, some)
    assert added.item() == pytest.approx(math.log(3), rel=1e-6)


def test_a_teacher_has_no_say_where_the_labels_speak():
    generator = torch.Generator().manual_seed(0)
    logits, taught = torch.randn(2, 1, 4, 4, 4, generator=generator)
    label = torch.randint(0, 4, (1, 1, 4, 4), generator=generator)
    loss, everything = PartialLabelLoss(), known(True, True, True, True)
    assert loss(logits, label, everything, taught=taught) == loss(logits, label, everything)
    cavity = torch.ones(1, 1, 4, 4, dtype=torch.long)
    some = known(True, True, False, False)
    assert loss(logits, cavity, some, taught=taught) == loss(logits, cavity, some)


def test_a_student_like_its_teacher_stays_so():
    """The gradient of the teacher's part is zero where both give the same shares."""
    logits = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    label = torch.zeros(1, 1, 3, 3, dtype=torch.long)
    loss, some = PartialLabelLoss(), known(True, True, False, False)
    both = loss(logits, label, some, taught=logits.detach())
    (both - loss(logits, label, some)).backward()
    assert logits.grad.abs().max() < 1e-6


def test_a_network_that_is_sure_and_wrong_still_learns():
    """Of a class of probability exp(-200) the cross-entropy is 200, with gradient -1 at its score."""
    logits = torch.tensor([200.0, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
    label = torch.ones(1, 1, 1, 1, dtype=torch.long)
    loss = PartialLabelLoss()(logits, label, known(True, True))
    loss.backward()
    assert loss.item() == pytest.approx(200 + 1 - 1 / 2, rel=1e-6)
    assert logits.grad[0, :, 0, 0].tolist() == pytest.approx([1.0, -1.0], abs=1e-6)
