"""Attribution methods on trial, as one HTML file: the answers, the table, an example, each network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari_cardioxai import __version__
from napari_cardioxai.attribution.scores.table import SCORES as MEANINGS
from napari_cardioxai.attribution.trials.measure import SCORES
from napari_cardioxai.attribution.trials.table import Cell, Row
from napari_cardioxai.files import replacing
from napari_cardioxai.report.study_report import RESEARCH_ONLY
from napari_cardioxai.report.style import PAGE_CSS, QUIET_INK

_CSS = f"""
main {{ max-width: 1500px; }}
.wide {{ overflow-x: auto; }}
.wide table {{ font-size: 13px; }}
.wide th {{ overflow-wrap: normal; }}
.wide td, .wide th {{ padding-right: 9px; }}
.wide small {{ display: block; color: {QUIET_INK}; font-size: 11px; white-space: nowrap; }}
.wide td.best {{ font-weight: 700; background: #e3f2ea; }}
tr.control td {{ font-style: italic; }}
img {{ width: 100%; height: auto; display: block; }}
"""


def write_page(
    path: Path,
    rows: Sequence[Row],
    answers: Mapping[str, Mapping[str, Any]],
    *,
    title: str,
    facts: Sequence[str],
    pictures: Mapping[str, Path],
) -> None:
    """Write the self-contained page.

    Parameters
    ----------
    path
        Of the page.
    rows, answers
        From `trials.table`.
    title
        What was tried.
    facts
        Sentences above the table.
    pictures
        PNG of each network's example, by its name.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    titles = {row.name: row.title for row in rows}
    networks = sorted({name for row in rows for name in row.by_network})
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{PAGE_CSS}{_CSS}</style></head><body><main>",
        f"<header><h1>{escape(title)}</h1>",
        *(f"<p>{escape(fact)}</p>" for fact in facts),
        f'<p class="research">{RESEARCH_ONLY}</p></header>',
        "<h2>Which method for which question</h2><ul>",
        *(f"<li>{escape(sentence(one, titles))}</li>" for one in answers.values()),
        "</ul><h2>All networks</h2>",
        _table(rows, {row.name: row.cells for row in rows}),
        (
            '<p class="quiet">Mean, and its 95 % interval over images and networks. Green: the best '
            "method, and those whose interval reaches its mean.</p>"
        ),
    ]
    for name, picture in pictures.items():
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        parts.append(
            f"<h2>An image of {escape(name)}</h2>"
            f'<img alt="Maps of all methods" src="data:image/png;base64,{data}">'
        )
    for network in networks:
        cells = {row.name: row.by_network.get(network, {}) for row in rows}
        parts += [f"<h2>{escape(network)}</h2>", _table(rows, cells)]
    parts.append(f'<footer class="quiet">cardioxai {__version__}</footer></main></body></html>')
    with replacing(path) as beside:
        beside.write_text("\n".join(parts), "utf-8")


def sentence(answer: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """What the table says to a question, in words."""

    def listed(names: Sequence[str]) -> str:
        return ", ".join(titles[name] for name in names)

    said = f"{answer['question']} {titles[answer['best']]}"
    if answer["also"]:
        said += f"; not told apart from it: {listed(answer['also'])}"
    if answer["no_better_than_controls"]:
        said += f". No better than a control: {listed(answer['no_better_than_controls'])}"
    return f"{said}."


def _table(rows: Sequence[Row], cells: Mapping[str, Mapping[str, Cell]]) -> str:
    shown = [score for score in SCORES if any(score in of for of in cells.values())]
    heads = "".join(
        f'<th class="number" title="{escape(MEANINGS[s].meaning)}">{escape(MEANINGS[s].title)}'
        f"<small>{MEANINGS[s].better} is better</small></th>"
        for s in shown
    )
    lines = [f'<tr><th>Method</th><th class="number">Seconds</th>{heads}</tr>']
    best = {score: _best(rows, cells, score) for score in shown}
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.2g}"
        figures = "".join(_figure(cells[row.name].get(s), row.name in best[s]) for s in shown)
        kind = ' class="control"' if row.control else ""
        lines.append(
            f'<tr{kind}><td>{escape(row.title)}</td><td class="number">{seconds}</td>{figures}</tr>'
        )
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _figure(cell: Cell | None, best: bool) -> str:
    if cell is None:
        return '<td class="number">–</td>'
    kind = "number best" if best else "number"
    spread = f"<small>{_short(cell.low)} to {_short(cell.high)}, n = {cell.maps}</small>"
    return f'<td class="{kind}">{_short(cell.mean)}{spread}</td>'


def _best(
    rows: Sequence[Row], cells: Mapping[str, Mapping[str, Cell]], score: str
) -> frozenset[str]:
    sign = 1 if MEANINGS[score].better == "higher" else -1
    held = {r.name: cells[r.name][score] for r in rows if not r.control and score in cells[r.name]}
    if not held:
        return frozenset()
    bar = max(sign * cell.mean for cell in held.values())
    return frozenset(n for n, c in held.items() if max(sign * c.low, sign * c.high) >= bar)


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
