"""One line of the list of series that a folder or file holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.scans.scan import Kind, Scan

THUMBNAIL_PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True)
class Entry:
    """A series that can be opened, described without reading its pixels.

    Attributes
    ----------
    name
        Its description, without patient identity.
    kind
        What it is.
    shape
        (t, z, y, x).
    spacing_mm
        Along (z, y, x) in mm; None when the source does not say.
    frame_times_ms
        Time of each frame after the R wave in ms, shape (t,); None when unknown.
    order_rule
        Which key ordered the frames; "" when there was nothing to order.
    warnings
        Sentences about what was found and what was done about it.
    load
        `load(on_progress)` reads the pixels.
    middle_slice
        Reads the middle slice of the first frame, shape (y, x), from as few
        files as possible; None reads the whole series for it.
    """

    name: str
    kind: Kind
    shape: tuple[int, int, int, int]
    spacing_mm: tuple[float, float, float] | None
    frame_times_ms: np.ndarray | None = field(compare=False)
    order_rule: str
    warnings: tuple[str, ...]
    load: Callable[[Progress], Scan] = field(repr=False, compare=False)
    middle_slice: Callable[[], np.ndarray] | None = field(default=None, repr=False, compare=False)

    def thumbnail(self, size: int = 96) -> np.ndarray:
        """Small picture of the middle slice of the first frame, uint8, longest side `size`.

        Raises
        ------
        ScanError
            When its file cannot be read.
        """
        if self.middle_slice is not None:
            picture = self.middle_slice()
        else:
            scan = self.load(silent)
            picture = np.asarray(scan.data[0, scan.data.shape[1] // 2])
        _, y_mm, x_mm = self.spacing_mm or (1.0, 1.0, 1.0)
        return _small(np.asarray(picture, np.float32), size=size, aspect=y_mm / x_mm)

    def as_json(self) -> dict[str, Any]:
        """What `cardioxai info --json` prints about it."""
        times = self.frame_times_ms
        return {
            "name": self.name,
            "kind": str(self.kind),
            "shape": list(self.shape),
            "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            "frame_times_ms": None if times is None else [float(t) for t in times],
            "order_rule": self.order_rule,
            "warnings": list(self.warnings),
        }


def _small(picture: np.ndarray, *, size: int, aspect: float) -> np.ndarray:
    """Shrink by nearest pixels to square ones and stretch the grey values, uint8."""
    picture = np.nan_to_num(picture)
    height, width = picture.shape[0] * aspect, picture.shape[1]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    rows = np.minimum((np.arange(h) + 0.5) * picture.shape[0] / h, picture.shape[0] - 1)
    columns = np.minimum((np.arange(w) + 0.5) * picture.shape[1] / w, picture.shape[1] - 1)
    small = picture[np.ix_(rows.astype(int), columns.astype(int))]
    low, high = np.percentile(small, THUMBNAIL_PERCENTILES)
    return (np.clip((small - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
