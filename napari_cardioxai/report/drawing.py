"""Lines, texts and axes of the report's figures, as SVG inside its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from napari_cardioxai.report.style import INK, QUIET_INK, RULE

FONT_SIZE = 14
LETTER = 0.58  # of the font size: mean width of a letter, for keeping texts inside
Point = tuple[float, float]


class TimeAxis(TypedDict):
    """What `Plot.of` takes for its horizontal axis."""

    x_ticks: list[float]
    x_ends: tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """Straight map from values to the drawing's pixels.

    Attributes
    ----------
    ticks
        Values that carry a number.
    ends
        Values at both ends.
    first, last
        Pixel of both ends.
    """

    ticks: Sequence[float]
    ends: tuple[float, float]
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        share = (value - self.ends[0]) / ((self.ends[1] - self.ends[0]) or 1.0)
        return self.first + share * (self.last - self.first)


@dataclass(frozen=True)
class Plot:
    """A drawing with two axes.

    Attributes
    ----------
    width, height
        Of the whole drawing in its own pixels.
    across, down
        From values to pixels; `down.first` is the floor.
    """

    width: float
    height: float
    across: Axis
    down: Axis

    @classmethod
    def of(
        cls,
        width: float,
        height: float,
        *,
        x_ticks: Sequence[float],
        x_ends: tuple[float, float],
        y_ticks: Sequence[float],
        left: float = 62,
        right: float = 18,
        top: float = 34,
        bottom: float = 48,
    ) -> Plot:
        """Axes inside of margins, which hold the numbers and names; y from tick to tick."""
        across = Axis(x_ticks, x_ends, left, width - right)
        down = Axis(y_ticks, (y_ticks[0], y_ticks[-1]), height - bottom, top)
        return cls(width, height, across, down)

    def places(self, x: Iterable[float], y: Iterable[float]) -> list[Point]:
        """Values as pixels; those that are not finite are left out."""
        pairs = zip(x, y, strict=True)
        return [
            (self.across(a), self.down(b)) for a, b in pairs if np.isfinite(a) and np.isfinite(b)
        ]

    def axes(self, x_name: str, y_name: str) -> list[str]:
        """Grid, numbers and names."""
        left, right, floor = self.across.first, self.across.last, self.down.first
        parts = []
        for tick in self.down.ticks:
            parts.append(line(left, self.down(tick), right, self.down(tick), RULE))
            parts.append(text(left - 8, self.down(tick) + 5, number(tick), anchor="end"))
        for tick in self.across.ticks:
            parts.append(line(self.across(tick), floor, self.across(tick), floor + 5, QUIET_INK))
            parts.append(text(self.across(tick), floor + 21, number(tick)))
        parts.append(line(left, floor, right, floor, QUIET_INK))
        parts.append(text(0.5 * (left + right), self.height - 6, x_name))
        parts.append(text(left - 8, self.down.last - 16, y_name, anchor="end"))
        return parts

    def svg(self, parts: Iterable[str], *, what: str) -> str:
        """The drawing, named for readers who cannot see it."""
        return svg(self.width, self.height, parts, what=what)


def svg(width: float, height: float, parts: Iterable[str], *, what: str) -> str:
    """An `<svg>` element of that size around its parts."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{what}"'
        f' font-size="{FONT_SIZE}" fill="{INK}">{"".join(parts)}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none") -> str:
    """A straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}" stroke-dasharray="{dash}"/>'
    )


def polyline(points: Iterable[Point], colour: str, *, dash: str = "none") -> str:
    """A curve through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"'
        f' stroke-dasharray="{dash}" stroke-linejoin="round"/>'
    )


def text(
    x: float, y: float, words: str, *, anchor: str = "middle", weight: int = 400, fill: str = INK
) -> str:
    """Words at a place of their base line."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"'
        f' font-weight="{weight}">{words}</text>'
    )


def number(value: float) -> str:
    """A value on an axis, with a true minus sign."""
    return f"{value:g}".replace("-", "−")


def apart(centres: Sequence[float], *, half_width: float, first: float, last: float) -> list[float]:
    """Where to centre two texts so that both stay inside and neither covers the other.

    Parameters
    ----------
    centres
        Where the two would best stand.
    half_width
        Half the width of one.
    first, last
        Pixels that they may reach.
    """
    low, high = sorted(centres)
    low = float(np.clip(low, first + half_width, last - 3 * half_width))
    high = float(np.clip(high, low + 2 * half_width, last - half_width))
    return [low, high] if centres[0] <= centres[1] else [high, low]


def round_ticks(low: float, high: float, *, about: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about so many of them."""
    rough = max((high - low) / about, 1e-6)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(step * k) for k in np.arange(first, max(last, first + 1) + 1)]


def time_axis(first_ms: float, last_ms: float, *, about: int = 6) -> TimeAxis:
    """Round times from 0, or from the first where that is earlier, up to the last."""
    start = min(0.0, first_ms)
    ticks = [tick for tick in round_ticks(start, last_ms, about=about) if start <= tick <= last_ms]
    return {"x_ticks": ticks, "x_ends": (start, last_ms)}


def frame_axis(frames: int) -> TimeAxis:
    """The first frame, the last and a few even ones between."""
    ticks = [float(k) for k in np.unique(np.round(np.linspace(1, frames, min(frames, 7))))]
    return {"x_ticks": ticks, "x_ends": (1.0, float(frames))}
