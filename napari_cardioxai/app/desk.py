"""One per viewer: holds what lives as long as the window, docks come and go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication, QDockWidget, QFileDialog, QMainWindow, QMessageBox, QWidget

from napari_cardioxai.app import napari_compat
from napari_cardioxai.app.actions import StudyActions
from napari_cardioxai.app.live_attribution import LiveAttribution
from napari_cardioxai.app.live_cohort_map import LiveCohortMap
from napari_cardioxai.app.live_concepts import LiveConcepts
from napari_cardioxai.app.live_decision import LiveDecision
from napari_cardioxai.app.live_mmode import LiveMMode
from napari_cardioxai.app.orientation import OrientationLetters
from napari_cardioxai.app.playback import Player
from napari_cardioxai.app.session import session_of
from napari_cardioxai.app.training_jobs import TrainingJobs

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_cardioxai.scans.scan import Scan


class Desk(QObject):
    """Actions, player, orientation letters and trainings, and the watch over unsaved edits.

    It is a child of the main window, so it goes when the window goes and
    needs no reference from anywhere else. Everything that listens to napari's
    own events sits here rather than in a dock, because docks can be closed.
    """

    phase_changed = Signal(int)
    slice_changed = Signal(int)
    position_changed = Signal(str)
    theme_changed = Signal(str)

    def __init__(self, viewer: Viewer, window: QMainWindow) -> None:
        super().__init__(window)
        self.viewer = napari_compat.unwrapped(viewer)
        self.session = session_of(viewer)
        self.actions = StudyActions(self.viewer, self)
        self.player = Player(self.viewer, self)
        self.letters = OrientationLetters(self.viewer, self.session)
        self.mmode = LiveMMode(self)
        self.training = TrainingJobs(self)
        self.training.model_made.connect(lambda _: self.actions.list_choices())
        self.decision = LiveDecision(self)
        self.concepts = LiveConcepts(self)
        self.attribution = LiveAttribution(self)
        self.cohort_map = LiveCohortMap(self)
        self.cohort_map.concept_made.connect(
            lambda name, _: self.concepts.take_in(self.cohort_map.concepts[name])
        )
        self._phase = self._slice = -1
        self.slice_changed.connect(self.actions.function.follow_slice)
        self.viewer.dims.events.current_step.connect(self._on_step)
        self.viewer.events.theme.connect(self._on_theme)
        self.session.scan_changed.connect(self._on_step)
        window.installEventFilter(self)
        QApplication.instance().aboutToQuit.connect(self.shut_down)

    @property
    def window(self) -> QMainWindow:
        """The main window."""
        return self.parent()

    def _on_step(self, event: Any = None) -> None:
        phase = self.phase
        if phase != self._phase:
            self._phase = phase
            self.phase_changed.emit(phase)
        if self.slice != self._slice:
            self._slice = self.slice
            self.slice_changed.emit(self._slice)
        self.position_changed.emit(position_text(self.session.scan, self.viewer.dims.current_step))

    def _on_theme(self, event: Any = None) -> None:
        self.theme_changed.emit(self.viewer.theme)

    @property
    def phase(self) -> int:
        """The frame in view, or -1 without a scan."""
        dims = self.viewer.dims
        return int(dims.current_step[-4]) if dims.ndim >= 4 else -1

    @property
    def slice(self) -> int:
        """The slice in view, or -1 without a scan."""
        dims = self.viewer.dims
        return int(dims.current_step[-3]) if dims.ndim >= 4 else -1

    def go_to_slice(self, index: int) -> None:
        """Show a slice."""
        dims = self.viewer.dims
        if dims.ndim >= 4:
            dims.set_current_step(dims.ndim - 3, index)

    def go_to_phase(self, phase: int) -> None:
        """Show a frame."""
        dims = self.viewer.dims
        if dims.ndim >= 4:
            dims.set_current_step(dims.ndim - 4, phase)

    def open_dock(self, name: str) -> None:
        """Open another dock of this plugin, or bring it to the front."""
        dock, _ = self.viewer.window.add_plugin_dock_widget("napari-cardioxai", name)
        dock.show()
        dock.raise_()

    def put_beside_study(self, widget: QWidget) -> None:
        """Make a dock a tab of the Study dock, once: below it there is no room for either."""
        docks = self.window.findChildren(QDockWidget)
        mine = next((d for d in docks if d.isAncestorOf(widget)), None)
        study = next((d for d in docks if d.findChild(QWidget, "study_dock")), None)
        if mine is None or study is None or mine.property("is_beside_study"):
            return
        mine.setProperty("is_beside_study", True)
        for dock in (mine, study):  # tabs are narrow, and the plugin's name would fill them
            dock.setWindowTitle(dock.windowTitle().removesuffix(" (napari-cardioxai)"))
        if not mine.isFloating() and mine not in self.window.tabifiedDockWidgets(study):
            self.window.tabifyDockWidget(study, mine)
            QTimer.singleShot(0, mine.raise_)

    # Unsaved edits ------------------------------------------------------------

    def when_safe(self, action: Callable[[], Any]) -> None:
        """Do what would end unsaved edits, after asking about them."""
        if not self.session.dirty:
            action()
            return
        choice = ask_about_edits(self.window)
        if choice == QMessageBox.StandardButton.Save:
            path = ask_for_labels_path(self.window, self.session.path)
            if path is not None:
                self.actions.save_labels(path, then=action)
        elif choice == QMessageBox.StandardButton.Discard:
            action()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask before the window closes over unsaved edits or a training, and end what runs."""
        if event is None or event.type() != QEvent.Type.Close or watched is not self.parent():
            return False
        if self.session.dirty:
            event.ignore()
            self.when_safe(self._close_for_good)
            return True
        if self.training.is_active:
            event.ignore()
            if self.training.is_stopping or ask_about_training(self.window):
                self.training.stop_then(self.window.close)
            return True
        self.shut_down()
        return False

    def _close_for_good(self) -> None:
        self.session.set_dirty(False)
        self.window.close()

    def shut_down(self) -> None:
        """Stop playing and wait for the running job and training to stop."""
        self.player.stop()
        self.mmode.close()
        self.decision.close()
        self.concepts.close()
        self.attribution.close()
        self.cohort_map.close()
        self.training.close()
        self.actions.close()


def position_text(scan: Scan | None, step: tuple[int, ...]) -> str:
    """Where the sliders stand: "Phase 6 of 20, 210 ms · slice 5 of 12, 40.0 mm"."""
    if scan is None or len(step) < 4:
        return ""
    frames, slices = scan.data.shape[:2]
    phase, z = (int(index) for index in step[-4:-2])
    parts = []
    if frames > 1 and 0 <= phase < frames:
        times = scan.frame_times_ms
        when = "" if times is None else f", {times[phase]:.0f} ms"
        parts.append(f"phase {phase + 1} of {frames}{when}")
    if slices > 1 and 0 <= z < slices:
        positions, spacing = scan.geometry.slice_positions_mm, scan.geometry.spacing_mm
        where = ""
        if positions is not None:
            where = f", {abs(positions[z] - positions[0]):.1f} mm"
        elif spacing is not None:
            where = f", {z * spacing[0]:.1f} mm"
        parts.append(f"slice {z + 1} of {slices}{where}")
    text = "  ·  ".join(parts)
    return text[:1].upper() + text[1:]


def desk_of(viewer: Viewer) -> Desk:
    """The desk of a viewer, made on first use."""
    window = napari_compat.main_window(viewer)
    return window.findChild(Desk) or Desk(viewer, window)


def ask_about_edits(parent: QMainWindow) -> QMessageBox.StandardButton:
    """Ask what to do with label edits that are in no file."""
    buttons = QMessageBox.StandardButton
    return QMessageBox.warning(
        parent,
        "Unsaved label edits",
        "The labels have been edited since they were last saved. Save them first?",
        buttons.Save | buttons.Discard | buttons.Cancel,
        buttons.Save,
    )


def ask_about_training(parent: QMainWindow) -> bool:
    """Ask whether to stop the running training; its last checkpoint stays."""
    buttons = QMessageBox.StandardButton
    answer = QMessageBox.warning(
        parent,
        "A training is running",
        "Stop it and close the window? The last whole epoch is kept, and Resume goes on from it.",
        buttons.Yes | buttons.Cancel,
        buttons.Cancel,
    )
    return answer == buttons.Yes


def ask_for_labels_path(parent: QMainWindow, study: Path | None) -> Path | None:
    """Ask where the labels go; None when the user thinks better of it."""
    folder = Path.cwd() if study is None else study.parent
    file, _ = QFileDialog.getSaveFileName(
        parent, "Save labels", str(folder / "labels.nii.gz"), "NIfTI (*.nii.gz *.nii)"
    )
    if not file:
        return None
    path = Path(file)
    return (
        path if path.name.endswith((".nii", ".nii.gz")) else path.with_name(path.name + ".nii.gz")
    )
