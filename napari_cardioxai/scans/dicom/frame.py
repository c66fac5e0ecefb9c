"""One DICOM picture as its header describes it, and how vendors fill the fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_cardioxai.scans.dicom.pixels import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture: where it lies, when it was taken, how its pixels are stored.

    Attributes
    ----------
    path, number
        The file, and the frame within it.
    uid
        SOPInstanceUID.
    study, series, series_number, name
        The series that it belongs to; `name` is free of patient identity.
    reference
        FrameOfReferenceUID, "" when missing.
    component
        "magnitude", "phase", "real", "imaginary" or "map".
    shape, pixel_mm
        (y, x).
    thickness_mm
        Slice thickness, nan when missing.
    position
        Centre of the first pixel in LPS+ mm, shape (3,), or None.
    directions
        Unit vectors along a row and along a column in LPS+, shape (2, 3), or None.
    keys
        What could order it in time, by DICOM keyword; times in ms.
    contrast
        Echo and inversion time, nan where missing; pictures that differ in these are no cine.
    cycle_ms, resolution_ms, planned
        Heart cycle, time between frames and number of frames as the header gives them, or nan.
    slope, intercept, window
        Rescaling, and (lower, upper) display limit after it.
    pixels
        How they are stored; None when the file ends before them.
    """

    path: Path
    number: int
    uid: str
    study: str
    series: str
    series_number: float
    name: str
    reference: str
    component: str
    shape: tuple[int, int]
    pixel_mm: tuple[float, float] | None
    thickness_mm: float
    position: np.ndarray | None
    directions: np.ndarray | None
    keys: Mapping[str, float]
    contrast: tuple[float, float]
    cycle_ms: float
    resolution_ms: float
    planned: float
    slope: float
    intercept: float
    window: tuple[float, float] | None
    pixels: Pixels | None

    @property
    def is_cut(self) -> bool:
        """Whether the file is known to end before the last of its pixels."""
        if self.pixels is None:
            return True
        return self.pixels.whole is not None and self.number >= self.pixels.whole


# Single values ---------------------------------------------------------------


def pair_of(spacing: tuple[float, ...]) -> tuple[float, float] | None:
    """Two positive numbers, or None."""
    return (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None


def directions_of(cosines: tuple[float, ...]) -> np.ndarray | None:
    """Unit row and column vectors, or None when they span no plane."""
    if len(cosines) != 6:
        return None
    vectors = np.reshape(cosines, (2, 3))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if lengths.min() < 0.5:
        return None
    vectors = vectors / lengths
    return vectors if abs(vectors[0] @ vectors[1]) < 0.1 else None


def component_of(image_type: str, complex_component: str = "") -> str:
    """Magnitude, phase and so on, from ImageType as the vendors fill it."""
    for token in [*image_type.upper().split("\\")[2:], complex_component.upper()]:
        if token == "P" or token.startswith(("PHASE", "VELOCITY", "P_")):
            return "phase"
        if token in ("R", "REAL") or token.startswith("R_"):
            return "real"
        if token in ("I", "IMAGINARY") or token.startswith("I_"):
            return "imaginary"
        if token.endswith("MAP"):
            return "map"
    return "magnitude"


def window_of(center: tuple[float, ...], width: tuple[float, ...]) -> tuple[float, float] | None:
    """Lower and upper limit of the first window (DICOM PS3.3 C.11.2.1.2), or None."""
    if not center or not width or width[0] < 1:
        return None
    half = (width[0] - 1) / 2
    return center[0] - 0.5 - half, center[0] - 0.5 + half
