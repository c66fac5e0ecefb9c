"""The Cohort dock: a cohort before anything is learnt from it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.session import JobState, Status
from napari_cardioxai.app.widgets.cohort.view import PictureView, PropertiesTable
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.status_bar import StatusBar
from napari_cardioxai.cohorts.describe import CohortDescription, describe
from napari_cardioxai.cohorts.manifest import LABEL, read_manifest
from napari_cardioxai.progress import Progress
from napari_cardioxai.report.cohort_figures import PICTURES, png
from napari_cardioxai.report.cohort_report import write_description

DOTS_PER_INCH = 100  # of a picture as wide as the column
NOTHING_CHOSEN = "Choose the manifest of a cohort: CSV or Parquet, one row a subject."


@dataclass(frozen=True)
class _Described:
    """What the worker brings back: the description and its pictures by title."""

    description: CohortDescription
    pictures: dict[str, bytes]


class CohortDock(QWidget):
    """Choose a manifest; its warnings come first, then pictures and tables."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("cohort_dock")
        self.desk = desk_of(napari_viewer)
        self.description: CohortDescription | None = None
        self._path: Path | None = None
        self.warnings, self.table = _sentences("cohort_warnings"), PropertiesTable()
        self.failed = _sentences("cohort_failed")
        self.pictures = {picture.title: PictureView(picture) for picture in PICTURES}
        self._warned = Section("What to think about first", self.warnings, name="cohort_warned")
        self._parts = {
            title: Section(title, view, name=f"cohort_picture_{number}")
            for number, (title, view) in enumerate(self.pictures.items())
        }
        self._tabled = Section("All properties", self.table, name="cohort_table", expanded=False)
        self._lost = Section("Not readable", self.failed, name="cohort_lost")
        self.bar = StatusBar(self.desk.session)
        self.bar.cancel_pressed.connect(self.desk.actions.jobs.cancel)
        parts = (self._chooser(), self._warned, *self._parts.values(), self._tabled, self._lost)
        scrolling_column(self, parts, name="cohort", below=(self.bar,))
        self.desk.session.status_changed.connect(self._on_status)
        self._show(None)

    def _chooser(self) -> QWidget:
        self._name = QLabel(NOTHING_CHOSEN)
        self._name.setObjectName("cohort_name")
        self._name.setWordWrap(True)
        self.label = QLineEdit(LABEL)
        self.label.setObjectName("cohort_label")
        self.label.setToolTip("Column of what is to be learnt: 0, 1 or blank")
        row = QHBoxLayout()
        for name, text, tip, slot in (
            ("cohort_open", "Manifest…", "Read a manifest and describe its cohort", self._ask),
            ("cohort_again", "Describe again", "After a change of file or column", self._again),
            ("cohort_save", "Save page…", "As HTML and JSON into a folder", self._ask_where),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setToolTip(tip)
            button.clicked.connect(slot)
            row.addWidget(button)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        form = QFormLayout()
        form.addRow("To be learnt", self.label)
        column.addLayout(form)
        column.addWidget(self._name)
        return whole

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    # What a person does -------------------------------------------------------------

    def describe(self, path: Path) -> None:
        """Read a manifest and every subject of it beside the window, then show what was found."""
        self._path = path
        self._name.setText(path.name)
        self.desk.cohort_map.choose_manifest(path)
        label = self.label.text().strip() or LABEL
        width_in = max(self.width() - 40, 300) / DOTS_PER_INCH

        def work(on_progress: Progress) -> _Described:
            found = describe(read_manifest(path), label=label, on_progress=on_progress)
            drawn = {}
            for done, picture in enumerate(PICTURES):
                on_progress(done, len(PICTURES), "drawing")
                figure = picture.draw(found, width_in=width_in)
                if figure is not None:
                    drawn[picture.title] = png(figure, dots_per_inch=2 * DOTS_PER_INCH)
            return _Described(found, drawn)

        self._show(None)
        self.desk.actions.jobs.start("Describing the cohort", work, on_done=self._show)

    def save(self, folder: Path) -> None:
        """Write the page and the JSON."""
        description = self.description
        if description is not None:
            self.desk.actions.jobs.start(
                "Saving the description",
                lambda on_progress: write_description(folder, description),
                on_done=lambda files: None,
            )

    def _ask(self) -> None:
        start = "" if self._path is None else str(self._path.parent)
        kinds = "Manifests (*.csv *.parquet *.pq);;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "Manifest of a cohort", start, kinds)
        if name:
            self.describe(Path(name))

    def _again(self) -> None:
        if self._path is not None:
            self.describe(self._path)

    def _ask_where(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the page and the JSON")
        if folder:
            self.save(Path(folder))

    # What comes back ----------------------------------------------------------------

    def _show(self, found: _Described | None) -> None:
        self.description = None if found is None else found.description
        drawn = {} if found is None else found.pictures
        for title, section in self._parts.items():
            section.setVisible(title in drawn)
            self.pictures[title].show_png(drawn.get(title))
        for section in (self._warned, self._tabled, self._lost):
            section.setVisible(found is not None)
        self._enable()
        if found is None:
            return
        description = found.description
        self._name.setText(f"{description.name}: {description.subjects} subjects")
        grave = sum(warning.severity == "warning" for warning in description.warnings)
        counted = f" ({grave})" if grave else ""
        self._warned.set_title(f"What to think about first{counted}")
        self.warnings.setText(_warning_text(description))
        self.table.show_spreads(description.spreads)
        self._lost.setVisible(bool(description.failed))
        self._lost.set_title(f"Not readable ({len(description.failed)})")
        self.failed.setText(
            "".join(
                f"<p><b>{escape(subject)}</b>: {escape(reason)}</p>"
                for subject, reason in description.failed.items()
            )
        )

    def _on_status(self, status: Status) -> None:
        self._enable()

    def _enable(self) -> None:
        free = self.desk.session.status.state is not JobState.RUNNING
        for name, is_possible in (
            ("cohort_open", True),
            ("cohort_again", self._path is not None),
            ("cohort_save", self.description is not None),
        ):
            button = self.findChild(QPushButton, name)
            if button is not None:
                button.setEnabled(free and is_possible)


def _warning_text(description: CohortDescription) -> str:
    """Warnings as a list of sentences, the grave ones marked, then the notes."""
    rows = [
        f"<p><b>{'⚠ ' if warning.severity == 'warning' else ''}</b>{escape(warning.sentence)}</p>"
        for warning in description.warnings
    ]
    rows += [f"<p>{escape(note)}</p>" for note in description.notes]
    return "".join(rows) or "<p>Nothing threatens.</p>"


def _sentences(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
