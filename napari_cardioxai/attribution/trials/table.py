"""Methods by scores: means with intervals over images and networks, and what they say."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.attribution.registry import METHODS
from napari_cardioxai.attribution.scores.controls import CONTROLS
from napari_cardioxai.attribution.scores.randomisation import CHANGED_BELOW
from napari_cardioxai.attribution.scores.table import SCORES as MEANINGS
from napari_cardioxai.attribution.trials.measure import SCORES, Measured
from napari_cardioxai.files import replacing

CONTROL_NAMES = {
    "random": "Control: random",
    "centre": "Control: centre Gaussian",
    "edges": "Control: edges",
}

QUESTIONS: Mapping[str, str] = {
    "auprc": "Where is the structure that decides?",
    "pointing": "Does the map's peak lie on it?",
    "faithfulness": "Which voxels does the network's answer hang on?",
    "infidelity": "How far does the answer fall when a part is covered?",
    "max_sensitivity": "Is the map the same when the image changes a little?",
    "randomised": "Does the map depend on what the network has learnt?",
}
"""By the score that answers it."""

_RESAMPLES = 2000
_CONFIDENCE = 95


@dataclass(frozen=True)
class Cell:
    """A score of a method: mean, limits of its interval, and how many maps it was measured on."""

    mean: float
    low: float
    high: float
    maps: int

    def as_json(self) -> dict[str, float]:
        """Plain types."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "maps": self.maps}


@dataclass(frozen=True)
class Row:
    """A method or control in the table.

    Attributes
    ----------
    name, title
        In the registry, and for people.
    control
        Whether it knows nothing of the network.
    seconds
        Of the processor per map, the median; None for controls.
    cells
        Over all networks, by score.
    by_network
        The same of each network, by its name.
    """

    name: str
    title: str
    control: bool
    seconds: float | None
    cells: Mapping[str, Cell]
    by_network: Mapping[str, Mapping[str, Cell]]

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "method": self.name,
            "control": self.control,
            "seconds": self.seconds,
            "scores": {name: cell.as_json() for name, cell in self.cells.items()},
            "networks": {
                network: {name: cell.as_json() for name, cell in cells.items()}
                for network, cells in self.by_network.items()
            },
        }


def table_of(measured: Iterable[Measured], *, seed: int = 0) -> list[Row]:
    """One row a method in the order of the registry, then the controls.

    Parameters
    ----------
    measured
        Every map.
    seed
        Of the resampling.
    """
    by_method: dict[str, list[Measured]] = {}
    for one in measured:
        by_method.setdefault(one.method, []).append(one)
    order = [name for name in (*METHODS, *CONTROLS) if name in by_method]
    return [_row(name, by_method[name], seed=seed) for name in order]


def mean_over_images(values: NDArray[np.float64], rng: np.random.Generator) -> Cell:
    """Mean over networks and images, and its interval by resampling both.

    Images are the same for all networks, so whole columns are drawn, and whole
    rows: what differs between networks counts as chance, too.

    Parameters
    ----------
    values
        Shape (networks, images), NaN where nothing was measured.
    rng
        Of the resampling.

    References
    ----------
    Owen 2007, "The pigeonhole bootstrap", section 3.
    """
    values = values[~np.isnan(values).all(1)][:, ~np.isnan(values).all(0)]
    networks, images = values.shape
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    rows = rng.multinomial(networks, np.full(networks, 1 / networks), _RESAMPLES)
    columns = rng.multinomial(images, np.full(images, 1 / images), _RESAMPLES)
    counts = np.einsum("kn,ni,ki->k", rows, known.astype(float), columns)
    sums = np.einsum("kn,ni,ki->k", rows, filled, columns)
    means = sums[counts > 0] / counts[counts > 0]
    outside = (100 - _CONFIDENCE) / 2
    low, high = np.percentile(means, [outside, 100 - outside])
    return Cell(float(filled.sum() / known.sum()), float(low), float(high), int(known.sum()))


def answers_of(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """For every question the methods that the table cannot tell from the best, and those behind a control.

    A method that hardly changes when the weights become random is no answer to
    any question but the last.

    Returns
    -------
    By score: `question`, `best`, `also` (their intervals reach the best mean),
    `no_better_than_controls` (their intervals reach the best control's mean).
    """
    fixed = {
        row.name
        for row in rows
        if "randomised" in row.cells and abs(row.cells["randomised"].mean) >= CHANGED_BELOW
    }
    found: dict[str, dict[str, Any]] = {}
    for score, question in QUESTIONS.items():
        methods = [row for row in rows if score in row.cells and not row.control]
        if score != "randomised":
            methods = [row for row in methods if row.name not in fixed]
        if not methods:
            continue
        sign = 1 if MEANINGS[score].better == "higher" else -1

        def mean(row: Row, score: str = score, sign: int = sign) -> float:
            return sign * row.cells[score].mean

        best = max(methods, key=mean)
        controls = [row for row in rows if row.control and score in row.cells]
        also = [
            r.name for r in methods if r is not best and _reaches(r.cells[score], mean(best), sign)
        ]
        behind = []
        if controls:
            bar = max(mean(row) for row in controls)
            behind = [r.name for r in methods if _worst(r.cells[score], sign) <= bar]
        found[score] = {
            "question": question,
            "best": best.name,
            "also": also,
            "no_better_than_controls": behind,
        }
    return found


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line a method and network, and one over all networks; a score has three columns.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    heads = [f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")]
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "control", "network", "seconds", *heads])
        for row in rows:
            for network, cells in {"all": row.cells, **row.by_network}.items():
                seconds = "" if row.seconds is None else f"{row.seconds:.4g}"
                figures = [
                    f"{value:.4g}" if score in cells else ""
                    for score in SCORES
                    for value in _three(cells.get(score))
                ]
                writer.writerow([row.name, int(row.control), network, seconds, *figures])


def _row(name: str, measured: Sequence[Measured], *, seed: int) -> Row:
    networks = sorted({_network(one) for one in measured})
    images = sorted({one.case for one in measured})
    cells: dict[str, Cell] = {}
    by_network: dict[str, dict[str, Cell]] = {network: {} for network in networks}
    for score in SCORES:
        values = np.full((len(networks), len(images)), np.nan)
        for one in measured:
            if score in one.scores:
                place = networks.index(_network(one)), images.index(one.case)
                values[place] = one.scores[score]
        if np.isnan(values).all():
            continue
        cells[score] = mean_over_images(values, np.random.default_rng(seed))
        for network, of_network in zip(networks, values, strict=True):
            if not np.isnan(of_network).all():
                by_network[network][score] = mean_over_images(
                    of_network[None], np.random.default_rng(seed)
                )
    seconds = [one.seconds for one in measured if one.seconds is not None]
    return Row(
        name=name,
        title=CONTROL_NAMES[name] if measured[0].control else METHODS[name].title,
        control=measured[0].control,
        seconds=float(np.median(seconds)) if seconds else None,
        cells=cells,
        by_network=by_network,
    )


def _network(one: Measured) -> str:
    return f"{one.network}-{one.seed}"


def _reaches(cell: Cell, bar: float, sign: int) -> bool:
    return max(sign * cell.low, sign * cell.high) >= bar


def _worst(cell: Cell, sign: int) -> float:
    return min(sign * cell.low, sign * cell.high)


def _three(cell: Cell | None) -> tuple[float, float, float]:
    return (0.0, 0.0, 0.0) if cell is None else (cell.mean, cell.low, cell.high)
