import numpy as np
import pytest
import torch

from napari_cardioxai.attribution.scores.completeness import (
    completeness_percent,
    conservation_percent,
)
from napari_cardioxai.attribution.scores.removal import (
    RemovalCurve,
    faithfulness,
    removal_curve,
)
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.progress import Cancelled


def linear(weights):
    weights = torch.as_tensor(weights)
    return lambda x: (x * weights).flatten(1).sum(1)


def curves(forward, image, evidence, baseline=None, **how):
    baseline = torch.zeros_like(image) if baseline is None else baseline
    return [
        removal_curve(
            kind,
            forward,
            image,
            np.asarray(evidence),
            baseline=baseline,
            baseline_text="zero",
            rng=np.random.default_rng(0),
            **how,
        )
        for kind in ("insertion", "deletion")
    ]


def test_curves_of_a_linear_network_are_sums_of_its_shares():
    weights = torch.tensor([[[4.0, 1.0], [3.0, 2.0]]])
    image = torch.ones(1, 2, 2)
    insertion, deletion = curves(linear(weights), image, (weights * image)[0], steps=4)
    np.testing.assert_allclose(deletion.value, [10, 6, 3, 1, 0])
    np.testing.assert_allclose(insertion.value, [0, 4, 7, 9, 10])
    np.testing.assert_allclose(deletion.fraction, [0, 0.25, 0.5, 0.75, 1])
    # trapezoids: 0.25 * (5 + 6 + 3 + 1) and 0.25 * (5 + 4 + 7 + 9)
    assert deletion.area == pytest.approx(3.75)
    assert insertion.area == pytest.approx(6.25)
    assert deletion.relative_area == pytest.approx(0.375)
    assert faithfulness(insertion, deletion) == pytest.approx(0.25)
    assert deletion.baseline == "zero"


@pytest.mark.parametrize(("last", "told"), [(0.4, False), (1.0, True)])
def test_between_answers_that_are_alike_there_is_no_scale(last, told):
    # From 0 up to 10 and down to the last: less than a twentieth of 10, or more.
    curve = RemovalCurve(np.linspace(0, 1, 3), np.array([0.0, 10.0, last]), last, 0.0, "zero")
    assert np.isfinite(curve.relative_area) == told
    assert curve.overshoot == pytest.approx((10 - last) / last)


def test_a_baseline_is_where_a_curve_begins_and_ends():
    weights = torch.tensor([[[2.0, -1.0, 1.0]]])
    image, baseline = torch.tensor([[[1.0, 1.0, 4.0]]]), torch.tensor([[[0.0, 3.0, 1.0]]])
    insertion, deletion = curves(linear(weights), image, [[3.0, 2.0, 1.0]], baseline, steps=3)
    assert (deletion.whole, deletion.empty) == (5, -2)
    np.testing.assert_allclose(deletion.value, [5, 3, 1, -2])
    np.testing.assert_allclose(insertion.value, [-2, 0, 2, 5])


def test_all_channels_of_a_voxel_go_together_in_a_volume():
    image = torch.arange(2 * 2 * 2 * 2.0).reshape(2, 2, 2, 2)
    evidence = image.sum(0)
    _, deletion = curves(linear(torch.ones_like(image)), image, evidence, steps=8)
    ordered = np.sort(evidence.numpy().ravel())[::-1]
    np.testing.assert_allclose(deletion.value, image.sum().item() - np.append(0, ordered.cumsum()))


def test_a_map_in_the_right_order_is_the_most_faithful_of_all():
    rng = np.random.default_rng(3)
    weights = torch.from_numpy(rng.random((1, 6, 6)))
    image = torch.ones(1, 6, 6, dtype=torch.float64)
    best = faithfulness(*curves(linear(weights), image, weights[0], steps=36))
    others = [
        faithfulness(*curves(linear(weights), image, rng.random((6, 6)), steps=36))
        for _ in range(5)
    ]
    worst = faithfulness(*curves(linear(weights), image, -weights[0].numpy(), steps=36))
    assert best > max(others)
    assert worst == pytest.approx(-best)


def test_voxels_that_are_alike_come_in_random_order_and_the_same_again():
    weights = torch.zeros(1, 1, 100)
    weights[..., :50] = 1
    image = torch.ones(1, 1, 100)
    first, again = (
        curves(linear(weights), image, np.zeros((1, 100)), steps=10)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first.value, again.value)
    np.testing.assert_allclose(first.value, 50 * first.fraction, atol=8)


def test_the_number_of_rows_per_pass_changes_nothing():
    weights, image = torch.rand(1, 5, 5), torch.rand(1, 5, 5)
    few, many = (curves(linear(weights), image, weights[0], rows=r)[0] for r in (2, 100))
    np.testing.assert_allclose(few.value, many.value, rtol=1e-6)


def test_a_cancel_comes_through():
    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        curves(linear(torch.ones(1, 3, 3)), torch.ones(1, 3, 3), np.ones((3, 3)), on_progress=stop)


def test_a_map_of_another_grid_is_refused():
    with pytest.raises(AttributionError, match="one grid"):
        curves(linear(torch.ones(1, 3, 3)), torch.ones(1, 3, 3), np.ones((3, 4)))


def test_completeness_and_conservation_by_hand():
    assert completeness_percent(np.array([3.0, 2.0]), 6.0, 2.0) == 25
    assert conservation_percent(np.array([[3.0], [2.0]]), -10.0) == 150
    assert np.isnan(completeness_percent(np.ones(2), 2.0, 2.0))
