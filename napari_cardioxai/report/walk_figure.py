"""One heart along a concept: decoded frames, volume curves and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.concepts.biomarkers import BIOMARKERS
from napari_cardioxai.report.style import INK, LV_COLOUR, QUIET_INK, RULE, STRUCTURE_COLOURS

_COLOURS = ListedColormap(["#10161c", *STRUCTURE_COLOURS.values()])
_COLUMN_IN, _HEIGHT_IN = 2.1, 6.2
_ALWAYS = ("ef_percent", "per_edv_s", "pfr_edv_s")
_MIDDLE = 1  # of three slices


class Stop(Protocol):
    """A heart on the way, as `traverse` makes them."""

    @property
    def alpha(self) -> float:
        """Standard deviations of the cohort towards the concept."""

    @property
    def cycle(self) -> NDArray[np.uint8]:
        """As decoded, shape (T, 3, y, x)."""

    @property
    def biomarkers(self) -> Mapping[str, float]:
        """Measured on it, by key; NaN where not measurable."""


def walk_figure(
    steps: Sequence[Stop], *, concept: str, biomarker: str | None, es_frame: int
) -> Figure:
    """A column for every alpha: end-diastole, end-systole, volume over the cycle.

    Parameters
    ----------
    steps
        One heart, alphas rising.
    concept
        Its name.
    biomarker
        Key of `BIOMARKERS` that the concept is named after; set in bold.
    es_frame
        Frame of the sequences onto which end-systole falls.
    """
    nearest = min(steps, key=lambda step: abs(step.alpha))
    count = len(steps)
    figure = Figure(figsize=(_COLUMN_IN * count + 0.6, _HEIGHT_IN), layout="constrained")
    panels = figure.subplots(3, count, squeeze=False, height_ratios=(1, 1, 0.72))
    figure.suptitle(
        f"{concept}: the same heart, {_text(steps)} SD of the cohort", color=INK, fontsize=11
    )
    highest = 1.08 * max(float(_volume(step).max()) for step in steps)
    for column, step in enumerate(steps):
        shown = panels[:, column]
        for axes, frame, phase in zip(
            shown, (0, es_frame), ("end-diastole", "end-systole"), strict=False
        ):
            axes.imshow(
                step.cycle[frame, _MIDDLE], cmap=_COLOURS, vmin=0, vmax=3, interpolation="nearest"
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(phase, color=QUIET_INK, fontsize=9)
        shown[0].set_title(_title(step, biomarker), color=INK, fontsize=9)
        _curve(shown[2], step, nearest, highest, is_first=column == 0)
    return figure


def _text(steps: Sequence[Stop]) -> str:
    return ", ".join(f"{step.alpha:+g}" if step.alpha else "0" for step in steps)


def _title(step: Stop, biomarker: str | None) -> str:
    keys = dict.fromkeys(([biomarker] if biomarker else []) + list(_ALWAYS))
    lines = [rf"$\alpha$ = {step.alpha:+g}" if step.alpha else r"$\alpha$ = 0, reconstruction"]
    for key in keys:
        one, value = BIOMARKERS[key], step.biomarkers.get(key, np.nan)
        said = f"{one.name} {one.text(value)} {one.unit}" if np.isfinite(value) else f"{one.name} –"
        lines.append(
            rf"$\bf{{{said.replace(' ', '~').replace('%', chr(92) + '%')}}}$"
            if key == biomarker
            else said
        )
    return "\n".join(lines)


def _volume(step: Stop) -> NDArray[np.int64]:
    """Pixels of cavity per frame, closed over the cycle, shape (T + 1,)."""
    pixels = np.count_nonzero(step.cycle == LV, axis=(1, 2, 3))
    return np.append(pixels, pixels[0])


def _curve(axes: Axes, step: Stop, unchanged: Stop, highest: float, *, is_first: bool) -> None:
    phase = np.linspace(0, 100, len(_volume(step)))
    scale = 100 / _volume(unchanged)[0]
    if step is not unchanged:
        axes.plot(phase, _volume(unchanged) * scale, color=QUIET_INK, linewidth=1, linestyle="--")
    axes.plot(phase, _volume(step) * scale, color=LV_COLOUR, linewidth=2)
    axes.set_ylim(0, highest * scale)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    axes.tick_params(labelsize=8, colors=QUIET_INK, labelleft=is_first)
    axes.set_xlabel("cycle, %", fontsize=8, color=QUIET_INK)
    if is_first:
        axes.set_ylabel("LV volume, %\nof the reconstruction's", fontsize=8, color=QUIET_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)
