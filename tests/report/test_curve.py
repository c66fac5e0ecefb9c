"""The drawn curve stands where the numbers say."""

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.rates import RateCurve, Rates
from napari_cardioxai.report.curve import rate_curve_svg, volume_curve_svg

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


def test_line_between_frames_is_dashed_where_others_were_not_labelled():
    sparse = volume_curve_svg(
        [140.0, 0.0, 60.0, 0.0, 130.0], frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2
    )
    whole = volume_curve_svg(VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2)
    assert 'stroke-dasharray="6 5"' in sparse
    assert 'stroke-dasharray="6 5"' not in whole


RATES = Rates(
    per_ml_s=400.0,
    pfr_ml_s=300.0,
    pafr_ml_s=100.0,
    per_time_ms=150.0,
    pfr_time_ms=500.0,
    pafr_time_ms=900.0,
    diastasis_time_ms=700.0,
    curve=RateCurve(
        np.array([0.0, 150.0, 500.0, 700.0, 900.0, 1000.0]),
        np.array([140.0, 100.0, 80.0, 120.0, 130.0, 140.0]),
        np.array([0.0, -400.0, 300.0, 10.0, 100.0, 0.0]),
    ),
)


def rate_svg(rates: Rates = RATES) -> str:
    return rate_curve_svg(
        rates, name="LV", colour="#000000", moments_ms={"ED": 0.0}, span_ms=(0.0, 1000.0)
    )


def diamonds(svg: str) -> list[tuple[float, float]]:
    """Centre of every diamond."""
    found = re.findall(r'<polygon points="([^"]+)"', svg)
    corners = [np.array([p.split(",") for p in path.split()], float) for path in found]
    return [tuple(corner.mean(axis=0)) for corner in corners]


def test_peaks_are_marked_on_the_curve_and_named_with_their_size():
    svg = rate_svg()
    curve = points(svg)
    marks = diamonds(svg)
    expected = [curve[1], curve[2], curve[4], curve[3]]  # PER, PFR, PAFR, diastasis
    np.testing.assert_allclose(marks, expected, atol=0.1)
    assert set(label_places(svg)) == {"PER 400 mL/s", "PFR 300 mL/s", "PAFR 100 mL/s", "diastasis"}


def test_emptying_points_down_from_a_line_at_rest():
    y = points(rate_svg())[:, 1]
    assert y[1] > y[0] > y[2]
    assert (y[1] - y[0]) / (y[0] - y[2]) == pytest.approx(400 / 300, rel=0.01)


@pytest.mark.parametrize("scale", [0.01, 0.5, 0.73, 0.99, 1.0, 1.24, 1.5, 3.9])
def test_names_of_the_peaks_stay_between_the_axis_and_the_upper_edge(scale):
    curve = replace(RATES.curve, rate_ml_s=scale * RATES.curve.rate_ml_s)
    svg = rate_svg(
        replace(
            RATES,
            curve=curve,
            per_ml_s=400 * scale,
            pfr_ml_s=300 * scale,
            pafr_ml_s=100 * scale,
        )
    )
    numbers = re.findall(r'y="(\S+)" text-anchor="end"[^>]*>−?[\d.]+</text>', svg)
    floor, top = (pick(float(y) - 5 for y in numbers) for pick in (max, min))
    names = [float(y) for y in re.findall(r'y="(\S+)"[^>]*font-weight="600">', svg)]
    assert len(names) == 4
    assert all(top + 11 < y < floor - 3 for y in names)


def test_missing_atrial_rate_is_said_in_the_drawing():
    fused = replace(RATES, pafr_ml_s=None, pafr_time_ms=None, diastasis_time_ms=None)
    svg = rate_svg(fused)
    assert len(diamonds(svg)) == 2
    assert "LV atrial filling rate: not separable" in svg


def test_names_of_close_filling_waves_do_not_cover_each_other():
    places = label_places(rate_svg(replace(RATES, pfr_time_ms=860.0)))
    assert places["PAFR 100 mL/s"] - places["PFR 300 mL/s"] >= 131


def test_rates_without_a_curve_draw_nothing():
    assert rate_svg(Rates(note="too few frames")) == ""


def test_volume_and_rate_share_their_time_axis():
    volume = volume_curve_svg(
        VOLUME_ML, frame_times_ms=TIMES_MS, ed_frame=0, es_frame=2, span_ms=(0.0, 1000.0)
    )
    x_of_400_ms = points(volume)[4, 0]
    left, right = points(rate_svg())[[0, -1], 0]
    assert x_of_400_ms == pytest.approx(left + 0.4 * (right - left), abs=0.2)


def test_names_of_the_ventricles_stand_on_the_outer_sides_of_their_curves():
    svg = volume_curve_svg(
        VOLUME_ML,
        frame_times_ms=TIMES_MS,
        ed_frame=0,
        es_frame=2,
        rv_volume_ml=[v + 2 for v in VOLUME_ML],
    )
    found = re.findall(r'y="(\S+)"[^>]*font-weight="700">(LV|RV)</text>', svg)
    heights = {name: float(y) for y, name in found}
    assert heights["RV"] < heights["LV"] - 20
