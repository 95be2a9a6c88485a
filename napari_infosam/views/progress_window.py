"""A window that holds everything else up until something is done."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

WIDTH = 320


class ProgressWindow(QDialog):
    """Shown at once, until `end` is called: a cancelled job, too, has to come to its end first.

    Not a QProgressDialog: that handles other events while its value is set, and hides when it is cancelled.
    """

    cancel_requested = Signal()

    def __init__(self, text: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(text)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(WIDTH)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._cancel = QPushButton("Cancel")
        self._cancel.clicked.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(text))
        layout.addWidget(self._bar)
        layout.addWidget(self._cancel, alignment=Qt.AlignmentFlag.AlignRight)
        self.show()

    def setValue(self, done: int, total: int) -> None:
        """How many of how many steps are done."""
        self._bar.setRange(0, total)
        self._bar.setValue(done)

    def reject(self) -> None:
        """Escape and the window's own cross do what the button does."""
        if self._cancel.isEnabled():
            self._cancel.setEnabled(False)
            self._cancel.setText("Cancelling…")
            self.cancel_requested.emit()

    def end(self) -> None:
        """Go away."""
        super().reject()
        self.deleteLater()
