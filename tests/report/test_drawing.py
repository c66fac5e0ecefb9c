"""Axes carry round numbers, and values land where their share of the axis is."""

import numpy as np
import pytest

from napari_cardioxai.report.drawing import Plot, apart, frame_axis, number, round_ticks, time_axis


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 266, [0, 50, 100, 150, 200, 250, 300]),
        (0, 12, [0, 2, 4, 6, 8, 10, 12]),
        (-520, 492, [-600, -400, -200, 0, 200, 400, 600]),
    ],
)
def test_ticks_are_round_and_hold_all_values(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_time_ends_with_the_data_and_not_at_the_next_round_number():
    axis = time_axis(20.0, 741.0)
    assert axis["x_ends"] == (0.0, 741.0)
    assert axis["x_ticks"] == [0, 200, 400, 600]


def test_frames_are_counted_from_one():
    axis = frame_axis(25)
    assert axis["x_ticks"][0] == 1 and axis["x_ticks"][-1] == 25
    assert axis["x_ends"] == (1, 25)


def test_values_are_placed_by_their_share_of_the_axis_and_unknown_ones_left_out():
    plot = Plot.of(
        200,
        100,
        x_ticks=[0, 10],
        x_ends=(0, 20),
        y_ticks=[0, 5],
        left=50,
        right=50,
        top=10,
        bottom=40,
    )
    places = plot.places([0, 5, 20, 20], [0, 2.5, 5, np.nan])
    assert places == [(50, 60), (75, 35), (150, 10)]


def test_negative_numbers_have_a_minus_and_no_hyphen():
    assert number(-2.5) == "−2.5"


@pytest.mark.parametrize("centres", [(100, 100), (100, 110), (995, 100), (0, 1000), (990, 995)])
def test_two_texts_keep_apart_and_inside_and_in_order(centres):
    first, second = apart(centres, half_width=60, first=50, last=1000)
    assert abs(second - first) >= 120
    assert min(first, second) >= 110 and max(first, second) <= 940
    assert (first <= second) == (centres[0] <= centres[1])
