"""The drawn curve stands where the numbers say."""

import re

import numpy as np
import pytest

from napari_cardioxai.report.curve import volume_curve_svg

TIMES_MS = [0.0, 100.0, 200.0, 300.0, 400.0]
VOLUME_ML = [140.0, 100.0, 60.0, 90.0, 130.0]


def points(svg: str) -> np.ndarray:
    """Corners of the first line, shape (points, 2)."""
    return np.array(
        [pair.split(",") for pair in re.search(r'<polyline points="([^"]+)"', svg)[1].split()],
        float,
    )


def label_places(svg: str) -> dict[str, float]:
    found = re.findall(r'<text x="(\S+)"[^>]*font-weight="600">([^<]+)</text>', svg)
    return {text: float(x) for x, text in found}


def test_points_are_in_proportion_to_time_and_volume():
    svg = volume_curve_svg(VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2)
    x, y = points(svg).T
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], atol=0.2)
    # Down on the page is less: 140 - 60 = 80 mL against 140 - 100 = 40 mL.
    assert (y[2] - y[0]) / (y[1] - y[0]) == pytest.approx(2.0, abs=0.01)


def test_volume_axis_starts_at_zero():
    svg = volume_curve_svg(VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2)
    ticks = {
        float(text): float(y) - 5
        for y, text in re.findall(r'y="(\S+)" text-anchor="end"[^>]*>([\d.]+)</text>', svg)
    }
    y = points(svg)[:, 1]
    highest = max(ticks)
    assert min(ticks) == 0 and highest >= 140
    expected = ticks[0] + (ticks[highest] - ticks[0]) * np.array(VOLUME_ML) / highest
    np.testing.assert_allclose(y, expected, atol=0.2)


def test_marks_say_volume_and_time():
    svg = volume_curve_svg(VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2)
    assert set(label_places(svg)) == {"ED 140 mL, 0 ms", "ES 60 mL, 200 ms"}


def test_unknown_time_is_drawn_against_frames_counted_from_one():
    svg = volume_curve_svg(VOLUME_ML, frame_times_ms=None, ed_frame=0, es_frame=2)
    assert set(label_places(svg)) == {"ED 140 mL, frame 1", "ES 60 mL, frame 3"}
    assert ">Frame</text>" in svg and "(ms)" not in svg


@pytest.mark.parametrize(("ed", "es"), [(0, 1), (1, 0), (3, 4), (4, 3), (4, 0)])
def test_labels_of_close_frames_do_not_cover_each_other(ed, es):
    svg = volume_curve_svg(VOLUME_ML, frame_times_ms=[0, 20, 40, 60, 80], ed_frame=ed, es_frame=es)
    places = {text[:2]: x for text, x in label_places(svg).items()}
    assert abs(places["ED"] - places["ES"]) >= 179
    assert (places["ED"] < places["ES"]) == (ed < es)
    assert all(90 <= x <= 910 for x in places.values())


def test_frame_that_nobody_labelled_is_left_out():
    volume = [140.0, 0.0, 60.0, 0.0, 130.0]
    svg = volume_curve_svg(volume, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2)
    assert len(points(svg)) == 3


def test_right_ventricle_is_a_second_line():
    svg = volume_curve_svg(
        VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2, rv_volume_ml=[150] * 5
    )
    assert svg.count("<polyline") == 2
    assert ">RV</text>" in svg and ">LV</text>" in svg
