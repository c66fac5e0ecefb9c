"""A training at work, seen on one of its pictures."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSlider, QSpinBox, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.train.form import SMALL
from napari_cardioxai.app.widgets.train.panels import PanelGrid
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.folder import Look, RunFolder
from napari_cardioxai.training.jobs.previews import LATEST, Preview, read_preview

EMPTY = "What the network makes of a picture appears here while it trains."
HEATS = {"activation": "activation", "gradient": "activation × gradient"}
_TIP = "Mean over the maps of each convolution; dark is none, bright the most in its panel"


class PreviewSection(QWidget):
    """The newest picture of a run, or that of an earlier epoch."""

    look_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._run: RunFolder | None = None
        self._kept: list[Path] = []
        self.preview: Preview | None = None
        self._empty = QLabel(EMPTY)
        self._empty.setWordWrap(True)
        self.caption = QLabel()
        self.caption.setObjectName("train_preview_caption")
        self.caption.setWordWrap(True)
        self.picture = QSpinBox()
        self.picture.setObjectName("train_preview_picture")
        self.picture.setPrefix("Picture ")
        self.picture.setKeyboardTracking(False)
        self.picture.valueChanged.connect(self._on_look)
        self.heat = QComboBox()
        self.heat.setObjectName("train_preview_heat")
        self.heat.setToolTip(_TIP)
        for key, text in HEATS.items():
            self.heat.addItem(f"Heat: {text}", key)
        self.heat.currentIndexChanged.connect(self._on_look)
        self.epoch = QSlider(Qt.Orientation.Horizontal)
        self.epoch.setObjectName("train_preview_epoch")
        self.epoch.setToolTip("Pictures of earlier epochs; the right end follows the training")
        self.epoch.valueChanged.connect(self._show_chosen)
        self.panels = PanelGrid()
        self._controls = QWidget()
        grid = QGridLayout(self._controls)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.picture, 0, 0)
        grid.addWidget(self.heat, 0, 1)
        grid.addWidget(self.epoch, 1, 0, 1, 2)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.legend = QLabel(f"{_TIP}.")
        self.legend.setWordWrap(True)
        self.legend.setStyleSheet(SMALL)
        for widget in (self._empty, self.caption, self._controls, self.panels, self.legend):
            layout.addWidget(widget)
        self.show_run(None)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self.panels.set_theme(name)

    def show_run(self, run: RunFolder | None) -> None:
        """Look at another run; its pictures come with `show_newest`."""
        self._run, self._kept, self.preview = run, [], None
        self._list()
        self.epoch.blockSignals(True)
        self.epoch.setValue(self.epoch.maximum())  # follow
        self.epoch.blockSignals(False)
        self._show(None)

    def show_newest(self, file: Path) -> None:
        """There is a new picture: show it unless an earlier epoch is looked at."""
        if self._run is None or file.parent != self._run.previews:
            return
        follows = self.epoch.value() == self.epoch.maximum()
        self._list()
        if follows:
            self.epoch.setValue(self.epoch.maximum())
            self._show_chosen()

    def _list(self) -> None:
        """Know the epochs that are kept; behind them comes the newest picture."""
        self._kept = [] if self._run is None else sorted(self._run.previews.glob("epoch-*.npz"))
        self.epoch.blockSignals(True)
        self.epoch.setRange(0, len(self._kept))
        self.epoch.blockSignals(False)
        self.epoch.setVisible(len(self._kept) > 1)

    def _show_chosen(self, *_: object) -> None:
        if self._run is None:
            return
        index = self.epoch.value()
        newest = index >= len(self._kept)
        try:
            self._show(read_preview(self._run.previews / LATEST if newest else self._kept[index]))
        except TrainingError:
            return  # it has just been replaced or deleted; the next one comes soon

    def _show(self, preview: Preview | None) -> None:
        self.preview = preview
        self._empty.setVisible(preview is None)
        for widget in (self.caption, self._controls, self.panels):
            widget.setVisible(preview is not None)
        has_heat = preview is not None and any(p.heat is not None for p in preview.panels)
        self.legend.setVisible(has_heat)
        if preview is None:
            self.panels.show_panels(())
            return
        self.caption.setText(f"Epoch {round(preview.position, 1):g} · {preview.caption}")
        self.panels.show_panels(preview.panels)
        self.heat.setVisible(has_heat)
        self.picture.blockSignals(True)
        self.picture.setRange(1, preview.pictures)
        self.picture.setPrefix("Subject " if preview.kind == "latent" else "Picture ")
        self.picture.setSuffix(f" of {preview.pictures}")
        if not self.picture.hasFocus():
            self.picture.setValue(preview.picture + 1)
        self.picture.blockSignals(False)

    def _on_look(self, *_: object) -> None:
        self.look_chosen.emit(Look(self.picture.value() - 1, self.heat.currentData()))
