"""How the ventricles empty and fill: curves, volumes beside healthy ones, rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from html import escape

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import Measurements
from napari_cardioxai.anatomy.quality import REFERENCE_RANGES, QualityReport, ReferenceRange
from napari_cardioxai.anatomy.rates import Rates
from napari_cardioxai.anatomy.volumes import LV, RV, EjectionFraction
from napari_cardioxai.report.curve import rate_curve_svg, volume_curve_svg
from napari_cardioxai.report.style import LV_COLOUR, RV_COLOUR

NO_RV = "The right ventricle (label 3) is not labelled: no RV volumes and no RV rates."
NO_SIZE = "No curves: the pixel size is unknown, so no volume is in mL."
ONE_FRAME = "No curves and no rates: there is one frame only."
NO_CYCLE = "No curves and no rates: the labels do not show a cycle of the left ventricle."
CAVEAT = (
    "Healthy: 95 % of healthy adults of both sexes; ↑ and ↓ mark values outside. Volumes depend on "
    "whether papillary muscles count as cavity."
)
NO_RANGES_OF_RATES = "No reference ranges for rates are built in."
VENTRICLES = {"LV": "", "RV": "rv_"}  # and what their attributes begin with
VOLUMES = tuple(
    f"{ventricle} {quantity}"
    for ventricle in VENTRICLES
    for quantity in (
        "end-diastolic volume",
        "end-systolic volume",
        "stroke volume",
        "ejection fraction",
    )
)
# Name, attribute without its ventricle, factor, decimals, unit.
RATES = (
    ("Peak ejection rate (PER)", "per_ml_s", 1, 0, "mL/s"),
    ("Peak early filling rate (PFR)", "pfr_ml_s", 1, 0, "mL/s"),
    ("Peak atrial filling rate (PAFR)", "pafr_ml_s", 1, 0, "mL/s"),
    ("PER / EDV", "per_edv_s", 1, 1, "EDV/s"),
    ("PFR / EDV", "pfr_edv_s", 1, 1, "EDV/s"),
    ("PAFR / EDV", "pafr_edv_s", 1, 1, "EDV/s"),
    ("E/A of the filling rates", "ea_ratio", 1, 1, "ratio"),
    ("Time from ED to PER", "tper_ms", 1, 0, "ms"),
    ("Time from ES to PFR", "tpfr_ms", 1, 0, "ms"),
    ("Time from ES to PAFR", "tpafr_ms", 1, 0, "ms"),
    ("Time from ED to diastasis", "diastasis_ms", 1, 0, "ms"),
    ("Filled after 1/3 of diastole", "third_filling_fraction", 100, 0, "% of SV"),
)
ATRIAL = ("pafr_ml_s", "pafr_edv_s", "ea_ratio", "tpafr_ms", "diastasis_ms")


def function_section(
    labels: Labels, measurements: Measurements, quality: QualityReport | None
) -> str:
    """The section, with one line for what the labels do not allow.

    Parameters
    ----------
    labels
        Tell whether there is a right ventricle.
    measurements
        Taken from those labels.
    quality
        Tells where reference ranges do not apply; None where nothing was checked.
    """
    has_rv = bool((labels.data == RV).any())
    tables = "".join((_volumes(measurements, quality), _rates(measurements)))
    parts = (
        _curves(measurements),
        f'<div class="tables">{tables}</div>' if tables else "",
        "" if has_rv else f"<p>{NO_RV}</p>",
    )
    return f'<section class="function"><h2>Function over the heart cycle</h2>{"".join(parts)}</section>'


def _curves(measurements: Measurements) -> str:
    """Volumes, and below them the derivative of each ventricle on the same time axis."""
    volume_ml, times = measurements.volume_ml, measurements.frame_times_ms
    ed, es = measurements.ed_frame, measurements.es_frame
    if volume_ml is None:
        return f"<p>{NO_SIZE}</p>"
    if ed is None or es is None:
        return f"<p>{ONE_FRAME if len(volume_ml) == 1 else NO_CYCLE}</p>"
    known = {"LV": measurements.lv_rates, "RV": measurements.rv_rates}
    span = None if times is None else _span_ms(times, known.values())
    rv = measurements.rv_volume_ml
    figures = [
        "<h3>" + ("Volume" if rv is None else "Volumes of both ventricles") + "</h3>",
        volume_curve_svg(
            volume_ml,
            frame_times_ms=times,
            ed_frame=ed,
            es_frame=es,
            rv_volume_ml=rv,
            span_ms=span,
        ),
    ]
    colours = {"LV": LV_COLOUR, "RV": RV_COLOUR}
    for name, rates in known.items():
        if rates is None:
            continue
        figures.append(
            f"<h3>{name} rate of volume change: smoothed derivative, filling up, emptying down</h3>"
        )
        if rates.curve is None or times is None or span is None:
            figures.append(f"<p>{escape(rates.note)}</p>")
            continue
        moments = {"ED": times[ed], "ES": times[es]}
        figures.append(
            rate_curve_svg(rates, name=name, colour=colours[name], moments_ms=moments, span_ms=span)
        )
    return f'<div class="curve">{"".join(figures)}</div>'


def _span_ms(times: tuple[float, ...], known: Iterable[Rates | None]) -> tuple[float, float]:
    """First and last time of the frames and of every derivative."""
    ends = [float(rates.curve.time_ms[-1]) for rates in known if rates and rates.curve is not None]
    return min(times), max([max(times), *ends])


def _volumes(measurements: Measurements, quality: QualityReport | None) -> str:
    """Volumes and fractions with 95 % of healthy adults beside them."""
    references = {reference.name: (key, reference) for key, reference in REFERENCE_RANGES.items()}
    refused = {} if quality is None else {no.rule: no.reason for no in quality.not_applicable}
    rows, named = [], defaultdict(list)
    for name, value, unit in measurements.as_rows():
        if name not in VOLUMES:
            continue
        flag, healthy = "", "–"
        if name in references:
            key, reference = references[name]
            named[refused.get(key, reference.source)].append(name)
            if key not in refused:
                low, high = reference.limits
                flag, healthy = _flag(measurements, reference), f"{low:.0f}–{high:.0f}"
        rows.append(
            f'<tr><td>{escape(name)}</td><td class="number{" beside" if flag else ""}">{value}'
            f'<span class="flag">{flag}</span></td>'
            f'<td>{escape(unit)}</td><td class="number">{healthy}</td></tr>'
        )
    if not rows:
        return ""
    said = "".join(f" {', '.join(names)}: {source.rstrip('.')}." for source, names in named.items())
    return (
        '<div><h3>Volumes and ejection fraction</h3><table class="numbers volumes"><thead><tr>'
        '<th>Measurement</th><th class="number">Value</th><th>Unit</th>'
        f'<th class="number">Healthy</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f'<p class="quiet">{CAVEAT}{escape(said)}</p></div>'
    )


def _flag(measurements: Measurements, reference: ReferenceRange) -> str:
    """Arrow where the value lies outside of its range."""
    prefix = "" if reference.structure == LV else "rv_"
    percent, edv, esv, sv = (
        getattr(measurements, prefix + key) for key in ("ef_percent", "edv_ml", "esv_ml", "sv_ml")
    )
    if None in (percent, edv, esv, sv):
        return ""
    value = reference.quantity(EjectionFraction(percent, edv, esv, sv, ed_frame=0, es_frame=0))
    low, high = reference.limits
    return " ↓" if value < low else " ↑" if value > high else ""


def _rates(measurements: Measurements) -> str:
    """Rates and times of the ventricles side by side, and how and why not."""
    shown = {
        name: prefix
        for name, prefix in VENTRICLES.items()
        if any(getattr(measurements, prefix + key) is not None for _, key, *_ in RATES)
    }
    if not shown:
        return ""
    rows = []
    for name, key, factor, decimals, unit in RATES:
        cells = "".join(
            f'<td class="number">{_rate(measurements, prefix, key, factor, decimals)}</td>'
            for prefix in shown.values()
        )
        rows.append(f"<tr><td>{name}</td>{cells}<td>{unit}</td></tr>")
    heads = "".join(f'<th class="number">{name}</th>' for name in shown)
    return (
        '<div><h3>Rates and times</h3><table class="numbers"><thead><tr><th>Measurement</th>'
        f"{heads}<th>Unit</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{_said_of_rates(measurements)}"
        f'<p class="quiet">{NO_RANGES_OF_RATES}</p></div>'
    )


def _rate(measurements: Measurements, prefix: str, key: str, factor: float, decimals: int) -> str:
    value = getattr(measurements, prefix + key)
    if value is not None:
        return f"{factor * value:.{decimals}f}"
    # Where the heart does fill, what is missing is told apart from no filling at all.
    fills = getattr(measurements, f"{prefix}pfr_edv_s") is not None
    return "not separable" if fills and key in ATRIAL else "–"


def _said_of_rates(measurements: Measurements) -> str:
    """Why a rate is missing, then how all were taken; both ventricles at once where equal."""
    known = {"LV": measurements.lv_rates, "RV": measurements.rv_rates}
    notes = {name: rates.note for name, rates in known.items() if rates and rates.note}
    methods = {name: rates.method for name, rates in known.items() if rates and rates.method}
    said = [f"<p>{escape(text)}</p>" for text in _together(notes)]
    return "".join([*said, *(f'<p class="quiet">{escape(t)}</p>' for t in _together(methods))])


def _together(texts: dict[str, str]) -> list[str]:
    if len(texts) > 1 and len(set(texts.values())) == 1:
        return [f"{' and '.join(texts)}: {next(iter(texts.values()))}"]
    return [f"{name}: {text}" for name, text in texts.items()]
