"""Images in folders named by their class, as a manifest, and their pixels as one array."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_cardioxai.cohorts.brains import PARTICIPANTS, find_brains
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

REGIONS = "regions"
"""Column of label maps, in which regions of interest are named by numbers."""

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
        for file in in_natural_order(p for p in place.rglob("*") if is_image(p)):
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


def images_of(path: Path, *, label: str | None = None) -> Manifest:
    """The images of a manifest, of a folder of class folders, or of a BIDS data set.

    Parameters
    ----------
    path
        A table, or a folder.
    label
        Column of `participants.tsv` that becomes the class; only of a BIDS data set.

    Raises
    ------
    CohortError
        When it is none of them, or a data set's label is missing.
    """
    path = Path(path)
    if not path.is_dir():
        return read_manifest(path)
    if not (path / PARTICIPANTS).is_file():
        return find_pictures(path)
    if label is None:
        raise CohortError(
            f"{path.name} is a data set of participants; say by --label which column of "
            f"{PARTICIPANTS} is the class."
        )
    return find_brains(path, label=label)


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


def load_regions(
    manifest: Manifest,
    subjects: Sequence[str],
    spec: InputSpec,
    structures: Sequence[int],
    *,
    column: str = REGIONS,
    workers: int | None = None,
    on_progress: Progress = silent,
) -> NDArray[np.float16]:
    """Where structures lie in the inputs of a cohort, from label maps of the same grid.

    Parameters
    ----------
    manifest, subjects, spec
        As for `load_images`.
    structures
        Labels that count.
    column
        Of the manifest, with the label map of each subject.
    workers
        Processes; by default one per core.

    Returns
    -------
    Share of each pixel that they take, 0 to 1, shape (n, *size).

    Raises
    ------
    CohortError
        When there is no such column, or a label map cannot be read.
    """
    if column not in manifest.table:
        raise CohortError(f"{manifest.path.name} has no column {column!r} with label maps.")
    cells = manifest.table[column].reindex(list(subjects))
    if blank := [str(subject) for subject, cell in cells.items() if pd.isna(cell)]:
        raise CohortError(f"{manifest.path.name}: {column} of {blank[0]} is blank.")
    tasks = [(manifest.path.parent / str(cell), spec, tuple(structures)) for cell in cells]
    data = np.empty((len(tasks), *spec.size), np.float16)
    made = each_in_order(_load_region, tasks, what=column, workers=workers, on_progress=on_progress)
    for row, (subject, result) in enumerate(zip(subjects, made, strict=True)):
        if isinstance(result, str):
            raise CohortError(f"{manifest.path.name}: {column} of {subject}: {result}")
        data[row] = result
    return data


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
            if pd.isna(name):
                what = "blank; name one for every image"
            else:
                what = f"{name!r}; known are {', '.join(names)}"
            raise CohortError(f"{manifest.path.name}: the class of {subject} is {what}.")
    return np.array([names.index(name) for name in found], np.int64), names


def _load(task: tuple[Path | None, InputSpec]) -> NDArray[np.float16] | str:
    path, spec = task
    if path is None:
        return "the manifest names no scan."
    try:
        return prepare_scan(read_picture(path), spec).data.astype(np.float16)
    except CardioxaiError as error:
        return str(error)


def _load_region(task: tuple[Path, InputSpec, tuple[int, ...]]) -> NDArray[np.float16] | str:
    path, spec, structures = task
    try:
        scan = read_picture(path)
        inside = np.isin(scan.data, structures).astype(np.float32)
        # Its own range is that of a mask, 0 to 1.
        made = prepare_scan(replace(scan, data=inside), replace(spec, intensities="range"))
    except CardioxaiError as error:
        return str(error)
    return made.data.astype(np.float16)


def is_image(path: Path) -> bool:
    """Whether a file is a picture or volume by its name, or a DICOM file by its first bytes."""
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
