"""The Cohort map dock: a cohort as a model sees it, and where the study in the viewer lies in it."""

from __future__ import annotations

from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.live_cohort_map import Asked
from napari_cardioxai.app.session import JobState, Status
from napari_cardioxai.app.widgets.cohort_map.group import GroupSection
from napari_cardioxai.app.widgets.cohort_map.heart import HeartSection
from napari_cardioxai.app.widgets.cohort_map.legend import MapLegend
from napari_cardioxai.app.widgets.cohort_map.plot import MapPlot
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.status_bar import StatusBar
from napari_cardioxai.app.widgets.train.form import WRONG
from napari_cardioxai.cohorts.projection import METHODS, TITLES

NO_MANIFEST = "Choose the manifest of a cohort: CSV or Parquet, one row a subject."
PARTS = {
    "test": "Test",
    "val": "Validation",
    "concept": "Concept",
    "train": "Training",
    "all": "Everybody",
}
NO_STAR = {
    "labels": "Open a study and label it: a star shows where it lies.",
    "scan": "Open a scan: a star shows where it lies.",
}
NOT_INSTALLED = "Not installed; pip install 'napari-cardioxai[umap]'"


class CohortMapDock(QWidget):
    """Choose model and cohort; the map, groups of it and their mean hearts.

    It holds no data and computes nothing: `LiveCohortMap` asks the library in workers.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("cohort_map_dock")
        self.desk = desk_of(napari_viewer)
        self.live, self.session = self.desk.cohort_map, self.desk.session
        self.plot, self.legend = MapPlot(), MapLegend()
        self._chosen = Section("Cohort and model", self._build_choice(), name="cohort_map_choice")
        self.group, self.heart = GroupSection(self.desk), HeartSection(self.desk)
        self._mapped = Section("Map", self._build_map(), name="cohort_map_map")
        self._grouped = Section("Group", self.group, name="cohort_map_groups")
        self._means = Section("Mean heart", self.heart, name="cohort_map_means")
        self.bar = StatusBar(self.session)
        self.bar.cancel_pressed.connect(self.desk.actions.jobs.cancel)
        parts = (self._chosen, self._mapped, self._grouped, self._means)
        scrolling_column(self, parts, name="cohort_map", below=(self.bar,))
        self._connect()
        self.plot.set_theme(self.desk.viewer.theme)
        self.show_models()
        self.show_cohort()
        self.show_map()
        self.live.list_models()

    def _build_choice(self) -> QWidget:
        self.model, self.part, self.method = _combo("model"), _combo("part"), _combo("method")
        for method in METHODS:
            self.method.addItem(TITLES[method], method)
        self.open = _button("Manifest…", "open", "Choose the manifest of a cohort")
        self.draw = _button("Draw map", "draw", "Read the cohort with the model, beside the window")
        self.about, self.hint = _sentence("cohort"), _sentence("hint")
        self.hint.setStyleSheet(WRONG)
        whole = QWidget()
        form = QFormLayout(whole)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        row = QHBoxLayout()
        row.addWidget(self.open)
        row.addWidget(self.about, 1)
        form.addRow(row)
        form.addRow("Model", self.model)
        form.addRow("Subjects", self.part)
        form.addRow("Projection", self.method)
        form.addRow(self.draw)
        form.addRow(self.hint)
        return whole

    def _build_map(self) -> QWidget:
        self.column = _combo("column")
        self.column.setMaxVisibleItems(20)
        self.lasso = QPushButton("Lasso")
        self.lasso.setObjectName("cohort_map_lasso")
        self.lasso.setCheckable(True)
        self.lasso.setToolTip(
            "Drags draw a line around subjects; without it, a drag with Shift does"
        )
        self.whole = _button("Whole map", "whole", "Bring all subjects into view")
        self.arrows = QCheckBox("Arrows")
        self.arrows.setObjectName("cohort_map_arrows")
        self.arrows.setChecked(True)
        self.arrows.setToolTip(
            "Directions of the decision (bold) and of the model's concepts, from the middle of the "
            "cohort; in brackets the part of each that lies in the plane"
        )
        self.trust, self.star = _sentence("trust"), _sentence("star")
        self.directions = _sentence("directions")
        top, below = QHBoxLayout(), QHBoxLayout()
        top.addWidget(QLabel("Colour by"))
        top.addWidget(self.column, 1)
        for widget in (self.lasso, self.whole, self.arrows):
            below.addWidget(widget)
        below.addStretch(1)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.plot)
        layout.addWidget(self.legend)
        layout.addLayout(below)
        layout.addWidget(self.star)
        layout.addWidget(self.trust)
        layout.addWidget(self.directions)
        return inner

    def _connect(self) -> None:
        live = self.live
        live.models_found.connect(self.show_models)
        live.cohort_changed.connect(self.show_cohort)
        live.map_changed.connect(self.show_map)
        live.column_changed.connect(self._show_column)
        live.trust_changed.connect(self._show_trust)
        live.star_changed.connect(self._show_star)
        live.group_changed.connect(self._show_group)
        live.means_changed.connect(self._show_sections)
        live.failed.connect(self._say_wrong)
        self.open.clicked.connect(lambda _=False: self._ask())
        self.draw.clicked.connect(lambda _=False: self.ask_for_map())
        self.method.currentIndexChanged.connect(self._on_method)
        self.column.activated.connect(lambda _: live.colour_by(self.column.currentData()))
        self.lasso.toggled.connect(self.plot.take_lasso)
        self.whole.clicked.connect(lambda _=False: self.plot.show_whole())
        self.arrows.toggled.connect(self.plot.show_arrows)
        self.arrows.toggled.connect(self.directions.setVisible)
        self.plot.subject_clicked.connect(live.open_subject)
        self.plot.lassoed.connect(self._on_lasso)
        self.legend.class_clicked.connect(live.select_class)
        self.session.status_changed.connect(self._on_status)
        self.session.labels_changed.connect(self._show_star)
        self.desk.theme_changed.connect(self.plot.set_theme)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    # What a person does -------------------------------------------------------------

    def ask_for_map(self) -> None:
        """Draw the map that is chosen."""
        if self.live.manifest is not None and self.part.currentData() and self.model.currentText():
            self.live.draw(
                Asked(
                    self.model.currentText(),
                    self.live.manifest,
                    self.part.currentData(),
                    self.method.currentData(),
                )
            )

    def _on_method(self) -> None:
        """Another projection of what has been read already is drawn at once."""
        drawn = self.live.drawn
        if drawn is not None and self.method.currentData() != drawn.asked.method:
            self.ask_for_map()

    def _on_lasso(self, outline: object, how: str) -> None:
        self.live.select(outline, how)
        self._grouped.set_expanded(True)

    def _ask(self) -> None:
        start = "" if self.live.manifest is None else str(self.live.manifest.parent)
        kinds = "Manifests (*.csv *.parquet *.pq);;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "Manifest of a cohort", start, kinds)
        if name:
            self.live.choose_manifest(Path(name))

    # What is known ------------------------------------------------------------------

    def show_models(self, *_: object) -> None:
        """List the models, and the projections that are installed."""
        chosen = self.model.currentText()
        self.model.clear()
        self.model.addItems(self.live.models or ())
        self.model.setCurrentIndex(max(self.model.findText(chosen), 0))
        for index, method in enumerate(METHODS):
            is_there = not self.live.methods or method in self.live.methods
            self.method.model().item(index).setEnabled(is_there)
            tip = "" if is_there else NOT_INSTALLED
            self.method.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
        self._enable()

    def show_cohort(self) -> None:
        """Say which cohort was chosen, and list its parts."""
        self.hint.hide()
        path, cohort = self.live.manifest, self.live.cohort
        self.about.setText(NO_MANIFEST if path is None else path.name)
        self.about.setToolTip("" if path is None else str(path))
        self.part.clear()
        for part, count in {} if cohort is None else cohort.parts.items():
            self.part.addItem(f"{PARTS[part]} ({count})", part)
        self._enable()

    def show_map(self) -> None:
        """Show another map."""
        drawn = self.live.drawn
        self._show_sections()
        self.column.clear()
        if drawn is None:
            self.plot.show_map(None, None)
            return
        self.hint.hide()
        columns = drawn.map.subjects.columns
        for name, column in columns.items():
            self.column.addItem(column.title, name)
        self.arrows.setVisible(bool(drawn.map.arrows))
        self.directions.setText(_unbroken(drawn.map.about_arrows))
        self.directions.setVisible(bool(drawn.map.arrows) and self.arrows.isChecked())
        asked, count = drawn.asked, len(drawn.map.subjects)
        self._mapped.set_title(
            f"{asked.model} on {asked.manifest.name}, {PARTS[asked.part]} ({count})"
        )
        self._chosen.set_expanded(False)
        self.plot.show_map(drawn.map, columns[self.live.column])
        self._explain_column()
        self._show_star()
        self._show_group()

    def _show_sections(self) -> None:
        is_drawn = self.live.drawn is not None
        self._mapped.setVisible(is_drawn)
        self._grouped.setVisible(is_drawn)
        self._means.setVisible(self.live.means is not None)

    def _show_column(self) -> None:
        if self.live.drawn is not None:
            self.plot.show_column(self.live.drawn.map.subjects.columns[self.live.column])
            self._explain_column()

    def _explain_column(self) -> None:
        column = self.live.drawn.map.subjects.columns[self.live.column]
        self.column.setCurrentIndex(self.column.findData(self.live.column))
        self.legend.show_column(column)
        self._show_trust()

    def _show_trust(self) -> None:
        trust = self.live.trust
        self.trust.setText("Judging the picture …" if trust is None else _unbroken(trust.sentence))

    def _show_star(self) -> None:
        live = self.live
        self.plot.show_star(live.star)
        if live.drawn is None:
            return
        text = live.star_reason
        if live.star is not None:
            text = f"★ {self.session.scan.name}: {live.star.sentence}"
        elif not text:
            reads = live.drawn.reader.reads
            has = self.session.labels_layer if reads == "labels" else self.session.scan
            text = NO_STAR[reads] if has is None else "Looking for the study's place …"
        self.star.setText(_unbroken(text))

    def _show_group(self) -> None:
        self.plot.show_group(self.live.group, self.live.opposite)

    def _on_status(self, status: Status) -> None:
        self._enable()
        drawn = self.live.drawn
        if drawn is not None and status.state in (JobState.CANCELLED, JobState.FAILED):
            self.method.blockSignals(True)  # the map in view is the one before
            self.method.setCurrentIndex(self.method.findData(drawn.asked.method))
            self.method.blockSignals(False)

    def _enable(self) -> None:
        is_free = self.session.status.state is not JobState.RUNNING
        is_known = self.live.cohort is not None and bool(self.live.models)
        self.draw.setEnabled(is_free and is_known)
        self.open.setEnabled(is_free)
        self.method.setEnabled(is_free)

    def _say_wrong(self, text: str) -> None:
        self.hint.setText(text)
        self.hint.show()
        self._chosen.set_expanded(True)


def _unbroken(text: str) -> str:
    """No line ends between a number and its per cent."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(f"cohort_map_{name}")
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(f"cohort_map_{name}")
    button.setToolTip(tip)
    return button


def _sentence(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(f"cohort_map_{name}")
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
