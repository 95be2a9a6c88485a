"""The Adapt section shows what it is given and says what is asked of it; nothing else."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import QAbstractButton, QLabel, QProgressBar, QWidget

from infosam.types import AdaptConfig, Card, Failed, Finished, Preparing, Scores, Step, Validated
from napari_infosam.models.adapt_run import Ending, Run, apply, begin, cancelling, end
from napari_infosam.models.adapt_state import Interrupted
from napari_infosam.models.preflight import Preflight
from napari_infosam.models.smoothing import smoothed
from napari_infosam.views.adapt_view import AdaptView
from napari_infosam.views.card_view import CardView
from napari_infosam.views.curves_view import CurvesView
from napari_infosam.views.message import Message
from napari_infosam.views.method_view import MethodView

WIDTH = 350
LONG = "7402e0d864fa82708a20fbd15bc84245" * 8
READY = Preflight(14, 4, 1, seconds=150)


def step(number: int, steps: int = 200) -> Step:
    losses = {"loss": 1.5 / number, "structure": 1 / number, "compression": 0.5 / number}
    return Step(number, steps, losses, 2e-4, 0.1, 0.5 * (steps - number))


def running(steps: int = 10) -> Run:
    run = apply(begin(Path("run")), Validated(0, 0.6, 9, True))
    for number in range(1, steps + 1):
        run = apply(run, step(number))
    return apply(run, Validated(steps, 0.7, 9, True))


def scores(iou: float | None, n_objects: int = 14) -> Scores:
    return Scores(iou, iou, iou, 2, n_objects)


def card(
    new: float | None, *, pretrained: float | None = 0.6, current: float | None = None, note: str = ""
) -> Card:
    in_use = None if current is None else {"point": scores(current)}
    return Card({"point": scores(pretrained)}, {"point": scores(new)}, in_use, note)


def text(view: QWidget) -> str:
    """What the visible labels say, as it reads."""
    parts = [part for part in view.findChildren((QLabel, Message)) if part.isVisibleTo(view)]
    return "\n".join(_words(part) for part in parts)


def _words(part: QLabel | Message) -> str:
    if isinstance(part, Message):
        return part.toPlainText()
    return QTextDocumentFragment.fromHtml(part.text()).toPlainText()


def buttons(view: QWidget) -> set[str]:
    found = [button for button in view.findChildren(QAbstractButton) if button.isVisibleTo(view)]
    return {button.text() for button in found if button.text() and button.isEnabled()}


def button(view: QWidget, title: str) -> QAbstractButton:
    return next(
        found
        for found in view.findChildren(QAbstractButton)
        if title in found.text() and found.isVisibleTo(view)
    )


@pytest.fixture
def view(qtbot: QtBot) -> AdaptView:
    made = AdaptView()
    qtbot.addWidget(made)
    made.setPreflight(READY)
    return made


# ------------------------------------------------------------------------------------------ the whole section


def test_at_first_nothing_can_be_adapted_and_the_reason_is_said(qtbot: QtBot) -> None:
    view = AdaptView()
    qtbot.addWidget(view)
    assert buttons(view) == {"▸ Advanced"}
    assert "Nothing labelled yet." in text(view)
    assert "Label at least two objects" in text(view)


def test_a_ready_section_says_what_a_run_would_do_and_asks_for_it(view: AdaptView, qtbot: QtBot) -> None:
    assert text(view) == "14 objects on 4 images: 3 to train on, 1 held out to measure. At most 2 min."
    view.setValue(AdaptConfig(peft="lora", steps=50))
    with qtbot.waitSignal(view.adapt_requested) as asked:
        button(view, "Adapt").click()
    assert asked.args == [AdaptConfig(peft="lora", steps=50)]


@pytest.mark.parametrize(
    ("run", "said", "offered"),
    [
        (begin(Path("run")), "Starting…", {"Cancel"}),
        (apply(begin(Path("run")), Preparing("embedding images", 3, 8)), "images: 3 of 8", {"Cancel"}),
        (running(), "Step 10 of 200, about 2 min left", {"Cancel"}),
        (cancelling(running()), "Stopping", {"Stop now"}),
        (
            end(running(), Ending(-9), resumable=True),
            "The training process was killed. Most often the computer ran out of memory: close other "
            "programs, or choose a smaller model. Your labels are safe. Training can be resumed",
            {"Adapt", "Resume", "▸ Advanced"},
        ),
        (
            apply(running(), Failed("the loss is <nan> & lost", "lower the learning rate", False)),
            "The loss is <nan> & lost. Lower the learning rate. Your labels are safe.",
            {"Adapt", "▸ Advanced"},
        ),
        (
            end(cancelling(running()), Ending(-15), resumable=True),
            "Training was stopped. Training can be resumed",
            {"Adapt", "Resume", "▸ Advanced"},
        ),
        (
            apply(running(), Finished("done", "run", card(0.7), 200, 60.0)),
            "Measured on 14 objects in 2 held-out images.",
            {"Accept", "Discard"},
        ),
    ],
)
def test_each_state_says_what_happens_and_offers_what_can_be_done(
    view: AdaptView, run: Run, said: str, offered: set[str]
) -> None:
    view.setRun(run)
    assert said in text(view).replace("● ", "")
    assert buttons(view) == offered
    view.setRun(Run())
    assert buttons(view) == {"Adapt", "▸ Advanced"}


@pytest.mark.parametrize(
    ("run", "title", "signal"),
    [
        (running(), "Cancel", "cancel_requested"),
        (cancelling(running()), "Stop now", "stop_requested"),
        (end(running(), Ending(1), resumable=True), "Resume", "resume_requested"),
        (apply(running(), Finished("done", "run", card(0.7), 200, 60.0)), "Accept", "accept_requested"),
        (apply(running(), Finished("done", "run", card(0.7), 200, 60.0)), "Discard", "discard_requested"),
    ],
)
def test_every_button_asks_once(view: AdaptView, qtbot: QtBot, run: Run, title: str, signal: str) -> None:
    view.setRun(run)
    asked: list[None] = []
    getattr(view, signal).connect(lambda: asked.append(None))
    button(view, title).click()
    assert len(asked) == 1


def test_an_interrupted_run_is_offered(view: AdaptView, qtbot: QtBot) -> None:
    view.setInterrupted(Interrupted(Path("run"), "3 October, 14:05"))
    assert "A training run of 3 October, 14:05 was interrupted." in text(view)
    for title, signal in (("Resume", view.resume_requested), ("Forget", view.forget_requested)):
        with qtbot.waitSignal(signal):
            button(view, title).click()
    view.setInterrupted(None)
    assert "interrupted" not in text(view)


def test_the_bar_shows_progress_where_it_is_known(view: AdaptView) -> None:
    bar = view.findChild(QProgressBar)
    view.setRun(begin(Path("run")))
    assert bar.value() == bar.minimum()
    view.setRun(running(50))
    assert bar.value() / bar.maximum() == pytest.approx(0.25)
    view.setRun(cancelling(running(50)))
    assert bar.value() == bar.minimum()


@pytest.mark.parametrize(
    "run", [Run(), running(), end(running(), Ending(-9), resumable=True), apply(
        running(), Finished("done", "run", card(0.7, current=0.65, note="A note. " * 20), 200, 60.0))]
)  # fmt: skip
def test_the_section_fits_its_width(view: AdaptView, qtbot: QtBot, run: Run) -> None:
    button(view, "Advanced").click()
    view.setInterrupted(Interrupted(Path("run"), "3 October, 14:05"))
    view.setNotice("The new model is in use. Go on annotating: more labels make the next one better.")
    view.setRun(run)
    view.show()
    qtbot.waitExposed(view)
    assert view.minimumSizeHint().width() <= WIDTH


@pytest.mark.parametrize(
    "run",
    [
        apply(
            running(), Failed(f"the download from https://{LONG} is damaged", f"its hash is {LONG}", False)
        ),
        apply(running(), Finished("done", "run", card(0.7, note=LONG), 200, 60.0)),
    ],
)
def test_a_word_without_end_does_not_widen_the_section(view: AdaptView, qtbot: QtBot, run: Run) -> None:
    view.setNotice(LONG)
    view.setPreflight(Preflight(problem=LONG))
    view.setRun(run)
    view.show()
    qtbot.waitExposed(view)
    assert view.minimumSizeHint().width() <= WIDTH


# ------------------------------------------------------------------------------------------------- the method


def test_the_method_comes_back_as_it_was_set(qtbot: QtBot) -> None:
    view = MethodView()
    qtbot.addWidget(view)
    assert view.value() == AdaptConfig()
    told: list[AdaptConfig] = []
    view.valueChanged.connect(told.append)
    config = AdaptConfig(peft="hqsam", distill="pkd", steps=40, lr=1e-3, seed=5)
    view.setValue(config)
    view.setValue(config)
    assert view.value() == config
    assert told == [config]


def test_each_choice_is_told_and_changes_nothing_else(qtbot: QtBot) -> None:
    view = MethodView()
    qtbot.addWidget(view)
    view.setValue(AdaptConfig(lr=1e-3))
    told: list[AdaptConfig] = []
    view.valueChanged.connect(told.append)
    view._method.setCurrentIndex(2)
    view._distill.click()
    view._steps.setValue(100)
    view._distill.click()
    view._steps.setValue(0)
    assert told[2] == AdaptConfig(peft="decoder", distill="none", steps=100, lr=1e-3)
    assert told[-1] == AdaptConfig(peft="decoder", distill="infosam", steps=None, lr=1e-3)
    assert len(told) == 5


# --------------------------------------------------------------------------------------------------- the card


@pytest.mark.parametrize(
    ("value", "said", "unsaid"),
    [
        (card(0.75), "Prompt\nPre-trained\nNew\nChange\n1 click\n0.600\n0.750\n+0.150", "In use"),
        (card(0.75, current=0.7), "In use\nNew\nChange\n1 click\n0.600\n0.700\n0.750\n+0.050", "no better"),
        (card(0.602), "no better than the one in use", "worse"),
        (card(0.5), "The new model is worse than the one in use. Discard it", "better"),
        (card(0.65, current=0.7), "The new model is worse", "better"),
        (card(None, pretrained=None, note="Too few to measure."), "not measured", "IoU"),
        (Card({}, {}, None, "Too few to measure."), "Too few to measure.", "Prompt"),
        (card(0.75, pretrained=None), "–\n0.750\n–", "no better"),
        (card(0.75, note="A note."), "A note.", "not measured"),
    ],
)
def test_the_card_says_what_was_gained(qtbot: QtBot, value: Card, said: str, unsaid: str) -> None:
    view = CardView()
    qtbot.addWidget(view)
    view.setValue(card(0.9, current=0.1, note="of another run"))
    view.setValue(value)
    view.show()
    qtbot.wait(20)
    assert view.value() == value
    assert said in text(view)
    assert unsaid not in text(view)
    assert "another run" not in text(view)


def test_what_was_measured_is_said_and_its_caution_is_the_cards_own(qtbot: QtBot) -> None:
    view = CardView()
    qtbot.addWidget(view)
    view.setValue(Card({"box": scores(0.5, 3)}, {"box": scores(0.6, 3)}, note="Few objects."))
    assert text(view).endswith("Measured on 3 objects in 2 held-out images.\nFew objects.")
    view.setValue(Card({"box": Scores(0.5, 0.5, 0.5, 1, 1)}, {"box": Scores(0.6, 0.6, 0.6, 1, 1)}))
    assert "Measured on 1 object in 1 held-out image." in text(view)


# ------------------------------------------------------------------------------------------------- the curves


@pytest.fixture
def curves(qtbot: QtBot) -> CurvesView:
    made = CurvesView()
    made.resize(WIDTH, 400)
    qtbot.addWidget(made)
    return made


def drawn(view: CurvesView, qtbot: QtBot, ready: Callable[[], bool]) -> None:
    qtbot.waitUntil(lambda: view._iou is not None and ready(), timeout=20_000)


def test_the_curves_hold_every_point(curves: CurvesView, qtbot: QtBot) -> None:
    curves.setValue(running(30))
    drawn(curves, qtbot, lambda: bool(curves._loss.value()))  # type: ignore[union-attr]
    assert curves._loss is not None
    assert curves._iou is not None
    lines = {line.name: line for line in curves._loss.value()}
    assert list(lines) == ["total", "every step"]
    assert lines["every step"].x.tolist() == list(range(1, 31))
    assert lines["every step"].y == pytest.approx([1.5 / number for number in range(1, 31)])
    held_out, best = curves._iou.value()
    assert held_out.x.tolist() == [0, 30]
    assert held_out.y.tolist() == [0.6, 0.7]
    assert (best.x.tolist(), best.y.tolist()) == ([30], [0.7])


def test_the_parts_of_the_loss_are_drawn_where_they_are_wanted(curves: CurvesView, qtbot: QtBot) -> None:
    curves.setValue(running(30))
    drawn(curves, qtbot, lambda: bool(curves._loss.value()))  # type: ignore[union-attr]
    assert curves._loss is not None
    wanted = button(curves, "Parts of the loss")
    for names in (["total", "structure", "compression", "every step"], ["total", "every step"]):
        wanted.click()
        assert [line.name for line in curves._loss.value()] == names


def test_without_a_validation_there_is_no_second_chart(curves: CurvesView, qtbot: QtBot) -> None:
    curves.setValue(replace(running(), validations=()))
    drawn(curves, qtbot, lambda: bool(curves._loss.value()))  # type: ignore[union-attr]
    assert curves._iou is not None
    assert curves._iou.isHidden()
    curves.setValue(Run())
    assert curves.isHidden()


def test_losses_that_are_no_numbers_are_left_out(curves: CurvesView, qtbot: QtBot) -> None:
    bad = Step(11, 200, {"loss": math.nan, "structure": math.inf, "compression": 0.1}, 2e-4, 0.1, 1.0)
    curves.setValue(apply(apply(running(), bad), Validated(11, math.nan, 9, False)))
    drawn(curves, qtbot, lambda: bool(curves._loss.value()))  # type: ignore[union-attr]
    curves.grab()


def test_drawing_does_not_hold_up_the_window(curves: CurvesView, qtbot: QtBot) -> None:
    """A new value costs next to nothing: it is drawn a few times a second, however often it comes."""
    curves.show()
    curves.setValue(running(1000))
    drawn(curves, qtbot, lambda: bool(curves._loss.value()))  # type: ignore[union-attr]
    began = time.perf_counter()
    for number in range(1001, 1101):
        curves.setValue(apply(curves.value(), step(number, 2000)))
    assert time.perf_counter() - began < 0.1
    began = time.perf_counter()
    curves._redraw()
    assert time.perf_counter() - began < 0.05
    assert len(curves._loss.value()[0].x) == 1100  # type: ignore[union-attr]


def test_smoothing_keeps_a_constant_and_halves_noise() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smoothed([]).size == 0
    noise = np.random.default_rng(0).normal(size=500)
    assert smoothed(noise.tolist()).std() < noise.std() / 2
    assert smoothed([1.0, math.nan, 3.0], decay=0.5) == pytest.approx([1.0, math.nan, 7 / 3], nan_ok=True)


@pytest.mark.parametrize(("new", "meant"), [(0.7, "Accept"), (0.6, "Accept"), (0.4, "Discard")])
def test_the_button_that_is_meant_to_be_pressed_stands_out(view: AdaptView, new: float, meant: str) -> None:
    view.setRun(apply(running(), Finished("done", "run", card(new), 200, 60.0)))
    assert {title for title in ("Accept", "Discard") if button(view, title).styleSheet()} == {meant}
