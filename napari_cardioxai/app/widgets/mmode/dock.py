"""The M-mode dock: one line through the heart over the whole cycle."""

from __future__ import annotations

import napari
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_cardioxai.app.desk import desk_of
from napari_cardioxai.app.live_mmode import LineView
from napari_cardioxai.app.widgets.dock_frame import scrolling_column
from napari_cardioxai.app.widgets.mmode.plot import MModePlot
from napari_cardioxai.app.widgets.section import Section
from napari_cardioxai.app.workers import sentence

NO_SCAN = "Open a cine in the Study dock, then draw a line across the heart."
NO_CINE = "This scan has one phase; M-mode needs a cine."
NO_LINE = "Press Draw line and drag across the heart on the image."


class MModeDock(QWidget):
    """Buttons for the line, and the plot of what it sees."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("mmode_dock")
        self.desk = desk_of(napari_viewer)
        self.session, self.mmode = self.desk.session, self.desk.mmode
        self.hint = QLabel()
        self.hint.setObjectName("mmode_hint")
        self.hint.setWordWrap(True)
        self.where = QLabel()
        self.where.setObjectName("mmode_where")
        self.where.setWordWrap(True)
        self.plot = MModePlot()
        inner = QWidget()
        layout = QGridLayout(inner)
        layout.setContentsMargins(0, 0, 0, 0)
        self._buttons = {}
        for column, (name, text, tip, slot) in enumerate(
            (
                ("draw", "Draw line", "Drag on the image; a new line replaces the old one", "draw"),
                ("ends", "Move ends", "Drag an end of the line", "move_ends"),
                ("move", "Move line", "Drag the line as a whole", "move"),
                ("remove", "Remove", "Take the line off the image", "remove"),
            )
        ):
            button = QPushButton(text)
            button.setObjectName(f"mmode_{name}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, slot=slot: getattr(self.mmode, slot)())
            self._buttons[name] = button
            layout.addWidget(button, 0, column)
        for row, widget in enumerate((self.hint, self.plot, self.where), start=1):
            layout.addWidget(widget, row, 0, 1, 4)
        scrolling_column(self, [Section("M-mode", inner, name="mmode")], name="mmode")
        self._connect()
        self.plot.set_theme(self.desk.viewer.theme)
        self.plot.show_phase(self.desk.phase)
        self.show_line(self.mmode.view)

    def _connect(self) -> None:
        desk = self.desk
        self.mmode.changed.connect(self.show_line)
        self.mmode.failed.connect(lambda text: self.hint.setText(sentence(text)))
        self.session.scan_changed.connect(self._refresh)
        self.plot.phase_chosen.connect(desk.go_to_phase)
        desk.phase_changed.connect(self.plot.show_phase)
        desk.theme_changed.connect(self.plot.set_theme)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Stand beside the Study dock."""
        super().showEvent(event)
        self.desk.put_beside_study(self)

    def show_line(self, view: LineView | None) -> None:
        """Draw what the line sees, or say what to do."""
        if view is None:
            self.plot.show_nothing()
        else:
            limits = tuple(self.session.scan_layer.contrast_limits)
            self.plot.show_mmode(view.intensity, view.labels, limits)
            length = view.intensity.distance_mm[-1]
            text = (
                f"Slice {view.slice_index + 1}. The line is {length:.0f} mm long and starts at 0."
            )
            more = " Coloured lines are the borders of the labels."
            self.where.setText(text + ("" if view.labels is None else more))
        self._refresh()

    def _refresh(self) -> None:
        scan = self.session.scan
        is_cine = scan is not None and scan.is_cine
        shown = is_cine and self.mmode.view is not None
        self.plot.setVisible(shown)
        self.where.setVisible(shown)
        self.hint.setVisible(not shown)
        self.hint.setText(NO_SCAN if scan is None else NO_LINE if is_cine else NO_CINE)
        self._buttons["draw"].setEnabled(is_cine)
        for name in ("ends", "move", "remove"):
            self._buttons[name].setEnabled(is_cine and self.mmode.has_line)
