"""Manual contours of the Sunnybrook Cardiac Data, as masks on the grid of a scan.

A study keeps one text file a contour, `IM-0001-NNNN-icontour-manual.txt` for
the left-ventricular endocardium and `-ocontour-` for the epicardium. Each line
is one point, x then y in pixels. NNNN is the number of the DICOM file that was
drawn on: `NNNN.dcm` with or without leading zeros.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from skimage.draw import polygon, polygon_perimeter

from napari_cardioxai.errors import ScanError
from napari_cardioxai.scans.geometry import LPS_TO_RAS
from napari_cardioxai.scans.scan import Scan

CONTOUR_NAME = re.compile(r"IM-\d+-(?P<number>\d+)-(?P<side>[io])contour-manual\.txt")


@dataclass(frozen=True)
class ContourMasks:
    """Filled contours of one study.

    Attributes
    ----------
    inner, outer
        From (t, z) to the filled endocardial and epicardial contour, shape
        (y, x), bool. Only the frames that were drawn on are there.
    """

    inner: dict[tuple[int, int], np.ndarray]
    outer: dict[tuple[int, int], np.ndarray]


def read_contour(path: Path) -> np.ndarray:
    """Points of one contour file, shape (points, 2) as (x, y) in pixels.

    Raises
    ------
    ScanError
        When the file is not a list of at least three pairs of numbers.
    """
    try:
        points = np.array(
            [line.split() for line in path.read_text().splitlines() if line.strip()], float
        )
    except (OSError, ValueError):
        points = np.empty(0)
    if (
        points.ndim != 2
        or points.shape[0] < 3
        or points.shape[1] != 2
        or not np.isfinite(points).all()
    ):
        raise ScanError(
            f"{path.name} is not a contour: it needs three or more lines of x and y in pixels."
        )
    return points


def fill_contour(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fill a contour the way the masks that Sunnybrook is trained on are filled.

    Parameters
    ----------
    points
        (x, y) in pixels, shape (points, 2).
    shape
        (y, x) of the result; what lies outside is cut off.

    Returns
    -------
    Mask, shape (y, x), bool.

    Notes
    -----
    Coordinates are cut to whole pixels and the border belongs to the mask.
    This reproduces the masks commonly distributed with the contours voxel by
    voxel (Dice 1.000 in 40 of 40 contours of SC-HF-I-1 and SC-HF-I-6), so what a model learned
    from those can be compared with it. Testing pixel centres against the
    polygon instead gives Dice 0.98 and 4 % less area.
    """
    columns, rows = np.floor(np.asarray(points, float)).astype(int).T
    mask = np.zeros(shape, bool)
    for inside in (
        polygon(rows, columns, shape),
        polygon_perimeter(rows, columns, shape=shape, clip=False),
    ):
        mask[inside] = True
    return mask


def contour_masks(folder: Path, scan: Scan) -> ContourMasks:
    """Masks of all contours of a study, placed by the headers of its files.

    The slice is found by position in the patient and the frame by its rank in
    trigger time within the slice, so the order in which the scan was read does
    not matter.

    Parameters
    ----------
    folder
        Study folder with the DICOM files and the contours, in any sub-folders.
    scan
        The scan that was read from those files; its data are not touched.

    Raises
    ------
    ScanError
        When there are no contours, one belongs to no file, or a file lies off
        the grid of the scan.
    """
    found = {
        path: match
        for path in sorted(folder.rglob("*.txt"))
        if (match := CONTOUR_NAME.fullmatch(path.name))
    }
    if not found:
        raise ScanError(
            f"{folder.name} holds no contour files named like IM-0001-0048-icontour-manual.txt."
        )
    places = _places_by_number(folder, scan)
    inner: dict[tuple[int, int], np.ndarray] = {}
    outer: dict[tuple[int, int], np.ndarray] = {}
    for path, match in found.items():
        number = int(match["number"])
        if number not in places:
            raise ScanError(
                f"{path.name} belongs to no image: file {number}.dcm is missing in {folder.name}."
            )
        side = inner if match["side"] == "i" else outer
        side[places[number]] = fill_contour(read_contour(path), scan.data.shape[2:])
    return ContourMasks(inner, outer)


def _places_by_number(folder: Path, scan: Scan) -> dict[int, tuple[int, int]]:
    """(t, z) of each numbered DICOM file."""
    frames: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for path in folder.rglob("*.dcm"):
        if path.stem.isdigit():
            position, trigger_ms = _position_and_trigger(path)
            frames[_slice_of(position, scan, path.name)].append((trigger_ms, int(path.stem)))
    return {
        number: (t, z)
        for z, members in frames.items()
        for t, (_, number) in enumerate(sorted(members))
    }


def _position_and_trigger(path: Path) -> tuple[np.ndarray, float]:
    """Position of the first voxel in RAS+ mm and trigger time in ms."""
    try:
        with warnings.catch_warnings():
            # The original headers carry UIDs that pydicom objects to, none of which is read here.
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, specific_tags=["ImagePositionPatient", "TriggerTime"])
            lps = np.array([*header.ImagePositionPatient, 1.0], float)
            return LPS_TO_RAS @ lps, float(header.TriggerTime)
    except (InvalidDicomError, AttributeError, TypeError, ValueError) as error:
        raise ScanError(
            f"{path.name} has no image position or trigger time, so its contours have no place."
        ) from error


def _slice_of(position: np.ndarray, scan: Scan, name: str) -> int:
    """Index along z of a file whose first voxel lies at `position`, shape (4,)."""
    if scan.geometry.affine is None:
        raise ScanError(
            "contours need a scan with a position in the patient; open the DICOM folder."
        )
    x, y, z, _ = np.linalg.solve(scan.geometry.affine, position)
    nearest = round(z)
    off_grid = max(abs(x), abs(y), abs(z - nearest))
    if off_grid > 0.25 or not 0 <= nearest < scan.data.shape[1]:
        raise ScanError(
            f"{name} lies off the grid of the scan; open the study folder that it belongs to."
        )
    return nearest
