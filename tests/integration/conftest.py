"""A real window with the panel, a real mouse and a real keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import skimage.data
from napari.layers import Labels, Layer
from napari.viewer import Viewer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_infosam._widget import AnnotateWidget
from napari_infosam.models.session import Session

PATIENCE = 120.0  # seconds; the first model load imports torch
LEFT = Qt.MouseButton.LeftButton


@dataclass
class Window:
    """A window as its user sees it."""

    viewer: Viewer
    panel: AnnotateWidget

    @property
    def session(self) -> Session:
        return self.panel.session

    @property
    def canvas(self) -> QWidget:
        native: QWidget = self.viewer.window._qt_viewer.canvas.native
        return native

    @property
    def camera(self) -> Any:
        """Cameras belong to scenes since napari 0.9."""
        return getattr(self.viewer, "scene", self.viewer).camera

    def wait(self, condition: Callable[[], object], what: str = "it") -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}; status: {self.session.status!r}"
            QTest.qWait(10)

    def point(self, row: float, column: float, layer: Layer | None = None) -> QPoint:
        """Where a pixel of the image lies on the canvas widget."""
        layer = layer or next(item for item in self.viewer.layers if isinstance(item, napari.layers.Image))
        world = layer.data_to_world((*self.viewer.dims.point[: layer.ndim - 2], row, column))
        view = self.viewer.window._qt_viewer.canvas.view
        x, y, _, w = (view.transform * view.scene.transform).map([world[-1], world[-2], 0, 1])
        return QPoint(round(x / w), round(y / w))

    def click(self, row: float, column: float, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.mouseClick(self.canvas, LEFT, modifier, self.point(row, column))

    def double_click(self, row: float, column: float) -> None:
        QTest.mouseClick(self.canvas, LEFT, pos=self.point(row, column))
        QTest.mouseDClick(self.canvas, LEFT, pos=self.point(row, column))

    def move(self, row: float, column: float) -> None:
        QTest.mouseMove(self.canvas, self.point(row, column))
        QTest.qWait(30)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        first, last = self.point(*start), self.point(*end)
        QTest.mousePress(self.canvas, LEFT, pos=first)
        for step in range(1, steps + 1):
            QTest.mouseMove(self.canvas, first + (last - first) * step / steps)
            QTest.qWait(15)
        QTest.mouseRelease(self.canvas, LEFT, pos=last)

    def key(self, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.canvas, key, modifier)

    def press(self, text: str) -> None:
        """Press a button of the panel."""
        button = next(found for found in self.panel.findChildren(QAbstractButton) if found.text() == text)
        self.wait(button.isEnabled, f"the button {text}")
        QTest.mouseClick(button, LEFT)

    def prompt_on(self) -> None:
        """Switch prompting on, and wait until the image is ready."""
        self.wait(lambda: self.session.shown is not None, "the image")
        self.press("Prompt")
        self.wait(self.ready, "the model and the image")

    def ready(self) -> bool:
        return self.session.ready and bool(self.session.device)

    def settled(self) -> bool:
        """Whether the candidates belong to the present prompt."""
        return self.session.candidates is not None and self.session.answered is self.session.prompts

    def answered(self) -> None:
        """Wait for the candidates of the present prompt."""
        self.wait(
            lambda: self.session.candidates is not None and self.session.answered is self.session.prompts,
            "an answer",
        )

    @property
    def labels(self) -> np.ndarray:
        layer = next(
            item for item in self.viewer.layers if isinstance(item, Labels) and item.name.endswith(" labels")
        )
        return np.asarray(layer.data)


def open_window(image: np.ndarray, **options: Any) -> Window:
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1400, 900)
    viewer.add_image(image, **options)
    _, panel = viewer.window.add_plugin_dock_widget("napari-infosam", "Annotate & adapt")
    assert isinstance(panel, AnnotateWidget)
    QTest.qWaitForWindowExposed(viewer.window._qt_window)
    return Window(viewer, panel)


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFOSAM_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def coins(data_folder: Path, qapp: Any) -> Iterator[Window]:
    """The coins, in half size and elsewhere than at the origin, so that world and pixels differ."""
    window = open_window(skimage.data.coins(), name="coins", scale=(0.5, 0.5), translate=(10, 20))
    yield window
    window.viewer.close()
    QTest.qWait(50)
