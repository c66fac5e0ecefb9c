"""The Function dock: how the heart works, wall by wall, and whether to trust it."""

from __future__ import annotations

import napari
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.function.quality import QualitySection
from napari_cardioxai.app.widgets.function.reference import ReferenceSection
from napari_cardioxai.app.widgets.function.section import FunctionSection
from napari_cardioxai.app.widgets.function.wall import BullsEyeSection, WallCurvesSection
from napari_cardioxai.app.widgets.section import Section


class FunctionDock(QWidget):
    """Curves, bull's-eye, walls, reference ranges and quality of the session's labels.

    It draws nothing while it is hidden behind another dock, so that a brush
    pays only for what is in view.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("function_dock")
        self.desk = desk_of(napari_viewer)
        self.session = self.desk.session
        self.curves = FunctionSection(self.session)
        self.bullseye = BullsEyeSection(self.session)
        self.walls = WallCurvesSection(self.session)
        self.reference = ReferenceSection(self.session)
        self.quality = QualitySection(self.session)
        self._quality_part = Section("Quality", self.quality, name="quality")
        parts = (
            Section("Volumes and rates", self.curves, name="function"),
            Section("Bull's-eye", self.bullseye, name="bullseye"),
            Section("Wall of the slice in view", self.walls, name="walls"),
            Section("Reference ranges", self.reference, name="reference"),
            self._quality_part,
        )
        scrolling_column(self, parts, name="function")
        self._sections = (self.curves, self.bullseye, self.walls, self.reference, self.quality)
        self._stale = set(self._sections)
        self._connect()

    def _connect(self) -> None:
        session, desk = self.session, self.desk
        for signal, sections in (
            (session.measurements_changed, (self.curves, self.reference)),
            (session.labels_changed, self._sections),
            (session.scan_changed, self._sections),
            (session.walls_changed, (self.bullseye, self.walls)),
            (session.wall_curves_changed, (self.walls,)),
            (session.quality_changed, (self.quality, self.reference)),
        ):
            signal.connect(lambda *_, sections=sections: self._refresh(sections))
        plots = (self.curves.volumes, self.curves.rates, self.walls.plot)
        for plot in plots:
            desk.phase_changed.connect(plot.show_phase)
            plot.show_phase(desk.phase)
            plot.phase_chosen.connect(desk.go_to_phase)
        for themed in (*plots, self.bullseye.bullseye):
            desk.theme_changed.connect(themed.set_theme)
            themed.set_theme(desk.viewer.theme)
        self.quality.place_chosen.connect(self._go_to)
        self.quality.count_changed.connect(self._name_quality)

    def _refresh(self, sections: tuple[QWidget, ...]) -> None:
        self._stale.update(sections)
        if not self.isVisible():
            return
        for section in self._sections:
            if section in self._stale:
                section.refresh()
        self._stale.clear()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Draw what has changed meanwhile."""
        super().showEvent(event)
        self._refresh(())
        self.desk.put_beside_study(self)

    def _go_to(self, slice_index: int | None, frame: int | None) -> None:
        if slice_index is not None:
            self.desk.go_to_slice(slice_index)
        if frame is not None:
            self.desk.go_to_phase(frame)

    def _name_quality(self, count: int) -> None:
        self._quality_part.set_title(f"Quality ({count})" if count else "Quality")
