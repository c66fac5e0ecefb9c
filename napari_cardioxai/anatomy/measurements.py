"""One study's numbers, with what must be known to read them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from napari_cardioxai.anatomy.dyssynchrony import dyssynchrony_index, regional_volumes_ml
from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.anatomy.rates import Rates, filling_rates, why_truncated
from napari_cardioxai.anatomy.segments import AHA_NAMES
from napari_cardioxai.anatomy.steps import without_steps
from napari_cardioxai.anatomy.volumes import (
    LV,
    MYO,
    RV,
    EjectionFraction,
    ejection_fraction,
    frame_volume_ml,
    slice_curves_ml,
    volume_curve_ml,
)
from napari_cardioxai.anatomy.walls import (
    WallThickness,
    thickening_percent,
    thickening_variance,
    wall_thickness,
)
from napari_cardioxai.errors import MeasurementError

MYOCARDIAL_DENSITY_G_PER_ML = 1.05  # Kawel-Boehm 2020
CYCLE_MISMATCH = 0.10  # first against last frame, Clough et al. 2019
# Index per body surface area and what it divides.
INDICES = {
    "edvi_ml_m2": "edv_ml",
    "esvi_ml_m2": "esv_ml",
    "svi_ml_m2": "sv_ml",
    "lvmi_g_m2": "lvm_g",
    "cardiac_index_l_min_m2": "cardiac_output_l_min",
    "rv_edvi_ml_m2": "rv_edv_ml",
    "rv_esvi_ml_m2": "rv_esv_ml",
}
IN_ML = ("edv_ml", "esv_ml", "sv_ml", "per_ml_s", "pfr_ml_s", "pafr_ml_s")
RATES = (
    *("per_ml_s", "pfr_ml_s", "pafr_ml_s", "per_edv_s", "pfr_edv_s", "pafr_edv_s"),
    *("tper_ms", "tpfr_ms", "tpafr_ms", "diastasis_ms", "third_filling_fraction", "ea_ratio"),
)
HEIGHT_CM, WEIGHT_KG = (40.0, 250.0), (1.0, 400.0)  # from newborns on; catches metres and grams
PerSegment = tuple[float | None, ...]
NO_WALLS = (
    "Wall segments need the myocardium (label 2) and the right ventricle (label 3) at end-diastole"
)


@dataclass(frozen=True)
class Walls:
    """What `measure_walls` finds; `Measurements.with_walls` takes it in.

    Attributes
    ----------
    wall_ed_mm, wall_es_mm, thickening_percent, wall_ed_max_mm
        As in `Measurements`, as are `thickening_variance_percent2` and `sdi_percent`.
    notes
        Sentences on assumptions.
    thickness
        Rays, segments and septum behind the numbers, at end-diastole and end-systole.
    missing
        Why there is no wall, in one sentence; "" where there is one.
    """

    wall_ed_mm: PerSegment | None = None
    wall_es_mm: PerSegment | None = None
    thickening_percent: PerSegment | None = None
    wall_ed_max_mm: float | None = None
    thickening_variance_percent2: float | None = None
    sdi_percent: float | None = None
    notes: tuple[str, ...] = ()
    thickness: WallThickness | None = field(default=None, repr=False, compare=False)
    missing: str = ""


WALL_NUMBERS = tuple(
    f.name for f in fields(Walls) if f.name not in ("notes", "thickness", "missing")
)


@dataclass(frozen=True)
class Measurements:
    """Volumes and function of one study.

    Frames are counted from 0, in JSON too; texts count from 1 ("frame 8 of
    20"). None means that the labels do not allow the number; `notes` says why.

    Attributes
    ----------
    edv_ml, esv_ml, sv_ml, ef_percent
        Left ventricle, from the unsmoothed curve: mL and %.
    ed_frame, es_frame
        Frame of the largest and of the smallest left-ventricular volume.
    volume_ml
        Left-ventricular volume of every frame in mL; None without a pixel size.
    frame_times_ms
        Time of every frame in ms; None when unknown.
    cycle_ms, heart_rate_bpm, cardiac_output_l_min
        Length of the heart cycle and what follows from it.
    lvm_g
        Myocardial mass at end-diastole (of the only frame if there is one), in g.
    rv_edv_ml, rv_esv_ml, rv_sv_ml, rv_ef_percent
        Right ventricle, from the extremes of its own curve.
    rv_volume_ml
        Right-ventricular volume of every frame in mL, where it is labelled.
    per_ml_s, pfr_ml_s, pafr_ml_s, per_edv_s, pfr_edv_s, pafr_edv_s
        Peak ejection, early and atrial filling rate, in mL/s and in EDV/s.
    tper_ms, tpfr_ms, tpafr_ms, diastasis_ms
        Time of PER after end-diastole, of PFR and PAFR after end-systole, and
        of diastasis after end-diastole.
    third_filling_fraction, ea_ratio
        Share of the stroke volume back after a third of diastole; PFR / PAFR.
    rate_note
        How the rates were taken, and why one is missing; None without a curve.
    rv_per_ml_s, ..., rv_rate_note
        The same of the right ventricle.
    wall_ed_mm, wall_es_mm, thickening_percent
        Radial wall thickness and thickening of the AHA segments 1 to 17; None
        per segment where it is not shown, as always for 17. None where
        myocardium or right ventricle are not labelled.
    wall_ed_max_mm
        The largest of `wall_ed_mm`.
    thickening_variance_percent2
        Variance of thickening (in %) over the six segments of a slice, mean of
        the basal and mid slices, in %² (Clough et al. 2019).
    sdi_percent
        Systolic dyssynchrony index: standard deviation over segments of the time
        to their smallest cavity volume, in % of the heart cycle.
    bsa_m2
        Body surface area (Mosteller), where height and weight were given.
    edvi_ml_m2, esvi_ml_m2, svi_ml_m2, lvmi_g_m2, cardiac_index_l_min_m2
        Volumes, mass and output per body surface area; `rv_edvi_ml_m2` and
        `rv_esvi_ml_m2` likewise.
    notes
        Sentences on assumptions and on what looks wrong.
    lv_rates, rv_rates
        The smoothed curves that the rates were read from, for drawing; not in JSON.
    """

    edv_ml: float | None
    esv_ml: float | None
    sv_ml: float | None
    ef_percent: float | None
    ed_frame: int | None
    es_frame: int | None
    volume_ml: tuple[float, ...] | None
    frame_times_ms: tuple[float, ...] | None
    cycle_ms: float | None = None
    heart_rate_bpm: float | None = None
    cardiac_output_l_min: float | None = None
    lvm_g: float | None = None
    rv_edv_ml: float | None = None
    rv_esv_ml: float | None = None
    rv_sv_ml: float | None = None
    rv_ef_percent: float | None = None
    rv_volume_ml: tuple[float, ...] | None = None
    per_ml_s: float | None = None
    pfr_ml_s: float | None = None
    pafr_ml_s: float | None = None
    per_edv_s: float | None = None
    pfr_edv_s: float | None = None
    pafr_edv_s: float | None = None
    tper_ms: float | None = None
    tpfr_ms: float | None = None
    tpafr_ms: float | None = None
    diastasis_ms: float | None = None
    third_filling_fraction: float | None = None
    ea_ratio: float | None = None
    rate_note: str | None = None
    rv_per_ml_s: float | None = None
    rv_pfr_ml_s: float | None = None
    rv_pafr_ml_s: float | None = None
    rv_per_edv_s: float | None = None
    rv_pfr_edv_s: float | None = None
    rv_pafr_edv_s: float | None = None
    rv_tper_ms: float | None = None
    rv_tpfr_ms: float | None = None
    rv_tpafr_ms: float | None = None
    rv_diastasis_ms: float | None = None
    rv_third_filling_fraction: float | None = None
    rv_ea_ratio: float | None = None
    rv_rate_note: str | None = None
    wall_ed_mm: PerSegment | None = None
    wall_es_mm: PerSegment | None = None
    thickening_percent: PerSegment | None = None
    wall_ed_max_mm: float | None = None
    thickening_variance_percent2: float | None = None
    sdi_percent: float | None = None
    bsa_m2: float | None = None
    edvi_ml_m2: float | None = None
    esvi_ml_m2: float | None = None
    svi_ml_m2: float | None = None
    lvmi_g_m2: float | None = None
    cardiac_index_l_min_m2: float | None = None
    rv_edvi_ml_m2: float | None = None
    rv_esvi_ml_m2: float | None = None
    notes: tuple[str, ...] = ()
    lv_rates: Rates | None = field(default=None, repr=False, compare=False)
    rv_rates: Rates | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Every attribute but the curves behind the rates, in types that JSON has."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if key not in ("lv_rates", "rv_rates")
        }

    def with_walls(self, walls: Walls) -> Measurements:
        """The same with what was found of the wall."""
        numbers = {name: getattr(walls, name) for name in WALL_NUMBERS}
        why = () if walls.notes or not walls.missing else (walls.missing,)
        return replace(self, **numbers, notes=(*self.notes, *walls.notes, *why))

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and unit of what is known, with the decimals that it deserves."""
        numbers = (
            ("LV end-diastolic volume", self.edv_ml, ".0f", "mL"),
            ("LV end-systolic volume", self.esv_ml, ".0f", "mL"),
            ("LV stroke volume", self.sv_ml, ".0f", "mL"),
            ("LV ejection fraction", self.ef_percent, ".0f", "%"),
            ("LV myocardial mass", self.lvm_g, ".0f", "g"),
            ("Heart rate", self.heart_rate_bpm, ".0f", "bpm"),
            ("Cardiac output", self.cardiac_output_l_min, ".1f", "L/min"),
            ("RV end-diastolic volume", self.rv_edv_ml, ".0f", "mL"),
            ("RV end-systolic volume", self.rv_esv_ml, ".0f", "mL"),
            ("RV stroke volume", self.rv_sv_ml, ".0f", "mL"),
            ("RV ejection fraction", self.rv_ef_percent, ".0f", "%"),
            ("LV end-diastolic volume index", self.edvi_ml_m2, ".0f", "mL/m²"),
            ("LV end-systolic volume index", self.esvi_ml_m2, ".0f", "mL/m²"),
            ("LV stroke volume index", self.svi_ml_m2, ".0f", "mL/m²"),
            ("LV mass index", self.lvmi_g_m2, ".0f", "g/m²"),
            ("Cardiac index", self.cardiac_index_l_min_m2, ".1f", "L/min/m²"),
            ("RV end-diastolic volume index", self.rv_edvi_ml_m2, ".0f", "mL/m²"),
            ("RV end-systolic volume index", self.rv_esvi_ml_m2, ".0f", "mL/m²"),
            ("Body surface area", self.bsa_m2, ".2f", "m²"),
        )
        rows = _known(numbers)
        rows += [*self._rate_rows("", "LV"), *self._timing_rows(), *self._rate_rows("rv_", "RV")]
        rows += self._wall_rows()
        if self.volume_ml is not None and len(self.volume_ml) == 1:
            rows.append(("LV volume", f"{self.volume_ml[0]:.0f}", "mL"))
        for name, frame in (("End-diastole", self.ed_frame), ("End-systole", self.es_frame)):
            if frame is not None:
                rows.append((name, self._when(frame), ""))
        return rows

    def _rate_rows(self, prefix: str, name: str) -> list[tuple[str, str, str]]:
        per, pfr, pafr = (getattr(self, f"{prefix}{rate}_ml_s") for rate in ("per", "pfr", "pafr"))
        rows = _known(
            (
                (f"{name} peak ejection rate", per, ".0f", "mL/s"),
                (f"{name} peak filling rate", pfr, ".0f", "mL/s"),
                (f"{name} peak atrial filling rate", pafr, ".0f", "mL/s"),
            )
        )
        if pfr is not None and pafr is None:
            rows.append((f"{name} peak atrial filling rate", "not separable", ""))
        return rows

    def _timing_rows(self) -> list[tuple[str, str, str]]:
        third = self.third_filling_fraction
        return _known(
            (
                ("LV peak ejection rate / EDV", self.per_edv_s, ".1f", "EDV/s"),
                ("LV peak filling rate / EDV", self.pfr_edv_s, ".1f", "EDV/s"),
                ("LV atrial filling rate / EDV", self.pafr_edv_s, ".1f", "EDV/s"),
                ("LV E/A of filling rates", self.ea_ratio, ".1f", ""),
                ("Peak ejection after ED", self.tper_ms, ".0f", "ms"),
                ("Peak filling after ES", self.tpfr_ms, ".0f", "ms"),
                ("Peak atrial filling after ES", self.tpafr_ms, ".0f", "ms"),
                ("Diastasis after ED", self.diastasis_ms, ".0f", "ms"),
                ("Filled by 1/3 of diastole", None if third is None else 100 * third, ".0f", "%"),
            )
        )

    def _wall_rows(self) -> list[tuple[str, str, str]]:
        rows = []
        if self.wall_ed_mm is not None and self.wall_ed_max_mm is not None:
            place = AHA_NAMES[self.wall_ed_mm.index(self.wall_ed_max_mm)]
            rows.append((f"Thickest wall at ED ({place})", f"{self.wall_ed_max_mm:.1f}", "mm"))
        shown = [t for t in self.thickening_percent or () if t is not None]
        mean = float(np.mean(shown)) if shown else None
        return rows + _known(
            (
                ("Mean wall thickening", mean, ".0f", "%"),
                ("Variance of wall thickening", self.thickening_variance_percent2, ".0f", "%²"),
                ("Dyssynchrony index", self.sdi_percent, ".1f", "%"),
            )
        )

    def _when(self, frame: int) -> str:
        if self.frame_times_ms is None:
            return f"frame {frame + 1}"
        count, time = len(self.frame_times_ms), self.frame_times_ms[frame]
        return f"frame {frame + 1} of {count}, {time:.0f} ms"


def _known(
    numbers: tuple[tuple[str, float | None, str, str], ...],
) -> list[tuple[str, str, str]]:
    """Rows of the numbers that are known: name, value with its decimals, unit."""
    return [(name, format(v, digits), unit) for name, v, digits, unit in numbers if v is not None]


def measure(
    labels: Labels, *, height_cm: float | None = None, weight_kg: float | None = None
) -> Measurements:
    """Volumes, function, rates, walls and indices, as far as labels allow.

    Walls are measured only where myocardium and right ventricle are labelled.

    Parameters
    ----------
    labels
        What was segmented or drawn.
    height_cm, weight_kg
        Body size for the indices; both or none.

    Raises
    ------
    MeasurementError
        When no voxel is labelled as left-ventricular cavity, or when height and
        weight are nobody's or only one is given.

    See Also
    --------
    measure_volumes, measure_walls : the fast and the slow part of it
    """
    volumes = measure_volumes(labels, height_cm=height_cm, weight_kg=weight_kg)
    return volumes.with_walls(measure_walls(labels))


def measure_volumes(
    labels: Labels, *, height_cm: float | None = None, weight_kg: float | None = None
) -> Measurements:
    """Everything of `measure` but the walls: fast enough for every stroke of a brush.

    Parameters and errors are those of `measure`.
    """
    bsa = _body_surface_m2(height_cm, weight_kg)
    notes = list(labels.notes)
    sized = labels
    if labels.geometry.spacing_mm is None:
        # A fraction has no unit: counting voxels is enough for it.
        sized = replace(labels, geometry=replace(labels.geometry, spacing_mm=(1.0, 1.0, 1.0)))
        notes.append("The pixel size is unknown, so there are no volumes, only the fraction.")
    slices = slice_curves_ml(sized, LV)
    curve = slices.sum(1)
    if not curve.any():
        raise MeasurementError("No voxel is labelled as LV cavity (value 1); there is no volume.")
    if len(curve) == 1:
        notes.append("There is one frame only: its volume, but no ejection fraction.")
    lv, said = _ejection(curve, LV)
    rv_slices = slice_curves_ml(sized, RV)
    rv_curve = rv_slices.sum(1)
    rv, rv_said = _ejection(rv_curve, RV)
    cycle_ms, cycle_said = _cycle_ms(labels)
    lv_rates, lv_rates_said = _rates(slices, lv, labels, "")
    rv_rates, rv_rates_said = _rates(rv_slices, rv, labels, "rv_")
    rates_said = dict.fromkeys([*lv_rates_said, *rv_rates_said])
    notes += [*said, *rv_said, *cycle_said, *_closing_note(curve), *rates_said]
    times = labels.frame_times_ms
    measured = Measurements(
        edv_ml=None if lv is None else lv.edv_ml,
        esv_ml=None if lv is None else lv.esv_ml,
        sv_ml=None if lv is None else lv.sv_ml,
        ef_percent=None if lv is None else lv.percent,
        ed_frame=None if lv is None else lv.ed_frame,
        es_frame=None if lv is None else lv.es_frame,
        volume_ml=tuple(curve.tolist()),
        frame_times_ms=None if times is None else tuple(np.asarray(times, float).tolist()),
        cycle_ms=cycle_ms,
        heart_rate_bpm=None if cycle_ms is None else 60_000.0 / cycle_ms,
        cardiac_output_l_min=None if lv is None or cycle_ms is None else 60.0 * lv.sv_ml / cycle_ms,
        lvm_g=_mass_g(sized, int(np.argmax(curve))),
        rv_edv_ml=None if rv is None else rv.edv_ml,
        rv_esv_ml=None if rv is None else rv.esv_ml,
        rv_sv_ml=None if rv is None else rv.sv_ml,
        rv_ef_percent=None if rv is None else rv.percent,
        rv_volume_ml=tuple(rv_curve.tolist()) if rv_curve.any() else None,
        notes=tuple(notes),
        **lv_rates,
        **rv_rates,
    )
    return _indexed(measured if sized is labels else _without_sizes(measured), bsa)


def _without_sizes(measured: Measurements) -> Measurements:
    """The same without every number that needs a pixel size."""
    sized: dict[str, Any] = dict.fromkeys([*IN_ML, *(f"rv_{key}" for key in IN_ML)])
    return replace(
        measured,
        volume_ml=None,
        rv_volume_ml=None,
        cardiac_output_l_min=None,
        lvm_g=None,
        lv_rates=None,
        rv_rates=None,
        **sized,
    )


def _body_surface_m2(height_cm: float | None, weight_kg: float | None) -> float | None:
    """Body surface area after Mosteller 1987, in m²."""
    if height_cm is None and weight_kg is None:
        return None
    if height_cm is None or weight_kg is None:
        raise MeasurementError("Indices need both the height in cm and the weight in kg.")
    for name, value, unit, (lowest, highest) in (
        ("height", height_cm, "cm", HEIGHT_CM),
        ("weight", weight_kg, "kg", WEIGHT_KG),
    ):
        if not lowest <= value <= highest:
            raise MeasurementError(
                "Indices need the height in cm and the weight in kg: "
                f"a {name} of {value:g} {unit} is nobody's."
            )
    return float(np.sqrt(height_cm * weight_kg / 3600.0))


def _indexed(measured: Measurements, bsa_m2: float | None) -> Measurements:
    if bsa_m2 is None:
        return measured
    known = {index: getattr(measured, key) for index, key in INDICES.items()}
    indices = {index: v / bsa_m2 for index, v in known.items() if v is not None}
    return replace(measured, bsa_m2=bsa_m2, **indices)


def _rates(
    slices_ml: np.ndarray, found: EjectionFraction | None, labels: Labels, prefix: str
) -> tuple[dict[str, Any], list[str]]:
    """Attributes of the rates of one ventricle, and what must be said about them."""
    if found is None:
        return {}, []
    curve, steps_said = without_steps(slices_ml)
    rates = filling_rates(curve, labels.frame_times_ms, cycle_ms=labels.cycle_ms)
    if steps_said and rates.curve is not None:
        rates = replace(rates, note=" ".join(filter(None, (steps_said, rates.note))))
    values: dict[str, Any] = {prefix + key: getattr(rates, key) for key in RATES}
    values[f"{prefix}rate_note"] = _rate_note(rates)
    values["rv_rates" if prefix else "lv_rates"] = rates
    name = "RV" if prefix else "LV"
    # Without any rate the reason lies in the frames, which both ventricles share.
    said = rates.note if rates.curve is None else f"{name} rates: {rates.note}"
    return values, [said] if rates.note else []


def _rate_note(rates: Rates) -> str:
    return " ".join(part for part in (rates.method, rates.note) if part)


def measure_walls(labels: Labels) -> Walls:
    """Thickness, thickening and dyssynchrony of the wall.

    Parameters
    ----------
    labels
        What was segmented or drawn. Where myocardium or right ventricle are not
        labelled at end-diastole nothing is measured and `missing` says why.
    """
    if labels.geometry.spacing_mm is None:
        return Walls(missing="Wall thickness needs the pixel size: open the scan that carries it.")
    curve = volume_curve_ml(labels, LV)
    ed = int(np.argmax(curve))
    absent = [
        STRUCTURE_NAMES[structure]
        for structure in (LV, MYO, RV)
        if not (labels.data[ed] == structure).any()
    ]
    if absent:
        return Walls(missing=f"{NO_WALLS}; draw what is missing: {' and '.join(absent)}.")
    found, _ = _ejection(curve, LV)
    frames = (ed,) if found is None else (ed, found.es_frame)
    try:
        thickness = wall_thickness(labels, ed_frame=ed, frames=frames)
    except MeasurementError as error:
        return Walls(notes=(f"No wall segments: {error}",), missing=str(error))
    at_ed = _per_segment(thickness.aha_mm[0])
    walls = Walls(
        wall_ed_mm=at_ed,
        wall_ed_max_mm=max((w for w in at_ed if w is not None), default=None),
        notes=thickness.notes,
        thickness=thickness,
    )
    if found is None:
        return walls
    motion, said = _wall_motion(labels, curve, thickness)
    return replace(walls, notes=(*walls.notes, *said), **motion)


def _wall_motion(
    labels: Labels, curve: np.ndarray, walls: WallThickness
) -> tuple[dict[str, Any], list[str]]:
    """Thickening and dyssynchrony of walls measured at end-diastole and end-systole."""
    values: dict[str, Any] = {
        "wall_es_mm": _per_segment(walls.aha_mm[1]),
        "thickening_percent": _per_segment(thickening_percent(*walls.aha_mm)),
    }
    notes = []
    try:
        by_slice = thickening_percent(*walls.segment_mm)
        values["thickening_variance_percent2"] = thickening_variance(by_slice, walls.rings)
    except MeasurementError as error:
        notes.append(f"No variance of wall thickening: {error}")
    if not curve.all() or why_truncated(curve):
        return values, [*notes, "No dyssynchrony index: the frames do not show a whole cycle."]
    try:
        regional = regional_volumes_ml(labels, reference=walls.reference, rings=walls.rings)
        values["sdi_percent"] = dyssynchrony_index(regional)
    except MeasurementError as error:
        notes.append(f"No dyssynchrony index: {error}")
    return values, notes


def _per_segment(values: np.ndarray) -> PerSegment:
    """Plain numbers, None for what is not known."""
    return tuple(float(v) if np.isfinite(v) else None for v in values)


def _ejection(curve: np.ndarray, structure: int) -> tuple[EjectionFraction | None, list[str]]:
    """The ejection fraction, or None; with what must be said about it."""
    name = STRUCTURE_NAMES[structure]
    if not curve.any() or len(curve) == 1:
        return None, []
    empty = [str(frame + 1) for frame in np.flatnonzero(curve == 0)]
    notes = []
    if empty:
        frames = "frame" if len(empty) == 1 else "frames"
        notes.append(
            f"No {name} is labelled in {frames} {', '.join(empty)} of {len(curve)}; left out "
            "when looking for end-systole."
        )
    try:
        return ejection_fraction(curve), notes
    except MeasurementError as error:
        return None, [*notes, f"{name}: {error}"]


def _cycle_ms(labels: Labels) -> tuple[float | None, list[str]]:
    """Length of the heart cycle in ms, or None; with where it came from."""
    if labels.cycle_ms is not None and labels.cycle_ms > 0:
        return float(labels.cycle_ms), ["Heart rate as recorded with the scan."]
    times = labels.frame_times_ms
    if times is None or len(times) < 2:
        return None, []
    step = float(np.median(np.diff(times)))
    if not step > 0:
        return None, ["The frame times do not increase: the heart rate is unknown."]
    return len(times) * step, ["Heart rate from the frame times, as if they cover the whole cycle."]


def _closing_note(curve: np.ndarray) -> list[str]:
    """Say where the curve does not come back to where it began."""
    first, last = float(curve[0]), float(curve[-1])
    if first == 0 or last == 0 or abs(last - first) <= CYCLE_MISMATCH * first:
        return []
    percent = 100 * (last - first) / first
    said = f"The LV volume of the last frame differs from the first by {percent:+.0f} %"
    return [f"{said}: labels to check, or a recording that does not cover the whole cycle."]


def _mass_g(labels: Labels, frame: int) -> float | None:
    """Mass of the myocardium in one frame, or None where it is not labelled there."""
    volume = frame_volume_ml(labels.data[frame], labels.geometry, MYO)
    return MYOCARDIAL_DENSITY_G_PER_ML * volume or None
