"""A slider in standard deviations, with the part of it that keeps hearts plausible."""

from __future__ import annotations

from napari.utils.theme import get_theme
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from napari_cardioxai.app.widgets.concepts.spark import WRONG_COLOUR

STEPS = 20  # of a slider in one standard deviation
REACH = 3
_FIGURE_WIDTH = 70  # of "-3.00 SD"
_MARGIN = 7  # from the widget's edge to the middle of the handle at its end


class AlphaSlider(QWidget):
    """Name, slider from -3 to 3 standard deviations with the plausible part below it, figure."""

    changed = Signal(float)

    def __init__(self, concept: str, plausible: tuple[float, float] | None) -> None:
        super().__init__()
        self.plausible = plausible
        self.name, self.figure = QLabel(concept), QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName(f"concepts_slider_{concept}")
        self.slider.setAccessibleName(f"{concept}, standard deviations")
        self.slider.setRange(-REACH * STEPS, REACH * STEPS)
        self.slider.setSingleStep(1)
        self.slider.setPageStep(STEPS // 2)
        self.figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # Sliders keep their length, and the dock is not laid out anew with every figure.
        self.figure.setFixedSize(_FIGURE_WIDTH, self.name.sizeHint().height())
        self._strip = _Strip(plausible)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.name, 0, 0)
        grid.addWidget(self.slider, 0, 1)
        grid.addWidget(self._strip, 1, 1)
        grid.addWidget(self.figure, 0, 2)
        self.slider.valueChanged.connect(self._on_value)
        self._show()

    @property
    def alpha(self) -> float:
        """Standard deviations of the cohort."""
        return self.slider.value() / STEPS

    @property
    def is_beyond(self) -> bool:
        """Whether it stands where the cohort's hearts did not stay plausible."""
        low, high = self.plausible or (-REACH, REACH)
        return not low <= self.alpha <= high

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._strip.track = QColor(get_theme(name).primary.as_hex())
        self._strip.update()

    def set_bold(self, bold: bool) -> None:
        """Whether it is the one that was moved last."""
        font = self.name.font()
        if font.bold() != bold:
            font.setBold(bold)
            self.name.setFont(font)

    def set_alpha(self, alpha: float) -> None:
        """Move it without a signal."""
        if round(alpha * STEPS) == self.slider.value():
            return
        self.slider.blockSignals(True)
        self.slider.setValue(round(alpha * STEPS))
        self.slider.blockSignals(False)
        self._show()

    def _on_value(self) -> None:
        self._show()
        self.changed.emit(self.alpha)

    def _show(self) -> None:
        self.figure.setText(f"{self.alpha:+.2f} SD" if self.alpha else "0 SD")
        style = f"color: {WRONG_COLOUR};" if self.is_beyond else ""
        if style != self.figure.styleSheet():
            self.figure.setStyleSheet(style)


class _Strip(QWidget):
    """The slider's range with its plausible part and the middle."""

    track = QColor("#414851")
    good, bad = QColor("#009e73"), QColor("#d55e00")

    def __init__(self, plausible: tuple[float, float] | None) -> None:
        super().__init__()
        self._plausible = plausible
        self.setFixedHeight(5)
        said = "not judged" if plausible is None else f"{plausible[0]:g} to {plausible[1]:g} SD"
        self.setToolTip(f"Green: alphas at which four of five hearts stay plausible ({said})")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        room = self.width() - 2 * _MARGIN

        def part(low: float, high: float, colour: QColor) -> None:
            left = _MARGIN + (low + REACH) / (2 * REACH) * room
            painter.setBrush(colour)
            painter.drawRect(QRectF(left, 1, (high - low) / (2 * REACH) * room, 3))

        if self._plausible is None:
            part(-REACH, REACH, self.track)
        else:
            low, high = self._plausible
            part(-REACH, low, self.bad)
            part(low, high, self.good)
            part(high, REACH, self.bad)
        painter.setBrush(QColor("white"))
        painter.drawRect(QRectF(self.width() / 2 - 1, 0, 2, 5))
        painter.end()
