"""A slider a concept, and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cardioxai.app.concept_player import Sweep
from napari_cardioxai.app.widgets.concepts.slider import AlphaSlider
from napari_cardioxai.app.widgets.concepts.spark import WRONG_COLOUR

DEFAULT_REACH = (-2.0, 2.0)


class SlidersSection(QWidget):
    """One concept at a time or several together, to and fro, and back."""

    moved = Signal(object)  # alphas by name
    reset_pressed = Signal()
    play_pressed = Signal(str, object)  # concept, Sweep
    stop_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sliders: dict[str, AlphaSlider] = {}
        self._theme = "dark"
        self._last = ""
        self.combined = QCheckBox("Several at once")
        self.combined.setObjectName("concepts_combined")
        self.combined.setToolTip(
            "On: changes are added. Off: moving one slider puts the others back to 0."
        )
        self.reset = QPushButton("Reset")
        self.reset.setObjectName("concepts_reset")
        self.reset.setToolTip("Every slider to 0: the heart as the model draws it again")
        self.play = QPushButton("Play")
        self.play.setObjectName("concepts_play")
        self.play.setCheckable(True)
        self.sweep = QComboBox()
        self.sweep.setObjectName("concepts_sweep")
        for one in Sweep:
            self.sweep.addItem(str(one), one)
        self.sentence, self.beyond = _text("concepts_sentence"), _text("concepts_beyond")
        self.beyond.setStyleSheet(f"color: {WRONG_COLOUR};")
        self._rows = QVBoxLayout()
        self._rows.setSpacing(0)
        buttons = QHBoxLayout()
        buttons.addWidget(self.combined, 1)
        buttons.addWidget(self.reset)
        playing = QHBoxLayout()
        playing.addWidget(self.play)
        playing.addWidget(self.sweep, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._rows)
        layout.addWidget(self.beyond)
        layout.addLayout(buttons)
        layout.addLayout(playing)
        layout.addWidget(self.sentence)
        self.combined.toggled.connect(self._on_combined)
        self.reset.clicked.connect(self._on_reset)
        self.play.clicked.connect(self._on_play)

    @property
    def alphas(self) -> dict[str, float]:
        """Where the sliders stand."""
        return {name: slider.alpha for name, slider in self.sliders.items()}

    @property
    def current(self) -> str:
        """The concept that was moved or chosen last."""
        return self._last or next(iter(self.sliders), "")

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._theme = name
        for slider in self.sliders.values():
            slider.set_theme(name)

    def set_concepts(
        self, plausible: Mapping[str, tuple[float, float] | None], tips: Mapping[str, str]
    ) -> None:
        """Make a slider for each concept, with the range in which hearts stay plausible."""
        for slider in self.sliders.values():
            self._rows.removeWidget(slider)
            slider.deleteLater()
        self.sliders, self._last = {}, ""
        for name, reach in plausible.items():
            slider = self.sliders[name] = AlphaSlider(name, reach)
            slider.setToolTip(tips.get(name, ""))
            slider.set_theme(self._theme)
            slider.changed.connect(lambda _, name=name: self._on_slider(name))
            self._rows.addWidget(slider)
        width = max((s.name.sizeHint().width() for s in self.sliders.values()), default=0)
        for slider in self.sliders.values():
            slider.name.setFixedWidth(width)
        self._say()

    def choose(self, name: str) -> None:
        """Make a concept the one that Play moves."""
        if name in self.sliders:
            self._last = name
            self._say()

    def show_alphas(self, alphas: Mapping[str, float]) -> None:
        """Put the sliders where the heart is, without asking for it again."""
        for name, slider in self.sliders.items():
            slider.set_alpha(alphas.get(name, 0.0))
        self._say()

    def show_playing(self, playing: bool) -> None:
        """Say whether a sweep runs."""
        self.play.setChecked(playing)
        self.play.setText("Stop" if playing else "Play")

    def show_sentence(self, text: str) -> None:
        """Which direction is walked."""
        self.sentence.setText(text)
        self.sentence.setVisible(bool(text))

    def reach_of(self, name: str) -> tuple[float, float]:
        """Where a sweep turns: the ends of what is plausible, or two standard deviations."""
        reach = self.sliders[name].plausible
        return reach if reach is not None and reach[0] < 0 < reach[1] else DEFAULT_REACH

    def _on_slider(self, name: str) -> None:
        self._last = name
        if not self.combined.isChecked():
            for other, slider in self.sliders.items():
                if other != name:
                    slider.set_alpha(0.0)
        self._say()
        self.moved.emit(self.alphas)

    def _on_combined(self, several: bool) -> None:
        if not several and sum(bool(alpha) for alpha in self.alphas.values()) > 1:
            self._on_slider(self.current)

    def _on_reset(self) -> None:
        self.show_alphas({})
        self.reset_pressed.emit()

    def _on_play(self, checked: bool) -> None:
        if checked and self.current:
            self.play_pressed.emit(self.current, self.sweep.currentData())
        else:
            self.show_playing(False)
            self.stop_pressed.emit()

    def _say(self) -> None:
        far = [name for name, slider in self.sliders.items() if slider.is_beyond]
        self.beyond.setText(
            f"{', '.join(far)}: beyond what kept the cohort's hearts plausible." if far else ""
        )
        self.beyond.setVisible(bool(far))
        for name, slider in self.sliders.items():
            slider.set_bold(name == self.current)


def _text(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    return label
