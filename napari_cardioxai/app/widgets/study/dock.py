"""The Study dock: open, look, segment, correct, measure, keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QWidget

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.session import JobState, Status
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.status_bar import StatusBar
from napari_cardioxai.app.widgets.study.notes import NotesSection
from napari_cardioxai.app.widgets.study.open import OpenSection
from napari_cardioxai.app.widgets.study.playback import PlaybackSection
from napari_cardioxai.app.widgets.study.results import ResultsSection
from napari_cardioxai.app.widgets.study.save import SaveSection
from napari_cardioxai.app.widgets.study.segment import SegmentSection


class StudyDock(QWidget):
    """One study in one dock.

    It holds no data: sections show the viewer's session, and what a person
    does goes to `StudyActions`, past the question about unsaved edits where
    these would be lost.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("study_dock")
        self.desk = desk_of(napari_viewer)
        self.session, self.actions = self.desk.session, self.desk.actions
        self.setAcceptDrops(True)
        self._build()
        self._connect()
        self.results_section.curve.set_theme(self.desk.viewer.theme)
        self.actions.list_choices()

    def _build(self) -> None:
        session = self.session
        self.open_section = OpenSection(session)
        self.playback_section = PlaybackSection(session, self.desk.player)
        self.segment_section = SegmentSection(session)
        self.results_section = ResultsSection(session)
        self.notes_section = NotesSection(session)
        self.save_section = SaveSection(session)
        self.status_bar = StatusBar(session)
        self._notes = Section("Notes", self.notes_section, name="notes")
        parts = (
            Section("Study", self.open_section, name="open"),
            Section("Cine", self.playback_section, name="cine"),
            Section("Labels", self.segment_section, name="segment"),
            Section("Results", self.results_section, name="results"),
            self._notes,
        )
        scrolling_column(self, parts, name="study", below=(self.save_section, self.status_bar))

    def _connect(self) -> None:
        desk, curve = self.desk, self.results_section.curve
        self.open_section.path_chosen.connect(self.open)
        self.open_section.sample_chosen.connect(self._open_sample)
        self.open_section.series_chosen.connect(self._choose)
        self.segment_section.segment_chosen.connect(self._segment)
        self.segment_section.labels_chosen.connect(self._load_labels)
        self.segment_section.blank_chosen.connect(self.actions.start_blank)
        self.save_section.labels_path_chosen.connect(self._save_labels)
        self.save_section.table_path_chosen.connect(self.actions.save_table)
        self.save_section.report_path_chosen.connect(self.actions.save_report)
        self.actions.choices_found.connect(self.segment_section.set_choices)
        self.status_bar.cancel_pressed.connect(self.actions.jobs.cancel)
        self.notes_section.count_changed.connect(self._name_notes)
        self.notes_section.refresh()
        desk.phase_changed.connect(curve.show_phase)
        desk.position_changed.connect(self.playback_section.position.setText)
        desk.theme_changed.connect(curve.set_theme)
        curve.phase_chosen.connect(desk.go_to_phase)

    # What a person does ---------------------------------------------------------

    def open(self, path: Path | Sequence[Path]) -> None:
        """Open a folder, a file or several."""
        self._when_safe(lambda: self.actions.open(path))

    def _open_sample(self) -> None:
        from napari_cardioxai.scans.samples import sample_path

        self.open(sample_path())

    def _choose(self, series: int) -> None:
        self._when_safe(lambda: self.actions.choose(series))

    def _segment(self, model: str, device: str) -> None:
        self._when_safe(lambda: self.actions.segment(model, device))

    def _load_labels(self, path: Path) -> None:
        self._when_safe(lambda: self.actions.load_labels(path))

    def _save_labels(self, path: Path) -> None:
        self.actions.save_labels(path)

    def _when_safe(self, action: Callable[[], Any]) -> None:
        if self.actions.jobs.is_running:
            text = f"{self.session.status.text} Cancel it before starting something else."
            self.session.set_status(Status(JobState.RUNNING, text))
            return
        self.desk.when_safe(action)

    def _name_notes(self, count: int) -> None:
        self._notes.set_title(f"Notes ({count})" if count else "Notes")

    # Dropping ---------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept local files and folders."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open(paths[0] if len(paths) == 1 else paths)
