import numpy as np
import pytest

from napari_cardioxai.attribution.scores.controls import (
    CONTROLS,
    centre_map,
    control_maps,
    edge_map,
)
from napari_cardioxai.attribution.scores.evidence import evidence_of, ranked


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (2.0, 0.5), (8.0, 1.5, 1.0)])
def test_the_edge_of_a_ramp_is_its_slope_per_mm(spacing_mm):
    shape = (9, 10, 11)[: len(spacing_mm)]
    slopes = (3.0, -4.0, 2.0)[: len(spacing_mm)]
    places = np.indices(shape)
    ramp = sum(s * d * p for s, d, p in zip(slopes, spacing_mm, places, strict=True))
    inside = tuple(slice(1, -1) for _ in shape)
    found = edge_map(ramp[None], spacing_mm=spacing_mm)[inside]
    np.testing.assert_allclose(found, np.linalg.norm(slopes))


def test_channels_add_up_and_time_has_no_edges():
    frames = np.zeros((2, 3, 5, 5))
    frames[:, 1] = 9  # a flash
    frames += np.arange(5.0)
    inside = (slice(None), slice(1, -1), slice(1, -1))
    found = edge_map(frames, spacing_mm=(None, 1.0, 1.0))[inside]
    np.testing.assert_allclose(found, np.sqrt(2))


def test_the_centre_is_highest_in_the_middle_and_a_quarter_wide():
    found = centre_map((9, 5, 21))
    assert found[4, 2, 10] == found.max() == 1
    assert found[4, 2, 10 + 5] == pytest.approx(np.exp(-0.5 * (5 / 5.25) ** 2))


def test_controls_come_again_with_the_same_seed():
    image = np.random.default_rng(0).random((1, 6, 6))
    first, again = (control_maps(image, rng=np.random.default_rng(1)) for _ in range(2))
    assert tuple(first) == CONTROLS
    for name in CONTROLS:
        np.testing.assert_array_equal(first[name], again[name])


def test_shares_add_up_over_channels_and_slopes_count_by_magnitude():
    heat = np.array([[1.0, -3.0], [-2.0, 2.0]])
    np.testing.assert_array_equal(evidence_of(heat, "shares"), [-1, -1])
    np.testing.assert_array_equal(evidence_of(heat, "slopes"), [2, 3])


def test_ranking_is_by_value_and_at_random_between_equals():
    order = ranked(np.array([[0.0, 5.0], [1.0, 0.0]]), np.random.default_rng(0))
    assert order[:2].tolist() == [1, 2]
    lasts = {int(ranked(np.zeros(4), np.random.default_rng(k))[0]) for k in range(40)}
    assert lasts == {0, 1, 2, 3}
