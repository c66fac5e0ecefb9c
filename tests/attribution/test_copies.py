import threading
from functools import partial

import pytest
import torch
from torch import nn

from napari_cardioxai.attribution.copies import private_copy
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import Awkward, a_network, an_image, assert_untouched, state_of


def test_a_copy_computes_the_same_and_shares_the_weights():
    network = a_network()
    copied = private_copy(network)
    x = an_image()
    torch.testing.assert_close(copied(x), network(x))
    for one, other in zip(copied.parameters(), network.parameters(), strict=True):
        assert one.data_ptr() == other.data_ptr()
        assert not one.requires_grad
    network[0].weight.data.mul_(2)
    torch.testing.assert_close(copied(x), network(x))


def test_a_copy_is_in_evaluation_mode_without_in_place_activations_and_the_original_is_not():
    network = Awkward(2).train()
    before = state_of(network)
    copied = private_copy(network)
    assert not any(m.training for m in copied.modules())
    assert not copied.relu.inplace
    copied(an_image())
    assert_untouched(network, before)
    assert network.training and network.relu.inplace


def test_a_module_that_is_used_twice_is_one_module_in_the_copy_and_tied_weights_stay_tied():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    network.append(network[0])
    copied = private_copy(network)
    assert copied[2] is copied[0]
    assert copied[1].weight is copied[0].weight


class CountsItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.inner = nn.Linear(2, 2)
        self.run = partial(self._run, 1)
        self.lock = threading.Lock()
        self.steps = [self.inner]

    def _run(self, extra, x):
        return self.steps[0](x) + extra

    def forward(self, x):
        with self.lock:
            self.calls += 1
            self.last = self.run(x)
        return self.last


def test_buffers_methods_and_lists_of_modules_belong_to_the_copy():
    network = CountsItself()
    copied = private_copy(network)
    copied(torch.ones(1, 2))
    assert int(network.calls) == 0 and int(copied.calls) == 1
    assert not hasattr(network, "last")
    assert copied.steps[0] is copied.inner is not network.inner
    assert copied.run.func.__self__ is copied


def test_forward_hooks_stay_because_they_compute_and_backward_hooks_go():
    network = a_network()
    network[0].register_forward_hook(lambda m, args, out: 2 * out)
    network[0].register_full_backward_hook(lambda m, before, after: None)
    copied = private_copy(network)
    x = an_image()
    torch.testing.assert_close(copied(x), network(x))
    assert not copied[0]._backward_hooks


def test_weight_norm_and_inference_tensors_can_be_copied():
    network = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    with torch.inference_mode():
        born = nn.Linear(3, 2)
    for module in (network, born):
        x = torch.randn(1, 3, requires_grad=True)
        private_copy(module)(x).sum().backward()
        assert x.grad is not None


def test_a_recurrent_layer_keeps_its_result_without_its_dropout():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True).eval()
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(private_copy(lstm)(x)[0], lstm(x)[0])
    assert lstm.dropout == 0.5 and not lstm.training


def test_a_scripted_network_is_refused_in_a_sentence():
    with pytest.raises(AttributionError, match="scripted"):
        private_copy(torch.jit.script(nn.Linear(2, 2)))
