"""Where the evidence in an image is known to lie: tissue that a phantom lost, or what a reader drew."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.attribution.scores.localisation import box_mask
from napari_cardioxai.attribution.summary_regions import Atlas
from napari_cardioxai.cohorts.manifest import Manifest
from napari_cardioxai.cohorts.pictures import REGIONS
from napari_cardioxai.errors import AttributionError
from napari_cardioxai.phantom.brain import HIPPOCAMPUS
from napari_cardioxai.scans.catalogue import load_scan
from napari_cardioxai.scans.images import PICTURE_SUFFIXES
from napari_cardioxai.scans.nifti import read_nifti
from napari_cardioxai.scans.scan import Scan

TRUTH = "truth"
"""Column of masks of lost tissue."""

Box = tuple[float, float, float, float]
"""Centre x, y, width and height as parts of the picture."""

_SMALLEST_REGION_ML = 0.25  # smaller ones, such as vessels, come first by chance
_BOX_COLUMNS = ("image", "x_centre", "y_centre", "width", "height")
# FreeSurfer's numbers, left then right where there are two.
_STRUCTURES = {
    "cerebral white matter": (2, 41),
    "cerebral cortex": (3, 42),
    "lateral ventricle": (4, 43),
    "temporal horn": (5, 44),
    "cerebellar white matter": (7, 46),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral diencephalon": (28, 60),
    "third ventricle": (14,),
    "fourth ventricle": (15,),
    "brain stem": (16,),
    "fluid around the brain": (24,),
}


def brain_truth(manifest: Manifest, subject: str, scan: Scan) -> tuple[NDArray[np.bool_], Atlas]:
    """The hippocampi that lost something as they were, and all structures as regions.

    Parameters
    ----------
    manifest, subject
        Of a cohort of `phantom.brain_cohort`.
    scan
        The subject's.

    Raises
    ------
    AttributionError
        When masks or label maps are missing, or nothing was lost.
    """
    lost, labels = (_volume(manifest, subject, column) for column in (TRUTH, REGIONS))
    if lost.shape != scan.data.shape[1:] or labels.shape != lost.shape:
        raise AttributionError(f"masks and image of {subject} do not lie on one grid.")
    gone = lost > 0
    # Axes are to the head, the back and the left: the left half comes last.
    is_left = np.arange(labels.shape[2]) >= labels.shape[2] / 2
    whole = labels.copy()
    for side, half in (("left", is_left), ("right", ~is_left)):
        whole[gone & half] = HIPPOCAMPUS[side]
    shrunk = [
        HIPPOCAMPUS[s]
        for s, half in (("left", is_left), ("right", ~is_left))
        if (gone & half).any()
    ]
    if not shrunk:
        raise AttributionError(f"{subject} has lost nothing; choose subjects with a loss.")
    return np.isin(whole, shrunk)[None], _atlas(whole, scan)


def _atlas(labels: NDArray, scan: Scan) -> Atlas:
    spacing = scan.geometry.spacing_mm
    voxel_ml = 1.0 if spacing is None else float(np.prod(spacing)) / 1000
    sizes = np.bincount(labels.ravel())
    names = {}
    for name, values in _STRUCTURES.items():
        for value, side in zip(values, ("left", "right"), strict=False):
            if value < len(sizes) and sizes[value] * voxel_ml >= _SMALLEST_REGION_ML:
                names[value] = name if len(values) == 1 else f"{side} {name}"
    return Atlas(labels[None], names)


def _volume(manifest: Manifest, subject: str, column: str) -> NDArray[np.int64]:
    if column not in manifest.table:
        raise AttributionError(
            f"{manifest.path.name} has no column {column!r}; give masks there, or --boxes or --masks."
        )
    path = manifest.path.parent / str(manifest.table.at[subject, column])
    return np.rint(np.asarray(read_nifti(path).data[0])).astype(np.int64)


class Drawn(Protocol):
    """What a reader drew into pictures."""

    def has(self, picture: Path) -> bool:
        """Whether anything was drawn into a picture."""

    def mask(self, picture: Path, scan: Scan) -> NDArray[np.bool_]:
        """Pixels inside of what was drawn, shape (1, 1, y, x); `scan` is the picture."""


@dataclass(frozen=True)
class Boxes:
    """Boxes around what is to be found.

    Attributes
    ----------
    by_name
        By `class/name.ext`.
    """

    by_name: Mapping[str, list[Box]]

    @classmethod
    def read(cls, path: Path) -> Boxes:
        """From a table with the columns image, x_centre, y_centre, width and height.

        Raises
        ------
        AttributionError
            When it is no such table.
        """
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))
            found: dict[str, list[Box]] = {}
            for row in rows:
                x, y, width, height = (float(row[name]) for name in _BOX_COLUMNS[1:])
                found.setdefault(row["image"], []).append((x, y, width, height))
        except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, csv.Error) as error:
            raise AttributionError(
                f"{path} is no table of boxes; it needs the columns {', '.join(_BOX_COLUMNS)}."
            ) from error
        return cls(found)

    def has(self, picture: Path) -> bool:
        """Whether there is a box for a picture."""
        return _name(picture) in self.by_name

    def mask(self, picture: Path, scan: Scan) -> NDArray[np.bool_]:
        """Pixels in the boxes of a picture, (1, 1, y, x).

        Raises
        ------
        AttributionError
            When it has none.
        """
        if not self.has(picture):
            raise AttributionError(f"there is no box for {_name(picture)}.")
        rows, columns = scan.data.shape[2:]
        inside = np.zeros((rows, columns), bool)
        for x, y, width, height in self.by_name[_name(picture)]:
            axes = ((y, height, rows), (x, width, columns))
            low = [max(0, int((c - s / 2) * n)) for c, s, n in axes]
            high = [
                min(n, max(a + 1, int(np.ceil((c + s / 2) * n))))
                for a, (c, s, n) in zip(low, axes, strict=True)
            ]
            inside |= box_mask((rows, columns), low, high)
        return inside[None, None]


@dataclass(frozen=True)
class Masks:
    """Pictures that are not zero where something was outlined.

    Attributes
    ----------
    files
        By `class/name` or, where they do not lie in folders of classes, by
        `name`; without the suffix, which may differ from the picture's.
    """

    files: Mapping[str, Path]

    @classmethod
    def read(cls, folder: Path) -> Masks:
        """All pictures in a folder and in the folders in it.

        Raises
        ------
        AttributionError
            When there are none.
        """
        folder = Path(folder)
        files = [f for f in sorted(folder.rglob("*")) if f.suffix.lower() in PICTURE_SUFFIXES]
        if not files:
            raise AttributionError(f"{folder} holds no pictures of masks.")
        return cls({f.relative_to(folder).with_suffix("").as_posix(): f for f in files})

    def has(self, picture: Path) -> bool:
        """Whether there is a mask for a picture."""
        return self._file(picture) is not None

    def mask(self, picture: Path, scan: Scan) -> NDArray[np.bool_]:
        """Pixels inside the outline of a picture, (1, 1, y, x).

        Raises
        ------
        AttributionError
            When it has none, or one of another size, or nothing is outlined.
        """
        file = self._file(picture)
        if file is None:
            raise AttributionError(f"there is no mask for {_name(picture)}.")
        inside = np.asarray(load_scan(file).data) > 0
        if inside.shape != scan.data.shape:
            raise AttributionError(
                f"{file.name} has {' x '.join(map(str, inside.shape[2:]))} pixels, its picture "
                f"{' x '.join(map(str, scan.data.shape[2:]))}; give masks of the size of the pictures."
            )
        if not inside.any():
            raise AttributionError(f"{file.name} outlines nothing; leave it out.")
        return inside

    def _file(self, picture: Path) -> Path | None:
        name = Path(_name(picture)).with_suffix("")
        return self.files.get(name.as_posix()) or self.files.get(name.name)


def _name(picture: Path) -> str:
    return f"{picture.parent.name}/{picture.name}"
