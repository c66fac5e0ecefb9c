"""An evaluation of image classifiers in pictures, for its page and as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_cardioxai.report.cohort_figures import GROUP_COLOURS, GROUP_MARKERS, PAGE_INCHES
from napari_cardioxai.report.style import INK, QUIET_INK, RULE
from napari_cardioxai.training.evaluation.calibration import Reliability
from napari_cardioxai.training.evaluation.figures import MODEL_LOOKS, draw_confusion
from napari_cardioxai.training.images.table import ImageEvaluation, about_split

_COLUMNS = 3
_PANEL = PAGE_INCHES / _COLUMNS
_LEGEND_ROW = 0.17  # inches


def accuracy_figure(evaluation: ImageEvaluation) -> Figure:
    """Accuracy and balanced accuracy of every model with their intervals, one row each."""
    models = evaluation.models
    figure = Figure(figsize=(PAGE_INCHES, 1.0 + 0.42 * len(models)), layout="constrained")
    axes = figure.subplots()
    splits = list(evaluation.counts)
    for row, model in enumerate(models):
        colour = GROUP_COLOURS[splits.index(model.split) % len(GROUP_COLOURS)]
        for shift, interval, marker in (
            (-0.14, model.figures.accuracy, "o"),
            (0.14, model.figures.balanced_accuracy, "D"),
        ):
            value = 100 * interval.value
            spread = [[value - 100 * interval.low], [100 * interval.high - value]]
            axes.errorbar(
                value, row + shift, xerr=spread, fmt=marker, color=colour, ms=5, capsize=2
            )
    for number, split in enumerate(splits):
        axes.plot(
            [], [], "s", color=GROUP_COLOURS[number % len(GROUP_COLOURS)], label=about_split(split)
        )
    axes.plot([], [], "o", color=QUIET_INK, label="accuracy")
    axes.plot([], [], "D", color=QUIET_INK, label="balanced accuracy")
    axes.axvline(100 / len(evaluation.classes), color=QUIET_INK, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(models)), [model.name for model in models])
    axes.set(ylim=(len(models) - 0.5, -0.5), xlabel="%, with 95 % intervals; dotted: chance")
    axes.set_xlim(right=101)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(splits) + 2, frameon=False, fontsize=8
    )
    _plain(axes)
    return figure


def confusion_figure(evaluation: ImageEvaluation) -> Figure:
    """Confusion matrices, shaded by the share of the true class."""
    figure, panels = _panels(len(evaluation.models), height=_PANEL)
    for axes, model in zip(panels, evaluation.models, strict=False):
        draw_confusion(axes, np.array(model.figures.confusion), font_points=8)
        names = list(evaluation.classes)
        axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="Decided", ylabel="True")
        axes.set_title(model.name, fontsize=9, color=INK, loc="left")
        _plain(axes)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def roc_figure(evaluation: ImageEvaluation) -> Figure:
    """ROC curves of every class against the others, one panel a class."""
    below = 0.45 + _LEGEND_ROW * len(evaluation.models)
    figure, panels = _panels(len(evaluation.classes), height=_PANEL + below)
    for k, axes in enumerate(panels[: len(evaluation.classes)]):
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=1)
        for number, model in enumerate(evaluation.models):
            one = model.figures.classes[k]
            if one.curve is None or one.auc is None:
                continue
            colour, dash = MODEL_LOOKS[number % len(MODEL_LOOKS)]
            axes.plot(
                one.curve.false_positive_rate,
                one.curve.true_positive_rate,
                color=colour,
                linestyle=dash,
                linewidth=1.5,
                label=f"{model.name} {one.auc.value:.3f} ({one.auc.low:.3f}–{one.auc.high:.3f})",
            )
        axes.set(xlabel="1 − specificity", ylabel="Sensitivity", aspect="equal", anchor="N")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_title(evaluation.classes[k], fontsize=9, color=INK, loc="left")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False, fontsize=7,
                title="AUC (95 % interval)", title_fontsize=7,
            )  # fmt: skip
        _plain(axes)
    return figure


def reliability_figure(evaluation: ImageEvaluation) -> Figure:
    """How often decisions are right against the probability that they were given."""
    figure, panels = _panels(len(evaluation.models), height=_PANEL)
    for axes, model in zip(panels, evaluation.models, strict=False):
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=1)
        before, after = model.uncalibrated.of_decision, model.figures.calibration.of_decision
        title = f"{model.name}\nECE {after.expected_calibration_error:.3f}"
        if model.temperature != 1:
            _bins(axes, before, QUIET_INK, "without temperature", is_filled=False)
            title += f", without temperature {before.expected_calibration_error:.3f}"
        _bins(axes, after, MODEL_LOOKS[0][0], "as given", is_filled=True)
        axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="Probability of the decision", ylabel="Share that is right")
        axes.set_title(title, fontsize=9, color=INK, loc="left")
        axes.legend(loc="lower right", frameon=False, fontsize=7)
        _plain(axes)
    return figure


def projection_figure(evaluation: ImageEvaluation) -> Figure | None:
    """t-SNE of raw pixels beside that of the embedding, one row a model; None without any."""
    models = [model for model in evaluation.models if model.pictures]
    if not models:
        return None
    side = PAGE_INCHES / 2
    figure = Figure(figsize=(PAGE_INCHES, 0.92 * side * len(models)), layout="constrained")
    grid = figure.subplots(len(models), 2, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for row, model in zip(grid, models, strict=True):
        for axes, picture in zip(row, model.pictures, strict=False):
            axes.set_visible(True)
            for k, name in enumerate(evaluation.classes):
                points = picture.projection.points[picture.labels == k]
                axes.plot(
                    *points.T,
                    GROUP_MARKERS[k % len(GROUP_MARKERS)],
                    color=GROUP_COLOURS[k % len(GROUP_COLOURS)],
                    ms=4,
                    alpha=0.75,
                    markeredgewidth=0,
                    label=name,
                )
            axes.set_title(
                f"{model.name}: {picture.what}\n{picture.faith.sentence}\n"
                f"{picture.purity_in_plane.sentence}",
                fontsize=8,
                color=INK,
                loc="left",
            )
            axes.set(xticks=[], yticks=[])
            _plain(axes)
        row[0].legend(frameon=False, fontsize=8, loc="best")
    return figure


@dataclass(frozen=True)
class ImagePicture:
    """One figure of the page: its file's name, its title, what draws it and what it shows."""

    name: str
    title: str
    draw: Callable[[ImageEvaluation], Figure | None]
    caption: str = ""


PICTURES = (
    ImagePicture(
        "accuracy",
        "Accuracy",
        accuracy_figure,
        "Each model on the images that its own split kept away from it. Accuracy with Wilson's "
        "interval, balanced accuracy with that of a bootstrap within the classes.",
    ),
    ImagePicture("confusion", "Confusion", confusion_figure),
    ImagePicture(
        "roc", "ROC of each class against the others", roc_figure, "Intervals after DeLong."
    ),
    ImagePicture(
        "reliability",
        "Calibration",
        reliability_figure,
        "Images in bins of equal number by the probability of the decision; bars are 95 % intervals.",
    ),
    ImagePicture(
        "projection",
        "Test images by pixels and by embedding",
        projection_figure,
        "t-SNE of the test images, which invents distances: trustworthiness says how far "
        "neighbours in the plane are neighbours in truth, purity how far they are of one class.",
    ),
)
"""In the order of the page."""


def _bins(axes: Axes, bins: Reliability, colour: str, label: str, *, is_filled: bool) -> None:
    spread = [bins.observed - bins.observed_low, bins.observed_high - bins.observed]
    axes.errorbar(
        bins.predicted,
        bins.observed,
        yerr=np.maximum(spread, 0),
        fmt="o",
        color=colour,
        ms=4,
        mfc=colour if is_filled else "white",
        elinewidth=0.8,
        label=label,
    )


def _panels(count: int, *, height: float) -> tuple[Figure, Sequence[Axes]]:
    rows = -(-count // _COLUMNS)
    figure = Figure(figsize=(PAGE_INCHES, rows * height), layout="constrained")
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=INK, length=2)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=9, color=INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(QUIET_INK)
