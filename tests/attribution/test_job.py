import pytest
import torch
from torch import nn

from napari_cardioxai.attribution.job import Job
from napari_cardioxai.attribution.paths import GuidedIntegratedGradients, IntegratedGradients
from napari_cardioxai.attribution.smooth import (
    SmoothGuidedIntegratedGradients,
    SmoothIntegratedGradients,
)
from napari_cardioxai.progress import silent


class Counting(nn.Module):
    """The sum of squares, and the sizes of the passes that asked for it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.passes = []

    def forward(self, x):
        self.passes.append((len(x), torch.is_grad_enabled()))
        total = (self.weight * x.square()).flatten(1).sum(1)
        return torch.stack([-total, total], 1)


@pytest.fixture
def network(monkeypatch):
    """Private copies share its list of passes."""
    counting = Counting()
    monkeypatch.setattr("napari_cardioxai.attribution.job.private_copy", lambda _: counting)
    return counting


def a_job(network, x, **given):
    return Job.begin(
        network,
        x,
        1,
        baselines=None,
        spacing_mm=None,
        generator=torch.Generator().manual_seed(0),
        on_progress=silent,
        memory_mib=512,
        **given,
    )


def test_passes_are_alike_in_size_so_that_none_holds_a_single_row(network):
    job = a_job(network, torch.rand(1, 1, 4, 4))
    job.rows_per_pass = 4
    sizes = [part.stop - part.start for part, _ in job.in_parts(25, lambda part: None)]
    assert sizes == [4, 4, 4, 4, 3, 3, 3]


def test_memory_is_measured_once_for_a_network_and_a_shape(network):
    x = torch.rand(1, 1, 4, 4)
    for _ in range(3):
        a_job(network, x).rows_at_once(10)
    assert len(network.passes) == 1
    a_job(network, torch.rand(1, 1, 6, 6)).rows_at_once(10)
    assert len(network.passes) == 2


def test_the_number_and_that_of_the_baseline_take_one_pass(network):
    x = torch.rand(2, 1, 4, 4)
    job = a_job(network, x)
    job.rows_per_pass = 8
    difference = job.above(torch.zeros_like(x))
    torch.testing.assert_close(difference, x.square().flatten(1).sum(1))
    torch.testing.assert_close(job.value, difference)
    assert network.passes == [(4, False)]


def test_integrated_gradients_need_two_passes_beyond_their_steps(network):
    x = torch.rand(1, 1, 4, 4)
    IntegratedGradients(network, steps=8, tolerance_percent=0).attribute(x, 1)
    gradients = sum(rows for rows, with_graph in network.passes[1:] if with_graph)
    assert gradients == 8
    assert [rows for rows, with_graph in network.passes if not with_graph] == [2]


def test_noisy_copies_share_passes_and_nobody_asks_what_they_sum_to(network):
    x = torch.rand(1, 1, 4, 4)
    SmoothIntegratedGradients(network, steps=8, samples=4).attribute(x, 1)
    assert sum(rows for rows, _ in network.passes[1:]) == 32
    network.passes.clear()
    SmoothGuidedIntegratedGradients(network, steps=8, samples=4).attribute(x, 1)
    assert network.passes == [(4, True)] * 8


def test_copies_keep_the_target_of_their_example(network):
    x = torch.rand(2, 1, 4, 4)
    heat = SmoothIntegratedGradients(network, steps=4, samples=3, noise_percent=0).attribute(
        x, [0, 1]
    )
    torch.testing.assert_close(heat, torch.tensor([-1.0, 1.0])[:, None, None, None] * x.square())


def test_a_guided_walk_takes_one_gradient_a_step(network):
    GuidedIntegratedGradients(network, steps=8).attribute(torch.rand(1, 1, 4, 4), 1)
    assert sum(with_graph for _, with_graph in network.passes) in (8, 9)
