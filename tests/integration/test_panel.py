"""What the panel as a whole does in a window that is not high enough for all of it."""

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtTest import QTest

from infosam.types import Card, Finished, Preparing, Scores, Step
from napari_infosam.models.adapt_run import apply, begin
from tests.integration.conftest import Window

SETTLE_MS = 600
SCORES = Scores(0.7, 0.8, 0.6, 2, 14)
RUN = [begin(Path("run"))]
for report in (
    Preparing("embedding images", 1, 2),
    Step(1, 100, {"loss": 1.0, "structure": 0.5}, 1e-4, 1.0, 99.0),
    Finished("done", "run", Card({"point": SCORES}, {"point": SCORES}), 100, 60.0),
):
    RUN.append(apply(RUN[-1], report))


def scrolled(window: Window) -> int:
    """How far down the panel shows, after it had time to move."""
    QTest.qWait(SETTLE_MS)
    bar = window.panel.verticalScrollBar()
    assert bar is not None
    return bar.value()


@pytest.fixture
def low(coins: Window) -> Window:
    coins.viewer.window._qt_window.resize(1200, 500)
    return coins


@pytest.mark.parametrize("annotating", [True, False])
def test_the_tools_stay_in_place_while_the_user_annotates(low: Window, annotating: bool) -> None:
    low.session.prompting = annotating
    assert scrolled(low) == 0
    low.panel.annotator.adapt_state.run = RUN[0]
    assert scrolled(low) > 0, "who presses Adapt sees the run begin"
    bar = low.panel.verticalScrollBar()
    assert bar is not None
    bar.setValue(0)
    for run in RUN[1:-1]:
        low.panel.annotator.adapt_state.run = run
        assert scrolled(low) == 0
    low.panel.annotator.adapt_state.run = RUN[-1]
    assert (scrolled(low) == 0) is annotating
    assert ("Training has ended" in low.session.status) is annotating


def test_a_stack_is_shown_in_3d_although_prompts_were_on(coins: Window) -> None:
    coins.session.prompting = True
    coins.wait(lambda: "infosam points" in coins.viewer.layers, "the overlays")
    coins.viewer.add_image(np.zeros((5, 64, 64), np.uint8), name="stack")
    QTest.qWait(SETTLE_MS)
    coins.viewer.dims.ndisplay = 3
    QTest.qWait(SETTLE_MS)  # an error while drawing fails the test
    coins.wait(lambda: coins.session.shown is None, "the 3-D view")
    assert not coins.viewer.layers["infosam box"].visible
