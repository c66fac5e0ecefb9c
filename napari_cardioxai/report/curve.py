"""The volume-time curve and its derivative as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cardioxai.anatomy.rates import Rates
from napari_cardioxai.report.drawing import (
    FONT_SIZE,
    LETTER,
    Plot,
    Point,
    apart,
    frame_axis,
    line,
    polyline,
    round_ticks,
    text,
    time_axis,
)
from napari_cardioxai.report.style import INK, LV_COLOUR, QUIET_INK, RV_COLOUR

WIDTH, HEIGHT, RATE_HEIGHT = 1000, 320, 290
HALF_LABEL = 90  # half the width of "ED 142 mL, 703 ms"
MARK_ROOM = 0.15  # of the height: a name below or above its peak
HALF_MARK = 66  # half the width of "PAFR 1234 mL/s"
TIME_NAME = "Time after the R wave (ms)"


def volume_curve_svg(
    volume_ml: Sequence[float] | np.ndarray,
    *,
    frame_times_ms: Sequence[float] | None,
    ed_frame: int,
    es_frame: int,
    rv_volume_ml: Sequence[float] | np.ndarray | None = None,
    span_ms: tuple[float, float] | None = None,
) -> str:
    """Draw the curve with end-diastole and end-systole marked.

    Parameters
    ----------
    volume_ml
        Left-ventricular volume of each frame in mL, shape (t,). A frame of
        volume 0 was not labelled and is left out.
    frame_times_ms
        Time of each frame in ms, shape (t,); None draws against frame numbers
        from 1.
    ed_frame, es_frame
        Frames to mark, counted from 0.
    rv_volume_ml
        Right-ventricular volume, shape (t,), drawn as a second line.
    span_ms
        What the time axis has to hold, for drawings below each other; that of
        the frames by default.

    Returns
    -------
    An `<svg>` element.
    """
    timed = frame_times_ms is not None
    times = np.arange(1, len(volume_ml) + 1) if frame_times_ms is None else frame_times_ms
    x = np.asarray(times, float)
    curves = [("LV", LV_COLOUR, np.asarray(volume_ml, float))]
    if rv_volume_ml is not None:
        curves.append(("RV", RV_COLOUR, np.asarray(rv_volume_ml, float)))
    highest = max(float(curve.max()) for _, _, curve in curves)
    plot = Plot.of(
        WIDTH,
        HEIGHT,
        **(time_axis(*(span_ms or (x[0], x[-1]))) if timed else frame_axis(len(x))),
        y_ticks=round_ticks(0.0, highest),
    )
    marks = (("ED", ed_frame), ("ES", es_frame))
    parts = plot.axes(TIME_NAME if timed else "Frame", "mL")
    places = apart(
        [plot.across(x[frame]) for _, frame in marks],
        half_width=HALF_LABEL,
        first=plot.across.first,
        last=plot.across.last,
    )
    for (short, frame), place in zip(marks, places, strict=True):
        when = f"{x[frame]:.0f} ms" if timed else f"frame {frame + 1}"
        across = plot.across(x[frame])
        parts.append(line(across, plot.down.last - 10, across, plot.down.first, QUIET_INK, "4"))
        label = f"{short} {volume_ml[frame]:.0f} mL, {when}"
        parts.append(text(place, plot.down.last - 16, label, weight=600))
    for name, colour, curve in curves:
        known = np.flatnonzero(curve > 0)
        points = plot.places(x[known], curve[known])
        marked = plot.places(x[[k for _, k in marks]], curve[[k for _, k in marks]])
        # A dashed line joins frames that have others, not labelled, between them.
        dash = "none" if len(known) == len(curve) else "6 5"
        parts += _curve(points, marked, colour, dash)
        if len(curves) > 1:
            parts.append(_name_of_curve(name, points, plot, lowest=name == _lower(curves)))
    return plot.svg(parts, what="Volume-time curve")


def rate_curve_svg(
    rates: Rates,
    *,
    name: str,
    colour: str,
    moments_ms: dict[str, float],
    span_ms: tuple[float, float],
) -> str:
    """Draw the smoothed derivative with the peaks that were read from it.

    Parameters
    ----------
    rates
        Of one ventricle, with their curve.
    name, colour
        Of the ventricle, such as "LV".
    moments_ms
        Times that get a dashed line, by name, such as end-diastole.
    span_ms
        What the time axis has to hold, the same as in `volume_curve_svg`.

    Returns
    -------
    An `<svg>` element; "" where the derivative is not known.
    """
    curve = rates.curve
    if curve is None:
        return ""
    low, high = min(float(curve.rate_ml_s.min()), 0.0), max(float(curve.rate_ml_s.max()), 0.0)
    plot = Plot.of(
        WIDTH,
        RATE_HEIGHT,
        **time_axis(*span_ms),
        y_ticks=_ticks_with_room(low, high),
    )
    parts = plot.axes(TIME_NAME, "mL/s")
    left, right, rest = plot.across.first, plot.across.last, plot.down(0.0)
    parts.append(line(left, rest, right, rest, QUIET_INK))
    for short, time in moments_ms.items():
        parts += moment(plot, time, short)
    parts.append(polyline(plot.places(curve.time_ms, curve.rate_ml_s), colour))
    parts += _marks(rates, plot)
    if rates.pfr_ml_s is not None and rates.pafr_ml_s is None:
        said = f"{name} atrial filling rate: not separable"
        # Filling ends the cycle, so that nothing else is low on the right.
        parts.append(text(right - 4, plot.down.first - 9, said, anchor="end", weight=600))
    return plot.svg(parts, what=f"{name} rate of volume change")


@dataclass(frozen=True)
class _Mark:
    """A peak or rest of the derivative: its name with the number, and where it lies."""

    words: str
    place: Point
    below: bool


def _marks(rates: Rates, plot: Plot) -> list[str]:
    """Diamonds with names; those of the filling waves keep apart from each other."""
    found = _found(rates, plot)
    places = {mark.words: mark.place[0] for mark in found}
    waves = [mark.words for mark in found if not mark.below]
    if len(waves) == 2:
        centres = apart(
            [places[words] for words in waves],
            half_width=HALF_MARK,
            first=plot.across.first,
            last=plot.across.last,
        )
        places |= dict(zip(waves, centres, strict=True))
    parts = []
    for mark in found:
        y = mark.place[1]
        half = 0.5 * LETTER * FONT_SIZE * len(mark.words)
        middle = float(np.clip(places[mark.words], plot.across.first + half, WIDTH - half))
        parts.append(_diamond(mark.place))
        parts.append(text(middle, y + 24 if mark.below else y - 12, mark.words, weight=600))
    return parts


def _found(rates: Rates, plot: Plot) -> list[_Mark]:
    ejected = None if rates.per_ml_s is None else -rates.per_ml_s
    peaks = (
        ("PER", rates.per_time_ms, ejected, True),
        ("PFR", rates.pfr_time_ms, rates.pfr_ml_s, False),
        ("PAFR", rates.pafr_time_ms, rates.pafr_ml_s, False),
    )
    marks = [
        _Mark(f"{name} {abs(rate):.0f} mL/s", (plot.across(time), plot.down(rate)), below)
        for name, time, rate, below in peaks
        if time is not None and rate is not None
    ]
    if rates.diastasis_time_ms is not None and rates.curve is not None:
        time, curve = rates.diastasis_time_ms, rates.curve
        rate = float(np.interp(time, curve.time_ms, curve.rate_ml_s))
        place = plot.across(time), plot.down(rate)
        marks.append(_Mark("diastasis", place, below=True))
    return marks


def _ticks_with_room(low: float, high: float) -> list[float]:
    """Round numbers that leave room for the names of the peaks below and above."""
    ticks = round_ticks(low, high, about=6)
    step = ticks[1] - ticks[0]
    while low - ticks[0] < MARK_ROOM * (ticks[-1] - ticks[0]):
        ticks = [ticks[0] - step, *ticks]
    while ticks[-1] - high < MARK_ROOM * (ticks[-1] - ticks[0]):
        ticks = [*ticks, ticks[-1] + step]
    return ticks


def _diamond(place: Point, size: float = 6.0) -> str:
    x, y = place
    corners = ((x, y - size), (x + size, y), (x, y + size), (x - size, y))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return f'<polygon points="{path}" fill="{INK}" stroke="#fff"/>'


def moment(plot: Plot, x: float, name: str) -> list[str]:
    """Dashed line at a moment of the cycle, its name above, clear of the axis' unit."""
    across = plot.across(x)
    return [
        line(across, plot.down.last, across, plot.down.first, QUIET_INK, "4"),
        text(max(across, plot.across.first + 12), plot.down.last - 8, name, fill=QUIET_INK),
    ]


def _lower(curves: list[tuple[str, str, np.ndarray]]) -> str:
    """Name of the curve whose last labelled point is the lowest."""
    return min(curves, key=lambda curve: curve[2][np.flatnonzero(curve[2] > 0)[-1]])[0]


def _name_of_curve(name: str, points: list[Point], plot: Plot, *, lowest: bool) -> str:
    """The name beside the last point, below the lower curve, so that two never meet."""
    x, y = points[-1]
    down = min(y + 22, plot.down.first - 4) if lowest else y - 10
    return text(x - 4, down, name, anchor="end", weight=700)


def _curve(points: list[Point], marked: list[Point], colour: str, dash: str) -> list[str]:
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5.5 if (x, y) in marked else 3}"'
        f' fill="{colour}" stroke="#fff"/>'
        for x, y in points
    ]
    return [polyline(points, colour, dash=dash), *dots]
