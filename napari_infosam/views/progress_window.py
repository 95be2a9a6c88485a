"""A window that holds everything else up until something is done, or cancelled."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressDialog, QWidget


class ProgressWindow(QProgressDialog):
    """Shown at once; `canceled` is emitted when the user does not want to wait. total: 0 if it is unknown."""

    def __init__(self, text: str, total: int, parent: QWidget | None) -> None:
        super().__init__(text, "Cancel", 0, total, parent)
        self.setWindowTitle(text)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAutoClose(False)
        self.setAutoReset(False)
        self.setMinimumDuration(0)
        self.setValue(0)
        self.show()
