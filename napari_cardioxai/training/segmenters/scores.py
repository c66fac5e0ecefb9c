"""How well predicted structures agree with contoured ones, picture by picture and patient by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from numpy.typing import NDArray

from napari_cardioxai.anatomy.agreement import dice
from napari_cardioxai.anatomy.volumes import LV


def average_perpendicular_distance(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], *, pixel_mm: float
) -> float:
    """Mean distance from the predicted contour to the true one, in mm (Radau et al. 2009).

    NaN when either mask is empty.
    """
    if not predicted.any() or not truth.any():
        return float("nan")
    return float(compute_average_surface_distance(_one(predicted), _one(truth), spacing=pixel_mm))


def hausdorff95(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], *, pixel_mm: float
) -> float:
    """95th percentile of the symmetric contour distance in mm; NaN when either mask is empty."""
    if not predicted.any() or not truth.any():
        return float("nan")
    return float(
        compute_hausdorff_distance(_one(predicted), _one(truth), percentile=95, spacing=pixel_mm)
    )


@dataclass(frozen=True)
class ScoredPicture:
    """One picture with its prediction.

    Attributes
    ----------
    patient, slice_index, phase, fold
        Whose it is, where in the stack (0 most basal), which frame, in which
        fold it was held out.
    predicted, truth
        LV cavity masks, shape (y, x).
    pixel_mm
        In-plane spacing; None when unknown, and the distances are in pixels.
    agreement
        Dice of the prediction with those of mirrored views: the second opinion.
    """

    patient: str
    slice_index: int
    phase: int
    fold: int
    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    pixel_mm: float | None
    agreement: float


def score_pictures(pictures: Sequence[ScoredPicture]) -> pd.DataFrame:
    """One row a picture: Dice, pixel accuracy, contour distances, part of the heart.

    Base, middle and apex are the thirds of the contoured slices of a patient.
    Distances have the columns `apd_px, hd95_px` for all and `apd_mm, hd95_mm`
    where the pixel size is known; they are NaN where nothing was predicted.
    """
    rows = []
    for p in pictures:
        apd = average_perpendicular_distance(p.predicted, p.truth, pixel_mm=1.0)
        hd95 = hausdorff95(p.predicted, p.truth, pixel_mm=1.0)
        mm = float("nan") if p.pixel_mm is None else p.pixel_mm
        rows.append(
            {
                "patient": p.patient,
                "fold": p.fold,
                "slice": p.slice_index,
                "phase": p.phase,
                "dice": dice(p.predicted, p.truth),
                "agreement": p.agreement,
                "pixel_accuracy": float((p.predicted == p.truth).mean()),
                "apd_px": apd,
                "hd95_px": hd95,
                "apd_mm": apd * mm,
                "hd95_mm": hd95 * mm,
                "overlap": int((p.predicted & p.truth).sum()),
                "both": int(p.predicted.sum() + p.truth.sum()),
            }
        )
    table = pd.DataFrame(rows)
    table["part"] = table.groupby("patient")["slice"].transform(_thirds)
    return table


def patient_dice(table: pd.DataFrame) -> pd.Series:
    """Dice of each patient over all pixels of all of its pictures, indexed by patient."""
    sums = table.groupby("patient")[["overlap", "both"]].sum()
    return 2 * sums["overlap"] / sums["both"]


def summarise(table: pd.DataFrame) -> dict[str, object]:
    """The figures of a cross-validation from the rows of `score_pictures`.

    Returns
    -------
    `patients` (mean, median, worst patient with its name, standard deviation),
    `pictures` (means over pictures), `folds` and `parts` (the same per fold and
    for base, middle, apex), `second_opinion` as `judge_opinion` gives it.
    """
    by_patient = patient_dice(table)
    return {
        "patients": {
            "count": len(by_patient),
            "dice_mean": round(float(by_patient.mean()), 4),
            "dice_median": round(float(by_patient.median()), 4),
            "dice_sd": round(float(by_patient.std()), 4),
            "dice_worst": round(float(by_patient.min()), 4),
            "worst": str(by_patient.idxmin()),
        },
        "pictures": _means(table),
        "folds": {
            str(fold): {
                "patient_dice_mean": round(float(patient_dice(rows).mean()), 4),
                **_means(rows),
            }
            for fold, rows in table.groupby("fold")
        },
        "parts": {str(part): _means(rows) for part, rows in table.groupby("part", sort=False)},
        "second_opinion": judge_opinion(table),
    }


def judge_opinion(table: pd.DataFrame) -> dict[str, object]:
    """Whether agreement between mirrored views ranks bad cases first.

    Returns
    -------
    Spearman's correlation of agreement with true Dice over pictures and over
    patients (`spearman_pictures`, `spearman_patients`), the share of the worst
    tenth of the pictures that is among the tenth of lowest agreement
    (`worst_tenth_found`; 0.1 by chance), and `calibration`: intercept and slope
    of a patient's Dice over the agreement, by structure.
    """
    weighted = table.assign(sure=table["agreement"] * table["both"])
    sums = weighted.groupby("patient")[["sure", "both"]].sum()
    agreement, true = sums["sure"] / sums["both"], patient_dice(table)
    tenth = max(1, len(table) // 10)
    worst, doubted = (set(table[name].nsmallest(tenth).index) for name in ("dice", "agreement"))
    slope, intercept = np.polyfit(agreement, true, 1) if agreement.std() > 0 else (1.0, 0.0)
    return {
        "spearman_pictures": _rounded(table["agreement"].corr(table["dice"], "spearman")),
        "spearman_patients": _rounded(agreement.corr(true, "spearman")),
        "worst_tenth_found": round(len(worst & doubted) / tenth, 3),
        "calibration": {str(LV): [round(float(intercept), 4), round(float(slope), 4)]},
    }


def markdown_table(summaries: Mapping[str, Mapping[str, object]]) -> str:
    """Cross-validation summaries of several networks as one table for a README or a note."""
    lines = [
        "| network | patient Dice | median | worst (patient) | picture Dice | base / middle / apex | pixel accuracy | APD px | HD95 px | missed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, summary in summaries.items():
        patients: dict = summary["patients"]  # type: ignore[assignment]
        pictures: dict = summary["pictures"]  # type: ignore[assignment]
        parts: dict = summary["parts"]  # type: ignore[assignment]
        thirds = " / ".join(f"{parts[k]['dice_mean']:.3f}" for k in ("base", "middle", "apex"))
        lines.append(
            f"| {name} | {patients['dice_mean']:.3f} | {patients['dice_median']:.3f} "
            f"| {patients['dice_worst']:.3f} ({patients['worst']}) | {pictures['dice_mean']:.3f} "
            f"| {thirds} | {pictures['pixel_accuracy']:.4f} | {pictures['apd_px']:.2f} "
            f"| {pictures['hd95_px']:.2f} | {pictures['missed']} |"
        )
    return "\n".join(lines)


def _means(rows: pd.DataFrame) -> dict[str, float | int | None]:
    figures: dict[str, float | int | None] = {
        "count": len(rows),
        "dice_mean": round(float(rows["dice"].mean()), 4),
        "dice_median": round(float(rows["dice"].median()), 4),
        "pixel_accuracy": round(float(rows["pixel_accuracy"].mean()), 5),
        "missed": int(rows["apd_px"].isna().sum()),
    }
    for name in ("apd_px", "hd95_px", "apd_mm", "hd95_mm"):
        known = rows[name].dropna()
        figures[name] = round(float(known.mean()), 3) if len(known) else None
    return figures


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


def _thirds(slices: pd.Series) -> pd.Series:
    order = {value: k for k, value in enumerate(sorted(slices.unique()))}
    third = slices.map(lambda value: 3 * order[value] // len(order))
    return third.map({0: "base", 1: "middle", 2: "apex"})


def _one(mask: NDArray[np.bool_]) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None]
