"""A cohort, before anything is learnt from it, as one HTML file and as JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from napari_cardioxai import __version__
from napari_cardioxai.cohorts.describe import CohortDescription
from napari_cardioxai.cohorts.properties import property_title
from napari_cardioxai.cohorts.threats import CohortWarning
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.report.cohort_figures import PICTURES, Picture, three_digits
from napari_cardioxai.report.study_report import RESEARCH_ONLY
from napari_cardioxai.report.style import PAGE_CSS

JSON_FILE, HTML_FILE = "description.json", "description.html"
MOST_FAILED = 50  # in the page; the JSON has all

PLOT_CSS = """
.plot img { width: 100%; height: auto; display: block; }
.plot.narrow img { max-width: 720px; }
"""


def write_description(folder: Path, description: CohortDescription) -> tuple[Path, Path]:
    """Write `description.json` and the self-contained `description.html`.

    Returns
    -------
    Their paths.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    folder = Path(folder)
    text = json.dumps(description.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
    page = description_page(description)
    with replacing_files_in(folder) as beside:
        (beside / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        (beside / HTML_FILE).write_text(page, encoding="utf-8")
    return folder / JSON_FILE, folder / HTML_FILE


def description_page(description: CohortDescription) -> str:
    """The page, without outside resources."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(description.name)} – cohort</title>",
        f"<style>{PAGE_CSS}{PLOT_CSS}</style></head><body><main>",
        f"<header><h1>{escape(description.name)}</h1>",
        f'<p class="quiet">Described with napari-cardioxai {__version__}, before modelling</p>',
        f'<p class="research">{RESEARCH_ONLY}</p></header>',
        _tiles(description),
        _warnings(description),
        *(_section(picture, picture.draw(description)) for picture in PICTURES),
        _table(description),
        _failed(description),
        f'<footer class="quiet"><strong>{RESEARCH_ONLY}</strong></footer>',
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _tiles(description: CohortDescription) -> str:
    known = {name: count for name, count in description.label.items() if name != "blank"}
    tiles = [("Subjects", str(description.subjects), "")]
    if sum(known.values()):
        share = 100 * known["1"] / sum(known.values())
        tiles.append(("Positive", f"{share:.0f}", "%"))
    if description.concepts:
        tiles.append(("Concepts", str(len(description.concepts)), ""))
    if description.sites:
        tiles.append(("Sites", str(len(description.sites)), ""))
    grave = sum(warning.severity == "warning" for warning in description.warnings)
    tiles.append(("Warnings", str(grave), ""))
    tiles.append(("Not readable", str(len(description.failed)), ""))
    return (
        '<section class="tiles" aria-label="Cohort">'
        + "".join(
            f'<div class="tile"><div class="name">{name}</div><div class="value">{value}'
            f'<span class="unit"> {unit}</span></div></div>'
            for name, value, unit in tiles
        )
        + "</section>"
    )


def _warnings(description: CohortDescription) -> str:
    items: Iterable[CohortWarning] = description.warnings
    rows = "".join(
        f'<tr class="{item.severity}"><td><span class="badge">{_WORDS[item.severity]}</span></td>'
        f"<td>{escape(item.sentence)}</td></tr>"
        for item in items
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in description.notes)
    body = f'<table class="findings"><tbody>{rows}</tbody></table>' if rows else ""
    nothing = "" if rows or notes else "<p>Nothing threatens.</p>"
    return f"<section><h2>What to think about first</h2>{body}{nothing}{notes}</section>"


_WORDS = {"warning": "Warning", "info": "Note"}


def _section(picture: Picture, figure: Figure | None) -> str:
    if figure is None:
        return ""
    title = escape(picture.title)
    said = f'<p class="quiet">{escape(picture.caption)}</p>' if picture.caption else ""
    look = "plot narrow" if picture.is_narrow else "plot"
    return (
        f'<section><h2>{title}</h2><figure class="{look}">'
        f'<img alt="{title}" src="{figure_source(figure, picture.title)}"></figure>{said}</section>'
    )


def figure_source(figure: Figure, name: str) -> str:
    """The figure inside a URL, the same to the byte whenever it is drawn."""
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _table(description: CohortDescription) -> str:
    spreads = [spread for spread in description.spreads if spread.group == "all"]
    rows = "".join(
        f"<tr><td>{escape(property_title(s.property))}</td><td class='number'>{s.count}</td>"
        f"<td class='number'>{three_digits(s.mean)}</td><td class='number'>{three_digits(s.sd)}</td>"
        f"<td class='number'>{three_digits(s.median)}</td>"
        f"<td class='number'>{three_digits(s.low)} – {three_digits(s.high)}</td></tr>"
        for s in spreads
    )
    if not rows:
        return ""
    head = "".join(
        f"<th class='number'>{name}</th>"
        for name in ("Subjects", "Mean", "SD", "Median", "Quartiles")
    )
    return (
        f"<section><h2>All properties</h2><table><thead><tr><th>Property</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _failed(description: CohortDescription) -> str:
    if not description.failed:
        return ""
    shown = list(description.failed.items())[:MOST_FAILED]
    rows = "".join(
        f"<tr><th>{escape(subject)}</th><td>{escape(reason)}</td></tr>" for subject, reason in shown
    )
    left = len(description.failed) - len(shown)
    more = f"<p>And {left} more, in {JSON_FILE}.</p>" if left else ""
    return (
        f'<section><h2>Not readable</h2><table class="facts"><tbody>{rows}</tbody></table>{more}'
        "</section>"
    )
