"""Getting labels: from a model, from a file, or by hand."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.session import JobState, Session, Status

NO_MODEL = "no model found"
LOOKING = "looking for models …"
DEVICE_NAMES = {"auto": "automatic", "cpu": "CPU", "cuda": "NVIDIA GPU (CUDA)", "mps": "Apple GPU"}


class SegmentSection(QWidget):
    """Model, device and the three ways to labels."""

    segment_chosen = Signal(str, str)
    labels_chosen = Signal(object)
    blank_chosen = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.model = QComboBox()
        self.model.setObjectName("model")
        self.device = QComboBox()
        self.device.setObjectName("device")
        for box in (self.model, self.device):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(7)
        self.segment = QPushButton("Segment")
        self.segment.setObjectName("segment")
        self.segment.clicked.connect(self._on_segment)
        self.load = QPushButton("Load labels…")
        self.load.setObjectName("load_labels")
        self.load.clicked.connect(self._ask_for_labels)
        self.blank = QPushButton("Draw by hand")
        self.blank.setObjectName("blank_labels")
        self.blank.clicked.connect(self.blank_chosen.emit)
        form = QGridLayout()
        form.addWidget(QLabel("Model"), 0, 0)
        form.addWidget(self.model, 0, 1)
        form.addWidget(QLabel("on"), 0, 2)
        form.addWidget(self.device, 0, 3)
        form.setColumnStretch(1, 3)
        form.setColumnStretch(3, 2)
        row = QHBoxLayout()
        for button in (self.segment, self.load, self.blank):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(row)
        self.set_choices({"models": [], "devices": ["auto", "cpu"]})
        self.model.setItemText(0, LOOKING)
        session.scan_changed.connect(self._enable)
        session.labels_changed.connect(self._enable)
        session.status_changed.connect(self._on_status)
        self._enable()

    def set_choices(self, choices: dict[str, list[str]]) -> None:
        """Fill both boxes from "models" and "devices"; what was chosen stays, or the first is."""
        models, devices = choices["models"], choices["devices"]
        kept = self.model.currentData(), self.device.currentData()
        self.model.clear()
        for name in models:
            self.model.addItem(name, name)
        if not models:
            self.model.addItem(NO_MODEL, "")
        self.device.clear()
        for name in devices:
            self.device.addItem(DEVICE_NAMES.get(name, name), name)
        for box, chosen in zip((self.model, self.device), kept, strict=True):
            box.setCurrentIndex(max(0, box.findData(chosen)))
        self._enable()

    def _on_segment(self) -> None:
        self.segment_chosen.emit(self.model.currentData(), self.device.currentData())

    def _ask_for_labels(self) -> None:
        start = "" if self._session.path is None else str(self._session.path.parent)
        kinds = "Labels (*.nii *.nii.gz *.png);;All files (*)"
        file, _ = QFileDialog.getOpenFileName(self, "Load labels onto the scan", start, kinds)
        if file:
            self.labels_chosen.emit(Path(file))

    def _on_status(self, status: Status) -> None:
        self._enable()

    def _enable(self) -> None:
        idle = self._session.status.state is not JobState.RUNNING
        ready = idle and self._session.scan is not None
        self.segment.setEnabled(ready and bool(self.model.currentData()))
        self.load.setEnabled(ready)
        self.blank.setEnabled(ready and self._session.labels_layer is None)
