"""What the window shows of a map, checked against whole arrays."""

import numpy as np

from napari_cardioxai.attribution.by_region import phase_curves, region_peaks
from napari_cardioxai.attribution.colours import coloured, heat_limits
from napari_cardioxai.attribution.heat_boxes import HeatBox
from napari_cardioxai.attribution.stages import Stages
from napari_cardioxai.attribution.subjects import Places

PLACES = Places((6, 9, 12, 10), (1, 2, 3), (2, 5, 8))


def a_map():
    heat = np.zeros((3, 3, 12, 10), np.float32)
    heat[:, :, 3:8, 4:9] = np.random.default_rng(0).normal(size=(3, 3, 5, 5))
    return heat


def put_back(box, data):
    whole = np.zeros(PLACES.shape, np.float32)
    whole[tuple(slice(s, s + n) for s, n in zip(box.start, data.shape, strict=True))] = data
    return whole


def test_a_box_holds_all_of_the_map_and_little_else():
    heat = a_map()
    box = HeatBox.of(heat, PLACES, "signed")
    assert box.start == (1, 2, 3, 4) and box.data.shape == (3, 7, 5, 5)
    np.testing.assert_array_equal(put_back(box, box.data), PLACES.on_scan(heat))
    np.testing.assert_array_equal(box.picture(2, 5), heat[1, 1, 3:8, 4:9])
    assert box.picture(0, 5) is None and box.picture(2, 1) is None


def test_a_threshold_keeps_the_strong_of_both_signs():
    box = HeatBox.of(a_map(), PLACES, "signed")
    kept = box.above(90)
    sizes = np.abs(box.data[box.data != 0])
    assert (kept != 0).sum() == (sizes >= np.percentile(sizes, 90)).sum()
    assert kept.min() < 0 < kept.max()
    assert box.above(0) is box.data


def test_an_outline_is_the_border_of_what_is_kept():
    heat = np.zeros((3, 3, 12, 10), np.float32)
    heat[1, 1, 2:7, 3:8] = -2.0
    heat[1, 1, 0, 0] = 1.0
    outline = put_back(box := HeatBox.of(heat, PLACES, "signed"), box.outline(50))
    assert outline.min() == -0.5 * box.limits[1], "the deepest blue of the scale"
    assert (outline[2, 5] != 0).sum() == 16, "the ring of a square of 5"
    assert outline[2, 5, 4, 5] == 0 and outline[2, 5, 2, 3] < 0


def test_limits_lie_about_zero_for_two_signs_and_from_zero_for_one():
    heat = a_map()
    low, high = heat_limits(heat, "signed")
    assert low == -high and high == np.percentile(np.abs(heat[heat != 0]), 99.5)
    assert heat_limits(np.abs(heat), "positive") == (0.0, high)
    assert heat_limits(np.zeros(3), "signed") == (-1.0, 1.0)


def test_nothing_is_clear_and_both_ends_are_told_apart():
    against, nothing, much = coloured(np.array([-1.0, 0.0, 1.0]), "signed", (-1.0, 1.0))
    assert nothing[3] == 0 and against[3] == much[3] == 1
    assert against[2] > against[0] and much[0] > much[2]


def test_curves_share_out_the_evidence_over_phases_and_structures():
    evidence = np.zeros((2, 1, 2, 2))
    evidence[0, 0] = [[1, 2], [0, 1]]
    evidence[1, 0] = [[0, 4], [0, 2]]
    structures = np.zeros((2, 1, 2, 2), int)
    structures[:, 0] = [[1, 2], [0, 0]]
    curves = phase_curves(evidence, structures, {1: "cavity", 2: "wall"}, frames=(3, 4))
    assert curves.frames == (3, 4)
    assert {name: curve.tolist() for name, curve in curves.percent.items()} == {
        "cavity": [10.0, 0.0],
        "wall": [20.0, 40.0],
        "elsewhere": [10.0, 20.0],
    }


def test_the_peak_of_a_region_is_its_highest_voxel():
    heat = np.array([[[[0.0, 5.0, 1.0], [2.0, 9.0, 3.0]]]])
    regions = np.array([[[[1, 1, 2], [2, 0, 2]]]])
    assert region_peaks(heat, regions, {1: "a", 2: "b", 3: "absent"}) == {
        1: (0, 0, 0, 1),
        2: (0, 0, 1, 2),
    }


def test_progress_of_stages_only_grows():
    told = []
    stages = Stages(lambda done, total, what: told.append((done, total, what)), 2)
    first = stages.begin("one", rounds=2)
    for what in ("map", "score"):
        for done in range(3):
            first(done, 2, what)
    second = stages.begin("two", rounds=1)
    second(1, 2, "map")
    assert [done for done, _, _ in told] == [0, 250, 500, 500, 750, 1000, 1500]
    assert {total for _, total, _ in told} == {2000} and told[-1][2] == "two: map"
