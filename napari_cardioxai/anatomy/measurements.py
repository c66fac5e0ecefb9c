"""One study's numbers, with what must be known to read them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.anatomy.volumes import (
    LV,
    MYO,
    RV,
    EjectionFraction,
    ejection_fraction,
    frame_volume_ml,
    volume_curve_ml,
)
from napari_cardioxai.errors import MeasurementError

MYOCARDIAL_DENSITY_G_PER_ML = 1.05  # Kawel-Boehm 2020
CYCLE_MISMATCH = 0.10  # first against last frame, Clough et al. 2019


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
    notes
        Sentences on assumptions and on what looks wrong.
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
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

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
        )
        rows = [
            (name, format(v, digits), unit) for name, v, digits, unit in numbers if v is not None
        ]
        if self.volume_ml is not None and len(self.volume_ml) == 1:
            rows.append(("LV volume", f"{self.volume_ml[0]:.0f}", "mL"))
        for name, frame in (("End-diastole", self.ed_frame), ("End-systole", self.es_frame)):
            if frame is not None:
                rows.append((name, self._when(frame), ""))
        return rows

    def _when(self, frame: int) -> str:
        if self.frame_times_ms is None:
            return f"frame {frame + 1}"
        count, time = len(self.frame_times_ms), self.frame_times_ms[frame]
        return f"frame {frame + 1} of {count}, {time:.0f} ms"


def measure(labels: Labels) -> Measurements:
    """Volumes, ejection fraction, mass, heart rate and output, as far as labels allow.

    Raises
    ------
    MeasurementError
        When no voxel is labelled as left-ventricular cavity.
    """
    notes = list(labels.notes)
    sized = labels
    if labels.geometry.spacing_mm is None:
        # A fraction has no unit: counting voxels is enough for it.
        sized = replace(labels, geometry=replace(labels.geometry, spacing_mm=(1.0, 1.0, 1.0)))
        notes.append("The pixel size is unknown, so there are no volumes, only the fraction.")
    curve = volume_curve_ml(sized, LV)
    if not curve.any():
        raise MeasurementError("No voxel is labelled as LV cavity (value 1); there is no volume.")
    if len(curve) == 1:
        notes.append("There is one frame only: its volume, but no ejection fraction.")
    lv, said = _ejection(curve, LV)
    rv, rv_said = _ejection(volume_curve_ml(sized, RV), RV)
    cycle_ms, cycle_said = _cycle_ms(labels)
    notes += [*said, *rv_said, *cycle_said, *_closing_note(curve)]
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
        notes=tuple(notes),
    )
    return measured if sized is labels else _without_sizes(measured)


def _without_sizes(measured: Measurements) -> Measurements:
    """The same without every number that needs a pixel size."""
    return replace(
        measured,
        edv_ml=None,
        esv_ml=None,
        sv_ml=None,
        volume_ml=None,
        cardiac_output_l_min=None,
        lvm_g=None,
        rv_edv_ml=None,
        rv_esv_ml=None,
        rv_sv_ml=None,
    )


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
