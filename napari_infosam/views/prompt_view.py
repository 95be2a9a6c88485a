"""The tools: prompting, painting, and what to do with the candidate mask."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QEvent, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_infosam.views.colours import tones
from napari_infosam.views.message import Message

CHECKED_STYLE = "QPushButton:checked { background-color: #3b6fd4; color: white; font-weight: bold; }"


@dataclass(frozen=True)
class PromptPanel:
    """What the view shows.

    image: name of the image that prompts go to. tool: "prompt", "brush", "erase" or None. candidate: which of
    n_candidates is drawn, from 0; score: the IoU that the model predicts for it. status: what happened;
    problem: the status is one. hint: what to do next.
    """

    image: str = ""
    tool: str | None = None
    enabled: bool = False
    positive: bool = True
    overwrite: bool = False
    candidate: int = 0
    n_candidates: int = 0
    score: float = 0.0
    can_clear: bool = False
    can_undo: bool = False
    can_redo: bool = False
    busy: bool = False
    status: str = ""
    problem: bool = False
    hint: str = ""


class PromptView(QWidget):
    """Buttons for everything that the prompting keys do, and two lines of text."""

    tool_requested = Signal(str, bool)  # "prompt", "brush" or "erase", on or off
    sign_requested = Signal(bool)  # True: the next click is on the object
    overwrite_requested = Signal(bool)
    candidate_requested = Signal(int)  # 1: the next one, -1: the previous one
    commit_requested = Signal()
    clear_requested = Signal()
    undo_requested = Signal()
    redo_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._value = PromptPanel()
        self._image = _line()
        self._tools = {
            "prompt": _tool("Prompt", "Click or drag a box on the canvas; hold Space to move the image"),
            "brush": _tool("Brush", "Paint on the labels; strokes are saved as corrections"),
            "erase": _tool("Eraser", "Erase labels; strokes are saved as corrections"),
        }
        for name, button in self._tools.items():
            button.clicked.connect(lambda on, tool=name: self.tool_requested.emit(tool, on))
        self._sign = QPushButton()
        self._sign.setToolTip("What the next click means (T). Ctrl+click always means background.")
        self._sign.clicked.connect(lambda: self.sign_requested.emit(not self._value.positive))
        self._candidate = QLabel()
        self._candidate.setToolTip("The candidate mask shown, and how good the model thinks it is (IoU)")
        self._previous = _arrow("◂", "Previous candidate mask (Shift+Tab)")
        self._next = _arrow("▸", "Next candidate mask (Tab)")
        self._previous.clicked.connect(lambda: self.candidate_requested.emit(-1))
        self._next.clicked.connect(lambda: self.candidate_requested.emit(1))
        self._commit = _button("Commit", "Keep the mask as an object (Enter or C)")
        self._clear = _button("Clear", "Forget the prompts (Esc)")
        self._undo = _button("Undo", "Undo the last prompt, commit, stroke or deletion (Ctrl+Z)")
        self._redo = _button("Redo", "Do it again (Ctrl+Shift+Z)")
        self._commit.clicked.connect(self.commit_requested)
        self._clear.clicked.connect(self.clear_requested)
        self._undo.clicked.connect(self.undo_requested)
        self._redo.clicked.connect(self.redo_requested)
        self._overwrite = QCheckBox("May cover other objects")
        self._overwrite.setToolTip("Otherwise a mask takes only pixels that no other object has")
        self._overwrite.clicked.connect(self.overwrite_requested)
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setTextVisible(False)
        self._busy.setFixedHeight(4)
        self._status = Message(lines=2)
        self._hint = Message(lines=2)
        self._arrange()
        self.setValue(self._value)

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._image)
        layout.addLayout(_row(*self._tools.values()))
        grid = QGridLayout()
        grid.setSpacing(4)
        candidate = _row(self._previous, self._candidate, self._next)
        candidate.setStretch(1, 1)
        grid.addWidget(self._sign, 0, 0)
        grid.addLayout(candidate, 0, 1)
        grid.addWidget(self._commit, 1, 0)
        grid.addWidget(self._clear, 1, 1)
        grid.addWidget(self._undo, 2, 0)
        grid.addWidget(self._redo, 2, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        layout.addLayout(grid)
        for widget in (self._overwrite, self._busy, self._status, self._hint):
            layout.addWidget(widget)

    def value(self) -> PromptPanel:
        return self._value

    def setValue(self, value: PromptPanel) -> None:
        self._value = value
        self._image.setText(value.image or "No image")
        self._image.setToolTip(value.image)
        for name, button in self._tools.items():
            button.setEnabled(value.enabled)
            button.setChecked(value.tool == name)
        self._sign.setText("+  object" if value.positive else "−  background")
        self._colour_sign()
        chosen = f"mask {value.candidate + 1} of {value.n_candidates}  ·  {value.score:.2f}"
        self._candidate.setText(chosen if value.n_candidates else "no mask yet")
        self._candidate.setEnabled(bool(value.n_candidates))
        for arrow in (self._previous, self._next):
            arrow.setEnabled(value.n_candidates > 1)
        self._commit.setEnabled(bool(value.n_candidates))
        self._clear.setEnabled(value.can_clear)
        self._undo.setEnabled(value.can_undo)
        self._redo.setEnabled(value.can_redo)
        self._overwrite.setChecked(value.overwrite)
        # The line keeps its height, so that the panel does not jump.
        self._busy.setRange(0, 0 if value.busy else 1)
        self._status.setText(value.status, "bad" if value.problem else "")
        self._hint.setText(value.hint, "faint")

    def changeEvent(self, event: QEvent | None) -> None:
        """Another theme brings other colours."""
        super().changeEvent(event)
        self._colour_sign()

    def _colour_sign(self) -> None:
        colours = tones(self)
        style = f"color: {colours.good if self._value.positive else colours.bad};"
        if style != self._sign.styleSheet():
            self._sign.setStyleSheet(style)


def _line() -> QLabel:
    label = QLabel()
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _tool(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tooltip)
    button.setStyleSheet(CHECKED_STYLE)
    return button


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _arrow(text: str, tooltip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tooltip)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row
