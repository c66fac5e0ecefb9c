"""One heart along its concepts, on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_cardioxai.concepts.biomarkers import BIOMARKERS
from napari_cardioxai.concepts.fidelity import Walked
from napari_cardioxai.concepts.heart import ConceptHeart
from napari_cardioxai.files import replacing, replacing_files_in
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.report.style import INK, QUIET_INK, WARNING
from napari_cardioxai.report.walk_figure import walk_figure

SHOWN_ALPHAS = (-2.0, 0.0, 2.0)
DOTS_PER_INCH = 160
_PANEL = 2.3  # inches


def curves_figure(heart: ConceptHeart, walks: Mapping[str, Walked]) -> Figure:
    """Each concept's own biomarker along it: this heart, and the mean of the cohort's hearts.

    Parameters
    ----------
    heart
        That was walked.
    walks
        By the name of the concept.
    """
    named = {name: one for name, one in walks.items() if one.concept.measure is not None}
    figure = Figure(figsize=(_PANEL * max(len(named), 1), 2.6), layout="constrained")
    panels = figure.subplots(1, max(len(named), 1), squeeze=False)[0]
    rows = {row["concept"]: row for row in heart.book.rows}
    for axes, (name, walked) in zip(panels, named.items(), strict=False):
        _curve(axes, name, walked, rows.get(name, {}))
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def _curve(axes: Axes, name: str, walked: Walked, row: Mapping[str, Any]) -> None:
    measure = walked.concept.measure
    assert measure is not None
    faithful = row.get("fidelity") or {}
    is_wrong = faithful.get("moves_its_own") is False
    cohort = row.get("walked")
    if cohort is not None:
        values = [np.nan if v is None else v for v in cohort["values"]]
        axes.plot(cohort["alphas"], values, color=QUIET_INK, lw=1, label="cohort")
    colour = WARNING if is_wrong else INK
    axes.plot(
        walked.alphas, walked.curve(measure.key), "o-", color=colour, ms=3, label="this heart"
    )
    if walked.plausibility is not None:
        far = ~walked.plausibility.plausible[0]
        axes.plot(
            walked.alphas[far],
            walked.curve(measure.key)[far],
            "o",
            mfc="white",
            mec=colour,
            ms=5,
            label="not plausible",
        )
    axes.set_xlim(1.05 * walked.alphas[0], 1.05 * walked.alphas[-1])
    axes.axvline(0, color=QUIET_INK, lw=0.5)
    title = f"{name}: does not move it" if is_wrong else name
    axes.set_title(title, loc="left", fontsize=9, color=colour)
    axes.set_xlabel("SD of the cohort", fontsize=8)
    axes.set_ylabel(f"{measure.name} ({measure.unit})", fontsize=8)
    axes.tick_params(labelsize=7)


def hearts_figure(
    heart: ConceptHeart, name: str, *, alphas: Sequence[float] = SHOWN_ALPHAS
) -> Figure:
    """One heart along one concept; see `walk_figure`.

    Parameters
    ----------
    heart
        To be walked.
    name
        Of the concept.
    alphas
        Where.
    """
    measure = heart.walks[name].direction.concept.measure
    stops = []
    for alpha in alphas:
        latent = heart.at({name: alpha})
        cycle = heart.cycle(latent)
        stops.append(_Stop(alpha, cycle, heart.readout(cycle, latent).biomarkers))
    return walk_figure(
        stops,
        concept=name,
        biomarker=None if measure is None else measure.key,
        es_frame=heart.cine.transform.spec.es_frame,
    )


@dataclass(frozen=True)
class _Stop:
    alpha: float
    cycle: NDArray[np.uint8]
    biomarkers: Mapping[str, float]


def write_figures(
    folder: Path,
    heart: ConceptHeart,
    walks: Mapping[str, Walked],
    *,
    on_progress: Progress = silent,
) -> list[Path]:
    """Write `curves.png` and a picture of hearts along each concept; all of them or none.

    Parameters
    ----------
    folder
        Where; files of other names stay.
    heart, walks
        As for `curves_figure`.
    on_progress
        Called per picture; may raise `Cancelled`.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    written = []
    with replacing_files_in(folder) as beside:
        figures: dict[str, Callable[[], Figure]] = {
            "curves.png": partial(curves_figure, heart, walks)
        }
        for name in walks:
            figures[f"{name.replace(' ', '-')}.png"] = partial(hearts_figure, heart, name)
        for done, (file, draw) in enumerate(figures.items()):
            on_progress(done, len(figures), file)
            draw().savefig(beside / file, dpi=DOTS_PER_INCH)
            written.append(folder / file)
    return written


def write_concepts_json(
    path: Path, heart: ConceptHeart, walks: Mapping[str, Walked], alphas: Mapping[str, float]
) -> None:
    """Write the table of concepts and what was measured of this heart.

    Parameters
    ----------
    path
        Of the file.
    heart, walks
        As for `curves_figure`.
    alphas
        Where the heart stands.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    latent = heart.at(alphas)
    stands = heart.readout(heart.cycle(latent), latent)
    told = {
        "model": heart.book.model,
        "cohort": heart.book.cohort,
        "rows": list(heart.book.rows),
        "heart": {
            "labels": _plain(heart.labelled.biomarkers),
            "redrawn": _told(heart.redrawn),
            "alphas": {name: alpha for name, alpha in alphas.items() if alpha},
            "decoded": _told(stands),
            "is_plausible": heart.is_near(stands),
            "walks": {
                name: {
                    "walk": one.way,
                    "alphas": one.alphas.tolist(),
                    "logits": np.round(one.logits[0], 4).tolist(),
                    "biomarkers": {
                        key: [_number(v) for v in one.values[0, :, b]]
                        for b, key in enumerate(BIOMARKERS)
                    },
                }
                for name, one in walks.items()
            },
        },
    }
    with replacing(path) as beside:
        beside.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _told(readout: Any) -> dict[str, Any]:
    return {
        "biomarkers": _plain(readout.biomarkers),
        "logit": readout.logit,
        "probability": readout.probability,
        "distance_within": readout.within,
        "distance_beside": readout.beside,
    }


def _plain(biomarkers: Mapping[str, float]) -> dict[str, float | None]:
    return {key: _number(value) for key, value in biomarkers.items()}


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
