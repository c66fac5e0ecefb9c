"""Where voxels lie in the patient.

Arrays in memory are (t, z, y, x). `Geometry.affine` maps the column vector
(x, y, z, 1) of array indices to patient millimetres in RAS+ (x to the right,
y to the front, z to the head), which is what NIfTI stores; DICOM's LPS+ is
turned on reading. The matrix may be oblique: it is used for measuring and
saving, never for display.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class StorageOrder:
    """How the source file keeps the array, so that results go back onto its own grid.

    Attributes
    ----------
    axes
        For our axes (z, y, x): the file's spatial axis that each came from,
        as indices into the file's (i, j, k).
    flipped
        For our axes (z, y, x): whether the axis was reversed on reading.
    affine
        The file's own affine, (i, j, k, 1) to RAS+ mm, shape (4, 4), as its
        header gives it after the sform/qform check.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    affine: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """Spacing, position and orientation of a (z, y, x) grid.

    Attributes
    ----------
    spacing_mm
        Distance between voxel centres along (z, y, x) in mm; z is the distance
        between slice positions, never slice thickness. None where the source
        does not say (PNG, JPEG, NPY): nothing is guessed.
    affine
        (x, y, z, 1) index to RAS+ mm, shape (4, 4); None when unknown.
    slice_positions_mm
        Position of each slice along the slice normal, shape (z,), given when
        gaps are unequal; None when `spacing_mm[0]` says it all.
    storage
        The file's own axis order, for formats that have one; None for DICOM.
    """

    spacing_mm: tuple[float, float, float] | None
    affine: np.ndarray | None = None
    slice_positions_mm: tuple[float, ...] | None = None
    storage: StorageOrder | None = field(default=None, compare=False)

    @property
    def voxel_volume_mm3(self) -> float | None:
        """Volume of one voxel in mm3 at equal slice distances, or None when unknown."""
        return None if self.spacing_mm is None else float(np.prod(self.spacing_mm))

    def slice_extents_mm(self, slices: int) -> np.ndarray | None:
        """Length along the normal that each slice stands for, shape (z,), in mm.

        With unequal gaps a slice reaches half way to each neighbour, and as
        far out as in at both ends.
        """
        if self.spacing_mm is None:
            return None
        if self.slice_positions_mm is None or slices < 2:
            return np.full(slices, self.spacing_mm[0])
        gaps = np.abs(np.diff(self.slice_positions_mm))
        return 0.5 * (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]]))

    def orientation_letters(self) -> tuple[tuple[str, str], ...] | None:
        """Patient directions at the ends of the (z, y, x) axes.

        Returns
        -------
        Three pairs (at index 0, at the last index), such as ("A", "P"); a
        second and third letter follow when the axis is oblique by more than
        about 20 degrees, as viewers print them. None when unknown.
        """
        if self.affine is None:
            return None
        letters = (("L", "R"), ("P", "A"), ("I", "S"))
        pairs = []
        for column in (2, 1, 0):
            direction = self.affine[:3, column] / np.linalg.norm(self.affine[:3, column])
            order = [k for k in np.argsort(-np.abs(direction)) if abs(direction[k]) > 0.35]
            end = "".join(letters[k][int(direction[k] > 0)] for k in order)
            start = "".join(letters[k][int(direction[k] < 0)] for k in order)
            pairs.append((start, end))
        return tuple(pairs)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel spacing along (z, y, x) in mm of an (x, y, z) affine, shape (4, 4)."""
    x, y, z = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    return float(z), float(y), float(x)
