"""What the colours of a map stand for."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_cardioxai.app.widgets.cohort_map.plot import (
    CLASS_COLOURS,
    CLASS_SIGNS,
    UNKNOWN_COLOUR,
    shades,
)

if TYPE_CHECKING:
    from napari_cardioxai.maps.columns import Column

_BAR, _SIDE = 12, 8


class MapLegend(QWidget):
    """Classes with sign and count, or a bar with its numbers.

    `class_clicked` carries the name of a class.
    """

    class_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self.classes = QLabel()
        self.classes.setObjectName("cohort_map_classes")
        self.classes.setWordWrap(True)
        self.classes.setTextFormat(Qt.TextFormat.RichText)
        self.classes.setToolTip("A click on a class chooses all its subjects")
        self.classes.linkActivated.connect(self._on_link)
        self.bar = ColourBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.classes)
        layout.addWidget(self.bar)
        self.show_column(None)

    def show_column(self, column: Column | None) -> None:
        """Explain a column."""
        self.classes.setVisible(column is not None)
        self.bar.setVisible(column is not None and not column.is_class)
        if column is None:
            return
        unknown = int((~column.known).sum())
        parts = []
        self._names = column.classes
        text = self.palette().windowText().color().name()
        if column.is_class:
            for k, kind in enumerate(column.classes):
                colour = CLASS_COLOURS[k % len(CLASS_COLOURS)]
                sign = CLASS_SIGNS[k % len(CLASS_SIGNS)]
                count = int((column.values == kind).sum())
                entry = _entry(colour, sign, f"{kind} ({count})")
                link = f'<a href="{k}" style="color:{text}; text-decoration:none">{entry}</a>'
                parts.append(link)
        else:
            self.bar.show_limits(*column.limits(), column.decimals, column.unit)
        if unknown:
            parts.append(_entry(UNKNOWN_COLOUR, "●", f"unknown ({unknown})"))
        self.classes.setText(f"{escape(column.title)}: " * column.is_class + "  ".join(parts))
        self.classes.setVisible(bool(parts))

    def _on_link(self, link: str) -> None:
        self.class_clicked.emit(self._names[int(link)])


class ColourBar(QWidget):
    """From low to high, with three numbers below; what lies beyond has the last colour."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("cohort_map_bar")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._texts = ("", "", "")
        gradient = QLinearGradient(0, 0, 1, 0)
        gradient.setCoordinateMode(QLinearGradient.CoordinateMode.ObjectMode)
        colours = shades()
        for place, colour in zip(np.linspace(0, 1, len(colours)), colours, strict=True):
            gradient.setColorAt(float(place), QColor(*map(int, colour)))
        self._gradient = gradient

    def show_limits(self, low: float, high: float, decimals: int, unit: str) -> None:
        """Write other numbers below."""
        middle = (low + high) / 2
        texts = [f"{value:.{decimals}f} {unit}".rstrip() for value in (low, middle, high)]
        self._texts = (f"≤ {texts[0]}", texts[1], f"≥ {texts[2]}")
        self.setAccessibleName(" to ".join((texts[0], texts[2])))
        self.update()

    @property
    def texts(self) -> tuple[str, str, str]:
        """What stands below: left, middle, right."""
        return self._texts

    def sizeHint(self) -> QSize:
        """As high as bar and text."""
        return QSize(200, _BAR + 4 + self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw."""
        painter = QPainter(self)
        width = self.width() - 2 * _SIDE
        painter.fillRect(QRectF(_SIDE, 0, width, _BAR), self._gradient)
        painter.setPen(self.palette().windowText().color())
        flags = Qt.AlignmentFlag
        where = QRectF(_SIDE, _BAR + 2, width, self.fontMetrics().height() + 2)
        for text, side in zip(
            self._texts, (flags.AlignLeft, flags.AlignHCenter, flags.AlignRight), strict=True
        ):
            painter.drawText(where, side | flags.AlignTop, text)


def _entry(colour: str, sign: str, text: str) -> str:
    name = escape(text).replace(" ", "&nbsp;")
    return f'<span style="color:{colour}">{sign}</span>&nbsp;{name} '
