import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from napari_cardioxai.attribution.scores.localisation import (
    auprc,
    box_mask,
    energy_inside,
    iou_at,
    pointing_game,
)
from napari_cardioxai.errors import AttributionError


def rng():
    return np.random.default_rng(0)


def a_peak(shape, *places):
    evidence = np.zeros(shape)
    for place in places:
        evidence[place] = 1
    return evidence


def test_tolerance_is_in_mm_along_each_axis_of_an_anisotropic_volume():
    mask = a_peak((5, 9, 9), (2, 4, 4))
    spacing = (8.0, 1.5, 1.0)
    one_slice_off = a_peak(mask.shape, (3, 4, 4))
    five_rows_off = a_peak(mask.shape, (2, 4, 0)) + 0  # 4 columns: 4 mm
    kwargs = {"spacing_mm": spacing}
    assert pointing_game(one_slice_off, mask, tolerance_mm=7.9, **kwargs) == 0
    assert pointing_game(one_slice_off, mask, tolerance_mm=8.0, **kwargs) == 1
    assert pointing_game(five_rows_off, mask, tolerance_mm=3.9, **kwargs) == 0
    assert pointing_game(five_rows_off, mask, tolerance_mm=4.0, **kwargs) == 1
    diagonal = a_peak(mask.shape, (3, 8, 4))  # hypot(8, 6) = 10
    assert pointing_game(diagonal, mask, tolerance_mm=9.99, **kwargs) == 0
    assert pointing_game(diagonal, mask, tolerance_mm=10.0, **kwargs) == 1


def test_no_distance_bridges_time():
    mask = a_peak((4, 6, 6), (1, 3, 3))
    next_frame = a_peak(mask.shape, (2, 3, 3))
    assert pointing_game(next_frame, mask, tolerance_mm=100, spacing_mm=(None, 1, 1)) == 0
    assert pointing_game(next_frame, mask, tolerance_mm=100, spacing_mm=(1, 1, 1)) == 1


def test_peaks_that_are_alike_count_by_their_part():
    mask = a_peak((20, 20), (2, 2))
    two = a_peak(mask.shape, (2, 2), (18, 18))
    assert pointing_game(two, mask, tolerance_mm=1) == 0.5


def test_energy_is_the_part_of_what_is_positive():
    evidence = np.array([[3.0, 1.0], [-5.0, 0.0]])
    mask = np.array([[1, 0], [1, 0]])
    assert energy_inside(evidence, mask) == 0.75
    assert math.isnan(energy_inside(-np.abs(evidence), mask))


def test_iou_at_the_structures_size_and_at_a_percentage():
    evidence = np.arange(100.0).reshape(4, 5, 5)
    mask = np.zeros(100)
    mask[80:100:2] = 1  # ten voxels, five of them among the top ten
    mask = mask.reshape(evidence.shape)
    assert iou_at(evidence, mask, rng=rng()) == 5 / 15
    assert iou_at(evidence, mask, top_percent=20, rng=rng()) == 10 / 20
    assert iou_at(mask, mask, rng=rng()) == 1


def test_a_flat_map_finds_a_structure_by_chance_wherever_it_lies():
    corner = box_mask((30, 30), (0, 0), (15, 30))
    draws = [iou_at(np.ones((30, 30)), corner, rng=np.random.default_rng(k)) for k in range(40)]
    # K of n voxels at random: a half of them hits, 0.25 / 0.75
    assert np.mean(draws) == pytest.approx(1 / 3, abs=0.02)


def test_auprc_is_that_of_scikit_learn_and_one_for_the_mask_itself():
    evidence, mask = rng().random((6, 7, 8)), rng().random((6, 7, 8)) < 0.2
    assert auprc(evidence, mask) == average_precision_score(mask.ravel(), evidence.ravel())
    assert auprc(mask.astype(float), mask) == 1
    assert auprc(np.zeros(mask.shape), mask) == pytest.approx(mask.mean())


def test_a_box_is_a_mask():
    assert box_mask((4, 5), (1, 2), (3, 5)).sum() == 6
    with pytest.raises(AttributionError, match="does not lie in a grid"):
        box_mask((4, 5), (1, 2), (3, 6))


@pytest.mark.parametrize("mask", [np.zeros((3, 3)), np.ones((3, 3)), np.ones((3, 4))])
def test_a_mask_must_tell_inside_from_outside(mask):
    with pytest.raises(AttributionError, match="mask"):
        energy_inside(np.ones((3, 3)), mask)
