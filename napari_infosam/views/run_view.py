"""A run while it goes on, and why it has no result when it went wrong."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_infosam.models.adapt_run import Run
from napari_infosam.views.colours import BAR
from napari_infosam.views.message import Message

RESOLUTION = 1000


class RunView(QWidget):
    """Progress with a button to cancel; after a failure the reason, with a button to resume if possible."""

    cancel_requested = Signal()
    stop_requested = Signal()  # at once, without waiting for the best so far
    resume_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._value = Run()
        self._text = Message()
        self._bar = QProgressBar()
        self._bar.setRange(0, RESOLUTION)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(14)
        self._bar.setStyleSheet(BAR)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("End training and keep the best model so far")
        self._cancel.clicked.connect(self.cancel_requested)
        self._stop = QPushButton("Stop now")
        self._stop.setToolTip("End training at once; it can be resumed from its last checkpoint")
        self._stop.clicked.connect(self.stop_requested)
        self._resume = QPushButton("Resume")
        self._resume.setToolTip("Go on from the last checkpoint")
        self._resume.clicked.connect(self.resume_requested)
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        row.addWidget(self._stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._text)
        layout.addLayout(row)
        layout.addWidget(self._resume)
        self.setValue(self._value)

    def value(self) -> Run:
        return self._value

    def setValue(self, value: Run) -> None:
        self._value = value
        said = value.progress or _outcome(value)
        self._text.setHtml(said)
        self._text.setVisible(bool(said))
        self._bar.setVisible(value.is_active)
        self._cancel.setVisible(value.is_active and not value.cancelling)
        self._stop.setVisible(value.is_active and value.cancelling)
        self._resume.setVisible(value.resumable and not value.is_active)
        # An animated bar would have the whole window, canvas included, painted many times a second, and a bar
        # in motion is painted at once, alone; this one waits for the next turn like everything else.
        self._bar.setUpdatesEnabled(False)
        self._bar.setValue(round(RESOLUTION * (value.fraction or 0)))
        self._bar.setUpdatesEnabled(True)
        self.setVisible(value.is_active or bool(value.message))


def _outcome(run: Run) -> str:
    """Rich text: what happened and what to do."""
    if not run.message:
        return ""
    kept = "" if run.phase == "cancelled" else " Your labels are safe."
    resume = " Training can be resumed from its last checkpoint." if run.resumable else ""
    message, advice = escape(run.message), escape(f" {run.advice}".rstrip())
    mark = "" if run.phase == "cancelled" else "<span class='warning'>●</span> "
    return f"{mark}<b>{message}</b>{advice}{kept}{resume}"
