"""The Adapt section of the panel: what a run would do, the button, the run, and what it brought."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from infosam.types import AdaptConfig
from napari_infosam.models.adapt_run import Run
from napari_infosam.models.adapt_state import Interrupted
from napari_infosam.models.preflight import Preflight
from napari_infosam.views.card_view import CardView
from napari_infosam.views.collapsible import Collapsible
from napari_infosam.views.colours import PRIMARY
from napari_infosam.views.curves_view import CurvesView
from napari_infosam.views.message import Message
from napari_infosam.views.method_view import MethodView
from napari_infosam.views.run_view import RunView


class AdaptView(QWidget):
    """Shows the state of the Adapt section; says what the user asks for."""

    valueChanged = Signal(object)  # AdaptConfig
    adapt_requested = Signal(object)  # AdaptConfig
    cancel_requested = Signal()
    stop_requested = Signal()
    resume_requested = Signal()
    accept_requested = Signal()
    discard_requested = Signal()
    forget_requested = Signal()  # the interrupted run of an earlier session

    def __init__(self) -> None:
        super().__init__()
        self._preflight = Preflight()
        self._plan, self._notice, self._blocked = Message(), Message(), Message()
        self._method = MethodView()
        self._adapt = QPushButton("Adapt")
        self._adapt.setToolTip("Fine-tune the model on everything labelled so far, in the background")
        self._adapt.setStyleSheet(PRIMARY)
        self._adapt.clicked.connect(lambda: self.adapt_requested.emit(self._method.value()))
        self._advanced = Collapsible("Advanced", self._method)
        self._interrupted = _Interrupted()
        self._run = RunView()
        self.curves = CurvesView()
        self._card = CardView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (
            self._notice,
            self._plan,
            self._adapt,
            self._blocked,
            self._advanced,
            self._interrupted,
            self._run,
            self._card,
            self.curves,
        ):
            layout.addWidget(widget)
        self._method.valueChanged.connect(self.valueChanged)
        self._run.cancel_requested.connect(self.cancel_requested)
        self._run.stop_requested.connect(self.stop_requested)
        self._run.resume_requested.connect(self.resume_requested)
        self._interrupted.resume_requested.connect(self.resume_requested)
        self._interrupted.forget_requested.connect(self.forget_requested)
        self._card.accept_requested.connect(self.accept_requested)
        self._card.discard_requested.connect(self.discard_requested)
        self.setPreflight(self._preflight)
        self.setNotice("")
        self.setInterrupted(None)

    def value(self) -> AdaptConfig:
        """How the user wants to adapt."""
        return self._method.value()

    def setValue(self, value: AdaptConfig) -> None:
        self._method.setValue(value)

    def setPreflight(self, value: Preflight) -> None:
        self._preflight = value
        self._plan.setText(value.text)
        self._arrange()

    def setNotice(self, text: str) -> None:
        self._notice.setText(text)
        self._notice.setVisible(bool(text))

    def setInterrupted(self, value: Interrupted | None) -> None:
        self._interrupted.setValue(value)

    def setRun(self, value: Run) -> None:
        self._run.setValue(value)
        self.curves.setValue(value)
        self._card.setValue(value.card)
        self._arrange()

    def _arrange(self) -> None:
        """While a run goes on, or waits for a decision, no other can be started."""
        run = self._run.value()
        free = not run.is_active and run.card is None
        blocked = self._preflight.blocked
        for widget in (self._plan, self._adapt, self._advanced):
            widget.setVisible(free)
        self._adapt.setEnabled(not blocked)
        self._blocked.setHtml(f"<span class='warning'>●</span> {escape(blocked)}")
        self._blocked.setVisible(free and bool(blocked))


class _Interrupted(QWidget):
    """Offers to resume a run of an earlier session."""

    resume_requested = Signal()
    forget_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = Message()
        resume, forget = QPushButton("Resume"), QPushButton("Forget")
        resume.setToolTip("Go on from the last checkpoint")
        forget.setToolTip("Leave it, and delete its checkpoint")
        resume.clicked.connect(self.resume_requested)
        forget.clicked.connect(self.forget_requested)
        buttons = QHBoxLayout()
        buttons.addWidget(resume)
        buttons.addWidget(forget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._text)
        layout.addLayout(buttons)

    def setValue(self, value: Interrupted | None) -> None:
        self.setVisible(value is not None)
        if value is not None:
            self._text.setText(f"A training run of {value.when} was interrupted.")
