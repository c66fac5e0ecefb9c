"""The wall of the left ventricle: bull's-eyes, curves, mass, dyssynchrony."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements, measure_walls
from napari_cardioxai.anatomy.segments import AHA_NAMES, APICAL, BASAL, MID, WALLS
from napari_cardioxai.anatomy.volumes import MYO
from napari_cardioxai.anatomy.wall_curves import slice_wall_curves_mm
from napari_cardioxai.anatomy.walls import WallThickness
from napari_cardioxai.report.bullseye import bullseye_svg, thickening_scale, thickness_scale
from napari_cardioxai.report.curve import TIME_NAME, moment
from napari_cardioxai.report.drawing import Plot, frame_axis, polyline, round_ticks, time_axis
from napari_cardioxai.report.pictures import key_of_lines
from napari_cardioxai.report.style import WALL_COLOURS, WALL_DASHES

CURVE_WIDTH, CURVE_HEIGHT = 360, 290
RING_NAMES = {BASAL: "basal", MID: "mid", APICAL: "apical"}
NO_MYOCARDIUM = (
    "The myocardium (label 2) is not labelled: no mass, wall thickness, thickening or dyssynchrony."
)
NO_CYCLE = "There is one phase only: no thickening, no wall curves, no dyssynchrony."
NO_SIZE = "No mass and no thickness: the pixel size is unknown."


def wall_section(labels: Labels, measurements: Measurements) -> str:
    """The section, with one line for what the labels do not allow.

    Parameters
    ----------
    labels
        What was measured; the curves of single slices are read from them.
    measurements
        Taken from those labels.
    """
    if not (labels.data == MYO).any():
        body = f"<p>{NO_MYOCARDIUM}</p>"
    elif labels.geometry.spacing_mm is None:
        body = f"<p>{NO_SIZE}</p>"
    else:
        body = _numbers(measurements) + _segments(labels, measurements)
    return f'<section class="walls"><h2>Wall of the left ventricle</h2>{body}</section>'


def _numbers(measurements: Measurements) -> str:
    """What is one number for the whole wall, with what it means."""
    values = measurements.wall_ed_mm or ()
    thickest = measurements.wall_ed_max_mm
    place = "" if thickest is None else f", {AHA_NAMES[values.index(thickest)]}"
    shown = [t for t in measurements.thickening_percent or () if t is not None]
    rows = (
        ("Myocardial mass", measurements.lvm_g, 0, "g", "at end-diastole, density 1.05 g/mL"),
        ("Myocardial mass index", measurements.lvmi_g_m2, 0, "g/m²", "per body surface area"),
        ("Thickest segment at ED", thickest, 1, "mm", f"mean of an AHA segment{place}"),
        (
            "Mean thickening",
            float(np.mean(shown)) if shown else None,
            0,
            "%",
            "growth from end-diastole to end-systole, mean of the segments",
        ),
        (
            "Variance of thickening",
            measurements.thickening_variance_percent2,
            0,
            "%²",
            "over the six segments of a slice, basal and mid slices (Clough 2019)",
        ),
        (
            "Dyssynchrony index (SDI)",
            measurements.sdi_percent,
            1,
            "% of cycle",
            "standard deviation of the segments' times to smallest volume (Kapetanakis 2005)",
        ),
    )
    cells = "".join(
        f'<tr><td>{name}</td><td class="number">{value:.{decimals}f}</td><td>{unit}</td>'
        f'<td class="quiet">{escape(meaning)}</td></tr>'
        for name, value, decimals, unit, meaning in rows
        if value is not None
    )
    if not cells:
        return ""
    return (
        '<table class="walls"><thead><tr><th>Measurement</th><th class="number">Value</th>'
        f"<th>Unit</th><th>Meaning</th></tr></thead><tbody>{cells}</tbody></table>"
    )


def _segments(labels: Labels, measurements: Measurements) -> str:
    """Bull's-eyes and curves, or why there are none."""
    at_ed = measurements.wall_ed_mm
    walls = measure_walls(labels)
    if at_ed is None or walls.thickness is None:
        return f"<p>{escape(walls.missing or 'Wall segments could not be measured.')}</p>"
    eyes = [_eye("Wall thickness at end-diastole (mm)", at_ed, at_ed, measurements.wall_es_mm)]
    grown = measurements.thickening_percent
    if grown is not None:
        title = "Wall thickening, end-diastole to end-systole (%)"
        eye = bullseye_svg(grown, thickening_scale(grown), what=title)
        eyes.append(f"<figure><figcaption>{title}</figcaption>{eye}</figure>")
    hint = (
        "AHA segments 1 to 17. Grey with a dash: not shown by these slices; short-axis slices cut "
        "the apex (17) along its wall."
    )
    curves = (
        f"<p>{NO_CYCLE}</p>" if grown is None else _curves(labels, measurements, walls.thickness)
    )
    return f'<div class="eyes">{"".join(eyes)}</div><p class="quiet">{hint}</p>{curves}'


def _eye(
    title: str,
    values: Sequence[float | None],
    *all_mm: Sequence[float | None] | None,
) -> str:
    scale = thickness_scale(*(mm for mm in all_mm if mm is not None))
    eye = bullseye_svg(values, scale, what=title)
    return f"<figure><figcaption>{title}</figcaption>{eye}</figure>"


def _curves(labels: Labels, measurements: Measurements, thickness: WallThickness) -> str:
    """Thickness over the cycle in the slice that shows each third of the ventricle best."""
    found = {}
    for ring in RING_NAMES:
        z = _best_slice(thickness, ring)
        curves = None if z is None else slice_wall_curves_mm(labels, z, walls=thickness)
        if z is not None and curves is not None and np.isfinite(curves).any():
            found[ring] = z, curves
    if not found:
        return "<p>No wall curves: no slice shows a whole segment in every frame.</p>"
    highest = max(float(np.nanmax(curves)) for _, curves in found.values())
    figures = []
    for ring, (z, curves) in found.items():
        lacking = [
            w for w, known in zip(WALLS, np.isfinite(curves).any(axis=0), strict=True) if not known
        ]
        said = f"; no whole wall: {', '.join(lacking)}" if lacking else ""
        drawn = _curves_svg(curves, measurements, highest=highest, what=RING_NAMES[ring])
        figures.append(
            f"<figure><figcaption>{RING_NAMES[ring].capitalize()}, slice {z + 1}{said}</figcaption>"
            f"{drawn}</figure>"
        )
    styles = ("solid" if dash == "none" else "dashed" for dash in WALL_DASHES)
    key = key_of_lines(zip(WALL_COLOURS, styles, WALLS, strict=True))
    return (
        "<h3>Wall thickness over the heart cycle, six segments of a slice</h3>"
        f'{key}<div class="thirds">{"".join(figures)}</div>'
    )


def _best_slice(thickness: WallThickness, ring: int) -> int | None:
    """Slice of a ring with the most whole segments; among equals the one nearest to its middle."""
    slices = np.flatnonzero(thickness.rings.ring == ring)
    if not len(slices):
        return None
    whole = np.isfinite(thickness.segment_mm).all(axis=0).sum(axis=-1)
    return int(max(slices, key=lambda z: (whole[z], thickness.rings.weight[z])))


def _curves_svg(
    curves: np.ndarray, measurements: Measurements, *, highest: float, what: str
) -> str:
    times = measurements.frame_times_ms
    x = np.arange(1, len(curves) + 1, dtype=float) if times is None else np.asarray(times)
    plot = Plot.of(
        CURVE_WIDTH,
        CURVE_HEIGHT,
        **(frame_axis(len(x)) if times is None else time_axis(x[0], x[-1], about=4)),
        y_ticks=round_ticks(0.0, highest, about=5),
        left=44,
    )
    parts = plot.axes("Frame" if times is None else TIME_NAME, "mm")
    for short, frame in (("ED", measurements.ed_frame), ("ES", measurements.es_frame)):
        if frame is not None:
            parts += moment(plot, x[frame], short)
    for values, colour, dash in zip(curves.T, WALL_COLOURS, WALL_DASHES, strict=True):
        if np.isfinite(values).any():
            parts.append(polyline(plot.places(x, values), colour, dash=dash))
    return plot.svg(parts, what=f"Wall thickness over the heart cycle, {what}")
