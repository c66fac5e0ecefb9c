"""The one state of a viewer: what is open, what is known, what is running.

Widgets subscribe and ask `StudyActions` for changes; nobody else writes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_cardioxai.app import napari_compat

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_cardioxai.anatomy.measurements import Measurements, Walls
    from napari_cardioxai.anatomy.quality import Override, QualityReport
    from napari_cardioxai.scans.catalogue import Catalogue
    from napari_cardioxai.scans.scan import Scan


class JobState(StrEnum):
    """What the running or last job is doing."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """State of the running or last job and its sentence.

    Attributes
    ----------
    state
        What it is doing.
    text
        One sentence for the reader.
    done, total
        Steps; `total` is 0 when unknown.
    """

    state: JobState = JobState.IDLE
    text: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class WallCurves:
    """Wall thickness of one slice over the cycle.

    Attributes
    ----------
    slice_index
        From 0.
    ring
        0 basal, 1 mid, 2 apical.
    thickness_mm
        Of the six segments, shape (t, 6), in mm.
    """

    slice_index: int
    ring: int
    thickness_mm: np.ndarray


class Session(QObject):
    """What one viewer has open.

    Attributes
    ----------
    catalogue, thumbnails, path, series
        Series found at the opened path, their pictures, and the index of the loaded one.
    scan, scan_layer
        The loaded scan and its image layer.
    labels_layer
        The layer that is measured and edited.
    provenance
        What made the labels (model, device, file), for the report.
    notes
        Sentences about how the labels were made or read.
    measurements
        Volumes of the labels as they are now, walls as they were before the last strokes.
    walls, wall_curves
        Of the whole heart, and over the cycle in the slice in view; a moment behind.
    quality
        What the rules found, a moment behind the strokes.
    overrides
        Findings that a reviewer has overruled, with the reasons.
    dirty
        Whether labels or overrides carry changes that no file holds.
    status
        The running or last job.
    """

    catalogue_changed = Signal()
    scan_changed = Signal()
    labels_changed = Signal()
    measurements_changed = Signal()
    walls_changed = Signal()
    wall_curves_changed = Signal()
    quality_changed = Signal()
    overrides_changed = Signal()
    dirty_changed = Signal(bool)
    status_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.catalogue: Catalogue | None = None
        self.series: int = -1
        self.thumbnails: list[np.ndarray | None] = []
        self.path: Path | None = None
        self.scan: Scan | None = None
        self.scan_layer: Image | None = None
        self.labels_layer: Labels | None = None
        self.provenance: Mapping[str, str] = {}
        self.notes: tuple[str, ...] = ()
        self.measurements: Measurements | None = None
        self._volumes: Measurements | None = None
        self.walls: Walls | None = None
        self.wall_curves: WallCurves | None = None
        self.quality: QualityReport | None = None
        self.overrides: tuple[Override, ...] = ()
        self.dirty: bool = False
        self.status: Status = Status()

    def set_catalogue(
        self, catalogue: Catalogue, path: Path, thumbnails: list[np.ndarray | None]
    ) -> None:
        """Show what was found at a path."""
        self.catalogue, self.path, self.series = catalogue, path, -1
        self.thumbnails = thumbnails
        self.catalogue_changed.emit()

    def set_scan(self, scan: Scan | None, layer: Image | None, series: int) -> None:
        """Take over a loaded scan; labels of the last one are gone."""
        self.set_labels(None)
        self.scan, self.scan_layer, self.series = scan, layer, series
        self.scan_changed.emit()

    def set_labels(
        self,
        layer: Labels | None,
        *,
        provenance: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
        overrides: tuple[Override, ...] = (),
    ) -> None:
        """Take over a labels layer, or none; all that was found of the last one is gone."""
        self.labels_layer, self.provenance, self.notes = layer, dict(provenance or {}), notes
        self._volumes = self.measurements = self.walls = self.wall_curves = self.quality = None
        self.overrides = overrides
        self.set_dirty(False)
        for signal in (
            self.measurements_changed,
            self.walls_changed,
            self.wall_curves_changed,
            self.quality_changed,
            self.labels_changed,
        ):
            signal.emit()

    def set_measurements(self, volumes: Measurements | None) -> None:
        """Show new volumes; walls stay until their successors are measured."""
        self._volumes = volumes
        self.measurements = self._joined()
        self.measurements_changed.emit()

    def set_walls(self, walls: Walls) -> None:
        """Show new walls."""
        self.walls = walls
        joined = self._joined()
        if joined != self.measurements:
            self.measurements = joined
            self.measurements_changed.emit()
        self.walls_changed.emit()

    def _joined(self) -> Measurements | None:
        both = self._volumes is not None and self.walls is not None
        return self._volumes.with_walls(self.walls) if both else self._volumes

    def set_wall_curves(self, curves: WallCurves | None) -> None:
        """Show the walls of another slice."""
        self.wall_curves = curves
        self.wall_curves_changed.emit()

    def set_quality(self, report: QualityReport) -> None:
        """Show new findings."""
        self.quality = report.with_overrides(self.overrides)
        self.quality_changed.emit()

    def set_overrides(self, overrides: tuple[Override, ...]) -> None:
        """Keep what a reviewer has decided."""
        self.overrides = overrides
        self.overrides_changed.emit()
        if self.quality is not None:
            self.set_quality(self.quality)

    def set_dirty(self, dirty: bool) -> None:
        """Say whether the labels carry unsaved edits."""
        if dirty != self.dirty:
            self.dirty = dirty
            self.dirty_changed.emit(dirty)

    def set_status(self, status: Status) -> None:
        """Show what the job is doing."""
        self.status = status
        self.status_changed.emit(status)


_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def session_of(viewer: Viewer) -> Session:
    """The session of a viewer, made on first use."""
    return _sessions.setdefault(napari_compat.unwrapped(viewer), Session())
