"""The 17 segments of the AHA as inline SVG: anterior up, septum to the left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.segments import AHA_NAMES
from napari_cardioxai.report.drawing import line, number, svg, text
from napari_cardioxai.report.style import INK

WIDTH, HEIGHT = 440, 344
CENTRE = (172.0, 172.0)
RADIUS = 140.0
# Outer and inner radius, segments, and where the first one begins, in degrees against the clock
# from three o'clock.
RINGS = ((1.0, 0.73, 6, 60.0), (0.73, 0.46, 6, 60.0), (0.46, 0.18, 4, 45.0), (0.18, 0.0, 1, 0.0))
UNKNOWN = "#dfe4e9"
BAR_LEFT, BAR_WIDTH, BAR_TOP, BAR_BOTTOM, BAR_STEPS = 364.0, 16.0, 46.0, 312.0, 64
BAR_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Attributes
    ----------
    low, high
        Values at both ends.
    unit, decimals
        Of the numbers in the segments.
    colormap
        matplotlib's name: a sequential one, or a diverging one where the sign matters.
    """

    low: float
    high: float
    unit: str
    decimals: int
    colormap: str

    def colour(self, value: float) -> str:
        """Colour of a value, `#rrggbb`."""
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        share = np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0)
        return to_hex(colormaps[self.colormap](float(share)))


def thickness_scale(*thickness_mm: Sequence[float | None]) -> Scale:
    """One scale from 0 for all thicknesses that are drawn."""
    most = max((v for values in thickness_mm for v in values if v is not None), default=0.0)
    return Scale(0.0, max(12.0, 4.0 * float(np.ceil(most / 4.0))), "mm", 1, "viridis")


def thickening_scale(percent: Sequence[float | None]) -> Scale:
    """A scale around zero, where nothing moves: thinning is blue, thickening is red."""
    most = max((abs(v) for v in percent if v is not None), default=0.0)
    most = max(60.0, 20.0 * float(np.ceil(most / 20.0)))
    return Scale(-most, most, "%", 0, "RdBu_r")


def bullseye_svg(values: Sequence[float | None], scale: Scale, *, what: str) -> str:
    """Draw one number per segment, with the names of the walls and a colour bar.

    Parameters
    ----------
    values
        Of the AHA segments 1 to 17; None is drawn grey with a dash.
    scale
        Their colours and unit.
    what
        What is drawn, for readers who cannot see it.
    """
    parts, segment = [], 0
    for outer, inner, count, start in RINGS:
        for index in range(count):
            place = (outer, inner, start + index * 360.0 / count, 360.0 / count)
            parts.append(_segment(place, segment, values[segment], scale))
            segment += 1
    return svg(WIDTH, HEIGHT, [*parts, *_walls(), *_bar(scale)], what=what)


def _segment(
    place: tuple[float, float, float, float], segment: int, value: float | None, scale: Scale
) -> str:
    """A coloured piece with its number; its full name shows under the mouse."""
    outer, inner, start, span = place
    words = "–" if value is None else f"{value:.{scale.decimals}f}".replace("-", "−")
    said = "not shown by these slices" if value is None else f"{words} {scale.unit}"
    fill = UNKNOWN if value is None else scale.colour(value)
    shape = (
        f'<path d="{_path(*place)}"'
        if span < 360
        else f'<circle cx="{CENTRE[0]}" cy="{CENTRE[1]}" r="{outer * RADIUS:.1f}"'
    )
    x, y = _polar(0.0 if span == 360 else 0.5 * (outer + inner), start + span / 2)
    label = text(x, y + 5, words, weight=600, fill="#fff" if _is_dark(fill) else INK)
    return (
        f'<g data-segment="{segment + 1}">'
        f"<title>Segment {segment + 1}, {AHA_NAMES[segment]}: {said}</title>"
        f'{shape} fill="{fill}" stroke="#fff" stroke-width="2"/>{label}</g>'
    )


def _path(outer: float, inner: float, start: float, span: float) -> str:
    corners = [
        _polar(outer, start),
        _polar(outer, start + span),
        _polar(inner, start + span),
        _polar(inner, start),
    ]
    a, b, c, d = (f"{x:.1f} {y:.1f}" for x, y in corners)
    big, small = outer * RADIUS, inner * RADIUS
    return f"M{a}A{big:.1f} {big:.1f} 0 0 0 {b}L{c}A{small:.1f} {small:.1f} 0 0 1 {d}Z"


def _polar(share: float, degrees: float) -> tuple[float, float]:
    angle = np.deg2rad(degrees)
    x = CENTRE[0] + share * RADIUS * np.cos(angle)
    return float(x), float(CENTRE[1] - share * RADIUS * np.sin(angle))


def _walls() -> list[str]:
    x, y = CENTRE
    gap = RADIUS + 9
    named = [text(x, y - gap, "anterior"), text(x, y + gap + 10, "inferior")]
    for name, place, turn in (("septal", x - gap, -90), ("lateral", x + gap, 90)):
        turned = f'<g transform="translate({place:.1f} {y:.1f}) rotate({turn})">'
        named.append(f"{turned}{text(0, 0, name)}</g>")
    return named


def _bar(scale: Scale) -> list[str]:
    """The colours with their values; `fill="url(...)"` would not survive a strict viewer."""
    values = np.linspace(scale.low, scale.high, BAR_STEPS)
    height = (BAR_BOTTOM - BAR_TOP) / BAR_STEPS
    parts = [
        f'<rect x="{BAR_LEFT}" y="{BAR_BOTTOM - (step + 1) * height:.2f}" width="{BAR_WIDTH}"'
        f' height="{height + 0.5:.2f}" fill="{scale.colour(value)}"/>'
        for step, value in enumerate(values)
    ]
    right = BAR_LEFT + BAR_WIDTH
    for value in np.linspace(scale.low, scale.high, BAR_TICKS):
        share = (value - scale.low) / (scale.high - scale.low)
        y = BAR_BOTTOM - share * (BAR_BOTTOM - BAR_TOP)
        parts.append(line(right, y, right + 5, y, INK))
        parts.append(text(right + 9, y + 5, number(value), anchor="start"))
    parts.append(text(BAR_LEFT + BAR_WIDTH / 2, BAR_TOP - 14, scale.unit))
    return parts


def _is_dark(colour: str) -> bool:
    """Whether white is easier to read on it than ink; relative luminance of WCAG 2."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return bool(linear @ (0.2126, 0.7152, 0.0722) < 0.2)
