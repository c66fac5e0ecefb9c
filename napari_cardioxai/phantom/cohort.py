"""Many phantom subjects with their truth, on disk.

A specification says what the hearts and the scans are like; subject number
`i` of a seed is the same to the bit however many others are made with it and
on however many cores.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_cardioxai.files import check_folder_place, replacing, replacing_files_in
from napari_cardioxai.phantom.answers import draw_answer
from napari_cardioxai.phantom.dicom import Patient, write_dicom
from napari_cardioxai.phantom.rasterise import LV, MYO, RV, mask_volume_ml
from napari_cardioxai.phantom.spec import BUILT_IN, CohortSpec, read_spec
from napari_cardioxai.phantom.subject import ANSWER, Subject, draw_subject, source
from napari_cardioxai.phantom.truth import analytic_truth, mask_truth
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.nifti import write_nifti

__all__ = ["BUILT_IN", "CohortSpec", "Subject", "draw_subject", "generate", "read_spec"]

MANIFEST = "manifest.csv"
SUBJECTS_PER_TASK = 4


def generate(
    spec: CohortSpec | Path | str,
    out_dir: Path,
    *,
    subjects: int,
    seed: int,
    images: bool = False,
    dicom: bool = False,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> Path:
    """Write a cohort: `labels/`, `truth/`, optionally `images/` and `dicom/`, and `manifest.csv`.

    The manifest has the columns `subject, labels, scan, class` (paths relative
    to it, `scan` empty without images), every analytic truth with the suffix
    `_true` and what the label masks give with the suffix `_mask`. When the work
    is cancelled or fails, nothing of it stays and a former cohort is untouched.

    Parameters
    ----------
    spec
        A specification, its file, or the name of a built-in one (`BUILT_IN`).
    out_dir
        Folder to write into; made when missing.
    subjects, seed
        How many, and the source of all randomness.
    images, dicom
        Whether to simulate images, and to export them as a scanner would.
    workers
        Processes; by default one per core. The result does not depend on it.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    PhantomError
        When the specification is wrong.
    OutputError
        When the folder cannot be written to.
    Cancelled
        From within `on_progress`.
    """
    cohort = read_spec(spec)
    if subjects < 1 or seed < 0:
        raise PhantomError("a cohort needs at least one subject and a seed of 0 or more.")
    out_dir = Path(out_dir)
    check_folder_place(out_dir)
    rows: dict[int, dict[str, Any]] = {}
    with replacing_files_in(out_dir) as beside:
        job = _Job(cohort, beside, seed, images, dicom)
        on_progress(0, subjects, "subjects")
        for index, row in written_rows(job, subjects, workers or os.cpu_count() or 1):
            rows[index] = row
            on_progress(len(rows), subjects, "subjects")
        ordered = [rows[index] for index in range(subjects)]
        with (beside / MANIFEST).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ordered[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(ordered)
        # A former export of the same subject may have more pictures.
        for folder in (beside / "dicom").glob("*"):
            for picture in (out_dir / "dicom" / folder.name).glob("IM-*.dcm"):
                picture.unlink()
    return out_dir / MANIFEST


@dataclass(frozen=True)
class _Job:
    """What a worker needs to make any subject."""

    spec: CohortSpec
    out_dir: Path
    seed: int
    images: bool
    dicom: bool

    def write(self, index: int) -> dict[str, Any]:
        """Make one subject, write its files and return its row of the manifest."""
        subject = draw_subject(self.spec, seed=self.seed, index=index)
        labels = subject.labels()
        geometry, cycle_ms = subject.grid.geometry, subject.case.heart.lv.cycle_ms
        timing: dict[str, Any] = {"frame_times_ms": subject.times_ms, "cycle_ms": cycle_ms}
        write_nifti(self.out_dir / self._labels(subject.name), labels, geometry, **timing)
        scan = self._write_scan(subject, timing)
        analytic, mask = analytic_truth(subject), mask_truth(labels, subject.grid)
        self._write_truth(subject, labels, analytic, mask)
        row: dict[str, Any] = {
            "subject": subject.name,
            "labels": self._labels(subject.name),
            "scan": scan,
            "class": str(subject.case.kind),
        }
        row |= self._answer(subject, analytic, index)
        row |= {"height_cm": subject.case.height_cm, "weight_kg": subject.case.weight_kg}
        row |= {f"{key}_true": _shown(value) for key, value in analytic.items()}
        return row | {f"{key}_mask": _shown(value) for key, value in mask.items()}

    def _answer(self, subject: Subject, truth: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Columns of a labelled cohort: 0, 1 or empty for what cannot be said."""
        if not self.spec.labelling:
            return {}
        rng = source(self.spec, ANSWER, seed=self.seed, index=index)
        answer = draw_answer(self.spec.labelling, subject.case, truth, rng)
        asked = {"label": answer.label, **answer.concepts}
        shown = {name: "" if yes is None else int(yes) for name, yes in asked.items()}
        return {"split": answer.split, **shown}

    @staticmethod
    def _labels(name: str) -> str:
        return f"labels/{name}.nii.gz"

    @staticmethod
    def _image(name: str) -> str:
        return f"images/{name}.nii.gz"

    @staticmethod
    def _truth(name: str) -> str:
        return f"truth/{name}.json"

    def _write_scan(self, subject: Subject, timing: Mapping[str, Any]) -> str:
        """Images as asked for; returns what the manifest says."""
        if not (self.images or self.dicom):
            return ""
        picture = subject.images()
        if self.dicom:
            patient = Patient(subject.name, subject.case.height_cm, subject.case.weight_kg)
            write_dicom(
                self.out_dir / "dicom" / subject.name,
                picture,
                subject.grid,
                times_ms=subject.times_ms,
                cycle_ms=timing["cycle_ms"],
                patient=patient,
                scanner=subject.look.scanner,
                seed=self.seed,
                faults=subject.faults,
            )
        if not self.images:
            return f"dicom/{subject.name}"
        write_nifti(
            self.out_dir / self._image(subject.name), picture, subject.grid.geometry, **timing
        )
        return self._image(subject.name)

    def _write_truth(
        self,
        subject: Subject,
        labels: np.ndarray,
        analytic: Mapping[str, Any],
        mask: Mapping[str, Any],
    ) -> None:
        """Curves, wall thickness of every slice, and what was done to the heart."""
        heart, times = subject.case.heart, subject.times_ms
        thickness = subject.beat.wall_thickness_mm(np.array(subject.grid.heights_mm))
        content = {
            "class": str(subject.case.kind),
            "details": subject.case.details,
            "note": heart.lv.truth().note,
            "faults": asdict(subject.faults),
            "scanner": asdict(subject.look.scanner),
            "frame_times_ms": _listed(times),
            "volume_ml": _listed(heart.lv.volume_ml(times)),
            "rv_volume_ml": _listed(heart.rv.volume_ml(times)),
            "volume_ml_mask": _listed(mask_volume_ml(labels, subject.grid, LV)),
            "rv_volume_ml_mask": _listed(mask_volume_ml(labels, subject.grid, RV)),
            "myocardium_ml_mask": _listed(mask_volume_ml(labels, subject.grid, MYO)),
            # (t, z, 6): AHA order of sectors, null where the slice has no whole wall.
            "wall_thickness_mm": _listed(thickness),
            "analytic": dict(analytic),
            "mask": dict(mask),
        }
        with replacing(self.out_dir / self._truth(subject.name)) as beside:
            beside.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _shown(value: Any) -> Any:
    """A value for the manifest: four decimals, empty for None."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else value


def _listed(values: np.ndarray) -> Any:
    """Nested lists with four decimals, None for NaN."""
    rounded = np.round(values, 4).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()


class Job(Protocol):
    """Makes any subject of a cohort; is sent to other processes."""

    def write(self, index: int) -> dict[str, Any]:
        """Make one subject, write its files and return its row of the manifest."""


def written_rows(job: Job, subjects: int, workers: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows as they are ready, in any order."""
    if workers <= 1 or subjects == 1:
        for index in range(subjects):
            yield index, job.write(index)
        return
    starts = range(0, subjects, SUBJECTS_PER_TASK)
    tasks = [range(k, min(k + SUBJECTS_PER_TASK, subjects)) for k in starts]
    context = multiprocessing.get_context("spawn")
    with _one_thread_each():
        pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context)
        try:
            waiting: set[Future[list[tuple[int, dict[str, Any]]]]] = {
                pool.submit(_work, job, list(task)) for task in tasks
            }
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _work(job: Job, indices: list[int]) -> list[tuple[int, dict[str, Any]]]:
    return [(index, job.write(index)) for index in indices]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let each worker process compute on one thread: the processes already fill the cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
