"""An evaluation of image classifiers as one HTML file, as JSON, tables and figures."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from napari_cardioxai import __version__
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.report.cohort_figures import png
from napari_cardioxai.report.cohort_report import MOST_FAILED, PLOT_CSS, figure_source
from napari_cardioxai.report.image_figures import PICTURES
from napari_cardioxai.report.study_report import RESEARCH_ONLY
from napari_cardioxai.report.style import PAGE_CSS
from napari_cardioxai.training.images.table import (
    HEADER,
    ImageEvaluation,
    about_split,
    percent,
    table_row,
)

JSON_FILE, HTML_FILE = "evaluation.json", "evaluation.html"
_DOTS_PER_INCH = 150
_CSS = """
.wide { overflow-x: auto; }
.wide table { font-size: 12.5px; }
.wide th, .wide td { overflow-wrap: normal; padding-right: 10px; }
"""


def write_image_evaluation(folder: Path, evaluation: ImageEvaluation) -> dict[str, Any]:
    """Write `evaluation.json`, `.md`, the self-contained `.html`, `predictions.csv` and PNGs.

    All of them or none.

    Returns
    -------
    The content of `evaluation.json`.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    content = evaluation.as_json()
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    figures = {picture.name: picture.draw(evaluation) for picture in PICTURES}
    with replacing_files_in(Path(folder)) as beside:
        (beside / JSON_FILE).write_text(text + "\n", "utf-8")
        (beside / "evaluation.md").write_text(evaluation.as_markdown(), "utf-8")
        evaluation.predictions().to_csv(beside / "predictions.csv", index=False)
        for name, figure in figures.items():
            if figure is not None:
                (beside / f"{name}.png").write_bytes(png(figure, dots_per_inch=_DOTS_PER_INCH))
        (beside / HTML_FILE).write_text(evaluation_page(evaluation, figures), "utf-8")
    return content


def evaluation_page(evaluation: ImageEvaluation, figures: dict[str, Figure | None]) -> str:
    """The page, without outside resources; figures by the names of `PICTURES`."""
    title = f"Image classifiers on {evaluation.data}"
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{PAGE_CSS}{PLOT_CSS}{_CSS}</style></head><body><main>",
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="quiet">Evaluated with napari-cardioxai {__version__}</p>',
        f'<p class="research">{RESEARCH_ONLY}</p></header>',
        _notes(evaluation),
        _table("Models", HEADER, [table_row(model) for model in evaluation.models]),
        *(_figure(picture.title, picture.caption, figures[picture.name]) for picture in PICTURES),
        _classes(evaluation),
        _comparisons(evaluation),
        _failed(evaluation),
        f'<footer class="quiet"><strong>{RESEARCH_ONLY}</strong></footer>',
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _notes(evaluation: ImageEvaluation) -> str:
    if not evaluation.notes:
        return ""
    said = "".join(
        '<tr class="warning"><td><span class="badge">Warning</span></td>'
        f"<td>{escape(note)}</td></tr>"
        for note in evaluation.notes
    )
    return (
        "<section><h2>What to think about first</h2>"
        f'<table class="findings"><tbody>{said}</tbody></table></section>'
    )


def _figure(title: str, caption: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    said = f'<p class="quiet">{escape(caption)}</p>' if caption else ""
    source = figure_source(figure, title)
    return (
        f'<section><h2>{escape(title)}</h2><figure class="plot"><img alt="{escape(title)}" '
        f'src="{source}"></figure>{said}</section>'
    )


def _table(title: str, header: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<section><h2>{escape(title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _classes(evaluation: ImageEvaluation) -> str:
    rows = [
        [
            model.name,
            one.name,
            str(one.images),
            percent(one.sensitivity),
            f"{100 * one.precision:.1f}",
            f"{one.f1:.3f}",
            "" if one.auc is None else str(one.auc),
        ]
        for model in evaluation.models
        for one in model.figures.classes
    ]
    header = ("model", "class", "images", "sensitivity %", "precision %", "F1", "AUC")
    return _table("Classes", header, rows)


def _comparisons(evaluation: ImageEvaluation) -> str:
    rows = [
        [
            about_split(split),
            pair.first,
            pair.second,
            str(pair.mcnemar.only_first),
            str(pair.mcnemar.only_second),
            "< 0.001" if pair.p_holm < 0.001 else f"{pair.p_holm:.3f}",
        ]
        for split, pairs in evaluation.comparisons.items()
        for pair in pairs
    ]
    header = ("held out", "first", "second", "right only first", "right only second", "p")
    return (
        _table("McNemar's test of every pair, p corrected after Holm", header, rows) if rows else ""
    )


def _failed(evaluation: ImageEvaluation) -> str:
    if not evaluation.failed:
        return ""
    shown = [[subject, why] for subject, why in list(evaluation.failed.items())[:MOST_FAILED]]
    return _table(f"Not readable ({len(evaluation.failed)})", ("image", "reason"), shown)
