"""What every method of the registry must do, whatever it computes."""

import json
import threading
from dataclasses import fields

import pytest
import torch
from torch import nn

from napari_cardioxai.attribution.registry import METHODS, make_method
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Cancelled
from tests.attribution.nets import (
    a_network,
    an_awkward_network,
    an_image,
    assert_untouched,
    state_of,
)

QUICK = {
    "smoothgrad": {"samples": 3},
    "smoothgrad-squared": {"samples": 3},
    "gradient-shap": {"samples": 3},
    "ig": {"steps": 4, "most_steps": 8},
    "smooth-ig": {"samples": 2, "steps": 3},
    "guided-ig": {"steps": 4},
    "smooth-guided-ig": {"samples": 2, "steps": 3},
    "blur-ig": {"steps": 4, "most_steps": 8},
    "smooth-blur-ig": {"samples": 2, "steps": 3},
    "smooth-blur-guided": {"samples": 2, "steps": 3},
    "occlusion": {"window_percent": 50},
    "supervoxel-occlusion": {"count": 8},
    "xrai": {"steps": 4, "smallest": 5},
    "fast-xrai": {"steps": 4, "smallest": 5},
}
WITH_CHANNELS = {"grad-cam", "grad-cam++", "score-cam", "layer", "occlusion"} | {
    "supervoxel-occlusion",
    "xrai",
    "fast-xrai",
}


def quick(name, network):
    return make_method(name, network, **QUICK.get(name, {}))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dims", [2, 3])
def test_a_map_lies_on_the_grid_of_the_input_and_the_network_is_left_alone(name, dims):
    network = an_awkward_network(dims).train()
    network.norms[0].requires_grad_(False)
    before, x = state_of(network), an_image(dims, side=8, examples=2)
    given = x.clone()
    with torch.inference_mode():
        told = quick(name, network).explain(x, [0, 2], spacing_mm=(1.5,) * dims)
    channels = 1 if name in WITH_CHANNELS else x.shape[1]
    assert told.heat.shape == (2, channels, *x.shape[2:])
    assert told.heat.isfinite().all() and told.heat.abs().max() > 0
    assert not told.heat.requires_grad
    if METHODS[name].sign == "positive":
        assert told.heat.min() >= 0
    else:
        # Shares of z-plus have the logit's sign; regions that rank low are cut.
        assert told.heat.min() < 0 or METHODS[name].family in ("relevance", "regions")
    with torch.no_grad():
        logits = network.eval()(x)
    network.train()
    torch.testing.assert_close(told.value, logits[[0, 1], [0, 2]])
    assert bool(told.baseline) >= METHODS[name].uses_baseline
    assert (told.completeness_percent is not None) == METHODS[name].shares_out
    json.dumps(told.settings)
    assert torch.equal(x, given)
    assert_untouched(network, before)


@pytest.mark.parametrize("name", METHODS)
def test_a_cine_is_explained_over_time(name):
    """(b, c, t, y, x) with frames that are no length."""
    x = an_image(3, side=8)[:, :, :6]
    heat = quick(name, an_awkward_network(3)).attribute(x, 1, spacing_mm=(None, 1.25, 1.25))
    assert heat.shape[2:] == (6, 8, 8)


NOISY = sorted(
    name
    for name, entry in METHODS.items()
    if entry.method.__name__.startswith(("Smooth", "Squared", "GradientShap"))
)


@pytest.mark.parametrize("name", NOISY)
def test_noise_that_is_drawn_for_a_batch_lets_no_example_see_another(name):
    network, x = a_network(2), an_image(2, side=12, examples=2)
    other = x.clone()
    other[1] = 3 * x[1].flip(-1) + 1
    first, again = (quick(name, network).attribute(batch, [0, 2]) for batch in (x, other))
    moved = (first - again).abs().flatten(1).amax(1) / first.abs().flatten(1).amax(1)
    assert moved[0] < 1e-4 and moved[1] > 1e-2


@pytest.mark.parametrize("name", [name for name in METHODS if name not in NOISY])
def test_examples_of_a_batch_are_explained_each_for_itself(name):
    network, x = a_network(2), an_image(2, side=12, examples=2)
    together = quick(name, network).attribute(x, [0, 2])
    alone = [quick(name, network).attribute(x[k : k + 1], c) for k, c in enumerate([0, 2])]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_cancel_comes_through_and_leaves_the_network_alone(name, after):
    network = an_awkward_network(2)
    before, calls = state_of(network), []

    def cancel(done, total, what):
        calls.append((done, total, what))
        if len(calls) > after:
            raise Cancelled

    with pytest.raises(Cancelled):
        quick(name, network).attribute(an_image(side=8, examples=2), 1, on_progress=cancel)
    assert len(calls) == after + 1
    assert_untouched(network, before)


@pytest.mark.parametrize("name", METHODS)
def test_progress_ends_where_it_said(name):
    calls = []
    quick(name, a_network()).attribute(
        an_image(side=8), 1, on_progress=lambda done, total, what: calls.append((done, total, what))
    )
    assert all(0 <= done <= total for done, total, _ in calls)
    assert calls[-1][0] == calls[-1][1] or METHODS[name].family == "regions"
    assert all(what for *_, what in calls)


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = a_network()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("out of order")
        return self.inner(x)


@pytest.mark.parametrize("name", METHODS)
def test_an_error_inside_the_network_leaves_it_alone(name):
    network = Fails()
    before = state_of(network)
    try:
        quick(name, network).attribute(an_image(side=8, examples=2), 1)
    except RuntimeError as error:
        assert "out of order" in str(error)
    assert network.calls == 0
    assert_untouched(network, before)


def test_threads_do_not_disturb_each_other_or_whoever_runs_the_network():
    """Each thread explains the same network by another method while it is run and hooked."""
    network = an_awkward_network(2)
    x = an_image(side=8, examples=2)
    names = ["gradient", "guided-backprop", "lrp", "grad-cam++", "ig", "layer"]
    expected = {name: quick(name, network).attribute(x, 1) for name in names}
    with torch.no_grad():
        output = network(x)
    # The user's own hooks leave a mark on a module, which is not ours to answer for.
    network.relu.register_full_backward_hook(lambda m, a, b: None).remove()
    before, wrong, done = state_of(network), [], threading.Event()

    def explain(name):
        for _ in range(6):
            if not torch.equal(quick(name, network).attribute(x, 1), expected[name]):
                wrong.append(name)

    def use():
        while not done.is_set():
            handle = network.relu.register_full_backward_hook(lambda m, a, b: None)
            with torch.no_grad():
                if not torch.equal(network(x), output):
                    wrong.append("the network itself")
            handle.remove()

    user = threading.Thread(target=use)
    threads = [threading.Thread(target=explain, args=(name,)) for name in names]
    for thread in (user, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    user.join()
    assert wrong == []
    assert_untouched(network, before)


def test_one_method_can_be_used_from_several_threads():
    network, x = a_network(), an_image(side=8)
    method = quick("guided-ig", network)
    expected, results = method.attribute(x, 1), []
    threads = [
        threading.Thread(target=lambda: results.append(method.attribute(x, 1))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(torch.equal(r, expected) for r in results)


@pytest.mark.parametrize(
    ("inputs", "options", "complaint"),
    [
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), {}, "floating-point"),
        (torch.zeros(1, 8), {}, "axes"),
        (torch.full((1, 1, 8, 8), torch.nan), {}, "not finite"),
        (torch.zeros(1, 1, 8, 8), {"spacing_mm": (1.0,)}, "2 lengths"),
        (torch.zeros(1, 1, 8, 8), {"spacing_mm": (1.0, 0.0)}, "2 lengths"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_sentence(inputs, options, complaint):
    with pytest.raises(AttributionError, match=complaint):
        make_method("gradient", a_network()).attribute(inputs, 1, **options)


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("magic", {}, "no method 'magic'"),
        ("ig", {"colour": 3}, "no setting 'colour'"),
        ("ig", {"steps": 0}, "steps must lie between 1 and 4096"),
        ("ig", {"steps": "many"}, "must be a number"),
        ("lrp", {"composite": "best"}, "composite cannot be 'best'"),
    ],
)
def test_settings_are_checked_in_a_sentence(name, settings, complaint):
    with pytest.raises(AttributionError, match=complaint):
        make_method(name, a_network(), **settings)


def test_the_registry_says_what_a_list_needs():
    for name, entry in METHODS.items():
        assert name == entry.name == entry.method.name
        assert entry.title and entry.meaning and entry.valid_for and entry.source
        assert entry.sign in ("signed", "positive")
        for one in fields(entry.method):
            if "label" in one.metadata:
                assert {"min", "max", "unit"} <= set(one.metadata) or "choices" in one.metadata
