"""Scores tell a map of what decides from maps that know nothing, on networks with a planted truth."""

import numpy as np
import pytest
import torch

from napari_cardioxai.attribution.scores.controls import CONTROLS
from napari_cardioxai.attribution.scores.randomisation import randomise_parameters
from napari_cardioxai.attribution.scores.table import SCORES, Case, score_controls, score_map
from napari_cardioxai.attribution.scores.verdict import judge_map
from tests.attribution.planted import planted, trained


def a_case(axes):
    network, accuracy = trained(axes)
    assert accuracy > 0.9, "the network must have learnt what is planted"
    images, labels, masks = planted(20, axes, seed=5)
    with torch.no_grad():
        sure = torch.where(labels == 1, network(images), -torch.inf)
    k = int(sure.argmax())

    def probability(x):
        return torch.sigmoid(network(x))

    case = Case(
        image=images[k],
        forward=network,
        baseline=torch.zeros_like(images[k]),
        baseline_text="zero",
        blurred=torch.zeros_like(images[k]),
        spacing_mm=(1.0,) * axes,
        truth=masks[k],
        truth_text="the planted ball",
        probability=probability,
        right=lambda x: (network(x) > 0).float(),
    )
    return network, case


def input_x_gradient(network, image):
    x = image[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)
    return (x * slope)[0].detach()


@pytest.mark.parametrize("axes", [2, 3])
def test_the_mask_itself_is_ahead_of_every_control_in_every_score(axes):
    _, case = a_case(axes)
    controls = score_controls(case, steps=24, samples=24)
    assert tuple(controls) == CONTROLS
    found = score_map(case, case.truth[None].astype(float), kind="shares", steps=24, samples=24)
    assert set(found.values) >= {"auprc", "faithfulness", "infidelity", "sic", "aic"}
    for name in ("pointing", "energy", "iou", "auprc"):
        assert found.values[name] == pytest.approx(1)
    for control in controls.values():
        for name in ("energy", "iou", "auprc", "faithfulness", "infidelity"):
            higher = SCORES[name].better == "higher"
            mine, theirs = found.values[name], control.values[name]
            assert mine > theirs if higher else mine < theirs, name
    # Edges are as good as the truth here: why controls stand beside these scores.
    for name in ("sic", "aic"):
        assert found.values[name] > controls["random"].values[name] + 0.3


@pytest.mark.parametrize("axes", [2, 3])
def test_a_map_of_the_network_passes_and_a_map_of_the_image_does_not(axes):
    network, case = a_case(axes)
    controls = {
        name: one.values for name, one in score_controls(case, steps=24, samples=24).items()
    }

    def judged(explain):
        heat = explain(network)
        values = dict(score_map(case, heat, kind="shares", steps=24, samples=24).values)
        values["randomised"] = randomise_parameters(
            lambda one: explain(one)[0].numpy(),
            network,
            stages=1,
            generator=torch.Generator().manual_seed(0),
        ).final
        return judge_map(values, controls)

    honest = judged(lambda one: input_x_gradient(one, case.image).clamp_min(0))
    assert honest.passes and not honest.weak, honest.sentence
    of_image = judged(lambda _: case.image.abs())
    assert not of_image.passes
    assert of_image.sentence.endswith("do not trust it.")


def test_scores_come_again_with_the_same_seed():
    _, case = a_case(2)
    heat = np.random.default_rng(0).random((1, *case.image.shape[1:]))
    first, again = (
        score_map(case, heat, kind="shares", steps=8, samples=8, seed=3).values for _ in range(2)
    )
    assert first == again
