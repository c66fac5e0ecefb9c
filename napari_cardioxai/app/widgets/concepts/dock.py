"""The Concepts dock: what a model knows, whether it matters, and what it does to this heart."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cardioxai.app.concept_player import ConceptPlayer, Sweep
from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.session import JobState
from napari_cardioxai.app.widgets.concepts.export import ExportSection
from napari_cardioxai.app.widgets.concepts.mmode import ConceptMModeSection
from napari_cardioxai.app.widgets.concepts.model import ModelSection
from napari_cardioxai.app.widgets.concepts.other import OtherDecisionSection
from napari_cardioxai.app.widgets.concepts.readout import (
    CURVE_KEY,
    ConceptCurvePlot,
    ReadoutSection,
)
from napari_cardioxai.app.widgets.concepts.sliders import SlidersSection
from napari_cardioxai.app.widgets.concepts.spark import spark_of
from napari_cardioxai.app.widgets.concepts.table import (
    ConceptTable,
    wrong_verdicts,
)
from napari_cardioxai.app.widgets.concepts.view import ViewSection
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.widgets.status_bar import StatusBar
from napari_cardioxai.app.widgets.train.form import SMALL, WRONG

if TYPE_CHECKING:
    from napari_cardioxai.concepts.heart import ConceptHeart
    from napari_cardioxai.decisions import Decision

EXTRAPOLATION = (
    "This heart lies outside the cohort that the concepts were found on: what a slider does to it "
    "is an extrapolation, not what would happen to this heart."
)
REAL_HEARTS = "Real hearts usually lie far out of a cohort of phantoms."
OTHER_SHOWN = "Shown: the smallest change to the other decision, along no one concept."


class ConceptsDock(QWidget):
    """Table of concepts, a slider for each, and the decoded heart in figures.

    It holds no data and computes nothing: `LiveConcepts` asks the library in workers.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("concepts_dock")
        self.desk = desk_of(napari_viewer)
        self.live, self.jobs = self.desk.concepts, self.desk.actions.jobs
        self.sliders, self.table, self.readout = SlidersSection(), ConceptTable(), ReadoutSection()
        self.player = ConceptPlayer(self.desk, self.sliders.show_alphas, self)
        self.choice, self.view = ModelSection(self.live), ViewSection(self.live.layers)
        self.curve, self.mmode = ConceptCurvePlot(), ConceptMModeSection(self.desk)
        self.other = OtherDecisionSection(self.live)
        self.export = ExportSection(self.desk, self.live, self.sliders)
        self.warnings, self.verdicts = _sentences("concepts_warnings"), _sentences("concepts_wrong")
        self.verdicts.setStyleSheet(WRONG)
        self._warned = Section("Read before the heart", self.warnings, name="concepts_warned")
        self._of_model = (
            Section("Concepts", _column(self.table, self.verdicts), name="concepts_book"),
        )
        self._of_heart = (
            Section("Move the heart", self.sliders, name="concepts_walk"),
            Section("On the image", self.view, name="concepts_view"),
            Section("Decoded heart", self.readout, name="concepts_readout"),
            Section("Volume", _column(_small(CURVE_KEY), self.curve), name="concepts_volume"),
            Section("M-mode", self.mmode, name="concepts_mmode_part"),
            Section("The other decision", self.other, name="concepts_other"),
            Section("Save", self.export, name="concepts_export"),
        )
        self.bar = StatusBar(self.desk.session)
        self.bar.cancel_pressed.connect(self.jobs.cancel)
        chosen = Section("Model", self.choice, name="concepts_choice")
        parts = (chosen, self._warned, *self._of_model, *self._of_heart)
        scrolling_column(self, parts, name="concepts", below=(self.bar,))
        self._connect()
        self.set_theme(self.desk.viewer.theme)
        self.curve.show_phase(self.desk.phase)
        self.choice.show_models()
        self.show_model()
        self.show_readout()
        self.live.list_models()

    def _connect(self) -> None:
        live, desk, sliders = self.live, self.desk, self.sliders
        live.models_found.connect(self.choice.show_models)
        live.model_changed.connect(self.show_model)
        live.heart_changed.connect(self.show_heart)
        live.moved_changed.connect(self.show_moved)
        live.readout_changed.connect(self.show_readout)
        live.walks_changed.connect(self.show_sparks)
        live.mmode_changed.connect(self.mmode.show_line)
        live.failed.connect(self.choice.say_wrong)
        self.choice.model_chosen.connect(live.choose)
        self.choice.start_pressed.connect(live.start)
        self.choice.end_pressed.connect(self._put_away)
        self.choice.manifest_chosen.connect(live.find_concepts)
        self.table.chosen.connect(self._choose)
        sliders.moved.connect(self._move)
        sliders.reset_pressed.connect(self._reset)
        sliders.play_pressed.connect(self._play)
        sliders.stop_pressed.connect(self.player.stop)
        self.player.playing_changed.connect(sliders.show_playing)
        self.curve.phase_chosen.connect(desk.go_to_phase)
        desk.phase_changed.connect(self.curve.show_phase)
        desk.theme_changed.connect(self.set_theme)
        desk.session.status_changed.connect(self._enable)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Nobody can stop a sweep that runs behind a closed dock."""
        super().hideEvent(event)
        self.player.stop()

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        for themed in (
            self.curve,
            self.mmode.plot,
            self.table,
            self.sliders,
            self.readout.probability,
        ):
            themed.set_theme(name)

    # What a person does ---------------------------------------------------------------

    def _choose(self, name: str) -> None:
        self.sliders.choose(name)
        self._say_walk()

    def _move(self, alphas: Mapping[str, float]) -> None:
        self.player.stop()
        self.live.move(alphas)
        self._say_walk()

    def _reset(self) -> None:
        self.player.stop()
        self.live.reset()

    def _put_away(self) -> None:
        self.player.stop()
        self.live.put_away()

    def _play(self, name: str, sweep: Sweep) -> None:
        if self.live.heart is None:
            self.sliders.show_playing(False)
            return
        self.player.start(self.sliders.alphas, name, self.sliders.reach_of(name), sweep)

    # What is known --------------------------------------------------------------------

    def show_model(self) -> None:
        """Show the concepts of the chosen model."""
        self.player.stop()
        loaded = self.live.loaded
        book = None if loaded is None else loaded.book
        rows = () if book is None else book.rows
        for section in self._of_model:
            section.setVisible(book is not None)
        self.table.show_rows(rows)
        self.verdicts.setText("\n".join(wrong_verdicts(rows)))
        self.verdicts.setVisible(bool(self.verdicts.text()))
        faithful = {row["concept"]: row.get("fidelity") or {} for row in rows}
        names = {} if book is None else book.directions
        plausible = {name: _pair(faithful.get(name, {}).get("plausible_alpha")) for name in names}
        tips = {name: faithful.get(name, {}).get("verdict", "") for name in names}
        self.sliders.set_concepts(plausible, tips)
        self.show_sparks()
        self.show_heart()

    def show_heart(self) -> None:
        """Show how far the heart is, and what must be read before it."""
        heart, opinion = self.live.heart, self.live.opinion
        self.choice.refresh(is_free=self._is_free)
        for section in self._of_heart:
            section.setVisible(heart is not None and self.live.readout is not None)
        texts = () if heart is None or opinion is None else _warnings(heart, opinion)
        self.warnings.setText("".join(f"<p>{text}</p>" for text in texts))
        self._warned.setVisible(bool(texts))
        self.readout.set_old(self.live.is_old)
        if heart is None:
            self.curve.show_nothing()
            self.sliders.show_alphas({})
        self._say_walk()
        self.show_moved()
        self._enable()

    def show_moved(self) -> None:
        """The heart is wanted elsewhere: figures are old until they are measured again."""
        live = self.live
        if not self.player.is_playing:
            self.sliders.show_alphas(live.moved.alphas)
        self.readout.set_old(live.is_old or not live.is_current)
        self._say_walk()

    def show_readout(self) -> None:
        """Show what was measured of the whole cycle."""
        heart, readout = self.live.heart, self.live.readout
        if heart is None or readout is None:
            return
        scan = self.desk.session.scan
        self.readout.show_readout(heart, readout)
        self.curve.show_curves(heart, readout, None if scan is None else scan.frame_times_ms)
        self.show_moved()
        self.show_sparks()

    def show_sparks(self) -> None:
        """Draw each biomarker along its concept."""
        loaded, live = self.live.loaded, self.live
        if loaded is None or loaded.book is None:
            return
        from napari_cardioxai.concepts.biomarkers import BIOMARKERS

        sparks, keys = {}, list(BIOMARKERS)
        for row in loaded.book.rows:
            direction = loaded.book.directions.get(row["concept"])
            if direction is None or direction.concept.biomarker is None:
                continue
            key, here, mine = direction.concept.biomarker, None, None
            walked = live.walks.get(row["concept"])
            if walked is not None:
                mine = np.column_stack([walked.alphas, walked.curve(key)])
            if live.readout is not None and live.moved.latent is None:
                alphas = live.moved.alphas
                if not any(alpha for name, alpha in alphas.items() if name != row["concept"]):
                    here = (alphas.get(row["concept"], 0.0), live.readout.biomarkers[key])
            start = 0.0 if live.heart is None else live.heart.redrawn.biomarkers[key]
            sparks[row["concept"]] = spark_of(
                row,
                direction.concept,
                sd=float(loaded.book.scale.sd[keys.index(key)]),
                heart=mine,
                here=here,
                start=start if np.isfinite(start) else 0.0,
            )
        self.table.show_sparks(sparks)

    def _say_walk(self) -> None:
        heart, name = self.live.heart, self.sliders.current
        walk = None if heart is None else heart.walks.get(name)
        if self.live.moved.latent is not None:
            self.sliders.show_sentence(OTHER_SHOWN)
            return
        self.sliders.show_sentence("" if walk is None else f"Shown: {walk.sentence()}")

    @property
    def _is_free(self) -> bool:
        return self.desk.session.status.state is not JobState.RUNNING

    def _enable(self, *_: object) -> None:
        free = self._is_free and self.live.heart is not None
        self.other.button.setEnabled(free)
        self.export.set_enabled(free)
        self.choice.find.setEnabled(self._is_free)


def _warnings(heart: ConceptHeart, opinion: Decision) -> list[str]:
    """What speaks against reading the decoded heart, the gravest first."""
    told = [escape(text) for text in opinion.warnings]
    if not heart.is_near(heart.redrawn):
        told.insert(0, f"<b style='{WRONG}'>{EXTRAPOLATION}</b> {REAL_HEARTS}")
    return told


def _pair(values: object) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _column(*parts: QWidget) -> QWidget:
    widget = QWidget()
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for part in parts:
        layout.addWidget(part)
    return widget


def _small(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet(SMALL)
    label.setWordWrap(True)
    return label


def _sentences(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
