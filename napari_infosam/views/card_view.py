"""The before/after card: what the new model gained on held-out labels, and the decision."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from infosam.types import Card, Scores
from napari_infosam.views.colours import PRIMARY
from napari_infosam.views.message import Message

PROMPTS = {
    "point": "1 click",
    "points3": "3 clicks",
    "points5": "5 clicks",
    "box": "Box",
    "road5": "5 random points",
}
TITLE = "<b>The new model on images it was not trained on</b> (mean IoU)"
NOISE = 0.005  # a smaller difference of mean IoU is shown as none
NOT_MEASURED = (
    "<b>The new model is ready, but was not measured.</b> "
    "Accept it to try it on another image: you can go back at any time."
)


class CardView(QWidget):
    """Shows a `Card`, with buttons to accept the new model or to discard it."""

    accept_requested = Signal()
    discard_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._value: Card | None = None
        self._title, self._table, self._basis, self._verdict, self._note = (Message() for _ in range(5))
        self._title.setHtml(TITLE)
        self._accept = accept = QPushButton("Accept")
        accept.setToolTip("Go on annotating with the new model")
        accept.clicked.connect(self.accept_requested)
        self._discard = discard = QPushButton("Discard")
        discard.setToolTip(
            "Keep the model in use. The new one stays in the list of adapters, marked as rolled back"
        )
        discard.clicked.connect(self.discard_requested)
        buttons = QHBoxLayout()
        buttons.addWidget(accept)
        buttons.addWidget(discard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for message in (self._title, self._table, self._basis, self._verdict, self._note):
            layout.addWidget(message)
        layout.addLayout(buttons)
        self.setValue(None)

    def value(self) -> Card | None:
        return self._value

    def setValue(self, value: Card | None) -> None:
        self._value = value
        self.setVisible(value is not None)
        if value is None:
            return
        measured = [name for name, scores in value.new.items() if scores.iou is not None]
        for message in (self._title, self._table, self._basis):
            message.setVisible(bool(measured))
        if measured:
            self._table.setHtml(_table(value, measured))
            self._basis.setText(_basis(value.new[measured[0]]))
        verdict = _verdict(value, measured)
        self._verdict.setHtml(verdict)
        self._verdict.setVisible(bool(verdict))
        worse = _is_worse(value, measured)
        self._accept.setStyleSheet("" if worse else PRIMARY)
        self._discard.setStyleSheet(PRIMARY if worse else "")
        self._note.setText(value.note)
        self._note.setVisible(bool(value.note))


def _table(card: Card, measured: list[str]) -> str:
    """Rich text: one row per prompt, one column per model."""
    columns = {"Pre-trained": card.pretrained, "In use": card.current, "New": card.new}
    shown = {title: scores for title, scores in columns.items() if scores is not None}
    titles = [f"<span class='faint'>{title}</span>" for title in ("Prompt", *shown, "Change")]
    rows = [
        [
            PROMPTS.get(name, name),
            *(_number(scores.get(name)) for scores in shown.values()),
            _change(_gain(card, name)),
        ]
        for name in measured
    ]
    return f"<table width='100%'>{''.join(_row(cells) for cells in (titles, *rows))}</table>"


def _row(cells: list[str]) -> str:
    first, *others = cells
    return f"<tr><td>{first}</td>{''.join(f'<td align=right>{cell}</td>' for cell in others)}</tr>"


def _gain(card: Card, prompt: str) -> float | None:
    """IoU of the new model less that of the one in use (the pre-trained one, if there is none in use)."""
    before, after = (card.current or card.pretrained).get(prompt), card.new.get(prompt)
    if before is None or after is None or before.iou is None or after.iou is None:
        return None
    return after.iou - before.iou


def _gains(card: Card, measured: list[str]) -> list[float]:
    return [gain for name in measured if (gain := _gain(card, name)) is not None]


def _is_worse(card: Card, measured: list[str]) -> bool:
    """Whether the new model has lost under every prompt."""
    gains = _gains(card, measured)
    return bool(gains) and max(gains) < -NOISE


def _verdict(card: Card, measured: list[str]) -> str:
    if not measured:
        return NOT_MEASURED
    if _is_worse(card, measured):
        warning = "<b class='bad'>The new model is worse than the one in use.</b>"
        return f"{warning} Discard it, label more and try again."
    gains = _gains(card, measured)
    if gains and max(gains) <= NOISE:
        return "The new model is no better than the one in use. More labels help most."
    return ""


def _basis(scores: Scores) -> str:
    objects = "1 object" if scores.n_objects == 1 else f"{scores.n_objects} objects"
    images = "1 held-out image" if scores.n_images == 1 else f"{scores.n_images} held-out images"
    return f"Measured on {objects} in {images}."


def _number(scores: Scores | None) -> str:
    return "–" if scores is None or scores.iou is None else f"{scores.iou:.3f}"


def _change(gain: float | None) -> str:
    if gain is None:
        return "–"
    if abs(gain) <= NOISE:
        return f"{gain:+.3f}"
    return f"<b class='{'good' if gain > 0 else 'bad'}'>{gain:+.3f}</b>"
