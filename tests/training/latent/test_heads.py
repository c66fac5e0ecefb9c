from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.training.latent.heads import (
    FixedLatents,
    WallMotion,
    encode_subjects,
    fit_heads,
    new_classifiers,
    wall_motion,
)
from tests.training.latent.test_walls import a_ring
from tests.training.latent_example import SMALL, beating_rings

HEADS = replace(SMALL, head_epochs=8, head_learning_rate=1e-2, dropout=0.0, wall=1.0)


def some_latents(count: int = 24) -> FixedLatents:
    """The label is the sign of a difference of two frames; the concept that of one unit of its slice."""
    generator = torch.Generator().manual_seed(3)
    z = torch.randn((count, 25, 8), generator=generator)
    label = (z[:, 9, 5] > z[:, 0, 5]).float()
    concepts = (z[:, 4, 1] > 0).float()[:, None]
    concepts[0] = torch.nan
    return FixedLatents(z, label, concepts, torch.randn((count, 36), generator=generator))


def test_a_wall_that_grows_by_half_moves_by_half_and_not_against_its_neighbours():
    diastole, systole = a_ring(20, 26), a_ring(15, 24)
    sequence = np.concatenate([diastole] * 3 + [systole] * 3, axis=1)
    motion = wall_motion(sequence, es_frame=4)
    assert motion.shape == (1, 12)
    np.testing.assert_allclose(motion[0, :6], 9 / 6 - 1, atol=0.08)
    np.testing.assert_allclose(motion[0, 6:], motion[0, :6] - motion[0, :6].mean(), atol=1e-6)


def test_the_wall_term_is_the_mean_squared_error_in_variances_of_the_targets():
    wall = WallMotion(2)
    wall.standardise_on(np.array([[0.0, 10.0], [2.0, 30.0]], np.float32))
    torch.nn.init.zeros_(wall.readout.weight)
    torch.nn.init.constant_(wall.readout.bias, 0.5)
    # Means 1 and 20, standard deviations 1 and 10: the targets become (2, -1) and (0, 1).
    loss = wall(torch.zeros(2, 64), torch.tensor([[3.0, 10.0], [1.0, 30.0]]))
    by_hand = ((0.5 - 2) ** 2 + (0.5 + 1) ** 2 + (0.5 - 0) ** 2 + (0.5 - 1) ** 2) / 4
    assert loss.item() == pytest.approx(by_hand)


def test_new_classifiers_learn_and_the_autoencoder_stays_as_it_is():
    torch.manual_seed(0)
    network = HEADS.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    losses = fit_heads(
        network, some_latents(), HEADS, terms=("primary", "concepts"), wall=WallMotion(36)
    )
    assert len(losses) == 8 and losses[-1] < 0.8 * losses[0]
    for name, tensor in network.state_dict().items():
        is_head = name.startswith(("frame_layer", "trunk", "concept", "decision"))
        assert torch.equal(tensor, before[name]) is not is_head, name


def test_only_the_classifiers_that_are_new_are_taught():
    torch.manual_seed(0)
    network = HEADS.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit_heads(network, some_latents(), HEADS, terms=("concepts",))
    changed = {
        name.split(".")[0]
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"concept_classifiers"}


def test_a_seed_decides_what_new_classifiers_learn():
    def taught(seed: int) -> torch.Tensor:
        torch.manual_seed(0)
        network = HEADS.build()
        fit_heads(network, some_latents(), HEADS, terms=("primary",), seed=seed)
        return network.decision[2].weight.detach()

    assert torch.equal(taught(1), taught(1))
    assert not torch.equal(taught(1), taught(2))


def test_subjects_are_encoded_in_parts_as_they_are_at_once():
    torch.manual_seed(0)
    network = SMALL.build().eval()
    sequences = beating_rings(18).sequences
    with torch.no_grad():
        at_once = network.encode(torch.from_numpy(sequences))[0]
    torch.testing.assert_close(encode_subjects(network, sequences), at_once)


def test_new_classifiers_leave_the_given_network_and_its_autoencoder_alone():
    torch.manual_seed(5)
    network = SMALL.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fresh = new_classifiers(network, beating_rings(12), replace(HEADS, head_epochs=2))
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())
    same = {name for name, t in fresh.state_dict().items() if torch.equal(t, before[name])}
    assert {name.split(".")[0] for name in same} >= {"stem", "down", "posterior", "up"}
    assert not any(name.startswith(("decision", "concept")) for name in same)
