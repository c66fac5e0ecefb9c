"""A cohort in pictures, for its page and for the window."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_cardioxai.cohorts.describe import ORIGINS, CohortDescription
from napari_cardioxai.cohorts.manifest import CLASS, SPLIT
from napari_cardioxai.cohorts.properties import SHARES, property_title
from napari_cardioxai.cohorts.shortcuts import THRESHOLD_AUC, TOGETHER
from napari_cardioxai.report.style import (
    INK,
    QUIET_INK,
    RULE,
    STRUCTURE_COLOURS,
    WALL_COLOURS,
    WARNING,
)

# Told apart by colour-blind readers, and in a grey print by the marker of a scatter plot.
GROUP_COLOURS = WALL_COLOURS
GROUP_MARKERS = "osD^vPX"
MOST_GROUPS = 12
MOST_ROWS = 25  # of a bar chart
SIZE = ("edv_ml", "lv_diameter_mm", "ef_percent")
RECORDING = (
    *("pixel_mm", "slice_mm", "frames", "heart_rate_bpm"),
    *("intensity_mean", "intensity_p99", "blood_intensity", "contrast"),
)
PAGE_INCHES = 9.4
_NARROW = 6.0  # inches; below, parts stand below each other
_PANEL = 2.2
_BAR = 0.28
_ABOVE: dict[str, Any] = {
    "fontsize": 7,
    "frameon": False,
    "columnspacing": 1.0,
    "borderaxespad": 0.2,
    "loc": "lower right",
    "bbox_to_anchor": (1, 1),
}


def shares_figure(description: CohortDescription, *, width_in: float = PAGE_INCHES) -> Figure:
    """Subjects of every label, class, site and split."""
    counts = (
        ("Label", description.label),
        ("Class", description.classes),
        ("Site", description.sites),
        ("Split", description.splits),
    )
    shown = [(title, {k: n for k, n in values.items() if n}) for title, values in counts]
    shown = [(title, values) for title, values in shown if values]
    columns = min(len(shown), _columns(width_in))
    bars = [min(MOST_ROWS, len(values)) for _, values in shown]
    longest = [max(bars[k : k + columns]) for k in range(0, len(shown), columns)]  # of each row
    heights = [0.7 + _BAR * count for count in longest]
    figure = Figure(figsize=(width_in, sum(heights)), layout="constrained")
    panels = list(figure.subplots(len(longest), columns, squeeze=False, height_ratios=heights).flat)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for number, (axes, (title, values)) in enumerate(zip(panels, shown, strict=False)):
        names = list(values)[:MOST_ROWS]
        _bars(axes, names, [values[name] for name in names], QUIET_INK)
        for row, name in enumerate(names):
            share = values[name] / description.subjects
            axes.text(values[name], row, f" {values[name]} ({share:.0%})", va="center", fontsize=8)
        axes.set_xlim(0, 1.7 * max(values.values()))
        axes.set_ylim(longest[number // columns] - 0.5, -0.5)
        axes.set_title(title, loc="left", fontsize=9, color=INK)
        axes.set_xticks([])
    return figure


def structures_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Part of the voxels that each structure has, in each group; None without labels."""
    names = {value: name for value, name in SHARES.items() if name in description.properties}
    if not names:
        return None
    groups = _groups(description)
    figure, panels = _panels(len(names), len(groups), width_in)
    for axes, (value, name) in zip(panels, names.items(), strict=True):
        _boxes(axes, description.properties[name], groups, STRUCTURE_COLOURS[value])
        axes.set_title(property_title(name), loc="left", fontsize=9, color=INK)
    return figure


def ventricle_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Size of the left ventricle in each group, and its place in the picture."""
    properties = description.properties
    names = [name for name in SIZE if name in properties]
    placed = {"lv_right_mm", "lv_down_mm"} <= set(properties)
    if not names or not placed:
        return None
    groups = _groups(description)
    figure, panels = _panels(len(names) + 1, len(groups), width_in)
    for axes, name in zip(panels, names, strict=False):
        _boxes(axes, properties[name], groups, STRUCTURE_COLOURS[1])
        axes.set_title(property_title(name), loc="left", fontsize=9, color=INK)
    axes = panels[len(names)]
    for number, (name, members) in enumerate(groups.items()):
        axes.scatter(
            properties["lv_right_mm"][members],
            properties["lv_down_mm"][members],
            s=12,
            alpha=0.7,
            linewidths=0,
            color=_colour(number),
            marker=GROUP_MARKERS[number % len(GROUP_MARKERS)],
            label=name,
        )
    axes.axhline(0, color=RULE, zorder=0)
    axes.axvline(0, color=RULE, zorder=0)
    axes.invert_yaxis()  # as in the picture
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title("LV centre in the picture (mm)", loc="left", fontsize=9, color=INK)
    _plain(axes)
    if 1 < len(groups) <= MOST_GROUPS:
        axes.legend(fontsize=7, frameon=False, loc="best", handletextpad=0.1)
    return figure


def recording_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Spacing, times and intensities, in each site where the manifest has sites."""
    properties = description.properties
    names = [name for name in RECORDING if name in properties and properties[name].nunique() > 1]
    if not names:
        return None
    origin = next((name for name in ORIGINS if name in description.groups), None)
    groups = _groups(description, None if origin is None else [origin])
    figure, panels = _panels(len(names), len(groups), width_in)
    for axes, name in zip(panels, names, strict=True):
        _boxes(axes, properties[name], groups, "#9fb3c4")
        axes.set_title(property_title(name), loc="left", fontsize=9, color=INK)
    return figure


def concepts_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Subjects with and without each concept and those of whom it is not known."""
    concepts = description.concepts[:MOST_ROWS]
    if not concepts:
        return None
    parts_below = width_in < _NARROW
    height = (1.0 + _BAR * len(concepts)) * (2 if parts_below else 1)
    figure = Figure(figsize=(width_in, height), layout="constrained")
    counts, shares = figure.subplots(*((2, 1) if parts_below else (1, 2)), sharey=True)
    rows = np.arange(len(concepts))
    start = np.zeros(len(concepts))
    parts = (("present", WALL_COLOURS[2]), ("absent", "#c9d3dc"), ("unknown", "#ffffff"))
    for part, colour in parts:
        values = np.array([getattr(concept, part) for concept in concepts], float)
        counts.barh(
            rows, values, left=start, height=0.7, color=colour, edgecolor=QUIET_INK,
            linewidth=0.5, label=part,
        )  # fmt: skip
        start += values
    counts.set_yticks(rows, [concept.name for concept in concepts], fontsize=8)
    counts.invert_yaxis()
    counts.set_title("Subjects", loc="left", fontsize=9, color=INK)
    counts.legend(**_ABOVE, ncols=3)
    for which, (colour, marker) in enumerate(((QUIET_INK, "o"), (WARNING, "D"))):
        values = np.array([concept.by_label[which] for concept in concepts], float)
        shares.plot(values, rows, linestyle="", marker=marker, color=colour, label=f"label {which}")
    shares.set_xlim(-0.03, 1.03)
    shares.set_title("Part that has it", loc="left", fontsize=9, color=INK)
    if description.label:
        shares.legend(**_ABOVE, ncols=2)
    for axes in (counts, shares):
        _plain(axes)
    return figure


def correlation_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Heat map of the correlations of label, concepts and a few measurements."""
    table = description.correlations
    if len(table) < 2:
        return None
    side = 2.4 + 0.42 * len(table)
    figure = Figure(figsize=(min(width_in, side + 1), min(width_in, side)), layout="constrained")
    axes = figure.subplots()
    values = table.to_numpy(float)
    image = axes.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-1, vmax=1)
    names = [property_title(str(name)) for name in table.columns]
    slant: dict[str, Any] = {"rotation": 40, "ha": "right"}
    if width_in < side:
        slant = {"rotation": 90}
    axes.set_xticks(range(len(names)), names, fontsize=8, **slant)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    if len(table) <= 16 and width_in >= side:
        for (row, column), value in np.ndenumerate(values):
            text = f"{value:.2f}" if np.isfinite(value) else "–"
            dark = np.isfinite(value) and abs(value) > 0.6
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7,
                color="white" if dark else INK,
            )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=(-1, -0.5, 0, 0.5, 1))
    bar.ax.tick_params(labelsize=7)
    bar.set_label("Correlation", fontsize=8)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def shortcuts_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """AUC with which each property that is no anatomy tells the label."""
    shortcuts = description.shortcuts[:MOST_ROWS]
    if not shortcuts:
        return None
    figure = Figure(figsize=(width_in, 1.0 + _BAR * len(shortcuts)), layout="constrained")
    axes = figure.subplots()
    titles = [
        TOGETHER.capitalize() if s.name == TOGETHER else property_title(s.name) for s in shortcuts
    ]
    colours = [WARNING if s.threatens and s.is_certain else "#9fb3c4" for s in shortcuts]
    reach = np.array([shortcut.auc for shortcut in shortcuts])
    axes.barh(np.arange(len(reach)), reach - 0.5, left=0.5, height=0.7, color=colours)
    for row, shortcut in enumerate(shortcuts):
        axes.text(max(shortcut.auc, 0.5), row, f" {shortcut.auc:.2f}", va="center", fontsize=8)
    axes.set_yticks(np.arange(len(shortcuts)), titles, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.5, color=QUIET_INK, linewidth=0.8)
    axes.axvline(THRESHOLD_AUC, color=WARNING, linewidth=1, linestyle="--")
    axes.set_xlim(min(0.49, reach.min() - 0.01), 1.04)
    line = "\n" if width_in < _NARROW else " "
    axes.set_xlabel(f"AUC (0.5 is chance,{line}{THRESHOLD_AUC:g} the threshold)", fontsize=8)
    _plain(axes)
    return figure


def missing_figure(
    description: CohortDescription, *, width_in: float = PAGE_INCHES
) -> Figure | None:
    """Columns with blank cells, those with most of them first; None where there are none."""
    missing = sorted(
        ((name, count) for name, count in description.missing.items() if count),
        key=lambda pair: -pair[1],
    )[:MOST_ROWS]
    if not missing:
        return None
    figure = Figure(figsize=(width_in, 0.7 + _BAR * len(missing)), layout="constrained")
    axes = figure.subplots()
    _bars(axes, [name for name, _ in missing], [count for _, count in missing], "#9fb3c4")
    for row, (_, count) in enumerate(missing):
        axes.text(
            count, row, f" {count} ({count / description.subjects:.0%})", va="center", fontsize=8
        )
    axes.set_xlim(0, 1.12 * description.subjects)
    axes.set_xlabel("Subjects without it", fontsize=8)
    return figure


@dataclass(frozen=True)
class Picture:
    """One figure of a description.

    Attributes
    ----------
    title, caption
        What stands above and below it.
    draw
        Called with the description and `width_in`, in inches; None where there is
        nothing to show.
    is_narrow
        Whether it does not gain by the whole width of a page.
    """

    title: str
    draw: Callable[..., Figure | None]
    caption: str = ""
    is_narrow: bool = False


PICTURES = (
    Picture("Who is in it", shares_figure),
    Picture(
        "Structures",
        structures_figure,
        "Part of all labelled and unlabelled voxels of a subject's label file, over its frames.",
    ),
    Picture("Left ventricle", ventricle_figure),
    Picture("Recording and intensities", recording_figure),
    Picture("Concepts", concepts_figure),
    Picture(
        "What goes together",
        correlation_figure,
        "Pearson's correlation over the subjects that know both; of two concepts it is phi.",
        is_narrow=True,
    ),
    Picture(
        "Shortcuts",
        shortcuts_figure,
        "How well the label follows from what is not the heart: a single number by its rank, "
        "names and all together by logistic regression, cross-validated. A model that does "
        "not beat the longest bar has shown nothing.",
    ),
    Picture("Missing values", missing_figure),
)
"""In the order of the page, and of the window."""


def png(figure: Figure, *, dots_per_inch: float) -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch)
    return stream.getvalue()


def three_digits(value: float) -> str:
    """Three digits without an exponent; whole numbers as they are."""
    if float(value).is_integer():
        return f"{value:.0f}"
    digits = max(0, 2 - int(f"{abs(value):e}".split("e")[1]))
    return f"{value:.{min(digits, 4)}f}"


def _groups(
    description: CohortDescription, columns: Sequence[str] | None = None
) -> dict[str, pd.Series]:
    """Members of each group: of the class, else of the first column there is, else everybody."""
    table = description.groups
    given = [CLASS, *(str(name) for name in table if name != SPLIT)] if columns is None else columns
    for name in given:
        if name not in table:
            continue
        values = sorted(table[name].dropna().unique())
        if 1 < len(values) <= MOST_GROUPS:
            mark = "" if name == CLASS else f"{name} "
            return {f"{mark}{value}": table[name] == value for value in values}
    return {"all": pd.Series(True, index=table.index)}


def _panels(count: int, groups: int, width_in: float) -> tuple[Figure, list[Axes]]:
    columns = min(count, _columns(width_in))
    rows = -(-count // columns)
    height = rows * (0.6 + max(1.3, 0.24 * groups))
    figure = Figure(figsize=(columns * width_in / _columns(width_in), height), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def _columns(width_in: float) -> int:
    """Panels beside each other."""
    return max(1, round(width_in / _PANEL))


def _boxes(axes: Axes, values: pd.Series, groups: dict[str, pd.Series], colour: str) -> None:
    """Median, quartiles and outliers of each group, the first on top."""
    parts = [values[members].dropna().to_numpy(float) for members in groups.values()]
    axes.boxplot(
        parts,
        orientation="horizontal",
        widths=0.65,
        patch_artist=True,
        boxprops={"facecolor": colour, "edgecolor": QUIET_INK, "linewidth": 0.7},
        medianprops={"color": INK, "linewidth": 1.4},
        whiskerprops={"color": QUIET_INK, "linewidth": 0.7},
        capprops={"color": QUIET_INK, "linewidth": 0.7},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": QUIET_INK},
    )
    axes.set_yticks(range(1, len(groups) + 1), list(groups), fontsize=8)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=4)
    _plain(axes)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[int], colour: str) -> None:
    axes.barh(np.arange(len(names)), values, height=0.7, color=colour)
    axes.set_yticks(np.arange(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    _plain(axes)


def _colour(number: int) -> str:
    return GROUP_COLOURS[number % len(GROUP_COLOURS)]


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=INK, length=2)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(QUIET_INK)
