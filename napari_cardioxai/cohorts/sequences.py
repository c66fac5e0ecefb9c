"""All sequences of a cohort in one array, and why some subjects have none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_cardioxai.anatomy.label_files import read_labels
from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.anatomy.quality import RULES
from napari_cardioxai.anatomy.quality.facts import Facts, NotApplicableError
from napari_cardioxai.anatomy.volumes import LV
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.normalisation import (
    NormalisationSpec,
    NormalisedCine,
    normalise_labels,
    normalise_pictures,
)
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.errors import CardioxaiError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan

# Technical warnings after which a sequence does not show what it claims to: values that
# are swapped, a curve that does not close (Clough et al. 2019 leave those out) or that jumps.
EXCLUDING_RULES = ("label_convention", "cycle_closure", "volume_jump")
CACHE_VERSION = 1  # goes up when the same files give another sequence

Reads = Literal["labels", "images"]
DTYPES: dict[Reads, np.dtype[Any]] = {"labels": np.dtype(np.uint8), "images": np.dtype(np.float16)}
"""Of labels, and of intensities: a scan's noise is coarser than what half precision loses."""

_Task = tuple[Path | None, Path | None, NormalisationSpec, Reads]


@dataclass(frozen=True)
class Sequences:
    """Normalised cines of many subjects.

    Attributes
    ----------
    data
        Shape (N, T, 3, y, x): labels, values 0 to 3, uint8, or intensities of
        mean 0 and standard deviation 1, float16. Read from disk where it is
        used when it was cached.
    subjects
        Whose they are, in the order asked for.
    failed
        Every subject that has none, and the reason.
    """

    data: NDArray
    subjects: list[str]
    failed: dict[str, str]


def load_sequences(
    manifest: Manifest,
    subjects: Sequence[str],
    spec: NormalisationSpec,
    *,
    reads: Reads = "labels",
    cache: Path | None = None,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> Sequences:
    """Read and normalise the labels of a cohort, or its scans, on every core.

    Parameters
    ----------
    manifest, subjects
        Whose labels; every subject ends in `subjects` or in `failed`.
    spec
        What sequences are like.
    reads
        "labels", or "images": the intensities of the scans, which the labels place.
    cache
        Folder for the result. It is read from there as long as neither spec nor
        files (size and time of change) are others.
    workers
        Processes; by default one per core. The result does not depend on it.

    Raises
    ------
    CohortError
        When a subject is not in the manifest.
    OutputError
        When the cache cannot be written.
    Cancelled
        From within `on_progress`; nothing is cached then.
    """
    tasks: list[_Task] = [
        (
            manifest.labels_path(subject),
            manifest.scan_path(subject) if reads == "images" else None,
            spec,
            reads,
        )
        for subject in subjects
    ]
    kind = DTYPES[reads]
    results = each_in_order(
        _load, tasks, what="sequences", workers=workers, on_progress=on_progress
    )
    if cache is None:
        data = np.empty((len(tasks), *spec.shape), kind)
        kept, failed = _sort(zip(subjects, results, strict=True), data)
        return Sequences(data[: len(kept)], kept, failed)
    file = Path(cache) / f"sequences-{_name(subjects, tasks, spec)}.npy"
    state = _state(tasks)
    cached = _read(file, spec, state, kind)
    if cached is not None:
        return cached
    with replacing(file) as beside, beside.open("wb") as stream:
        _write_header(stream, (len(tasks), *spec.shape), kind)
        kept, failed = _sort(zip(subjects, results, strict=True), stream)
        stream.seek(0)
        _write_header(stream, (len(kept), *spec.shape), kind)
    about = {"state": state, "subjects": kept, "failed": failed}
    with replacing(file.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    return Sequences(_mapped(file, len(kept), spec, kind), kept, failed)


def why_unfit(labels: Labels) -> str | None:
    """The technical fault for which a subject is left out, or None.

    See Also
    --------
    EXCLUDING_RULES
    """
    facts = Facts(labels)
    for rule in RULES:
        if rule.key not in EXCLUDING_RULES:
            continue
        try:
            findings = rule.judge(facts)
        except NotApplicableError:
            continue
        for finding in findings:
            # The right ventricle is labelled less surely, and does not decide.
            about_lv = finding.structure in (None, LV)
            if not finding.passed and finding.severity == "warning" and about_lv:
                return finding.sentence
    return None


def fitting_cine(labels: Labels, spec: NormalisationSpec, *, model: str) -> NormalisedCine:
    """Labels as a trained model reads them; one door for all that asks a model about a heart.

    Parameters
    ----------
    labels
        A whole cycle of a short-axis stack.
    spec
        Of the model.
    model
        Its name, for the message.

    Raises
    ------
    CohortError
        When they cannot be normalised, have a technical fault, or lack a
        structure: an answer about such labels would be one about the fault.
    """
    cine = normalise_labels(labels, spec)
    if fault := why_unfit(labels):
        raise CohortError(f"these labels do not fit {model}: {fault}")
    if lost := [name for value, name in STRUCTURE_NAMES.items() if not (cine.data == value).any()]:
        raise CohortError(
            f"these labels hold no {' and no '.join(lost)} in the slices that {model} reads; it "
            "needs all structures, so label them first."
        )
    return cine


def load_sequence(path: Path | None, spec: NormalisationSpec) -> NDArray[np.uint8] | str:
    """The sequence of one label file, shape (T, 3, y, x), or the reason why there is none."""
    if path is None:
        return "the manifest names no labels; segment the scan first."
    try:
        labels = read_labels(path)
        return why_unfit(labels) or normalise_labels(labels, spec).data
    except CardioxaiError as error:
        return str(error)


def load_pictures(
    labels: Path | None, scan: Path | None, spec: NormalisationSpec
) -> NDArray[np.float16] | str:
    """A scan's sequence of intensities, shape (T, 3, y, x), or the reason why there is none."""
    if labels is None or scan is None:
        missing = "scan" if labels is not None else "labels"
        return f"the manifest names no {missing}; a model of images needs the scan and its labels."
    try:
        drawn = read_labels(labels)
        fault = why_unfit(drawn)
        pictures = fault or normalise_pictures(load_scan(scan).data, drawn, spec).data
    except CardioxaiError as error:
        return str(error)
    return pictures if isinstance(pictures, str) else pictures.astype(np.float16)


def _load(task: _Task) -> NDArray | str:
    labels, scan, spec, reads = task
    return load_sequence(labels, spec) if reads == "labels" else load_pictures(labels, scan, spec)


def _sort(
    results: Iterator[tuple[str, NDArray | str]], into: NDArray | BinaryIO
) -> tuple[list[str], dict[str, str]]:
    """Put sequences one after the other; who has one, and why the others have none."""
    kept: list[str] = []
    failed: dict[str, str] = {}
    for subject, result in results:
        if isinstance(result, str):
            failed[subject] = result
            continue
        if isinstance(into, np.ndarray):
            into[len(kept)] = result
        else:
            into.write(result.tobytes())
        kept.append(subject)
    return kept, failed


# The cache -------------------------------------------------------------------


def _name(subjects: Sequence[str], tasks: Sequence[_Task], spec: NormalisationSpec) -> str:
    """What is kept: the same for one cohort and spec, so that what is out of date is replaced."""
    whose = [[name, *map(str, _files(task))] for name, task in zip(subjects, tasks, strict=True)]
    return _digest([asdict(spec), whose])


def _files(task: _Task) -> tuple[Path | None, ...]:
    labels, scan, _, reads = task
    return (labels,) if reads == "labels" else (labels, scan)


def _state(tasks: Sequence[_Task]) -> str:
    """What it was made from: size and time of change of every file."""
    files: list[Any] = []
    for path in (path for task in tasks for path in _files(task)):
        try:
            found = None if path is None else path.stat()
        except OSError:
            found = None
        files.append(None if found is None else [found.st_size, found.st_mtime_ns])
    return _digest([CACHE_VERSION, files])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


def _read(file: Path, spec: NormalisationSpec, state: str, kind: np.dtype[Any]) -> Sequences | None:
    """What is kept in `file`, or None where it is missing, broken or out of date."""
    try:
        about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        if about["state"] != state:
            return None
        data = _mapped(file, len(about["subjects"]), spec, kind)
        return Sequences(data, list(about["subjects"]), dict(about["failed"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(file: Path, count: int, spec: NormalisationSpec, kind: np.dtype[Any]) -> NDArray:
    shape = (count, *spec.shape)
    if count == 0:  # an empty file cannot be mapped
        return np.empty(shape, kind)
    data = np.load(file, mmap_mode="r", allow_pickle=False)
    if data.shape != shape or data.dtype != kind:
        raise ValueError("not the array that was written")
    return data


def _write_header(stream: BinaryIO, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    """The format leaves room for the first axis, so a header can be written again in place."""
    npy.write_array_header_1_0(
        stream, {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    )
