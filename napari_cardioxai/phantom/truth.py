"""What a perfect measurement of a subject finds, and what its label masks give."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_cardioxai.phantom.classes import Case
from napari_cardioxai.phantom.heart import MYOCARDIAL_DENSITY_G_PER_ML
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.rasterise import LV, MYO, RV, Grid, mask_volume_ml
from napari_cardioxai.phantom.subject import Subject
from napari_cardioxai.phantom.volume_curve import CurveTruth


def analytic_truth(subject: Subject) -> dict[str, Any]:
    """What a perfect measurement finds, under the measurements' own names; None where nothing.

    Times count as there: PER and diastasis after end-diastole, PFR and PAFR
    after end-systole. What a measurement lists by AHA segment is numbered, such
    as `wall_ed_mm_01` to `wall_ed_mm_16`. `es_time_ms`, `wall_es_max_mm`,
    `septal_flash_mm` and `lateral_delay_ms` have no counterpart.
    """
    case, heart = subject.case, subject.case.heart
    left = heart.lv.truth()
    curve = heart.lv.volume_ml(subject.times_ms)
    ed_mm, es_mm = heart.beat(np.array([0.0, left.es_time_ms])).segment_thickness_mm()
    truth: dict[str, Any] = {"heart_rate_bpm": left.heart_rate_bpm, "cycle_ms": heart.lv.cycle_ms}
    truth |= _ventricle(left)
    truth["es_time_ms"] = left.es_time_ms
    truth["cardiac_output_l_min"] = left.sv_ml * left.heart_rate_bpm / 1000
    truth["ed_frame"], truth["es_frame"] = int(np.argmax(curve)), int(np.argmin(curve))
    truth["lvm_g"] = heart.mass_g
    truth |= {f"rv_{key}": value for key, value in _ventricle(heart.rv.truth()).items()}
    for when, values in (("ed", ed_mm), ("es", es_mm)):
        truth[f"wall_{when}_max_mm"] = float(values.max())
        truth |= _by_segment(f"wall_{when}_mm", values)
    truth |= _by_segment("thickening_percent", 100 * (es_mm - ed_mm) / ed_mm)
    truth["thickening_variance_percent2"] = _thickening_variance_percent2(ed_mm, es_mm)
    truth["septal_flash_mm"] = truth["lateral_delay_ms"] = None
    if heart.dyssynchrony is not None:
        truth["septal_flash_mm"] = _flash_mm(case)
        truth["lateral_delay_ms"] = heart.lateral_delay_ms
    elif case.kind is HeartClass.CANDIDATE:  # where it is looked for and not found
        truth["septal_flash_mm"] = truth["lateral_delay_ms"] = 0.0
    return truth


def _ventricle(curve: CurveTruth) -> dict[str, Any]:
    """Volumes, rates and times of one ventricle by the names of `anatomy.measurements`."""
    truth: dict[str, Any] = {
        key: getattr(curve, key) for key in ("edv_ml", "esv_ml", "sv_ml", "ef_percent")
    }
    for rate in ("per", "pfr", "pafr"):
        flow = getattr(curve, f"{rate}_ml_s")
        truth[f"{rate}_ml_s"] = flow
        truth[f"{rate}_edv_s"] = None if flow is None else flow / curve.edv_ml
    atrial = curve.pafr_time_ms
    return truth | {
        "tper_ms": curve.per_time_ms,
        "tpfr_ms": curve.pfr_time_ms - curve.es_time_ms,
        "tpafr_ms": None if atrial is None else atrial - curve.es_time_ms,
        "diastasis_ms": curve.diastasis_time_ms,
        "third_filling_fraction": curve.filling_fraction,
        "ea_ratio": curve.e_a_ratio,
    }


def _by_segment(key: str, values: np.ndarray) -> dict[str, float]:
    return {f"{key}_{segment:02d}": float(value) for segment, value in enumerate(values, start=1)}


def _thickening_variance_percent2(ed_mm: np.ndarray, es_mm: np.ndarray) -> float:
    """Variance of thickening (in %) over the six segments of a ring, mean of basal and mid."""
    upper = (100 * (es_mm - ed_mm) / ed_mm)[:12].reshape(2, 6)
    return float(np.var(upper, axis=1).mean())


def _flash_mm(case: Case) -> float:
    """How far the septum moves inward by 60 to 120 ms after the R wave and out again.

    The smaller of the two ways: a septum that moves inward until end-systole has no flash.
    """
    times = np.arange(60.0, case.heart.lv.es_time_ms, 2.0)
    outward = case.heart.beat(times).septal_displacement_mm()
    deepest = int(np.argmin(outward[times <= 120]))
    back = float(outward[deepest:].max() - outward[deepest])
    return max(min(float(-outward[deepest]), back), 0.0)


def mask_truth(labels: np.ndarray, grid: Grid) -> dict[str, float]:
    """What counting the voxels of the labels gives, frame by frame extremes."""
    left, wall, right = (mask_volume_ml(labels, grid, s) for s in (LV, MYO, RV))
    found = {"lvm_g": MYOCARDIAL_DENSITY_G_PER_ML * float(wall[np.argmax(left)])}
    for prefix, curve in (("", left), ("rv_", right)):
        edv, esv = float(curve.max()), float(curve.min())
        found |= {f"{prefix}edv_ml": edv, f"{prefix}esv_ml": esv, f"{prefix}sv_ml": edv - esv}
        found[f"{prefix}ef_percent"] = 100 * (edv - esv) / edv if edv else 0.0
    return found
