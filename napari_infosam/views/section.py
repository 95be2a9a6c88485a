"""A titled part of the panel."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget


class Section(QWidget):
    """A heading with a thin line under it, and what belongs to it below."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._title = QLabel()
        self.set_title(title)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFixedHeight(1)
        line.setStyleSheet("background: #7a828c; border: none;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 6)
        layout.setSpacing(4)
        for widget in (self._title, line, content):
            layout.addWidget(widget)

    def set_title(self, title: str) -> None:
        self._title.setText(f"<b>{title}</b>")
