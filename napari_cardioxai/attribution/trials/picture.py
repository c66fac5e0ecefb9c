"""All maps of one image side by side, with the structure that decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.scores.controls import edge_map
from napari_cardioxai.attribution.scores.evidence import evidence_of, kind_of
from napari_cardioxai.files import replacing

_COLUMNS = 7
_PANEL_INCHES = 1.7
_SATURATED = 99.5  # percent of the map's voxels below full colour
_OUTLINE = "#0a7d32"


def draw_example(path: Path, example: Path, *, title: str) -> None:
    """A PNG of the plane through the middle of the structure.

    Parameters
    ----------
    path
        Of the PNG.
    example
        Written by `run.run_trials`.
    title
        Above it.
    """
    with np.load(example) as held:
        image, truth = held["image"], held["truth"]
        heats = {
            key.removeprefix("heat:"): held[key] for key in held.files if key.startswith("heat:")
        }
    plane = plane_through(truth)
    # Of memberships the labels are shown.
    shown = image[0] if len(image) == 1 else image.argmax(0)
    panels = [("Image", shown, "gray"), ("Control: edges", edge_map(image), "magma")]
    for name in (name for name in METHODS if name in heats):
        signed = METHODS[name].sign == "signed" and kind_of(name) == "shares"
        colours = "RdBu_r" if signed else "magma"
        panels.append((METHODS[name].title, evidence_of(heats[name], kind_of(name)), colours))
    rows = -(-len(panels) // _COLUMNS)
    size = (_COLUMNS * _PANEL_INCHES, rows * (_PANEL_INCHES + 0.35) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axes, panel in zip(
        figure.subplots(rows, _COLUMNS).flat, [*panels, *[None] * _COLUMNS], strict=False
    ):
        axes.set_axis_off()
        if panel is None:
            continue
        name, values, colours = panel
        axes.set_title(_in_two_lines(name), fontsize=7.5)
        low, high = (None, None) if name == "Image" else limits(values, signed=colours == "RdBu_r")
        axes.imshow(values[plane], cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        axes.contour(truth[plane], levels=[0.5], colors=[_OUTLINE], linewidths=1.2)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=130)


def plane_through(truth: NDArray[np.bool_]) -> tuple[int, ...]:
    """Indices of all axes but the last two, of the plane that holds most of the structure."""
    sizes = truth.sum(axis=(-2, -1))
    return tuple(int(k) for k in np.unravel_index(int(sizes.argmax()), sizes.shape))


def limits(values: NDArray, *, signed: bool) -> tuple[float, float]:
    """Where the colours end: symmetric for signed maps, a few voxels beyond them."""
    top = float(np.percentile(np.abs(values), _SATURATED)) or float(np.abs(values).max()) or 1.0
    return (-top, top) if signed else (min(0.0, float(values.min())), top)


def _in_two_lines(name: str) -> str:
    words = name.split()
    if len(name) <= 20 or len(words) < 2:
        return name
    cut = min(range(1, len(words)), key=lambda k: abs(len(" ".join(words[:k])) - len(name) / 2))
    return " ".join(words[:cut]) + "\n" + " ".join(words[cut:])
