"""What one subject brings along: of the heart, of the picture, of the recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.volumes import LV, MYO, RV, volume_curve_ml
from napari_cardioxai.errors import CardioxaiError
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.scan import Scan

NAMES = {
    "frames": "Frames",
    "slices": "Slices",
    "rows": "Rows",
    "columns": "Columns",
    "pixel_mm": "Pixel size (mm)",
    "slice_mm": "Slice distance (mm)",
    "heart_rate_bpm": "Heart rate (bpm)",
    "intensity_mean": "Intensity, mean",
    "intensity_sd": "Intensity, standard deviation",
    "intensity_p99": "Intensity, 99th percentile",
    "blood_intensity": "Intensity of LV blood",
    "contrast": "Blood over muscle",
    "lv_down_mm": "LV below the picture's centre (mm)",
    "lv_right_mm": "LV right of the picture's centre (mm)",
    "lv_diameter_mm": "LV diameter at ED (mm)",
    "edv_ml": "LV volume at ED (mL)",
    "ef_percent": "LV ejection fraction (%)",
    "lv_share": "LV cavity (part of voxels)",
    "myo_share": "Myocardium (part of voxels)",
    "rv_share": "RV cavity (part of voxels)",
}
SHARES = {LV: "lv_share", MYO: "myo_share", RV: "rv_share"}
# Of scanner, protocol and picture, not of the heart: what a model must not decide by.
NOT_ANATOMY = (
    *("frames", "rows", "columns", "pixel_mm", "heart_rate_bpm"),
    *("intensity_mean", "intensity_sd", "intensity_p99", "blood_intensity", "contrast"),
    *("lv_down_mm", "lv_right_mm"),
)


def property_title(name: str) -> str:
    """A property or column as it heads a figure or a row, with its unit."""
    return NAMES.get(name) or property_name(name)


def property_name(name: str) -> str:
    """A property or column as it stands in a sentence, without its unit."""
    own, mark, rest = name.partition(": ")
    title = NAMES.get(own, own).split(" (")[0]
    return f"{title} {rest}" if mark else title


@dataclass(frozen=True)
class Properties:
    """What could be read of a subject.

    Attributes
    ----------
    values
        Keys of `NAMES`; what is not known is left out.
    failed
        Why the rest could not be read, or None.
    """

    values: dict[str, float]
    failed: str | None = None


def read_properties(paths: tuple[Path | None, Path | None]) -> Properties:
    """Properties of a subject.

    Parameters
    ----------
    paths
        Labels and scan, either of which may be missing. Grid and heart rate are
        the scan's where there is one; of its images only the frame at
        end-diastole is looked at.
    """
    labels_path, scan_path = paths
    values: dict[str, float] = {}
    try:
        labels = None if labels_path is None else read_labels(labels_path)
        if labels is not None:
            values |= _grid(labels) | _heart(labels)
        if scan_path is not None:
            scan = load_scan(scan_path)
            values |= _grid(scan) | _intensities(scan, labels)
    except CardioxaiError as error:
        return Properties(_rounded(values), str(error))
    return Properties(_rounded(values))


def _rounded(values: dict[str, float]) -> dict[str, float]:
    """Six digits: what file headers round differently is no difference between subjects."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}


def _grid(source: Labels | Scan) -> dict[str, float]:
    frames, slices, rows, columns = source.data.shape
    values = {"frames": frames, "slices": slices, "rows": rows, "columns": columns}
    found: dict[str, float] = {name: float(value) for name, value in values.items()}
    if source.geometry.spacing_mm is not None:
        found["slice_mm"], found["pixel_mm"] = source.geometry.spacing_mm[:2]
    times, cycle_ms = source.frame_times_ms, source.cycle_ms
    if cycle_ms is None and times is not None and len(times) > 1:
        cycle_ms = len(times) * float(np.median(np.diff(times)))
    if cycle_ms is not None and cycle_ms > 0:
        found["heart_rate_bpm"] = 60_000.0 / cycle_ms
    return found


def _heart(labels: Labels) -> dict[str, float]:
    """Shares of the structures, and size and place of the LV where there is one."""
    counts = np.bincount(labels.data.reshape(-1), minlength=4)
    found = {name: float(counts[value] / labels.data.size) for value, name in SHARES.items()}
    if counts[LV] == 0 or labels.geometry.spacing_mm is None:
        return found
    curve = volume_curve_ml(labels, LV)
    ed = int(np.argmax(curve))
    cavity = labels.data[ed] == LV
    size = np.array(labels.geometry.spacing_mm[1:])
    away = np.argwhere(cavity)[:, 1:].mean(axis=0) - (np.array(cavity.shape[1:]) - 1) / 2
    found["lv_down_mm"], found["lv_right_mm"] = (away * size).tolist()
    widest_mm2 = float(cavity.sum(axis=(1, 2)).max() * size.prod())
    found["lv_diameter_mm"] = 2 * float(np.sqrt(widest_mm2 / np.pi))
    found["edv_ml"] = float(curve[ed])
    if len(curve) > 1 and curve.all():
        found["ef_percent"] = float(100 * (1 - curve.min() / curve[ed]))
    return found


def _intensities(scan: Scan, labels: Labels | None) -> dict[str, float]:
    """Of one frame: the whole picture, and blood and muscle where the labels lie on its grid."""
    same_grid = labels is not None and labels.data.shape == scan.data.shape
    ed = 0
    if labels is not None and same_grid:
        ed = int(np.argmax(np.count_nonzero(labels.data == LV, axis=(1, 2, 3))))
    image = np.asarray(scan.data[ed], np.float32)
    found: dict[str, Any] = {
        "intensity_mean": image.mean(dtype=np.float64),
        "intensity_sd": image.std(dtype=np.float64),
        "intensity_p99": np.percentile(image, 99),
    }
    if labels is not None and same_grid:
        blood, muscle = (image[labels.data[ed] == value] for value in (LV, MYO))
        if blood.size:
            found["blood_intensity"] = blood.mean(dtype=np.float64)
        if blood.size and muscle.size and muscle.mean() > 0:
            found["contrast"] = blood.mean(dtype=np.float64) / muscle.mean(dtype=np.float64)
    return {name: float(value) for name, value in found.items()}
