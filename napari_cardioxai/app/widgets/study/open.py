"""Opening a study and choosing one of its series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.session import JobState, Session, Status

_THUMBNAIL = 52
_ROW = _THUMBNAIL + 8
_ROWS_SHOWN = 3
NOTHING_OPEN = "Drop a study folder here or press Open"


class OpenSection(QWidget):
    """Open buttons, the list of series and what was odd about them.

    Emits `path_chosen` and `series_chosen`; the dock decides what to do, since
    unsaved edits may be in the way.
    """

    path_chosen = Signal(object)
    sample_chosen = Signal()
    series_chosen = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._empty = QLabel(NOTHING_OPEN)
        self._empty.setObjectName("empty_state")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setStyleSheet("border: 1px dashed palette(mid); padding: 14px;")
        self.list = QListWidget()
        self.list.setObjectName("series_list")
        self.list.setIconSize(QSize(_THUMBNAIL, _THUMBNAIL))
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setWordWrap(False)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemClicked.connect(self._on_item)
        self.list.itemActivated.connect(self._on_item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._buttons())
        layout.addWidget(self._empty)
        layout.addWidget(self.list)
        session.catalogue_changed.connect(self._show_catalogue)
        session.scan_changed.connect(self._show_choice)
        session.status_changed.connect(self._on_status)
        self._show_catalogue()

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for name, text, tip, slot in (
            ("open_folder", "Open folder…", "A DICOM study, or pictures", self.ask_for_folder),
            ("open_files", "Open files…", "DICOM, NIfTI, PNG, JPEG or NPY", self.ask_for_files),
            ("open_sample", "Sample", "A real cine of the Sunnybrook Cardiac Data (CC0)", None),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setToolTip(tip)
            button.clicked.connect(slot or self.sample_chosen.emit)
            row.addWidget(button)
        return row

    def ask_for_folder(self) -> None:
        """Let the user choose a folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open a study folder", self._start())
        if folder:
            self.path_chosen.emit(Path(folder))

    def ask_for_files(self) -> None:
        """Let the user choose files."""
        kinds = "Scans (*.dcm *.ima *.nii *.nii.gz *.png *.jpg *.jpeg *.npy);;All files (*)"
        files, _ = QFileDialog.getOpenFileNames(self, "Open a scan", self._start(), kinds)
        if files:
            paths = [Path(file) for file in files]
            self.path_chosen.emit(paths[0] if len(paths) == 1 else paths)

    def _start(self) -> str:
        path = self._session.path
        return "" if path is None else str(path.parent)

    def _show_catalogue(self) -> None:
        catalogue = self._session.catalogue
        self._empty.setVisible(catalogue is None and self._session.scan is None)
        self.list.setVisible(catalogue is not None)
        self.list.clear()
        if catalogue is None:
            return
        pairs = zip(catalogue.entries, self._session.thumbnails, strict=True)
        for index, (entry, thumbnail) in enumerate(pairs):
            item = QListWidgetItem(series_text(entry))
            item.setData(Qt.ItemDataRole.UserRole, index)
            item.setToolTip("\n".join((series_text(entry), *entry.warnings)))
            if thumbnail is not None:
                item.setIcon(icon_of(thumbnail))
            item.setSizeHint(QSize(0, _ROW))
            self.list.addItem(item)
        rows = min(_ROWS_SHOWN, max(1, len(catalogue.entries)))
        self.list.setFixedHeight(rows * _ROW + 6)
        self._show_choice()

    def _show_choice(self) -> None:
        self._empty.setVisible(self._session.catalogue is None and self._session.scan is None)
        if self._session.series >= 0:
            self.list.setCurrentRow(self._session.series)

    def _on_item(self, item: QListWidgetItem) -> None:
        index = int(item.data(Qt.ItemDataRole.UserRole))
        if index != self._session.series:
            self.series_chosen.emit(index)
            self._show_choice()  # until it is loaded the list shows what is on screen

    def _on_status(self, status: Status) -> None:
        self.list.setEnabled(status.state is not JobState.RUNNING)
        for button in self.findChildren(QPushButton):
            button.setEnabled(status.state is not JobState.RUNNING)


def series_text(entry: Any) -> str:
    """Three lines: what it is called; its kind and size; its spacing in space and time."""
    frames, slices, height, width = entry.shape
    counts = [f"{frames} phases" if frames > 1 else "", f"{slices} slices" if slices > 1 else ""]
    what = [entry.kind, *(count for count in counts if count)]
    where = [f"{height} × {width}", "spacing unknown"]
    if entry.spacing_mm is not None:
        z, y, x = entry.spacing_mm
        where[1] = f"{y:.2f} × {x:.2f}{f' × {z:.1f}' if slices > 1 else ''} mm"
    if frames > 1:
        times = entry.frame_times_ms
        known = times is not None
        where.append(f"{np.median(np.diff(times)):.0f} ms" if known else "time unknown")
    return f"{entry.name}\n{', '.join(what)}\n{', '.join(where)}"


def icon_of(picture: np.ndarray) -> QIcon:
    """Icon of a grey picture, shape (h, w), uint8."""
    picture = np.ascontiguousarray(picture, np.uint8)
    height, width = picture.shape
    image = QImage(picture.data, width, height, width, QImage.Format.Format_Grayscale8)
    pixmap = QPixmap.fromImage(image.copy())
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected, QIcon.Mode.Disabled):
        icon.addPixmap(pixmap, mode)  # the same in each: Qt would tint a heart blue or grey
    return icon
