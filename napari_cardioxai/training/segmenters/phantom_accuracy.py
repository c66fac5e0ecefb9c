"""How far measurements are from the truth, on hearts whose truth is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.anatomy.agreement import dice
from napari_cardioxai.anatomy.base import beyond_base, without_pictures
from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.anatomy.volumes import LV, MYO, RV
from napari_cardioxai.errors import CohortError, MeasurementError
from napari_cardioxai.phantom.rasterise import cut_as_readers_do, rasterise
from napari_cardioxai.phantom.spec import BUILT_IN, CohortSpec
from napari_cardioxai.phantom.subject import Subject, draw_subject
from napari_cardioxai.phantom.truth import analytic_truth
from napari_cardioxai.progress import Progress, silent

if TYPE_CHECKING:  # torch comes with it
    from napari_cardioxai.bundles.segmenter import Segmenter

SEED = 2**32 + 1
"""Beyond every seed that `cohorts.phantom_slices` draws its hearts with: no segmenter saw these."""

FRAMES = (15, 20, 25, 30, 50)
SNRS = (10.0, 20.0, 40.0)
USUAL_FRAMES, USUAL_SNR = 30, 20.0
AHA_SEGMENTS = 16
RELATIVE = {  # name of the error in %, measurement
    "edv_percent": "edv_ml",
    "lvm_percent": "lvm_g",
    "per_percent": "per_ml_s",
    "pfr_percent": "pfr_ml_s",
    "pafr_percent": "pafr_ml_s",
}
IN_POINTS = {"ef_points": "ef_percent", "rv_ef_points": "rv_ef_percent"}
STRUCTURES = {"lv": LV, "myo": MYO, "rv": RV}

Labeller = Callable[[Subject], NDArray[np.uint8]]


@dataclass(frozen=True)
class Error:
    """Measured minus true.

    Attributes
    ----------
    bias, sd
        Mean and standard deviation.
    median_absolute
        Median of the absolute errors.
    count
        How many were measured: hearts, or wall segments at end-diastole and
        end-systole. An atrial rate that cannot be separated is left out.
    """

    bias: float
    sd: float
    median_absolute: float
    count: int

    @classmethod
    def of(cls, errors: Sequence[float]) -> Error:
        """From the errors themselves, at least one."""
        found = np.asarray(errors, float)
        sd = float(found.std(ddof=1)) if len(found) > 1 else 0.0
        return cls(float(found.mean()), sd, float(np.median(np.abs(found))), len(found))


@dataclass(frozen=True)
class Accuracy:
    """Errors under one condition.

    Attributes
    ----------
    source
        "labels", "labels as readers draw" or "images".
    frames
        Per cycle.
    snr
        Of the images; None where true labels were measured.
    subjects, unmeasured
        How many hearts, and in how many of them no ventricle was found.
    errors
        `edv_percent, lvm_percent, per_percent, pfr_percent, pafr_percent` in % of
        the truth, `ef_points, rv_ef_points` in points of %, `es_frames` (around the
        cycle) and `thickness_mm` (per AHA segment). What is never measured is left out.
    dice
        Mean over hearts of each structure's Dice over the whole cine, keys
        `lv, myo, rv`; against outlines as readers cut them at the base.
    flicker
        Voxels that change from frame to frame, over those of the truth, mean
        over hearts; None for true labels.
    """

    source: str
    frames: int
    snr: float | None
    subjects: int
    unmeasured: int
    errors: dict[str, Error]
    dice: dict[str, float]
    flicker: float | None

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name."""
        return asdict(self)


def label_accuracy(
    *,
    frames: int = USUAL_FRAMES,
    subjects: int,
    spec: CohortSpec | None = None,
    as_readers: bool = False,
    seed: int = SEED,
    on_progress: Progress = silent,
) -> Accuracy:
    """Errors of measuring noise-free rasterised phantoms: those of pixels, slices and frames alone.

    Parameters
    ----------
    frames
        Per cycle.
    subjects
        How many hearts; a multiple of the classes gives each its share.
    spec
        The cohort, `mixed` by default: full stacks at 1.25 x 1.25 x 8 mm.
    as_readers
        Take the cavity of a basal slice whole or not at all, as readers and the
        segmenters that learn from them do, instead of cutting it at the valve.
    """
    cohort = replace(spec or BUILT_IN["mixed"], frames=frames)
    source = "labels as readers draw" if as_readers else "labels"
    label: Labeller = _as_readers_draw if as_readers else Subject.labels
    return _accuracy(source, cohort, label, subjects, seed, on_progress=on_progress)


def image_accuracy(
    segmenter: Segmenter,
    *,
    frames: int = USUAL_FRAMES,
    snr: float = USUAL_SNR,
    subjects: int,
    seed: int = SEED,
    on_progress: Progress = silent,
) -> Accuracy:
    """Errors of the whole way: images of `mixed` phantoms, segmented and measured.

    Parameters
    ----------
    segmenter
        What labels the images; Dice is given of the structures that it knows.
    frames, snr
        Per cycle, and the signal of blood over the noise.
    subjects
        As for `label_accuracy`.
    """
    cohort = replace(BUILT_IN["mixed"], frames=frames, snr=snr)
    known = {k: v for k, v in STRUCTURES.items() if v in segmenter.card.structures.values()}

    def label(subject: Subject) -> NDArray[np.uint8]:
        return segmenter.label(subject.images(), spacing_mm=subject.grid.geometry.spacing_mm)

    return _accuracy("images", cohort, label, subjects, seed, judged=known, on_progress=on_progress)


def accuracy_table(
    segmenter: Segmenter | None,
    *,
    subjects: int,
    seed: int = SEED,
    on_progress: Progress = silent,
) -> list[Accuracy]:
    """True labels over frame counts, then images over frame counts and SNR as scanners have them.

    One row of labels as readers draw them tells how much of the images' errors
    is a matter of definition.

    Parameters
    ----------
    segmenter
        None: true labels only.
    subjects
        Hearts a row; the same in every row.
    """
    rows = [label_accuracy(frames=n, subjects=subjects, seed=seed) for n in FRAMES]
    rows.append(label_accuracy(subjects=subjects, seed=seed, as_readers=True))
    if segmenter is None:
        return rows
    conditions = [(n, USUAL_SNR) for n in FRAMES]
    conditions += [(USUAL_FRAMES, snr) for snr in SNRS if snr != USUAL_SNR]
    whole = len(conditions) * subjects
    for row, (frames, snr) in enumerate(conditions):
        report = _part_of(on_progress, before=row * subjects, whole=whole)
        rows.append(
            image_accuracy(
                segmenter, frames=frames, snr=snr, subjects=subjects, seed=seed, on_progress=report
            )
        )
    return rows


def _part_of(on_progress: Progress, *, before: int, whole: int) -> Progress:
    """Progress of one row as that of the whole table."""

    def report(done: int, total: int, what: str) -> None:
        on_progress(before + done, whole, what)

    return report


def _accuracy(
    source: str,
    spec: CohortSpec,
    label: Labeller,
    subjects: int,
    seed: int,
    *,
    judged: Mapping[str, int] | None = None,
    on_progress: Progress,
) -> Accuracy:
    if subjects < 1:
        raise CohortError("accuracy needs at least one phantom; ask for more subjects.")
    errors: dict[str, list[float]] = {}
    overlaps: dict[str, list[float]] = {name: [] for name in judged or ()}
    flickers: list[float] = []
    unmeasured = 0
    on_progress(0, subjects, "phantoms")
    for index in range(subjects):
        subject = draw_subject(spec, seed=seed, index=index)
        data = label(subject)
        labels = Labels(data, subject.grid.geometry, subject.times_ms, _cycle_ms(subject))
        if judged is not None:
            labels = without_pictures(labels, beyond_base(labels))
            truth = _as_readers_draw(subject)
            for name, structure in judged.items():
                overlaps[name].append(dice(labels.data == structure, truth == structure))
            flickers.append(_flicker(labels.data, truth, list(judged.values())))
        try:
            found = measurement_errors(labels, subject)
        except MeasurementError:  # no ventricle anywhere
            found, unmeasured = {}, unmeasured + 1
        for name, values in found.items():
            errors.setdefault(name, []).extend(values)
        on_progress(index + 1, subjects, "phantoms")
    return Accuracy(
        source=source,
        frames=spec.frames,
        snr=None if judged is None else spec.snr,
        subjects=subjects,
        unmeasured=unmeasured,
        errors={name: Error.of(values) for name, values in errors.items()},
        dice={name: float(np.mean(values)) for name, values in overlaps.items()},
        flicker=float(np.mean(flickers)) if flickers else None,
    )


def measurement_errors(labels: Labels, subject: Subject) -> dict[str, list[float]]:
    """Measured minus analytic truth of one heart, names as in `Accuracy.errors`.

    Raises
    ------
    MeasurementError
        When no voxel is labelled as left-ventricular cavity.
    """
    measured, truth = measure(labels).as_json(), analytic_truth(subject)
    found: dict[str, list[float]] = {}
    for name, key in (*RELATIVE.items(), *IN_POINTS.items()):
        if measured[key] is None or truth[key] is None:
            continue
        error = measured[key] - truth[key]
        found[name] = [100 * error / truth[key] if name in RELATIVE else error]
    if measured["es_frame"] is not None:
        late, frames = measured["es_frame"] - truth["es_frame"], len(labels.data)
        found["es_frames"] = [(late + frames // 2) % frames - frames // 2]
    thickness = [
        wall - truth[f"wall_{when}_mm_{segment + 1:02d}"]
        for when in ("ed", "es")
        for segment, wall in enumerate((measured[f"wall_{when}_mm"] or ())[:AHA_SEGMENTS])
        if wall is not None
    ]
    return found | ({"thickness_mm": thickness} if thickness else {})


def _cycle_ms(subject: Subject) -> float:
    return subject.case.heart.lv.cycle_ms


def _as_readers_draw(subject: Subject) -> NDArray[np.uint8]:
    """Labels whose cavities are whole or absent in basal slices, and no wall round nothing."""
    labels = rasterise(subject.beat, subject.grid, faults=subject.faults, cut=cut_as_readers_do)
    without_cavity = ~(labels == LV).any((2, 3), keepdims=True)
    labels[without_cavity & (labels == MYO)] = 0
    return labels


def _flicker(
    found: NDArray[np.uint8], truth: NDArray[np.uint8], structures: Sequence[int]
) -> float:
    """Voxels that change from frame to frame around the cycle, over those of the truth."""
    changes = []
    for labels in (found, truth):
        seen = np.where(np.isin(labels, structures), labels, 0)
        changes.append(np.count_nonzero(seen != np.roll(seen, 1, axis=0)))
    return changes[0] / changes[1]


_COLUMNS = {
    "edv_percent": "EDV %",
    "ef_points": "EF points",
    "lvm_percent": "mass %",
    "rv_ef_points": "RV EF points",
    "per_percent": "PER %",
    "pfr_percent": "PFR %",
    "pafr_percent": "atrial PFR %",
    "es_frames": "ES frames",
    "thickness_mm": "wall mm",
}


def markdown_table(rows: Sequence[Accuracy]) -> str:
    """Bias ± standard deviation of every figure, one line a condition.

    In brackets: of how many hearts the atrial rate could be separated, where
    not of all.
    """
    known = {name: title for name, title in _COLUMNS.items() if any(name in r.errors for r in rows)}
    judged = any(row.dice for row in rows)
    titles = ["measured from", "frames", *known.values()]
    titles += ["Dice LV / MYO / RV", "flicker"] if judged else []
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in rows:
        noise = "" if row.snr is None else f", SNR {row.snr:g}"
        cells = [f"{row.source}{noise}", str(row.frames)]
        cells += [_cell(row, name) for name in known]
        if judged:
            scores = [f"{row.dice[name]:.3f}" if name in row.dice else "–" for name in STRUCTURES]
            cells.append(" / ".join(scores) if row.dice else "")
            cells.append("" if row.flicker is None else f"{row.flicker:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Accuracy, name: str) -> str:
    error = row.errors.get(name)
    if error is None:
        return "–"
    digits = 2 if name == "thickness_mm" else 1
    bias = f"{error.bias:+.{digits}f}"
    some = name == "pafr_percent" and error.count < row.subjects
    return f"{bias} ± {error.sd:.{digits}f}" + (f" ({error.count})" if some else "")
