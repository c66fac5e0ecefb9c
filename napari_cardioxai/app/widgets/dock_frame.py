"""What every dock has in common: a column that scrolls."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

WIDTH = 400


def scrolling_column(
    dock: QWidget, parts: Iterable[QWidget], *, name: str, below: Iterable[QWidget] = ()
) -> None:
    """Lay parts out below each other, as high as the window allows and never cut off in width.

    What stands `below` the column is always in view.
    """
    inner = QWidget()
    stack = QVBoxLayout(inner)
    stack.setContentsMargins(2, 2, 6, 2)
    stack.setSpacing(4)
    for part in parts:
        stack.addWidget(part)
    stack.addStretch(1)
    scroll = QScrollArea()
    scroll.setObjectName(f"{name}_scroll")
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(inner)
    bar = scroll.verticalScrollBar().sizeHint().width()
    dock.setMinimumWidth(max(WIDTH, inner.minimumSizeHint().width() + bar + 16))
    layout = QVBoxLayout(dock)
    layout.setContentsMargins(4, 4, 4, 4)
    layout.addWidget(scroll, 1)
    for widget in below:
        layout.addWidget(widget)
