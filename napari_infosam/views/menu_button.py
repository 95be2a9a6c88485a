"""A button that opens a menu."""

from __future__ import annotations

from qtpy.QtWidgets import QMenu, QToolButton


class MenuButton(QToolButton):
    """The menu opens at the first click, and the text alone says that there is one."""

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__()
        self.setText(text)
        self.setToolTip(tooltip)
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # Qt's own covers the text
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.items = QMenu(self)
        self.setMenu(self.items)
