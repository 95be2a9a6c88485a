"""Something that most people do not need to see, behind a line that opens it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget


class Collapsible(QWidget):
    """A flat button with a title; pressed, it shows or hides its content."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._title = title
        self._content = content
        self._button = QPushButton()
        self._button.setCheckable(True)
        self._button.setFlat(True)
        self._button.setStyleSheet("QPushButton { text-align: left; background: transparent; padding: 2px; }")
        self._button.setCursor(Qt.CursorShape.PointingHandCursor)
        self._button.toggled.connect(self._show)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._button)
        layout.addWidget(content)
        self._show(False)

    def setExpanded(self, expanded: bool) -> None:
        self._button.setChecked(expanded)

    def _show(self, expanded: bool) -> None:
        self._button.setText(f"{'▾' if expanded else '▸'} {self._title}")
        self._content.setVisible(expanded)
