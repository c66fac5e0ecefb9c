"""One study as one HTML file that opens anywhere and prints on A4."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path

import numpy as np

from napari_cardioxai import __version__
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.quality import QualityReport
from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.errors import LabelError
from napari_cardioxai.files import replacing
from napari_cardioxai.report.function_section import function_section
from napari_cardioxai.report.pictures import (
    Frame,
    frame_around,
    frame_caption,
    picture_svg,
    slice_caption,
    structure_key,
)
from napari_cardioxai.report.quality_section import quality_line, quality_section
from napari_cardioxai.report.style import PAGE_CSS
from napari_cardioxai.report.wall_section import wall_section
from napari_cardioxai.scans.scan import Scan

RESEARCH_ONLY = "For research use only. Not a medical device."
# Said in the header, so not repeated under Provenance.
HEADER_KEYS = ("date", "model", "model card")


@dataclass(frozen=True)
class Moment:
    """A frame that is pictured, and its short and full name."""

    short: str
    name: str
    frame: int


def write_study_report(
    path: Path,
    *,
    scan: Scan,
    labels: Labels,
    measurements: Measurements,
    provenance: Mapping[str, str],
    quality: QualityReport | None = None,
) -> None:
    """Write the report of one study as a single HTML file without outside resources.

    Parameters
    ----------
    path
        The file to write.
    scan
        What was measured. Only the frames at end-diastole and end-systole and
        those of the worst findings are read, so a lazy array stays lazy.
    labels
        On the grid of the scan.
    measurements
        Taken from those labels; volumes and times may be unknown. Without an
        end-diastole and end-systole, the frame with the largest left ventricle
        is pictured.
    provenance
        How it was done, in the words to print: "model", "model card" (one
        line) and "date" stand in the header, everything else ("device",
        "seconds", ...) in the table of provenance. What the scan itself knows
        is added.
    quality
        What the rules found in the same labels, with the reviewer's overrides;
        None says in the report that nothing was checked.

    Raises
    ------
    LabelError
        When the labels are not on the grid of the scan.
    OutputError
        When `path` cannot be written.

    Notes
    -----
    Names of source files and folders often hold the patient's name: they are
    never printed, and are taken out of warnings and provenance.
    """
    if labels.data.shape != scan.data.shape:
        raise LabelError(
            f"the labels have shape {labels.data.shape} and the scan {scan.data.shape}"
            " along (t, z, y, x); report labels that were made on this scan."
        )
    said = {key.lower(): _private(value, scan) for key, value in provenance.items()}
    moments = _moments(labels, measurements)
    images = np.stack([np.asarray(scan.data[moment.frame]) for moment in moments])
    frame = frame_around(labels, images)
    page = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(scan.name)} – cardiac MRI report</title><style>{PAGE_CSS}</style></head>",
        "<body><main>",
        _header(scan, said),
        _tiles(measurements),
        _quality_line(quality),
        function_section(labels, measurements, quality),
        wall_section(labels, measurements),
        quality_section(
            quality,
            scan=scan,
            labels=labels,
            frame=frame,
            ed_frame=moments[0].frame,
            private=partial(_private, scan=scan),
        ),
        _pictures(scan, labels, moments, images, frame),
        _table(measurements),
        _notes(scan, labels, measurements),
        _provenance(scan, frame, said),
        f'<footer class="quiet"><strong>{RESEARCH_ONLY}</strong></footer>',
        "</main></body></html>",
    ]
    with replacing(path) as beside:
        beside.write_text("\n".join(part for part in page if part) + "\n", encoding="utf-8")


def _moments(labels: Labels, measurements: Measurements) -> list[Moment]:
    if measurements.ed_frame is None or measurements.es_frame is None:
        largest = int(np.argmax(np.count_nonzero(labels.data == LV, axis=(1, 2, 3))))
        return [Moment("", "largest left ventricle", largest)]
    return [
        Moment("ED", "end-diastole", measurements.ed_frame),
        Moment("ES", "end-systole", measurements.es_frame),
    ]


def _header(scan: Scan, said: Mapping[str, str]) -> str:
    date = said.get("date") or f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    lines = [f"Analysed {escape(date)} with napari-cardioxai {__version__}"]
    if "model" in said:
        lines.append(f"Segmentation: {escape(said['model'])}")
    if "model card" in said:
        lines.append(escape(said["model card"]))
    quiet = "".join(f'<p class="quiet">{line}</p>' for line in lines)
    return (
        f"<header><h1>{escape(scan.name)}</h1>{quiet}"
        f'<p class="research">{RESEARCH_ONLY}</p></header>'
    )


def _tiles(measurements: Measurements) -> str:
    tiles = (
        ("Ejection fraction", measurements.ef_percent, 0, "%"),
        ("End-diastolic volume", measurements.edv_ml, 0, "mL"),
        ("End-systolic volume", measurements.esv_ml, 0, "mL"),
        ("Stroke volume", measurements.sv_ml, 0, "mL"),
        ("Heart rate", measurements.heart_rate_bpm, 0, "bpm"),
        ("Cardiac output", measurements.cardiac_output_l_min, 1, "L/min"),
    )
    return (
        '<section class="tiles" aria-label="Left ventricle">'
        + "".join(
            f'<div class="tile"><div class="name">{name}</div>'
            f'<div class="value">{_number(value, decimals)}'
            f'<span class="unit"> {unit if value is not None else "not known"}</span></div></div>'
            for name, value, decimals, unit in tiles
        )
        + "</section>"
    )


def _quality_line(quality: QualityReport | None) -> str:
    line = quality_line(quality)
    warns = quality is not None and any(f.severity == "warning" for f in quality.open)
    look = "alert" if warns else "calm"
    return f'<p class="quality-line {look}">{escape(line)}</p>' if line else ""


def _pictures(
    scan: Scan, labels: Labels, moments: list[Moment], images: np.ndarray, frame: Frame
) -> str:
    when = "; ".join(_when(moment, scan) for moment in moments)
    away = "" if scan.geometry.spacing_mm is None else ". Distances are from slice 1"
    figures = []
    for z in range(scan.data.shape[1]):
        caption = slice_caption(scan, z)
        pictures = "".join(
            _picture(scan, labels, moment, z, volume[z], frame, caption)
            for moment, volume in zip(moments, images, strict=True)
        )
        figures.append(
            f'<figure><figcaption>{caption}</figcaption><div class="pair">{pictures}</div></figure>'
        )
    return (
        f"<section><h2>Contours, slice by slice</h2><p>{when}{away}.</p>"
        f'{structure_key(labels)}<div class="slices">{"".join(figures)}</div></section>'
    )


def _picture(
    scan: Scan,
    labels: Labels,
    moment: Moment,
    z: int,
    image: np.ndarray,
    frame: Frame,
    caption: str,
) -> str:
    missing = (moment.frame, z) in scan.missing
    svg = picture_svg(
        image,
        labels.data[moment.frame, z],
        frame,
        corner=f"{moment.short} not in the source".strip() if missing else moment.short,
        title=f"{caption}, {moment.name}",
    )
    return f'<div class="picture" data-slice="{z + 1}" data-moment="{moment.short}">{svg}</div>'


def _when(moment: Moment, scan: Scan) -> str:
    text = f"{moment.short} = {moment.name}" if moment.short else moment.name.capitalize()
    return f"{text}, {frame_caption(scan, moment.frame)}"


def _table(measurements: Measurements) -> str:
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{escape(value)}</td>'
        f"<td>{escape(unit)}</td></tr>"
        for name, value, unit in measurements.as_rows()
    )
    return (
        '<section><h2>All measurements</h2><table class="numbers"><thead><tr><th>Measurement</th>'
        '<th class="number">Value</th><th>Unit</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def _notes(scan: Scan, labels: Labels, measurements: Measurements) -> str:
    sentences: Iterable[str] = (*scan.provenance.warnings, *labels.notes, *measurements.notes)
    items = "".join(f"<li>{escape(_private(text, scan))}</li>" for text in dict.fromkeys(sentences))
    body = f'<ul class="notes">{items}</ul>' if items else "<p>Nothing to report.</p>"
    return f"<section><h2>Warnings and notes</h2>{body}</section>"


def _provenance(scan: Scan, frame: Frame, said: Mapping[str, str]) -> str:
    frames, slices, height, width = scan.data.shape
    facts = {
        "Series": scan.kind.value,
        "Files read": str(len(scan.provenance.files) or 1),
        "Grid": f"{frames} frames × {slices} slices × {height} × {width} pixels",
        "Frame order": scan.provenance.order_rule or ("as stored" if frames > 1 else "one frame"),
        **_spacing_facts(scan),
        **_time_facts(scan),
        "Grey scale of the pictures": "{:.4g} to {:.4g}, the same in all".format(*frame.limits),
        **{key.capitalize(): text for key, text in said.items() if key not in HEADER_KEYS},
        "Software": f"napari-cardioxai {__version__}, Python {platform.python_version()}",
    }
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items()
    )
    return (
        f'<section><h2>Provenance</h2><table class="facts"><tbody>{rows}</tbody></table></section>'
    )


def _spacing_facts(scan: Scan) -> dict[str, str]:
    geometry = scan.geometry
    if geometry.spacing_mm is None:
        return {"Pixel size": "not known; nothing is in mL"}
    dz, dy, dx = geometry.spacing_mm
    if geometry.storage is not None:
        source = "from the file's header"
    elif geometry.affine is not None:
        source = "from the positions of the slices along their normal"
    else:
        source = "as given"
    unequal = "" if geometry.slice_positions_mm is None else "; gaps are unequal"
    return {
        "Pixel size": f"{dy:.3f} × {dx:.3f} mm",
        "Slice distance": f"{dz:.2f} mm, {source}{unequal}"
        if scan.data.shape[1] > 1
        else f"one slice of {dz:.2f} mm",
    }


def _time_facts(scan: Scan) -> dict[str, str]:
    if not scan.is_cine:
        return {}
    interval = scan.frame_interval_ms
    facts = {"Time between frames": "not known" if interval is None else f"{interval:.1f} ms"}
    if scan.cycle_ms is not None:
        facts["Heart cycle as recorded"] = f"{scan.cycle_ms:.0f} ms"
    if scan.missing:
        facts["Missing in the source"] = ", ".join(
            f"frame {t + 1} of slice {z + 1}" for t, z in scan.missing
        )
    return facts


def _private(text: str, scan: Scan) -> str:
    """`text` without the names of the source: they often hold the patient's name."""
    source = scan.provenance.source
    instead = {source.name: "the source"}
    for number, file in enumerate(scan.provenance.files, start=1):
        instead[file.name] = instead[str(file)] = f"file {number}"
    # A file may be called "6": such a name tells nothing, and numbers must stay.
    instead = {
        name: word for name, word in instead.items() if len(name) >= (5 if name.isdigit() else 3)
    }
    instead |= {str(source): "the source", str(source.resolve()): "the source"}
    names = "|".join(re.escape(name) for name in sorted(instead, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{names})(?![\w-])", lambda found: instead[found[0]], text)


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"
