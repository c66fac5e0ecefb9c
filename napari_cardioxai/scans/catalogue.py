"""All series that a folder or a choice of files holds, and which to open first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_cardioxai.errors import ScanError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.entry import Entry
from napari_cardioxai.scans.images import image_entry, is_picture
from napari_cardioxai.scans.listing import files_below
from napari_cardioxai.scans.scan import Kind, Scan

KINDS_BY_WISH = (Kind.SHORT_AXIS, Kind.LONG_AXIS, Kind.VOLUME, Kind.IMAGE, Kind.OTHER)
# The heart's long axis points to the left, the front and the feet (LPS+), give or take 45 degrees.
LONG_AXIS_LPS = np.array([0.65, -0.60, -0.45]) / np.linalg.norm([0.65, -0.60, -0.45])
SHORT_AXIS_WORDS = {"sax", "sa", "short", "shortaxis", "ksa", "kurzachse"}
OTHER_VIEW_WORDS = {
    *("2ch", "3ch", "4ch", "lax", "hla", "vla", "lvot", "rvot", "ao", "aorta", "long", "axial"),
    *("tra", "transversal", "2c", "3c", "4c", "ch2", "ch3", "ch4", "2cv", "3cv", "4cv"),
}
LABEL_WORDS = {"gt", "seg", "label", "labels", "mask", "masks", "segmentation"}


@dataclass(frozen=True)
class Catalogue:
    """What can be opened.

    Attributes
    ----------
    entries
        At least one.
    default
        Index of the one to open unless the user says otherwise.
    warnings
        Sentences about what was found but cannot be opened.
    """

    entries: tuple[Entry, ...]
    default: int
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What `cardioxai info --json` prints."""
        return {
            "series": [entry.as_json() for entry in self.entries],
            "default": self.default,
        }


def find_series(paths: Path | Sequence[Path], *, on_progress: Progress = silent) -> Catalogue:
    """List everything that can be opened, without reading pixels.

    Parameters
    ----------
    paths
        A folder, searched to its depth, a file, or several of them: DICOM,
        NIfTI, or, where there is neither, PNG, JPEG and NPY.

    Raises
    ------
    ScanError
        When there is nothing to open.
    """
    given = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(p) for p in paths]
    files = files_below(given)
    if not files:
        where = given[0] if given else "The selection"
        raise ScanError(
            f"{where} is empty; choose a folder of DICOM files, a NIfTI file or a picture."
        )
    from napari_cardioxai.scans.dicom.series import index_dicom
    from napari_cardioxai.scans.nifti import is_nifti, nifti_entry

    nifti = [f for f in files if is_nifti(f)]
    pictures = [f for f in files if is_picture(f)]
    others = sorted(set(files) - set(nifti) - set(pictures))
    dicom = index_dicom(others, source=given[0], on_progress=on_progress)
    entries = list(dicom.entries)
    warnings = list(dicom.warnings)
    scores = [_score(e, n) for e, n in zip(entries, dicom.plane_normals, strict=True)]
    for found, describe in ((nifti, nifti_entry), (pictures, image_entry)):
        if describe is image_entry and entries:
            break
        more, lost = _described(found, describe, on_progress=on_progress)
        entries += more
        warnings += lost
        scores += [_score(entry) for entry in more]
    if not entries:
        raise ScanError(warnings[0] if warnings else _nothing(given))
    best = max(range(len(entries)), key=lambda k: (scores[k], -k))
    return Catalogue(tuple(_named_apart(entries)), best, tuple(warnings))


def load_scan(
    paths: Path | Sequence[Path], *, series: int | None = None, on_progress: Progress = silent
) -> Scan:
    """Read one series with its pixels.

    Parameters
    ----------
    paths
        Anything that `find_series` takes.
    series
        Index into its entries; its default when None.

    Raises
    ------
    ScanError
        When there is nothing to open, or no series of that index.
    """
    catalogue = find_series(paths, on_progress=on_progress)
    chosen = catalogue.default if series is None else series
    if not 0 <= chosen < len(catalogue.entries):
        count = len(catalogue.entries)
        known = "only series 0" if count == 1 else f"{count} series, 0 to {count - 1}"
        raise ScanError(
            f"there is no series {chosen}: there {'is' if count == 1 else 'are'} {known}."
        )
    return catalogue.entries[chosen].load(on_progress)


def _described(
    files: list[Path], describe: Callable[[Path], Entry], *, on_progress: Progress
) -> tuple[list[Entry], list[str]]:
    """Entries of files that are each a scan, and sentences about those that are not."""
    entries: list[Entry] = []
    lost: list[str] = []
    for done, file in enumerate(files):
        if done % 10 == 0:
            on_progress(done, len(files), "reading headers")
        try:
            entries.append(describe(file))
        except ScanError as error:
            lost.append(str(error))
    return entries, lost


def _named_apart(entries: list[Entry]) -> list[Entry]:
    """Number entries of equal names, so that a list tells them apart."""
    names = [entry.name for entry in entries]
    totals = Counter(names)
    return [
        replace(entry, name=f"{entry.name}, part {1 + names[:k].count(entry.name)}")
        if totals[entry.name] > 1
        else entry
        for k, entry in enumerate(entries)
    ]


def _nothing(given: list[Path]) -> str:
    first = given[0]
    if first.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        return f"{first.name} is packed; unpack it and open the folder."
    if first.is_file() and first.stat().st_size == 0:
        return f"{first.name} is empty; copy or export it again."
    if first.is_file():
        return f"{first.name} is no DICOM, NIfTI, PNG, JPEG or NPY file."
    return f"{first} holds no DICOM, NIfTI or picture that can be opened."


def _score(entry: Entry, normal: np.ndarray | None = None) -> tuple[float, ...]:
    """How much an entry looks like the short-axis cine that the user wants."""
    from napari_cardioxai.scans.dicom.group import not_cine_words, words_of

    words = words_of(entry.name)
    frames, slices = entry.shape[:2]
    score = min(slices, 12) / 6 + min(frames, 25) / 25
    score -= 10 * bool(not_cine_words(entry.name)) + 20 * bool(words & LABEL_WORDS)
    score += 2 * bool(words & SHORT_AXIS_WORDS) - 4 * bool(words & OTHER_VIEW_WORDS)
    if normal is not None:
        score += 3 * (abs(float(normal @ LONG_AXIS_LPS)) > 0.7)
    score -= any("acquired again later" in warning for warning in entry.warnings)
    return -KINDS_BY_WISH.index(entry.kind), score
