"""Walls and quality that follow the edits, a moment behind them.

Volumes are measured with every stroke; walls and quality take too long for
that. They run beside the window once the brush has rested.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_cardioxai.app.latest_job import LatestJob
from napari_cardioxai.app.layers import labels_of
from napari_cardioxai.app.session import Session, WallCurves

if TYPE_CHECKING:
    from napari_cardioxai.anatomy.labels import Labels
    from napari_cardioxai.anatomy.measurements import Walls
    from napari_cardioxai.anatomy.walls import WallThickness
    from napari_cardioxai.app.workers import Work
    from napari_cardioxai.progress import Progress

REST_MS = 300
SLICE_MS = 60


class LiveFunction(QObject):
    """Keeps walls, their curves in the slice in view, and quality equal to the labels."""

    def __init__(
        self, session: Session, slice_in_view: Callable[[], int], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._slice_in_view = slice_in_view
        self._cache = WallCurveCache()
        self._walls = LatestJob(
            self._prepare_walls, self._show_walls, delay_ms=REST_MS, parent=self
        )
        self._curves = LatestJob(
            self._prepare_curves, session.set_wall_curves, delay_ms=SLICE_MS, parent=self
        )
        self._quality = LatestJob(
            self._prepare_quality, session.set_quality, delay_ms=REST_MS, parent=self
        )
        session.labels_changed.connect(self.follow)

    @property
    def is_busy(self) -> bool:
        """Whether something shown is older than the labels."""
        return any(job.is_busy for job in self._jobs)

    @property
    def _jobs(self) -> tuple[LatestJob, ...]:
        return self._walls, self._curves, self._quality

    def follow(self) -> None:
        """Measure anew once the labels have rested."""
        if self._session.labels_layer is None:
            for job in self._jobs:
                job.drop()
            return
        self._curves.drop()
        self._walls.after_rest()
        self._quality.after_rest()

    def follow_slice(self) -> None:
        """Show the wall of the slice that has come into view."""
        if self._session.walls is not None:
            self._curves.soon()

    def close(self) -> bool:
        """Stop; True when nothing runs any more."""
        ended = [job.close() for job in self._jobs]  # each of them, also after one that did not end
        return all(ended)

    def _snapshot(self) -> Labels | None:
        """A copy of the labels that the worker may read while the brush goes on."""
        layer = self._session.labels_layer
        if layer is None:
            return None
        labels = labels_of(layer)
        return replace(labels, data=labels.data.copy())

    def _prepare_walls(self) -> Work | None:
        labels = self._snapshot()

        def work(on_progress: Progress) -> Walls:
            from napari_cardioxai.anatomy.measurements import measure_walls

            return measure_walls(labels)

        return None if labels is None else work

    def _show_walls(self, walls: Walls) -> None:
        self._session.set_walls(walls)
        self._curves.soon()

    def _prepare_curves(self) -> Work | None:
        labels, walls = self._snapshot(), self._session.walls
        index, cache = self._slice_in_view(), self._cache
        if labels is None or walls is None or not 0 <= index < labels.data.shape[1]:
            return None
        thickness = walls.thickness

        def work(on_progress: Progress) -> WallCurves | None:
            if thickness is None or len(labels.data) < 2:
                return None
            return cache.curves(labels, index, thickness, on_progress)

        return work

    def _prepare_quality(self) -> Work | None:
        labels, scan, session = self._snapshot(), self._session.scan, self._session
        earlier = session.quality

        def work(on_progress: Progress) -> Any:
            from napari_cardioxai.anatomy.quality import check

            return check(labels, scan=scan, earlier=earlier)

        return None if labels is None else work


@dataclass
class WallCurveCache:
    """Curves of the slices seen so far; one is measured anew when its labels or septum change."""

    _known: dict[int, tuple[Hashable, WallCurves | None]] = field(default_factory=dict)

    def curves(
        self, labels: Labels, index: int, thickness: WallThickness, on_progress: Progress
    ) -> WallCurves | None:
        """Curves of a slice; runs in a worker."""
        from napari_cardioxai.anatomy.wall_curves import slice_wall_curves_mm

        shown = np.isfinite(thickness.ray_mm[:, index])
        key = (
            zlib.crc32(np.ascontiguousarray(labels.data[:, index])),
            labels.geometry.spacing_mm,
            float(thickness.reference.septum_rad[index]),
            thickness.reference.turn,
            int(thickness.rings.ring[index]),
            shown.tobytes(),
        )
        if self._known.get(index, (None,))[0] != key:
            found = slice_wall_curves_mm(labels, index, walls=thickness, on_progress=on_progress)
            ring = int(thickness.rings.ring[index])
            self._known[index] = key, None if found is None else WallCurves(index, ring, found)
        return self._known[index][1]
