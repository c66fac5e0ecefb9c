"""Playing the cine, and how labels are drawn."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_cardioxai.app.layer_styles import LABELS_STYLE
from napari_cardioxai.app.playback import UNKNOWN_CYCLE_MS, Player
from napari_cardioxai.app.session import Session


class PlaybackSection(QWidget):
    """Play and pause at the heart's own rate; outlines instead of filled labels."""

    def __init__(self, session: Session, player: Player) -> None:
        super().__init__()
        self._session = session
        self._player = player
        self.button = QPushButton("Play")
        self.button.setObjectName("play")
        self.button.setCheckable(True)
        self.button.clicked.connect(self._toggle)
        self._rate = QLabel()
        self._rate.setObjectName("play_rate")
        self._rate.setWordWrap(True)
        self.position = QLabel()
        self.position.setObjectName("position")
        # It changes with every frame; its width must not lay out the dock anew each time.
        self.position.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.outlines = QCheckBox("Outlines")
        self.outlines.setObjectName("outlines")
        self.outlines.toggled.connect(self._draw_outlines)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button, 0, 0)
        layout.addWidget(self._rate, 0, 1)
        layout.addWidget(self.outlines, 0, 2)
        layout.addWidget(self.position, 1, 0, 1, 3)
        layout.setColumnStretch(1, 1)
        player.playing_changed.connect(self._on_playing)
        session.scan_changed.connect(self._on_scan)
        session.labels_changed.connect(self._on_labels)
        self._on_scan()
        self._on_labels()

    def _interval_ms(self) -> float:
        scan = self._session.scan
        frames = 1 if scan is None else scan.data.shape[0]
        known = None if scan is None else scan.frame_interval_ms
        return known if known else UNKNOWN_CYCLE_MS / frames

    def _toggle(self, checked: bool) -> None:
        scan = self._session.scan
        if checked and scan is not None:
            self._player.start(self._interval_ms(), scan.data.shape[0])
        else:
            self._player.stop()

    def _on_playing(self, playing: bool) -> None:
        self.button.setChecked(playing)
        self.button.setText("Pause" if playing else "Play")

    def _on_scan(self) -> None:
        scan = self._session.scan
        self._player.stop()
        is_cine = scan is not None and scan.is_cine
        self.button.setEnabled(is_cine)
        self._rate.setText("")
        if scan is not None and is_cine:
            cycle_s = self._interval_ms() * scan.data.shape[0] / 1000.0
            known = scan.frame_interval_ms is not None
            said = f"{self._interval_ms():.0f} ms a frame, {cycle_s:.2f} s a cycle"
            self._rate.setText(said if known else "Time unknown: played at 1 s a cycle")

    def _on_labels(self) -> None:
        layer = self._session.labels_layer
        self.outlines.setEnabled(layer is not None)
        self._draw_outlines(self.outlines.isChecked())
        if layer is not None:  # others draw outlines too, so that a heat map can be seen
            layer.events.contour.connect(lambda: self.outlines.setChecked(layer.contour > 0))

    def _draw_outlines(self, outlines: bool) -> None:
        layer = self._session.labels_layer
        if layer is not None and layer.contour != (LABELS_STYLE.outline_width if outlines else 0):
            layer.contour = LABELS_STYLE.outline_width if outlines else 0
            layer.opacity = LABELS_STYLE.outline_opacity if outlines else LABELS_STYLE.opacity
