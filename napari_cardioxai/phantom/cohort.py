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
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from napari_cardioxai.files import replacing
from napari_cardioxai.phantom.classes import Case, HeartClass, Variation, draw_case
from napari_cardioxai.phantom.dicom import Patient, write_dicom
from napari_cardioxai.phantom.heart import MYOCARDIAL_DENSITY_G_PER_ML, SEGMENTS, Beat
from napari_cardioxai.phantom.images import Look, draw_look, draw_scanner, render
from napari_cardioxai.phantom.rasterise import (
    LV,
    MYO,
    RV,
    SHORT_AXIS_COLUMN,
    SHORT_AXIS_ROW,
    Faults,
    Grid,
    levels_through,
    mask_volume_ml,
    rasterise,
    stack_around,
)
from napari_cardioxai.phantom.volume_curve import PhantomError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.nifti import write_nifti

MANIFEST = "manifest.csv"
SUBJECTS_PER_TASK = 4


@dataclass(frozen=True)
class CohortSpec:
    """What a cohort is like; every field can be set in a TOML or JSON file.

    Attributes
    ----------
    classes
        Names of the classes in turn: subject i gets `classes[i % len(classes)]`.
        Repeat a name for more of it.
    frames
        Frames over the acquired part of the cycle.
    pixel_mm, matrix
        In-plane pixel size in mm and number of pixels (y, x).
    slice_distance_mm
        Distance between the slices of a full stack from apex to base.
    levels
        Instead of a full stack: slices at these fractions of the long axis.
    paired
        Draw one heart for each round of `classes` and give it to all of them: with NOR
        and DIAST, twins that differ in their filling only.
    heart_rate_bpm
        Lowest and highest heart rate, instead of the class's own.
    fused_share
        Part of the hearts with fused early and atrial filling.
    covered
        Part of the cycle that is acquired.
    conserve_myocardium
        Keep the volume of the wall over the cycle; otherwise it grows towards
        end-systole as in readers' contours.
    snr
        Signal of blood over noise in images, instead of one drawn per subject; 0 is none.
    breath_hold_mm
        Standard deviation of each slice's in-plane shift.
    mistriggered_share, missing_share
        Part of the subjects with one slice shifted by 1 to 4 frames, or lost.
    """

    classes: tuple[str, ...] = tuple(HeartClass)
    frames: int = 30
    pixel_mm: float = 1.25
    matrix: tuple[int, int] = (128, 128)
    slice_distance_mm: float = 8.0
    levels: tuple[float, ...] | None = None
    paired: bool = False
    heart_rate_bpm: tuple[float, float] | None = None
    fused_share: float = 0.0
    covered: float = 1.0
    conserve_myocardium: bool = True
    snr: float | None = None
    breath_hold_mm: float = 0.0
    mistriggered_share: float = 0.0
    missing_share: float = 0.0

    def __post_init__(self) -> None:
        known = [str(kind) for kind in HeartClass]
        if unknown := [name for name in self.classes if name not in known]:
            raise PhantomError(
                f"the class {unknown[0]!r} is unknown; choose from {', '.join(known)}."
            )
        if not self.classes or self.frames < 2 or not 0.3 <= self.covered <= 1:
            raise PhantomError(
                "a cohort needs a class, at least 2 frames and at least 0.3 of the cycle covered."
            )
        if self.pixel_mm <= 0 or self.slice_distance_mm <= 0 or min(self.matrix) < 16:
            raise PhantomError(
                "pixel_mm and slice_distance_mm must be positive and the matrix at least 16 x 16."
            )

    @property
    def variation(self) -> Variation:
        """The part that concerns the hearts."""
        return Variation(
            self.heart_rate_bpm, self.fused_share, self.covered, self.conserve_myocardium
        )


BUILT_IN: dict[str, CohortSpec] = {
    # Full stacks of every class, labels without noise: the ground for measurements.
    "mixed": CohortSpec(),
    # Three slices a subject, as latent models of motion take them.
    "three-slices": CohortSpec(frames=25, levels=(0.35, 0.55, 0.75), pixel_mm=1.8, matrix=(80, 80)),
    # Twins of equal EF that only filling rates separate.
    "diastolic": CohortSpec(
        classes=("NOR", "DIAST"),
        paired=True,
        heart_rate_bpm=(50.0, 62.0),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        pixel_mm=1.8,
        matrix=(80, 80),
    ),
    # Weak hearts with and without septal flash.
    "dyssynchrony": CohortSpec(
        classes=("DCM", "LBBB"),
        frames=25,
        levels=(0.35, 0.55, 0.75),
        pixel_mm=1.8,
        matrix=(80, 80),
    ),
}


def read_spec(spec: CohortSpec | Path | str) -> CohortSpec:
    """A specification from its built-in name or from a TOML or JSON file.

    Raises
    ------
    PhantomError
        When it is neither, or a field is unknown or of the wrong kind.
    """
    if isinstance(spec, CohortSpec):
        return spec
    if str(spec) in BUILT_IN:
        return BUILT_IN[str(spec)]
    path = Path(spec)
    if not path.is_file():
        raise PhantomError(
            f"{spec} is neither a file nor one of the built-in cohorts {', '.join(BUILT_IN)}."
        )
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise PhantomError(f"{path} cannot be read as a specification: {error}") from error
    if not isinstance(values, dict):
        raise PhantomError(f"{path} must hold named values such as frames = 30.")
    return _spec_from(values, path)


def _spec_from(values: Mapping[str, Any], path: Path) -> CohortSpec:
    """Build the specification on the one that `base` names, `mixed` by default."""
    values = dict(values)
    base = values.pop("base", "mixed")
    if base not in BUILT_IN:
        raise PhantomError(f"{path}: base {base!r} is none of {', '.join(BUILT_IN)}.")
    known = {f.name: getattr(CohortSpec(), f.name) for f in fields(CohortSpec)}
    for key, value in values.items():
        if key not in known:
            raise PhantomError(f"{path}: {key!r} is unknown; choose from {', '.join(known)}.")
        if not _fits(key, value, known[key]):
            raise PhantomError(f"{path}: {key} cannot be {value!r}.")
    listed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return replace(BUILT_IN[base], **listed)


_PAIRS = ("matrix", "heart_rate_bpm")
_LISTS = ("classes", "levels", *_PAIRS)


def _fits(key: str, value: Any, example: Any) -> bool:
    if key in _LISTS:
        kind: tuple[type, ...] = (str,) if key == "classes" else (int, float)
        right_length = len(value) == 2 if key in _PAIRS and isinstance(value, list) else True
        return isinstance(value, list) and right_length and all(isinstance(v, kind) for v in value)
    if isinstance(example, bool):
        return isinstance(value, bool)
    numbers = (int,) if isinstance(example, int) else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool)


@dataclass(frozen=True)
class Subject:
    """One subject of a cohort, before anything is written.

    Attributes
    ----------
    name
        Such as `s0003`.
    case, grid, faults, look
        The patient, the scan's planes, its faults and its contrast.
    times_ms
        Frame times after the R wave, shape (t,).
    beat
        The heart at those times.
    """

    name: str
    case: Case
    grid: Grid
    faults: Faults
    look: Look
    times_ms: np.ndarray
    beat: Beat

    def labels(self) -> np.ndarray:
        """Labels (t, z, y, x), uint8: 1 LV, 2 myocardium, 3 RV."""
        return rasterise(self.beat, self.grid, faults=self.faults)

    def images(self, *, on_progress: Progress = silent) -> np.ndarray:
        """Images (t, z, y, x), int16."""
        return render(self.beat, self.grid, self.look, faults=self.faults, on_progress=on_progress)


def draw_subject(spec: CohortSpec, *, seed: int, index: int) -> Subject:
    """Subject number `index` of a cohort; depends on nothing but the arguments.

    Parameters
    ----------
    spec
        What the cohort is like.
    seed, index
        Together they are the source of all randomness.
    """
    kind = HeartClass(spec.classes[index % len(spec.classes)])
    draw = index // len(spec.classes) if spec.paired else index
    heart_rng, plane_rng, fault_rng, look_rng = (
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(draw, part)))
        for part in range(4)
    )
    case = draw_case(kind, heart_rng, variation=spec.variation)
    grid = _draw_grid(spec, case, plane_rng)
    times = case.heart.lv.frame_times_ms(spec.frames)
    scanner = draw_scanner(look_rng)
    if spec.snr is not None:
        scanner = replace(scanner, snr=spec.snr)
    return Subject(
        name=f"s{index:04d}",
        case=case,
        grid=grid,
        faults=_draw_faults(spec, len(grid.heights_mm), fault_rng),
        look=draw_look(case.heart, look_rng, septum_deg=grid.septum_deg, scanner=scanner),
        times_ms=times,
        beat=case.heart.beat(times),
    )


def _draw_grid(spec: CohortSpec, case: Case, rng: np.random.Generator) -> Grid:
    septum = float(np.clip(rng.normal(162, 12), 135, 190))
    down, right = np.clip(rng.normal(0, 3, 2), -7, 7)
    first = float(rng.uniform(-4, 4))
    if spec.levels is None:
        grid = stack_around(
            case.heart,
            pixel_mm=spec.pixel_mm,
            matrix=spec.matrix,
            septum_deg=septum,
            slice_distance_mm=spec.slice_distance_mm,
            first_mm=first,
            centre_shift_mm=(float(down), float(right)),
        )
    else:
        grid = levels_through(
            case.heart,
            spec.levels,
            pixel_mm=spec.pixel_mm,
            matrix=spec.matrix,
            septum_deg=septum,
            centre_shift_mm=(float(down), float(right)),
        )
    # Each patient lies a little differently in the scanner.
    turn = Rotation.from_rotvec(rng.normal(0, 0.08, 3))
    row, column = turn.apply([SHORT_AXIS_ROW, SHORT_AXIS_COLUMN])
    position = np.array(grid.position_mm) + rng.normal(0, 10, 3)
    return replace(grid, row=tuple(row), column=tuple(column), position_mm=tuple(position))


def _draw_faults(spec: CohortSpec, slices: int, rng: np.random.Generator) -> Faults:
    shifts = rng.normal(0, 1, (slices, 2)) * spec.breath_hold_mm
    chosen, late = int(rng.integers(slices)), int(rng.integers(1, 5))
    lost = int(rng.integers(slices))
    mistriggered, missing = rng.random(2)
    return Faults(
        shift_mm=tuple(map(tuple, shifts)) if spec.breath_hold_mm > 0 else (),
        late_frames=(
            tuple(late if k == chosen else 0 for k in range(slices))
            if mistriggered < spec.mistriggered_share
            else ()
        ),
        missing=(lost,) if missing < spec.missing_share else (),
    )


# -- truth ------------------------------------------------------------------------------------


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
    truth["ed_frame"], truth["es_frame"] = int(np.argmax(curve)), int(np.argmin(curve))
    truth["lvm_g"] = heart.mass_g
    for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent", "per_ml_s", "pfr_ml_s", "pafr_ml_s"):
        truth[f"rv_{name}"] = getattr(right, name)
    for when, values in zip(("ed", "es"), still, strict=True):
        truth[f"max_wt_{when}_mm"] = float(values.max())
        for segment in range(SEGMENTS):
            truth[f"wt_{when}_mm_{segment + 1:02d}"] = float(values[segment])
    truth["septal_flash_mm"] = None
    truth["lateral_delay_ms"] = None
    if heart.dyssynchrony is not None:
        truth["septal_flash_mm"] = _flash_mm(case)
        truth["lateral_delay_ms"] = heart.lateral_delay_ms
    return truth


def _flash_mm(case: Case) -> float:
    """Largest inward motion of the septum at 60 to 120 ms after the R wave."""
    early = case.heart.beat(np.arange(60.0, 121.0, 2.0))
    return float(-early.septal_displacement_mm().min())


def mask_truth(labels: np.ndarray, grid: Grid) -> dict[str, float]:
    """What counting the voxels of the labels gives, frame by frame extremes."""
    left, wall, right = (mask_volume_ml(labels, grid, s) for s in (LV, MYO, RV))
    found = {"lvm_g": MYOCARDIAL_DENSITY_G_PER_ML * float(wall[np.argmax(left)])}
    for prefix, curve in (("", left), ("rv_", right)):
        edv, esv = float(curve.max()), float(curve.min())
        found |= {f"{prefix}edv_ml": edv, f"{prefix}esv_ml": esv, f"{prefix}sv_ml": edv - esv}
        found[f"{prefix}ef_percent"] = 100 * (edv - esv) / edv if edv else 0.0
    return found


# -- writing ------------------------------------------------------------------------------------


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
    `_true` and what the label masks give with the suffix `_mask`. It is written
    last; when the work is cancelled or fails, the files of this run are removed.

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
    job = _Job(cohort, out_dir, seed, images, dicom)
    manifest = out_dir / MANIFEST
    rows: dict[int, dict[str, Any]] = {}
    try:
        on_progress(0, subjects, "subjects")
        for index, row in _rows(job, subjects, workers or os.cpu_count() or 1):
            rows[index] = row
            on_progress(len(rows), subjects, "subjects")
        with replacing(manifest) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            ordered = [rows[index] for index in range(subjects)]
            writer = csv.DictWriter(file, list(ordered[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(ordered)
    except BaseException:
        for index in range(subjects):
            job.remove(index)
        raise
    return manifest


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
            "height_cm": subject.case.height_cm,
            "weight_kg": subject.case.weight_kg,
        }
        row |= {f"{key}_true": _shown(value) for key, value in analytic.items()}
        return row | {f"{key}_mask": _shown(value) for key, value in mask.items()}

    def remove(self, index: int) -> None:
        """Take away what `write` has made."""
        name = f"s{index:04d}"
        folder = self.out_dir / "dicom" / name
        for file in (self._labels(name), self._image(name), self._truth(name)):
            (self.out_dir / file).unlink(missing_ok=True)
        for path in folder.glob("IM-*.dcm"):
            path.unlink()
        for empty in (folder, *(self.out_dir / n for n in ("dicom", "labels", "images", "truth"))):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()

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


def _rows(job: _Job, subjects: int, workers: int) -> Iterator[tuple[int, dict[str, Any]]]:
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


def _work(job: _Job, indices: list[int]) -> list[tuple[int, dict[str, Any]]]:
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
