"""Segments stand where readers of a bull's-eye look for them."""

import re

import numpy as np
import pytest

from napari_cardioxai.anatomy.segments import AHA_NAMES
from napari_cardioxai.report.bullseye import (
    CENTRE,
    Scale,
    bullseye_svg,
    thickening_scale,
    thickness_scale,
)

VALUES = [float(segment) for segment in range(1, 17)] + [None]


def segments(svg: str) -> dict[int, tuple[str, str, float, float, str]]:
    """Of every segment its full name, fill, and the place and text of its label."""
    found = re.findall(
        r'<g data-segment="(\d+)"><title>([^<]+)</title><(?:path|circle)[^>]*?fill="([^"]+)"[^>]*/>'
        r'<text x="(\S+)" y="(\S+)"[^>]*>([^<]+)</text></g>',
        svg,
    )
    return {int(n): (name, fill, float(x), float(y), text) for n, name, fill, x, y, text in found}


@pytest.fixture
def drawn():
    return segments(bullseye_svg(VALUES, thickness_scale(VALUES), what="Thickness"))


def test_every_segment_carries_its_own_value(drawn):
    assert len(drawn) == 17
    for number, (name, _, _, _, text) in drawn.items():
        assert AHA_NAMES[number - 1] in name
        assert text == ("–" if number == 17 else f"{number}.0")
    assert drawn[1][0] == "Segment 1, basal anterior: 1.0 mm"
    assert drawn[17][0] == "Segment 17, apex: not shown by these slices"


@pytest.mark.parametrize(
    ("wall", "numbers", "direction"),
    [
        ("anterior", (1, 7, 13), (0, -1)),
        ("inferior", (4, 10, 15), (0, 1)),
        ("septal", (2, 3, 8, 9, 14), (-1, 0)),
        ("lateral", (5, 6, 11, 12, 16), (1, 0)),
    ],
)
def test_walls_lie_towards_their_names(drawn, wall, numbers, direction):
    for number in numbers:
        _, _, x, y, _ = drawn[number]
        towards = np.array([x - CENTRE[0], y - 5 - CENTRE[1]])
        assert towards @ direction > 0.8 * np.linalg.norm(towards), (wall, number)


def test_basal_segments_lie_outside_of_mid_and_apical_ones(drawn):
    away = {n: np.hypot(x - CENTRE[0], y - 5 - CENTRE[1]) for n, (_, _, x, y, _) in drawn.items()}
    basal, mid, apical = (
        [away[n] for n in ring] for ring in (range(1, 7), range(7, 13), range(13, 17))
    )
    assert min(basal) > max(mid) and min(mid) > max(apical) > away[17]


def test_anteroseptal_is_above_inferoseptal_and_anterolateral_above_inferolateral(drawn):
    assert drawn[2][3] < drawn[3][3]
    assert drawn[6][3] < drawn[5][3]


def test_equal_values_have_equal_colours_and_unknown_ones_a_colour_of_their_own():
    values = [8.0] * 8 + [None] * 9
    drawn = segments(bullseye_svg(values, thickness_scale(values), what="Thickness"))
    fills = {number: fill for number, (_, fill, *_) in drawn.items()}
    assert len({fills[n] for n in range(1, 9)}) == 1
    assert len({fills[n] for n in range(9, 18)}) == 1
    assert fills[1] != fills[17]


def test_thickness_starts_at_zero_and_holds_the_thickest_wall_of_both_phases():
    assert thickness_scale([7.0, None], [11.0]).high == 12.0
    scale = thickness_scale([7.0], [18.5, None])
    assert (scale.low, scale.high, scale.unit) == (0.0, 20.0, "mm")


def test_thickening_lies_around_zero_and_thinning_has_the_other_colour():
    scale = thickening_scale([30.0, -85.0, None])
    assert (scale.low, scale.high) == (-100.0, 100.0)
    red, blue = (
        np.array([int(scale.colour(v)[k : k + 2], 16) for k in (1, 5)]) for v in (100.0, -100.0)
    )
    assert red[0] > red[1] and blue[0] < blue[1]


def test_colours_of_the_scale_are_those_of_the_named_map():
    # matplotlib's viridis begins with #440154 and ends with #fde725.
    scale = Scale(0.0, 10.0, "mm", 1, "viridis")
    assert (scale.colour(-1.0), scale.colour(0.0)) == ("#440154", "#440154")
    assert scale.colour(10.0) == "#fde725"


def test_negative_thickening_is_printed_with_a_minus():
    values = [-12.4] * 17
    drawn = segments(bullseye_svg(values, thickening_scale(values), what="Thickening"))
    assert drawn[1][4] == "−12"


def test_numbers_can_be_read_on_their_colour():
    """At least 3 : 1 (WCAG 2, large or bold text) on every colour of both maps."""

    def luminance(colour: str) -> float:
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for scale in (Scale(0, 16, "mm", 1, "viridis"), Scale(-16, 16, "%", 0, "RdBu_r")):
        values = list(np.linspace(scale.low, scale.high, 17))
        svg = bullseye_svg(values, scale, what="x")
        pairs = re.findall(r'fill="(#\w{6})" stroke="#fff"[^>]*/><text[^>]*fill="(#\w+)"', svg)
        assert len(pairs) == 17
        for back, ink in pairs:
            ink = "#ffffff" if ink == "#fff" else ink
            low, high = sorted((luminance(back), luminance(ink)))
            assert (high + 0.05) / (low + 0.05) >= 3.0, (back, ink)
