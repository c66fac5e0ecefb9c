"""How an evaluation looks on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_cardioxai.training.evaluation.calibration import Calibration, Reliability
from napari_cardioxai.training.evaluation.intervals import Interval
from napari_cardioxai.training.evaluation.roc import Decisions, RocBand, RocCurve

# Okabe and Ito's colours without their yellow, too light for a line on white, and
# a dash each: lines stay apart for colour-blind readers and in a grey print.
MODEL_LOOKS: tuple[tuple[str, Any], ...] = (
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#e69f00", (0, (6, 2, 1, 2, 1, 2))),
    ("#56b4e9", (0, (1, 3))),
)
INK = "#1c2733"
QUIET_INK = "#5b6875"
RULE = "#d9e0e6"
_COLUMNS = 3
_PANEL_INCHES = 3.2


@dataclass(frozen=True)
class NamedRoc:
    """What `roc_figure` draws of one model; `band` may be None."""

    curve: RocCurve
    band: RocBand | None
    auc: Interval


def roc_figure(models: Mapping[str, NamedRoc]) -> Figure:
    """ROC curves of several models with their bands and areas.

    Parameters
    ----------
    models
        By name, in the order of the legend.
    """
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=1)
    for k, (name, model) in enumerate(models.items()):
        colour, dash = MODEL_LOOKS[k % len(MODEL_LOOKS)]
        if model.band is not None:
            axes.fill_between(
                model.band.false_positive_rate,
                model.band.low,
                model.band.high,
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        axes.plot(
            model.curve.false_positive_rate,
            model.curve.true_positive_rate,
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            label=f"{name}\nAUC {_in_short(model.auc)}",
        )
    axes.set(
        xlabel="1 − specificity",
        ylabel="Sensitivity",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    axes.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=INK)
    _plain(axes)
    return figure


def reliability_figure(models: Mapping[str, tuple[Calibration, Calibration | None]]) -> Figure:
    """Reliability diagrams side by side, each over the numbers of subjects.

    Dots are bins of equal mass, bars count subjects in bins of equal width.

    Parameters
    ----------
    models
        Calibration before and after temperature scaling (or None), by name, in
        the order of the panels.
    """
    rows, columns = _grid(len(models))
    figure = Figure(
        figsize=(columns * _PANEL_INCHES, rows * 1.4 * _PANEL_INCHES), layout="constrained"
    )
    grid = figure.subplots(
        2 * rows, columns, squeeze=False, sharex=True, height_ratios=[3, 1] * rows
    )
    for axes in grid.flat:
        axes.set_visible(False)
    for k, (name, (before, after)) in enumerate(models.items()):
        colour, _ = MODEL_LOOKS[k % len(MODEL_LOOKS)]
        diagram, counts = grid[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
        diagram.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=1)
        _draw_bins(diagram, before.equal_mass, colour, "as predicted", filled=True)
        title = f"{name}\nECE {before.equal_mass.expected_calibration_error:.3f}"
        if after is not None:
            _draw_bins(diagram, after.equal_mass, QUIET_INK, "after temperature", filled=False)
            title += f", after temperature {after.equal_mass.expected_calibration_error:.3f}"
            diagram.legend(loc="upper left", frameon=False, fontsize=8, labelcolor=INK)
        diagram.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="Share that is positive")
        diagram.set_title(title, fontsize=9, color=INK, loc="left")
        bars = before.equal_width
        width = bars.high_edge - bars.low_edge
        counts.bar(bars.low_edge, bars.count, width, align="edge", color=colour, edgecolor="white")
        counts.set(xlabel="Predicted probability", ylabel="Subjects")
        counts.tick_params(labelbottom=True)
        for axes in (diagram, counts):
            axes.set_visible(True)
            _plain(axes)
    return figure


def confusion_figure(
    models: Mapping[str, Decisions], *, classes: tuple[str, str] = ("negative", "positive")
) -> Figure:
    """Confusion matrices side by side, shaded by the share of the true class.

    Parameters
    ----------
    models
        By name, in the order of the panels.
    classes
        Names of label 0 and of label 1.
    """
    rows, columns = _grid(len(models))
    figure = Figure(figsize=(columns * _PANEL_INCHES, rows * _PANEL_INCHES), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(models) :]:
        axes.set_visible(False)
    for axes, (name, decisions) in zip(grid.flat, models.items(), strict=False):
        table = np.array(
            [
                [decisions.true_negatives, decisions.false_positives],
                [decisions.false_negatives, decisions.true_positives],
            ]
        )
        draw_confusion(axes, table)
        axes.set_xticks((0, 1), classes)
        axes.set_yticks((0, 1), classes, rotation=90, va="center")
        axes.set(xlabel="Decided", ylabel="True")
        axes.set_title(
            f"{name}\nbalanced accuracy {_in_percent(decisions.balanced_accuracy)}",
            fontsize=9,
            color=INK,
            loc="left",
        )
        _plain(axes)
        axes.tick_params(length=0)
    return figure


def draw_confusion(axes: Axes, table: NDArray[np.integer], *, font_points: float = 10.0) -> None:
    """Counts (truth, decision) with their share of the truth, which shades the cell."""
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{count}\n{100 * share:.0f} %",
            ha="center",
            va="center",
            fontsize=font_points,
            color="white" if share > 0.6 else INK,
        )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first column is text, the others are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _in_short(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _in_percent(interval: Interval) -> str:
    value, low, high = (100 * part for part in (interval.value, interval.low, interval.high))
    return f"{value:.1f} % ({low:.1f}–{high:.1f})"


def _draw_bins(axes: Axes, bins: Reliability, colour: str, label: str, *, filled: bool) -> None:
    axes.errorbar(
        bins.predicted,
        bins.observed,
        yerr=np.abs(np.array([bins.observed_low, bins.observed_high]) - bins.observed),
        color=colour,
        linestyle="-" if filled else ":",
        marker="o",
        markersize=4,
        markerfacecolor=colour if filled else "white",
        linewidth=1.4,
        elinewidth=0.9,
        label=label,
    )


def _grid(panels: int) -> tuple[int, int]:
    columns = min(max(panels, 1), _COLUMNS)
    return max(1, -(-panels // columns)), columns


def _plain(axes: Axes) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(QUIET_INK)
    axes.tick_params(colors=QUIET_INK, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=9)
