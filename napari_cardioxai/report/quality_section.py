"""What the quality rules found, with pictures of the worst."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from html import escape

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import RULES, Finding, QualityReport
from napari_cardioxai.anatomy.quality.rules import PART
from napari_cardioxai.report.pictures import (
    Frame,
    frame_caption,
    picture_svg,
    slice_caption,
    structure_key,
)
from napari_cardioxai.report.worst import Place, place_of, worst_findings
from napari_cardioxai.scans.scan import Scan

RULE_OF = {rule.key: rule for rule in RULES}
KINDS = {
    "technical": (
        "Technical faults of images and labels",
        "No technical fault was found.",
        "Allowed",
    ),
    "physiology": (
        "Unusual physiology, no fault in itself",
        "No measured value lies outside of its reference range.",
        "Healthy",
    ),
}
SEVERITIES = {"warning": "Warning", "info": "Remark"}
COUNTED = ("slices", "frames", "voxels", "images")
NOT_CHECKED = "The quality of labels and images was not checked."
NO_FINDING = "No rule was tripped."


def quality_line(report: QualityReport | None) -> str:
    """One sentence for the top of the page; "" where nothing was checked."""
    if report is None:
        return ""
    if not report.findings:
        return f"Quality: {NO_FINDING.lower()}"
    counts = [
        (sum(f.severity == "warning" for f in report.open), "open warning"),
        (sum(f.severity == "info" for f in report.open), "remark"),
    ]
    parts = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts]
    overruled = len(report.findings) - len(report.open)
    if overruled:
        parts.append(f"{overruled} overruled by a reviewer")
    return f"Quality: {', '.join(parts)}; see Quality control."


def quality_section(
    report: QualityReport | None,
    *,
    scan: Scan,
    labels: Labels,
    frame: Frame,
    ed_frame: int,
    private: Callable[[str], str],
) -> str:
    """Every finding, pictures of the worst, and which rules passed or could not be judged.

    Parameters
    ----------
    report
        None says that nothing was checked.
    scan, labels
        What was checked; of the scan only the frames that are pictured are read.
    frame
        What all pictures of the report share.
    ed_frame
        Shown where a finding is about a slice in all frames, counted from 0.
    private
        Takes names of the source out of a text.
    """
    if report is None:
        body = f"<p>{NOT_CHECKED}</p>"
    else:
        parts = [_findings(report, kind, private) for kind in KINDS]
        parts.append(_pictures(report, scan, labels, frame, ed_frame))
        parts.append(_rest(report))
        body = "".join(parts)
    return f'<section class="quality" id="quality"><h2>Quality control</h2>{body}</section>'


def _findings(report: QualityReport, kind: str, private: Callable[[str], str]) -> str:
    title, none, _ = KINDS[kind]
    mine = [finding for finding in report.findings if finding.kind == kind]
    if not mine:
        return f"<h3>{title}</h3><p>{none}</p>"
    mine.sort(key=lambda finding: finding.overruled is not None)
    rows, sourced = [], set()
    for finding in mine:
        rows.append(_row(finding, private, with_source=finding.rule not in sourced))
        sourced.add(finding.rule)
    heads = "<th></th><th>Finding</th>" + "".join(
        f'<th class="number">{name}</th>' for name in ("Measured", KINDS[kind][2], "Slice", "Frame")
    )
    return (
        f'<h3>{title}</h3><table class="findings"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(finding: Finding, private: Callable[[str], str], *, with_source: bool) -> str:
    decision = finding.overruled
    said = escape(finding.sentence)
    word = SEVERITIES[finding.severity]
    if decision is not None:
        # What was found stays readable: a reviewer may be wrong too.
        why = f"Overruled {decision.when[:10]}: {private(decision.reason)}"
        said = f"<s>{said}</s><br><em>{escape(why)}</em>"
        word = "Overruled"
    if finding.kind == "technical" and finding.rule in RULE_OF:
        rule = RULE_OF[finding.rule]
        source = f" ({rule.source})" if with_source else ""
        said += f'<br><span class="quiet">Rule: {escape(rule.title + source)}</span>'
    cells = "".join(
        f'<td class="number">{text}</td>'
        for text in (
            amount(finding.value, finding.unit),
            _allowed(finding),
            _counted(finding.slice),
            _counted(finding.frame),
        )
    )
    look = "overruled" if decision is not None else finding.severity
    return (
        f'<tr class="{look}"><td><span class="badge">{word}</span></td><td>{said}</td>{cells}</tr>'
    )


def amount(value: float | None, unit: str) -> str:
    """A value with its unit, parts as percent, in no more digits than tell."""
    if value is None:
        return "–"
    if unit == PART:
        return f"{100 * value:.3g} %"
    whole = abs(value) >= 100 or unit in ("mL", "%")
    number = f"{value:.0f}" if whole else f"{value:.3g}"
    if number == "1" and unit in COUNTED:
        unit = unit.removesuffix("s")
    return f"{number} {unit}".rstrip()


def _allowed(finding: Finding) -> str:
    """The threshold on the side from which the value left it."""
    if finding.threshold is None or finding.value is None:
        return "–"
    sign = "≥" if finding.value < finding.threshold else "≤"
    return f"{sign} {amount(finding.threshold, finding.unit)}"


def _counted(index: int | None) -> str:
    return "all" if index is None else str(index + 1)


def _pictures(
    report: QualityReport, scan: Scan, labels: Labels, frame: Frame, ed_frame: int
) -> str:
    """The worst findings, each where it is, its sentence below."""
    worst = worst_findings(report)
    places = [place_of(finding, labels, ed_frame=ed_frame) for finding in worst]
    figures = []
    for finding, place in zip(worst, places, strict=True):
        shown = "".join(
            _picture(scan, labels, frame, place, t, is_last=t == place.frames[-1])
            for t in place.frames
        )
        compared = " against ".join(str(t + 1) for t in reversed(place.frames))
        when = (
            f"frame {compared}" if len(place.frames) > 1 else frame_caption(scan, place.frames[0])
        )
        figures.append(
            f"<figure><figcaption><strong>{slice_caption(scan, place.slice)}, {when}</strong>"
            f'</figcaption><div class="{"pair" if len(place.frames) > 1 else "one"}">{shown}</div>'
            f"<p>{escape(finding.sentence)}</p></figure>"
        )
    if not figures:
        return ""
    key = structure_key(labels, with_circle=any(place.circle for place in places))
    return f'<h3>Where to look first</h3>{key}<div class="worst">{"".join(figures)}</div>'


def _picture(
    scan: Scan, labels: Labels, frame: Frame, place: Place, t: int, *, is_last: bool
) -> str:
    corner = f"frame {t + 1}"
    if (t, place.slice) in scan.missing:
        corner += " not in the source"
    svg = picture_svg(
        np.asarray(scan.data[t, place.slice]),
        labels.data[t, place.slice],
        frame,
        corner=corner,
        title=f"{slice_caption(scan, place.slice)}, frame {t + 1}",
        circle=place.circle if is_last else None,
        enlarged=1.6 if len(place.frames) == 1 else 1.0,
    )
    return f'<div class="picture" data-finding="{place.slice + 1} {t + 1}">{svg}</div>'


def _rest(report: QualityReport) -> str:
    """Rules that passed, those that could not be judged, and decisions about nothing found now."""
    said = []
    passed = list(dict.fromkeys(finding.rule for finding in report.passed))
    if passed:
        said.append(f"Passed ({len(passed)}): {'; '.join(map(_title, passed))}.")
    reasons = defaultdict(list)
    for left_out in report.not_applicable:
        reasons[left_out.reason].append(_title(left_out.rule))
    if reasons:
        which = " ".join(
            f"{reason.rstrip('.')}: {'; '.join(titles)}." for reason, titles in reasons.items()
        )
        said.append(f"Could not be judged ({len(report.not_applicable)}). {which}")
    unused = sum(not any(o.covers(f) for f in report.findings) for o in report.overrides)
    if unused:
        said.append(f"Decisions of the reviewer about what is no longer found: {unused}.")
    return "".join(f'<p class="quiet">{escape(text)}</p>' for text in said)


def _title(key: str) -> str:
    return RULE_OF[key].title if key in RULE_OF else key
