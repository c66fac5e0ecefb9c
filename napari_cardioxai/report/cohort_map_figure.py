"""A cohort map on paper: points coloured by one column, and the arrows of a PCA."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_cardioxai.maps.cohort_map import CohortMap, apart, arrow_tips
from napari_cardioxai.maps.columns import Column
from napari_cardioxai.maps.subjects import DECISION
from napari_cardioxai.report.cohort_figures import GROUP_COLOURS, GROUP_MARKERS
from napari_cardioxai.report.style import INK, QUIET_INK, RULE

COLOUR_MAP = "viridis"
SIDE_INCHES = 6.0
_SMALL, _LARGE, _MANY = 9.0, 26.0, 1500
_CAPTION_LETTERS = 110
_ROOM_FOR_NAMES = 0.3  # of the width, to either side


def map_figure(cohort_map: CohortMap, name: str, *, caption: str = "") -> Figure:
    """The map coloured by a column.

    Parameters
    ----------
    cohort_map
        What to draw.
    name
        Key of one of its columns.
    caption
        Stands below, such as how far the picture can be trusted.
    """
    column = cohort_map.subjects.columns[name]
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.subplots()
    size = _SMALL if len(cohort_map.points) > _MANY else _LARGE
    if column.is_class:
        _classes(axes, cohort_map.points, column, size)
    else:
        _numbers(figure, axes, cohort_map.points, column, size)
    if cohort_map.arrows:
        _arrows(axes, cohort_map)
        axes.margins(x=_ROOM_FOR_NAMES)
    first, second = cohort_map.projection.axis_titles()
    axes.set_xlabel(first, fontsize=9, color=INK)
    axes.set_ylabel(second, fontsize=9, color=INK)
    # One unit is as long to the right as upwards, or neighbours would not look like neighbours.
    axes.set_aspect("equal", adjustable="datalim")
    title = f"{cohort_map.projection.title} of {len(cohort_map.points)} subjects: {column.title}"
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.tick_params(labelsize=7, color=RULE)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
    if caption:
        figure.supxlabel(fill(caption, _CAPTION_LETTERS), fontsize=7, color=QUIET_INK)
    return figure


def _classes(axes: Axes, points: np.ndarray, column: Column, size: float) -> None:
    unknown = ~column.known
    if unknown.any():
        label = f"unknown ({unknown.sum()})"
        axes.scatter(
            points[unknown, 0], points[unknown, 1], s=size, color=RULE, linewidths=0, label=label
        )
    for k, kind in enumerate(column.classes):
        members = column.values == kind
        axes.scatter(
            points[members, 0],
            points[members, 1],
            s=size,
            color=GROUP_COLOURS[k % len(GROUP_COLOURS)],
            marker=GROUP_MARKERS[k % len(GROUP_MARKERS)],
            alpha=0.7,
            linewidths=0,
            label=f"{kind} ({members.sum()})",
        )
    axes.legend(fontsize=7, frameon=False, loc="best", handletextpad=0.1)


def _numbers(figure: Figure, axes: Axes, points: np.ndarray, column: Column, size: float) -> None:
    known = column.known
    axes.scatter(points[~known, 0], points[~known, 1], s=size, color=RULE, linewidths=0)
    low, high = column.limits()
    drawn = axes.scatter(
        points[known, 0],
        points[known, 1],
        s=size,
        c=column.values[known].astype(float),
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        linewidths=0,
    )
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, extend="both")
    bar.ax.tick_params(labelsize=7)
    bar.set_label(column.unit or column.name, fontsize=8)


def _arrows(axes: Axes, cohort_map: CohortMap) -> None:
    points, arrows = cohort_map.points, cohort_map.arrows
    start, tips = points.mean(0), arrow_tips(points, arrows)
    heights = apart(tips, start, gap=0.05 * float(np.ptp(points[:, 1])))
    for arrow, tip, height in zip(arrows, tips, heights, strict=True):
        is_decision = arrow.kind == DECISION
        look = {
            "arrowstyle": "-|>",
            "color": INK,
            "linewidth": 2.2 if is_decision else 1.2,
            "linestyle": "-" if is_decision else "--",
        }
        axes.annotate("", xytext=start, xy=tip, arrowprops=look)
        is_left = tip[0] < start[0]
        axes.annotate(
            f"{arrow.name} ({100 * arrow.share:.0f} %)",
            (tip[0], height),
            xytext=(-4 if is_left else 4, 0),
            textcoords="offset points",
            fontsize=7,
            fontweight="bold" if is_decision else "normal",
            color=INK,
            ha="right" if is_left else "left",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
        )
