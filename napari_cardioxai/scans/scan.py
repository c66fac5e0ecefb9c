"""One acquired image, whatever file it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from napari_cardioxai.scans.geometry import Geometry


class Kind(StrEnum):
    """What a series is, as `cardioxai info` prints it."""

    SHORT_AXIS = "short-axis cine"
    LONG_AXIS = "long-axis cine"
    VOLUME = "volume"
    IMAGE = "image"
    OTHER = "other"


@dataclass(frozen=True)
class Provenance:
    """Where the numbers came from.

    Attributes
    ----------
    source
        The path that the user gave.
    files
        The files that were read, in reading order.
    order_rule
        Which key ordered the frames, such as "TriggerTime"; "" when there was nothing to order.
    warnings
        Sentences about what was found and what was done about it.
    """

    source: Path
    files: tuple[Path, ...] = ()
    order_rule: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """An image over time with its place in the patient.

    Attributes
    ----------
    data
        Intensities after rescale slope and intercept, shape (t, z, y, x); a
        NumPy array, or a dask array with one chunk a frame where that pays.
    geometry
        Spacing and position of the (z, y, x) grid.
    frame_times_ms
        Time of each frame after the R wave in ms, shape (t,); None when unknown
        or when there is one frame only. Where slices differ, their median.
    cycle_ms
        Length of the heart cycle in ms as recorded (nominal interval or heart
        rate); None when not recorded.
    kind, name
        What it is; its description without patient identity.
    window
        Lower and upper display limit from the file, or None.
    missing
        (t, z) of frames that the source lacks; `data` is zero there.
    """

    data: np.ndarray
    geometry: Geometry
    provenance: Provenance
    kind: Kind = Kind.OTHER
    name: str = "scan"
    frame_times_ms: np.ndarray | None = None
    cycle_ms: float | None = None
    window: tuple[float, float] | None = None
    missing: tuple[tuple[int, int], ...] = field(default=())

    @property
    def frame_interval_ms(self) -> float | None:
        """Median time between frames in ms, or None without a time base."""
        if self.frame_times_ms is None or len(self.frame_times_ms) < 2:
            return None
        return float(np.median(np.diff(self.frame_times_ms)))

    @property
    def is_cine(self) -> bool:
        """Whether there is more than one frame."""
        return self.data.shape[0] > 1
