"""How long the GUI thread is ever blocked: a timer that should fire every 5 ms, while a hand works.

python benchmarks/heartbeat.py [--steps 40] [--bar 50]

A real window (under Xvfb: software OpenGL) goes through the loop. For every stage: the longest time between
two beats, and how many were above the bar. The baseline, in the same run, is napari without the plugin doing
what napari does itself: stepping through the slices, following the mouse and adding layers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

BEAT_MS = 5
PATIENCE = 300.0
LABELLED = 4


class Heartbeat:
    """Beats on the GUI thread, and notes the longest pause of each stage."""

    def __init__(self, bar: float) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._bar = bar
        self._last = time.perf_counter()
        self._gaps: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._last = time.perf_counter()
        self._gaps.clear()
        yield
        self._beat()
        late = sum(gap > self._bar for gap in self._gaps)
        print(
            f"{name:44s} longest {max(self._gaps):6.0f} ms   above {self._bar:.0f} ms: {late:3d} of "
            f"{len(self._gaps)} beats",
            flush=True,
        )

    def _beat(self) -> None:
        now = time.perf_counter()
        self._gaps.append((now - self._last) * 1000)
        self._last = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--bar", type=float, default=50.0, help="milliseconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["INFOSAM_DATA"] = home  # nobody's own annotations are touched
        measure(options.steps, options.bar)


def measure(steps: int, bar: float) -> None:
    import napari
    import numpy as np
    from napari.layers import Image
    from qtpy.QtCore import Qt

    from infosam.data.prompts import interior_pixel
    from infosam.data.readers import read_data
    from napari_infosam._widget import AnnotateWidget
    from napari_infosam.demo.hand import Hand
    from napari_infosam.samples import sample_folder

    truths = [[item.mask for item in image.objects()] for image in read_data(sample_folder("leaf_lesions"))]
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 900)
    viewer.open_sample("napari-infosam", "leaf_lesions")
    image = viewer.layers[0]
    assert isinstance(image, Image)
    hand = Hand(viewer, image)
    heart = Heartbeat(bar)
    hand.rest(2000)

    def step_through() -> None:
        for index in range(8):
            viewer.dims.set_current_step(0, index)
            hand.rest(150)
        viewer.dims.set_current_step(0, 0)

    with heart.stage("napari alone: 8 slices, mouse moves"):
        step_through()
        for column in range(20, 300, 10):
            hand.move((160, column))

    viewer.add_labels(np.zeros((8, 8), int))  # the first one compiles for a second
    with heart.stage("napari alone: adds two layers"):
        for added in (viewer.add_points, viewer.add_vectors):
            added()
            hand.rest(200)
    for _ in range(3):
        viewer.layers.pop()
        hand.rest(100)

    with heart.stage("panel opens (torch is imported meanwhile)"):
        _, panel = viewer.window.add_plugin_dock_widget("napari-infosam", "Annotate & adapt")
        assert isinstance(panel, AnnotateWidget)
        session, state = panel.session, panel.annotator.adapt_state
        hand.wait(lambda: session.device and session.shown, "the model", PATIENCE)
        hand.rest(2000)

    with heart.stage("idle"):
        hand.rest(3000)
    with heart.stage("prompting on, first image encoded"):
        hand.press(panel, "Prompt")
        hand.wait(lambda: session.ready, "the first image", PATIENCE)
        hand.rest(500)
    with heart.stage("8 slices, each encoded"):
        step_through()
        hand.wait(lambda: session.ready, "the image", PATIENCE)

    def click_and_commit(index: int) -> None:
        viewer.dims.set_current_step(0, index)
        hand.wait(lambda: session.ready_on(index), "the slice", PATIENCE)
        for truth in truths[index]:
            hand.click(interior_pixel(truth))
            hand.wait(lambda: session.candidates is not None and not session.busy, "a mask", PATIENCE)
            hand.key(Qt.Key.Key_Tab)
            hand.rest(100)
            hand.key(Qt.Key.Key_Return)
            hand.rest(200)

    with heart.stage(f"click, Tab, commit on {LABELLED} images"):
        for index in range(LABELLED):
            click_and_commit(index)
    with heart.stage("brush strokes"):
        hand.press(panel, "Brush")
        for row in range(20, 120, 20):
            hand.drag([(row, column) for column in range(20, 120, 10)])
            hand.rest(300)
        hand.press(panel, "Prompt")
        hand.rest(500)
    with heart.stage("training starts"):
        panel.annotator.adapt_view.setValue(replace(panel.annotator.adapt_view.value(), steps=steps))
        hand.press(panel, "Adapt")
        hand.wait(lambda: state.run.steps or not state.run.is_active, "the first step", PATIENCE)
    with heart.stage("training, nobody works"):
        hand.wait(lambda: len(state.run.steps) >= steps // 4 or not state.run.is_active, "training", PATIENCE)
    with heart.stage("training, and clicks go on"):
        click_and_commit(LABELLED)
        step_through()
    with heart.stage("training ends, the card appears"):
        hand.wait(lambda: not state.run.is_active, "the card", PATIENCE)
        hand.rest(1000)
    with heart.stage("accepted, the adapted model is loaded"):
        hand.press(panel, "Accept")
        hand.wait(lambda: session.adapter is not None and session.ready, "the new model", PATIENCE)
        hand.rest(1000)
    viewer.close()


if __name__ == "__main__":
    main()
