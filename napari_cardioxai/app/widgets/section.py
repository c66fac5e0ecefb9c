"""A titled part of a dock that can be folded away."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget


class Section(QWidget):
    """A title that shows and hides the widget below it.

    superqt's QCollapsible pins the height of its content when it opens, so a
    list or a warning that appears later would be cut off; this one does not.
    """

    def __init__(self, title: str, content: QWidget, *, name: str, expanded: bool = True) -> None:
        super().__init__()
        self.setObjectName(f"{name}_section")
        self._title = title
        self._content = content
        self._header = QPushButton()
        self._header.setObjectName(f"{name}_header")
        self._header.setCheckable(True)
        self._header.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._header.setStyleSheet(
            "QPushButton, QPushButton:checked { text-align: left; font-weight: bold;"
            " border: none; background: transparent; padding: 3px 0px; }"
        )
        self._header.toggled.connect(self._show_content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._header)
        layout.addWidget(content)
        self._header.setChecked(expanded)
        self._show_content(expanded)

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._title = title
        self._show_content(self._header.isChecked())

    @property
    def is_expanded(self) -> bool:
        """Whether the content is shown."""
        return self._header.isChecked()

    def set_expanded(self, expanded: bool) -> None:
        """Show or hide the content."""
        self._header.setChecked(expanded)

    def _show_content(self, expanded: bool) -> None:
        self._header.setText(f"{'▾' if expanded else '▸'} {self._title}")
        self._content.setVisible(expanded)
