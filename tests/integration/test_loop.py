"""One window, from the first click to the click that the adapted model answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QSpinBox

from infosam.data.prompts import interior_pixel, tight_box
from infosam.data.scenes import make_scene
from infosam.types import FloatArray
from napari_infosam.models.adapt_run import Run
from tests.integration.conftest import Window, open_window

Key, Modifier = Qt.Key, Qt.KeyboardModifier
SCENES = [make_scene(160, seed) for seed in range(3)]
OBJECTS = 2  # per image
STEPS = 6


@pytest.fixture
def stack(data_folder: Path, qapp: Any) -> Iterator[Window]:
    window = open_window(np.stack([scene.image for scene in SCENES]), name="scenes")
    yield window
    window.viewer.close()
    QTest.qWait(50)


def largest(index: int) -> list[np.ndarray]:
    return sorted(SCENES[index].masks, key=np.sum)[-OBJECTS:]


def go_to(window: Window, index: int) -> None:
    window.viewer.dims.set_current_step(0, index)
    window.wait(lambda: window.session.ready_on(index), f"slice {index}")


def box(window: Window, truth: np.ndarray) -> np.ndarray:
    """Drag a box around an object; the mask that is shown."""
    r0, c0, r1, c1 = tight_box(truth)
    window.drag((r0 - 1, c0 - 1), (r1, c1))
    window.wait(window.settled, "a mask")
    mask = window.session.candidate
    assert mask is not None
    return mask.copy()


def clicked_logits(window: Window, truth: np.ndarray) -> FloatArray:
    window.click(*interior_pixel(truth))
    window.wait(window.settled, "an answer")
    candidates = window.session.candidates
    assert candidates is not None
    window.key(Key.Key_Escape)
    return candidates.logits.copy()


def ended(window: Window) -> Run:
    state = window.panel.annotator.adapt_state
    window.wait(lambda: not state.run.is_active, "the end of the training")
    return state.run


def test_from_the_first_click_to_the_adapted_one(stack: Window) -> None:
    session = stack.session
    stack.prompt_on()
    for index in range(len(SCENES)):
        go_to(stack, index)
        for label, truth in enumerate(largest(index), start=1):
            before = stack.labels[index].copy()
            mask = box(stack, truth)
            stack.key(Key.Key_Return)
            assert ((stack.labels[index] == label) == (mask & (before == 0))).all()
        assert [item.label for item in session.objects] == [1, 2]
    committed = stack.labels.copy()
    stack.key(Key.Key_Z, Modifier.ControlModifier)
    assert not (stack.labels[-1] == OBJECTS).any()
    assert (stack.labels[:-1] == committed[:-1]).all()
    stack.key(Key.Key_Z, Modifier.ControlModifier | Modifier.ShiftModifier)
    assert (stack.labels == committed).all()

    stack.press("Brush")
    layer = stack.viewer.layers["scenes labels"]
    layer.selected_label, layer.brush_size = 1, 7
    stack.drag((5, 5), (5, 40))
    stack.wait(lambda: session.objects[0].source == "edited", "the correction")
    assert stack.labels[2][5, 20] == 1

    stack.press("Prompt")
    stack.wait(stack.ready, "the prompts")
    truth = largest(2)[0]
    before = clicked_logits(stack, truth)
    assert np.array_equal(clicked_logits(stack, truth), before)

    stack.press("▸ Advanced")
    steps = stack.panel.annotator.adapt_view.findChild(QSpinBox)
    steps.selectAll()
    QTest.keyClicks(steps, str(STEPS))
    QTest.keyClick(steps, Key.Key_Return)
    stack.press("Adapt")
    run = ended(stack)
    assert run.phase == "done", (run.message, run.advice)
    assert [step.step for step in run.steps] == list(range(1, STEPS + 1))
    assert run.started is not None
    assert (run.started.n_images, run.started.n_val_images) == (2, 1)
    assert session.adapter is None
    assert np.array_equal(clicked_logits(stack, truth), before)  # it is not used before it is accepted

    stack.press("Accept")
    stack.wait(lambda: session.adapter is not None and stack.ready(), "the adapted model")
    after = clicked_logits(stack, truth)
    assert np.abs(after - before).max() > 1e-3
