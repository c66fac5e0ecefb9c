"""The volume-time curve as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cardioxai.report.style import INK, LV_COLOUR, QUIET_INK, RULE, RV_COLOUR

WIDTH, HEIGHT = 1000, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 34, 48  # room for the axes' numbers and names
HALF_LABEL = 90  # half the width of "ED 142 mL, 703 ms"


@dataclass(frozen=True)
class _Axis:
    """Straight map from values to the drawing's pixels."""

    ticks: list[float]
    first: float
    last: float

    def __call__(self, value: float) -> float:
        share = (value - self.ticks[0]) / ((self.ticks[-1] - self.ticks[0]) or 1.0)
        return self.first + share * (self.last - self.first)


def volume_curve_svg(
    volume_ml: Sequence[float] | np.ndarray,
    *,
    frame_times_ms: Sequence[float] | None,
    ed_frame: int,
    es_frame: int,
    rv_volume_ml: Sequence[float] | np.ndarray | None = None,
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
    across = _Axis(
        _ticks(min(0.0, x.min()), x.max()) if timed else _frame_ticks(len(x)), LEFT, WIDTH - RIGHT
    )
    down = _Axis(_ticks(0.0, highest), HEIGHT - BOTTOM, TOP)
    marks = (("ED", ed_frame), ("ES", es_frame))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Volume-time curve"',
        f' font-size="14" fill="{INK}">',
        *_axes(across, down, "Time after the R wave (ms)" if timed else "Frame"),
    ]
    places = _apart([across(x[frame]) for _, frame in marks])
    for (short, frame), place in zip(marks, places, strict=True):
        when = f"{x[frame]:.0f} ms" if timed else f"frame {frame + 1}"
        label = f"{short} {volume_ml[frame]:.0f} mL, {when}"
        parts.append(_line(across(x[frame]), TOP - 10, across(x[frame]), down(0.0), QUIET_INK, "4"))
        parts.append(_text(place, TOP - 16, label, weight=600))
    for name, colour, curve in curves:
        points = [(across(x[k]), down(curve[k])) for k in np.flatnonzero(curve > 0)]
        marked = [(across(x[k]), down(curve[k])) for _, k in marks]
        parts += _curve(points, marked, colour)
        if len(curves) > 1:
            parts.append(_text(points[-1][0] - 4, points[-1][1] - 10, name, anchor="end"))
    return "".join([*parts, "</svg>"])


def _axes(across: _Axis, down: _Axis, x_name: str) -> list[str]:
    floor = down(0.0)
    parts = []
    for tick in down.ticks:
        parts.append(_line(LEFT, down(tick), WIDTH - RIGHT, down(tick), RULE))
        parts.append(_text(LEFT - 8, down(tick) + 5, f"{tick:g}", anchor="end"))
    for tick in across.ticks:
        parts.append(_line(across(tick), floor, across(tick), floor + 5, QUIET_INK))
        parts.append(_text(across(tick), floor + 21, f"{tick:g}"))
    parts.append(_line(LEFT, floor, WIDTH - RIGHT, floor, QUIET_INK))
    parts.append(_text(0.5 * (LEFT + WIDTH - RIGHT), HEIGHT - 6, x_name))
    parts.append(_text(LEFT - 8, TOP - 16, "mL", anchor="end"))
    return parts


def _apart(centres: list[float]) -> list[float]:
    """Where to centre two labels so that both stay inside and neither covers the other."""
    first, second = sorted(centres)
    first = float(np.clip(first, LEFT + HALF_LABEL, WIDTH - RIGHT - 3 * HALF_LABEL))
    second = float(np.clip(second, first + 2 * HALF_LABEL, WIDTH - RIGHT - HALF_LABEL))
    return [first, second] if centres[0] <= centres[1] else [second, first]


def _curve(
    points: list[tuple[float, float]], marked: list[tuple[float, float]], colour: str
) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5.5 if (x, y) in marked else 3}"'
        f' fill="{colour}" stroke="#fff"/>'
        for x, y in points
    ]
    return [line, *dots]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about six of them."""
    rough = max((high - low) / 6, 1e-6)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(step * k) for k in np.arange(first, max(last, first + 1) + 1)]


def _frame_ticks(frames: int) -> list[float]:
    """The first frame, the last and a few even ones between."""
    return [float(k) for k in np.unique(np.round(np.linspace(1, frames, min(frames, 7))))]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}" stroke-dasharray="{dash}"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>'
    )
