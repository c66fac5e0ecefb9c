"""Probabilities as horizontal bars, with the mark that decides."""

from __future__ import annotations

from collections.abc import Mapping

from napari.utils.theme import get_theme
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

BELOW, ABOVE = QColor("#56b4e9"), QColor("#e69f00")  # told apart by colour-blind readers
_BAR, _GAP, _OVERHANG = 12, 3, 4
_FADED = 0.35
ROW_GAP = 6


class Gauge(QWidget):
    """A title, a bar from 0 to 100 %, its figure, and a mark with a name below it.

    Parameters
    ----------
    name
        Of the widget, for tests.
    mark_name
        What stands before the figure of the mark.
    is_split
        Whether 50 % is a border although no mark is drawn.
    """

    def __init__(self, name: str, *, mark_name: str = "threshold", is_split: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.title, self.said = "", "–"
        self.share: float | None = None
        self.mark: float | None = None
        self._mark_name, self._is_split = mark_name, is_split
        self._is_old = self._is_chosen = False
        self._text, self._track = QColor("white"), QColor("#414851")
        self._fit()

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        theme = get_theme(name)
        self._text, self._track = (QColor(c.as_hex()) for c in (theme.text, theme.primary))
        self.update()

    def show_value(
        self,
        title: str,
        share: float | None,
        *,
        mark: float | None = None,
        is_chosen: bool = False,
    ) -> None:
        """Show a share of 0 to 1 and the mark; None: not known; the chosen one of several stands out."""
        self._is_chosen = is_chosen
        self.title, self.share, self.mark = title, share, mark
        self.said = "–" if share is None else percent(share)
        marked = "" if mark is None else f", {self.mark_text}"
        self.setAccessibleName(f"{title}: {self.said}{marked}")
        self._fit()
        self.update()

    def set_old(self, is_old: bool) -> None:
        """Whether what it shows is older than the labels."""
        self._is_old = is_old
        self.update()

    @property
    def is_above(self) -> bool:
        """Whether the value reaches the mark, or was chosen."""
        if self._is_chosen:
            return True
        border = 0.5 if self.mark is None and self._is_split else self.mark
        return self.share is not None and border is not None and self.share >= border

    @property
    def mark_text(self) -> str:
        """What stands below the mark."""
        return "" if self.mark is None else f"{self._mark_name} {percent(self.mark)}"

    def _fit(self) -> None:
        line = self.fontMetrics().height()
        rows = 1 if self.mark is None else 2
        self.setFixedHeight(rows * (line + _GAP) + _BAR + 2 * _OVERHANG)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(_FADED if self._is_old else 1.0)
        line, width = self.fontMetrics().height(), self.width()
        painter.setPen(self._text)
        font = painter.font()
        bold = painter.font()
        bold.setBold(True)
        painter.setFont(bold)
        painter.drawText(QRectF(0, 0, width, line), Qt.AlignmentFlag.AlignRight, self.said)
        room = width - painter.fontMetrics().horizontalAdvance(self.said) - 8
        painter.setFont(font)
        title = painter.fontMetrics().elidedText(self.title, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(0, 0, room, line), Qt.AlignmentFlag.AlignLeft, title)
        bar = QRectF(0, line + _GAP + _OVERHANG, width, _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._track)
        painter.drawRoundedRect(bar, 3, 3)
        if self.share is not None:
            painter.setBrush(ABOVE if self.is_above else BELOW)
            filled = QRectF(bar)
            filled.setWidth(max(3.0, min(1.0, self.share) * width))
            painter.drawRoundedRect(filled, 3, 3)
        if self.mark is not None:
            self._draw_mark(painter, bar, line)
        painter.end()

    def _draw_mark(self, painter: QPainter, bar: QRectF, line: int) -> None:
        x = min(max(self.mark * bar.width(), 1.0), bar.width() - 1.0)
        painter.setPen(QPen(self._text, 2))
        painter.drawLine(int(x), int(bar.top() - _OVERHANG), int(x), int(bar.bottom() + _OVERHANG))
        length = painter.fontMetrics().horizontalAdvance(self.mark_text) + 2
        left = min(max(x - length / 2, 0), bar.width() - length)
        below = QRectF(left, bar.bottom() + _OVERHANG, length, line)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.mark_text)


class Bars(QWidget):
    """One bar a name; another colour for what is more likely than not, or is chosen among all."""

    def __init__(self, prefix: str, *, one_of_all: bool = False) -> None:
        super().__init__()
        self._one_of_all = one_of_all
        self.bars: dict[str, Gauge] = {}
        self._prefix, self._theme = prefix, "dark"
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(ROW_GAP)

    def set_theme(self, name: str) -> None:
        """Take the colours of a napari theme."""
        self._theme = name
        for bar in self.bars.values():
            bar.set_theme(name)

    def show_shares(self, shares: Mapping[str, float]) -> None:
        """Fill in; bars are made anew only for other names."""
        if list(shares) != list(self.bars):
            for bar in self.bars.values():
                self._rows.removeWidget(bar)
                bar.deleteLater()
            self.bars = {}
            for name in shares:
                bar = Gauge(f"{self._prefix}_{name}", is_split=not self._one_of_all)
                self.bars[name] = bar
                bar.set_theme(self._theme)
                self._rows.addWidget(bar)
        most = max(shares.values(), default=0.0)
        for name, share in shares.items():
            is_chosen = self._one_of_all and share == most
            self.bars[name].show_value(capital(name), share, is_chosen=is_chosen)


def percent(share: float) -> str:
    """A probability for people: whole percents, and never 0 or 100 for what is neither."""
    if 0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def capital(text: str) -> str:
    """With a capital first letter."""
    return f"{text[:1].upper()}{text[1:]}"
