"""What a person can do with a study, each as one job: open, segment, load, save.

Widgets call these; results reach the viewer here, in the main thread, and the
session tells everyone. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.app import napari_compat
from napari_cardioxai.app.layer_styles import LABELS_STYLE, SCAN_STYLE
from napari_cardioxai.app.layers import (
    blank_labels,
    dress_as_labels,
    in_memory,
    labels_of,
    labels_to_layer,
    layer_to_scan,
    load_units,
    origin_of,
    scan_to_layer,
)
from napari_cardioxai.app.live_function import LiveFunction
from napari_cardioxai.app.live_measure import LiveMeasure
from napari_cardioxai.app.session import JobState, Session, Status, session_of
from napari_cardioxai.app.torch_first import import_torch
from napari_cardioxai.app.workers import Job, JobRunner, leave_a_core_to_the_window, sentence
from napari_cardioxai.errors import CardioxaiError, LabelError, MeasurementError
from napari_cardioxai.progress import Progress

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_cardioxai.anatomy.measurements import Measurements
    from napari_cardioxai.anatomy.quality import Override
    from napari_cardioxai.scans.scan import Scan

LABELS_NAME = "Labels"
MOST_THUMBNAILS = 60  # a folder of thousands of pictures must not be read whole to be listed


class StudyActions(QObject):
    """The verbs of the Study dock for one viewer."""

    choices_found = Signal(object)

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_compat.unwrapped(viewer)
        self.session: Session = session_of(viewer)
        self.jobs = JobRunner(self.session, self)
        self.live = LiveMeasure(self.viewer, self.session, self)
        self.function = LiveFunction(self.session, self._slice_in_view, self)
        self.live.edited.connect(self.function.follow)
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self._is_ours = False

    def _slice_in_view(self) -> int:
        dims = self.viewer.dims
        return int(dims.current_step[-3]) if dims.ndim >= 3 else -1

    # Opening ------------------------------------------------------------------

    def open(self, path: Path | Sequence[Path]) -> bool:
        """Index a folder or files and load the series that is chosen by default."""
        first = Path(path) if isinstance(path, str | Path) else Path(path[0])

        def work(on_progress: Progress) -> Any:
            from napari_cardioxai.scans.catalogue import find_series

            catalogue = find_series(path, on_progress=on_progress)
            thumbnails = [_thumbnail(entry) for entry in catalogue.entries[:MOST_THUMBNAILS]]
            thumbnails += [None] * (len(catalogue.entries) - len(thumbnails))
            return catalogue, thumbnails, _load(catalogue.entries[catalogue.default], on_progress)

        def show(result: Any) -> None:
            catalogue, thumbnails, loaded = result
            self.session.set_catalogue(catalogue, first, thumbnails)
            self._show_scan(*loaded, catalogue.default)

        return self.jobs.start("Opening", work, on_done=show)

    def choose(self, series: int) -> bool:
        """Load another series of the catalogue."""
        catalogue = self.session.catalogue
        if catalogue is None or series == self.session.series:
            return False

        def work(on_progress: Progress) -> Any:
            return _load(catalogue.entries[series], on_progress)

        return self.jobs.start(
            "Loading", work, on_done=lambda loaded: self._show_scan(*loaded, series)
        )

    def _show_scan(self, scan: Scan, limits: tuple[float, float], series: int) -> None:
        old = (self.session.scan_layer, self.session.labels_layer)
        self.session.set_scan(None, None, -1)
        for layer in old:
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        layer = self._add(Layer.create(*scan_to_layer(scan, contrast_limits=limits)))
        self.session.set_scan(scan, layer, series)
        self._show_middle(scan)
        self.session.set_status(Status(JobState.DONE, f"Opened {scan.name}."))

    def _show_middle(self, scan: Scan) -> None:
        self.viewer.dims.ndisplay = 2
        offset = self.viewer.dims.ndim - 4
        self.viewer.dims.set_current_step((offset, offset + 1), (0, scan.data.shape[1] // 2))
        self.viewer.reset_view()

    def add_beside(self, layer: Any) -> Any:
        """Add a layer that is no part of the study, whatever its shape; returns it."""
        return self._add(layer)

    def _add(self, layer: Any) -> Any:
        self._is_ours = True
        try:
            return self.viewer.add_layer(layer)
        finally:
            self._is_ours = False

    def _on_inserted(self, event: Any) -> None:
        """Take over what napari made itself.

        A scan that was dropped on the canvas or opened as a sample, and empty
        labels from the button above the layer list.
        """
        layer, session = event.value, self.session
        if self._is_ours or self.jobs.is_running:
            return
        if session.scan is None:
            if isinstance(layer, Image) and origin_of(layer.metadata) is not None:
                attributes = {"metadata": layer.metadata, "name": layer.name}
                session.set_scan(layer_to_scan(layer.data, attributes), layer, -1)
            return
        fits = isinstance(layer, LabelsLayer) and layer.data.shape == session.scan.data.shape
        if fits and session.labels_layer is None:
            dress_as_labels(layer, session.scan)
            session.set_labels(layer, provenance=_drawn_by_hand())

    def _on_removed(self, event: Any) -> None:
        if event.value is self.session.labels_layer:
            self.session.set_labels(None)
        elif event.value is self.session.scan_layer:
            self.session.set_scan(None, None, -1)

    # Labels -------------------------------------------------------------------

    def list_choices(self) -> None:
        """Ask for models and devices beside everything else: it imports torch, which takes long.

        Ends in `choices_found` with {"models": names, "devices": names}.
        """

        def work(on_progress: Progress) -> dict[str, list[str]]:
            import_torch()
            from napari_cardioxai import studies

            return {"models": studies.available_models(), "devices": studies.available_devices()}

        job = Job(work)
        job.succeeded.connect(self.choices_found)
        job.failed.connect(self._no_choices)
        job.start()

    def _no_choices(self, error: Exception) -> None:
        text = sentence(f"the models cannot be listed ({error})")
        self.session.set_status(Status(JobState.FAILED, text))

    def segment(self, model: str, device: str) -> bool:
        """Segment every frame and slice of the loaded scan."""
        scan = self.session.scan
        if scan is None:
            return False
        before = self._lock_labels()

        def work(on_progress: Progress) -> Any:
            import_torch()
            leave_a_core_to_the_window()
            from napari_cardioxai import studies

            on_progress(0, 0, f"loading {model}")
            result = studies.segment(scan, model=model, device=device, on_progress=on_progress)
            provenance = {**studies.provenance_of(result), "date": date.today().isoformat()}
            return _prepared(result.labels, before), provenance, tuple(result.notes), ()

        return self._start_labelling("Segmenting", work)

    def load_labels(self, path: Path) -> bool:
        """Read labels from a file onto the loaded scan."""
        scan = self.session.scan
        if scan is None:
            return False
        before = self._lock_labels()

        def work(on_progress: Progress) -> Any:
            from napari_cardioxai.anatomy.label_files import read_labels
            from napari_cardioxai.anatomy.quality import overrides_path, read_overrides

            on_progress(0, 1, path.name)
            labels = read_labels(path, scan=scan)
            if labels.data.shape != scan.data.shape:
                raise LabelError(
                    f"the labels in {path.name} have the shape {labels.data.shape}, but the scan "
                    f"has {scan.data.shape}; choose the labels of this scan."
                )
            provenance = {"labels": path.name, "date": date.today().isoformat()}
            overrides = read_overrides(overrides_path(path))
            return _prepared(labels, before), provenance, labels.notes, overrides

        return self._start_labelling("Loading labels", work)

    def start_blank(self) -> None:
        """Add an empty labels layer to draw in."""
        scan = self.session.scan
        if scan is not None and self.session.labels_layer is None:
            self._show_labels(blank_labels(scan), _drawn_by_hand())

    def _start_labelling(self, name: str, work: Callable[[Progress], Any]) -> bool:
        def show(result: Any) -> None:
            (labels, change, measurements), provenance, notes, overrides = result
            if change is None:
                self._show_labels(labels, provenance, notes, overrides)
            else:
                self._write_into_layer(change, provenance, notes, overrides)
            self.session.set_measurements(measurements)
            self._say_labelled(provenance)

        started = self.jobs.start(name, work, on_done=show, on_end=self._unlock_labels)
        if not started:
            self._unlock_labels()
        return started

    def _say_labelled(self, provenance: dict[str, str]) -> None:
        source = provenance.get("labels", provenance.get("model", ""))
        parts = [f"Labels from {source}"]
        if "device" in provenance:
            parts.append(f"on {provenance['device'].upper()}")
        if "segmentation" in provenance:
            parts.append(f"in {provenance['segmentation']}")
        self.session.set_status(Status(JobState.DONE, f"{' '.join(parts)}."))

    def _lock_labels(self) -> np.ndarray | None:
        """Keep the brush off the labels while their successor is made; returns their array."""
        layer = self.session.labels_layer
        if layer is None:
            return None
        layer.editable = False
        return layer.data

    def _unlock_labels(self) -> None:
        if self.session.labels_layer is not None:
            self.session.labels_layer.editable = True

    def _show_labels(
        self,
        labels: Labels,
        provenance: dict[str, str],
        notes: tuple[str, ...] = (),
        overrides: tuple[Override, ...] = (),
    ) -> None:
        layer = self._add(Layer.create(*labels_to_layer(labels, name=LABELS_NAME)))
        layer.brush_size = LABELS_STYLE.brush_size
        layer.selected_label = 1
        self.session.set_labels(layer, provenance=provenance, notes=notes, overrides=overrides)

    def _write_into_layer(
        self,
        change: tuple[tuple[np.ndarray, ...], np.ndarray],
        provenance: dict[str, str],
        notes: tuple[str, ...],
        overrides: tuple[Override, ...],
    ) -> None:
        """Put a result into the existing layer as one step that Ctrl+Z takes back.

        Replacing `layer.data` would leave the old history behind, and undo
        would then write stale voxels into the new result.
        """
        layer = self.session.labels_layer
        if layer is None:
            return
        layer.data_setitem(*change)
        layer.refresh()
        self.session.provenance, self.session.notes = provenance, notes
        self.session.set_overrides(overrides)
        self.live.mark_saved(self.live.state_now())

    # Saving -------------------------------------------------------------------

    def save_labels(self, path: Path, *, then: Callable[[], None] | None = None) -> bool:
        """Write the labels as NIfTI on the scan's own grid, overrides beside them.

        `then` follows a success.
        """
        labels, state = self._snapshot(), self.live.state_now()
        overrides = self.session.overrides
        if labels is None:
            return False

        def work(on_progress: Progress) -> Path:
            from napari_cardioxai.anatomy.label_files import write_labels
            from napari_cardioxai.anatomy.quality import overrides_path, write_overrides

            on_progress(0, 1, path.name)
            write_labels(path, labels)
            beside = overrides_path(path)
            if overrides or beside.exists():
                write_overrides(beside, overrides)
            return path

        def saved(path: Path) -> None:
            self.live.mark_saved(state)
            self._say_saved(path)
            if then is not None:
                then()

        return self.jobs.start("Saving", work, on_done=saved)

    def save_table(self, path: Path) -> bool:
        """Write the measurements as CSV or JSON, by the ending of the name."""
        scan, labels = self.session.scan, self._snapshot()
        overrides = self.session.overrides
        if labels is None or self.session.measurements is None:
            return False

        def work(on_progress: Progress) -> Path:
            from napari_cardioxai.anatomy.measurements import measure
            from napari_cardioxai.anatomy.quality import check
            from napari_cardioxai.report import table

            on_progress(0, 1, path.name)
            if path.suffix.lower() == ".json":
                quality = check(labels, scan=scan).with_overrides(overrides)
                table.write_measurements_json(path, measure(labels), quality)
            else:
                table.write_measurements_csv(path, measure(labels))
            return path

        return self.jobs.start("Saving", work, on_done=self._say_saved)

    def save_report(self, path: Path) -> bool:
        """Write the report as one HTML file."""
        scan, labels = self.session.scan, self._snapshot()
        provenance, overrides = dict(self.session.provenance), self.session.overrides
        if scan is None or labels is None or self.session.measurements is None:
            return False

        def work(on_progress: Progress) -> Path:
            from napari_cardioxai.anatomy.measurements import measure
            from napari_cardioxai.anatomy.quality import check
            from napari_cardioxai.report.study_report import write_study_report

            on_progress(0, 1, path.name)
            write_study_report(
                path,
                scan=scan,
                labels=labels,
                measurements=measure(labels),
                provenance=provenance,
                quality=check(labels, scan=scan).with_overrides(overrides),
            )
            return path

        return self.jobs.start("Writing the report", work, on_done=self._say_saved)

    def _snapshot(self) -> Labels | None:
        """A copy of the labels that a worker may read while the brush goes on."""
        layer = self.session.labels_layer
        if layer is None:
            return None
        labels = labels_of(layer)
        return replace(labels, data=labels.data.copy(), notes=self.session.notes)

    def _say_saved(self, path: Path) -> None:
        self.session.set_status(Status(JobState.DONE, f"Saved {path.name} in {path.parent}."))

    def close(self) -> bool:
        """Stop what runs; True when it has ended."""
        return all([self.jobs.stop(), self.function.close()])


def _load(entry: Any, on_progress: Progress) -> tuple[Scan, tuple[float, float]]:
    """A series with its pixels and its display limits; runs in a worker."""
    load_units()
    scan = in_memory(entry.load(on_progress))
    return scan, SCAN_STYLE.contrast_limits(scan)


def _drawn_by_hand() -> dict[str, str]:
    return {"labels": "drawn by hand", "date": date.today().isoformat()}


def _thumbnail(entry: Any) -> np.ndarray | None:
    """Picture of a series for the list; a broken one must not keep the others from opening."""
    try:
        return np.ascontiguousarray(entry.thumbnail())
    except CardioxaiError:
        return None


def _prepared(
    labels: Labels, before: np.ndarray | None
) -> tuple[Labels, tuple[tuple[np.ndarray, ...], np.ndarray] | None, Measurements | None]:
    """Labels with their volumes and what they change; runs in a worker."""
    from napari_cardioxai.anatomy.measurements import measure_volumes

    change = None
    if before is not None:
        where = np.nonzero(before != labels.data)
        change = (where, labels.data[where])
    try:
        return labels, change, measure_volumes(labels)
    except MeasurementError:
        return labels, change, None
