"""What a perfect measurement of a subject finds, and what its label masks give."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from napari_cardioxai.phantom.classes import Case
from napari_cardioxai.phantom.heart import MYOCARDIAL_DENSITY_G_PER_ML, SEGMENTS
from napari_cardioxai.phantom.ranges import HeartClass
from napari_cardioxai.phantom.rasterise import LV, MYO, RV, Grid, mask_volume_ml
from napari_cardioxai.phantom.subject import Subject


def analytic_truth(subject: Subject) -> dict[str, Any]:
    """What a perfect measurement finds, under the measurements' own names; None where nothing.

    Wall thickness is `wt_ed_mm_01` to `wt_es_mm_16`: the mean of each AHA
    segment at end-diastole and end-systole in mm.
    """
    case, heart = subject.case, subject.case.heart
    left, right = heart.lv.truth(), heart.rv.truth()
    curve = heart.lv.volume_ml(subject.times_ms)
    still = heart.beat(np.array([0.0, left.es_time_ms])).segment_thickness_mm()
    truth: dict[str, Any] = {k: v for k, v in asdict(left).items() if k != "note"}
    truth["cardiac_output_l_min"] = left.sv_ml * left.heart_rate_bpm / 1000
    for rate in ("per", "pfr", "pafr"):
        flow = getattr(left, f"{rate}_ml_s")
        truth[f"{rate}_edv_s"] = None if flow is None else flow / left.edv_ml
    truth["ed_frame"], truth["es_frame"] = int(np.argmax(curve)), int(np.argmin(curve))
    truth["lvm_g"] = heart.mass_g
    for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent", "per_ml_s", "pfr_ml_s", "pafr_ml_s"):
        truth[f"rv_{name}"] = getattr(right, name)
    for when, values in zip(("ed", "es"), still, strict=True):
        truth[f"max_wt_{when}_mm"] = float(values.max())
        for segment in range(SEGMENTS):
            truth[f"wt_{when}_mm_{segment + 1:02d}"] = float(values[segment])
    truth["thickening_variance_percent2"] = _thickening_variance_percent2(*still)
    truth["septal_flash_mm"] = truth["lateral_delay_ms"] = None
    if heart.dyssynchrony is not None:
        truth["septal_flash_mm"] = _flash_mm(case)
        truth["lateral_delay_ms"] = heart.lateral_delay_ms
    elif case.kind is HeartClass.CANDIDATE:  # where it is looked for and not found
        truth["septal_flash_mm"] = truth["lateral_delay_ms"] = 0.0
    return truth


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
