"""Images in folders named by their class, as a manifest, and their pixels as one array."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.cohorts.image_input import InputSpec, prepare_scan
from napari_cardioxai.cohorts.manifest import CLASS, SCAN, SUBJECT, Manifest, read_manifest
from napari_cardioxai.cohorts.parallel import each_in_order
from napari_cardioxai.errors import CardioxaiError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.images import is_picture
from napari_cardioxai.scans.listing import in_natural_order
from napari_cardioxai.scans.nifti import is_nifti
from napari_cardioxai.scans.scan import Scan

_DICOM_SUFFIXES = ("", ".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class Images:
    """Inputs of many images.

    Attributes
    ----------
    data
        Intensities about 0 to 1, shape (n, *size), float16: finer than 8-bit
        pictures, and half of the memory.
    subjects
        Whose they are, in the order asked for.
    failed
        Every subject that has none, and the reason.
    """

    data: NDArray[np.float16]
    subjects: list[str]
    failed: dict[str, str]


def find_pictures(folder: Path) -> Manifest:
    """Images in folders named by their class.

    Parameters
    ----------
    folder
        Has one folder for each class, with PNG, JPEG, NPY, NIfTI or DICOM
        files (CR, DX and other single pictures; one file an image) at any
        depth. Other files, and files directly in `folder`, are passed over.

    Returns
    -------
    Manifest
        Subjects are paths below the folder without suffix, such as
        `glioma/1841`; columns `scan` (absolute) and `class`. Nothing is
        written: its `path` is `folder/manifest.csv`, which need not exist.

    Raises
    ------
    CohortError
        When there are fewer than two folders with images, or two images differ
        by their suffix only.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise CohortError(f"{folder} is no folder; give one that holds a folder for each class.")
    rows: dict[str, tuple[str, str]] = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for file in in_natural_order(p for p in place.rglob("*") if _is_image(p)):
            name = _stem(file.relative_to(folder))
            if name in rows:
                raise CohortError(
                    f"{file.name} and {Path(rows[name][0]).name} in {place.name} differ by their "
                    "suffix only; keep one of them."
                )
            rows[name] = (str(file), place.name)
    classes = {kind for _, kind in rows.values()}
    if len(classes) < 2:
        raise CohortError(
            f"{folder} has images in {len(classes)} of its folders; there must be a folder of "
            "images for each of two or more classes."
        )
    index = pd.Index(list(rows), name=SUBJECT, dtype=object)
    table = pd.DataFrame(list(rows.values()), index=index, columns=[SCAN, CLASS], dtype=object)
    return Manifest(folder / "manifest.csv", table)


def write_manifest(
    path: Path, manifest: Manifest, columns: Mapping[str, Sequence[object]]
) -> Manifest:
    """Write images with further columns as a manifest, scans relative to it where possible.

    Parameters
    ----------
    path
        CSV file.
    manifest
        As `find_pictures` made it.
    columns
        Values for every subject in its order, such as `split` and `group`.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    path = Path(path).resolve()
    table = manifest.table.copy()
    for name, values in columns.items():
        table[name] = pd.Series(list(values), index=table.index)
    scans = [Path(os.path.relpath(scan, path.parent)).as_posix() for scan in table[SCAN]]
    table[SCAN] = scans
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([SUBJECT, *table.columns])
        writer.writerows(
            [[name, *row] for name, row in zip(table.index, table.to_numpy(), strict=True)]
        )
    return read_manifest(path)


def read_picture(path: Path) -> Scan:
    """One image of whatever format.

    Raises
    ------
    ScanError
        When it cannot be read.
    """
    return load_scan(path)


def load_images(
    manifest: Manifest,
    subjects: Sequence[str],
    spec: InputSpec,
    *,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> Images:
    """Read the scans of a cohort and bring them to a classifier's input, on every core.

    Parameters
    ----------
    manifest, subjects
        Whose scans; every subject ends in `subjects` or in `failed`.
    spec
        What inputs are like.
    workers
        Processes; by default one per core. The result does not depend on it.

    Raises
    ------
    CohortError
        When a subject is not in the manifest.
    Cancelled
        From within `on_progress`.
    """
    tasks = [(manifest.scan_path(subject), spec) for subject in subjects]
    data = np.empty((len(tasks), *spec.size), np.float16)
    kept: list[str] = []
    failed: dict[str, str] = {}
    results = each_in_order(_load, tasks, what="images", workers=workers, on_progress=on_progress)
    for subject, result in zip(subjects, results, strict=True):
        if isinstance(result, str):
            failed[subject] = result
        else:
            data[len(kept)] = result
            kept.append(subject)
    return Images(data[: len(kept)], kept, failed)


def class_indices(
    manifest: Manifest, subjects: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The class of each subject as an index.

    Parameters
    ----------
    manifest, subjects
        Whose; the manifest needs a column `class`.
    classes
        Names in the order of the indices; sorted ones of the whole manifest by
        default, so that every split counts alike.

    Raises
    ------
    CohortError
        When there is no such column, a cell is blank, or a class is not among those given.
    """
    if CLASS not in manifest.table:
        raise CohortError(f"{manifest.path.name} has no column {CLASS!r}.")
    column = manifest.table[CLASS]
    names = tuple(classes) if classes is not None else tuple(sorted(set(column.dropna())))
    found = column.reindex(list(subjects))
    for subject, name in found.items():
        if name not in names:
            said = "blank" if pd.isna(name) else repr(name)
            raise CohortError(
                f"{manifest.path.name}: the class of {subject} is {said}; known are "
                f"{', '.join(names)}."
            )
    return np.array([names.index(name) for name in found], np.int64), names


def _load(task: tuple[Path | None, InputSpec]) -> NDArray[np.float16] | str:
    path, spec = task
    if path is None:
        return "the manifest names no scan."
    try:
        return prepare_scan(read_picture(path), spec).data.astype(np.float16)
    except CardioxaiError as error:
        return str(error)


def _is_image(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    if is_picture(path) or is_nifti(path):
        return True
    if path.suffix.lower() not in _DICOM_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _stem(path: Path) -> str:
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".nii.gz") else path.name
    return path.with_name(Path(name).stem).as_posix()
