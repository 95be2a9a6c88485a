"""A hand on mouse and keyboard: Qt events sent to the real window, as a person's would arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest as _QTest
from qtpy.QtWidgets import QAbstractButton, QScrollArea, QWidget

from infosam.types import InfoSAMError

_LEFT = Qt.MouseButton.LeftButton
_NO_MODIFIER = Qt.KeyboardModifier.NoModifier
_TICK_MS = 10
QTest: Any = _QTest  # PyQt6's stubs do not know that these functions are static


class Hand:
    """Clicks, drags and presses keys in one viewer. Positions are (row, column) pixels of the shown slice."""

    def __init__(self, viewer: Viewer, image: Image) -> None:
        self._viewer = viewer
        self._image = image
        self._canvas = viewer.window._qt_viewer.canvas
        self._native: QWidget = self._canvas.native

    def click(self, position: Sequence[float], *, control: bool = False) -> None:
        """Click on the canvas."""
        modifier = Qt.KeyboardModifier.ControlModifier if control else _NO_MODIFIER
        # Two clicks close together in time and place would be a double click.
        QTest.mouseClick(self._native, _LEFT, modifier, self._at(position))
        self.rest(20)

    def move(self, position: Sequence[float]) -> None:
        """Move the pointer there, no button pressed."""
        QTest.mouseMove(self._native, self._at(position))
        self.rest(_TICK_MS)  # the pointer really moves: its event comes back from the window system

    def drag(self, path: Sequence[Sequence[float]]) -> None:
        """Press at the first position, move through the others, release at the last."""
        points = [self._at(position) for position in path]
        QTest.mousePress(self._native, _LEFT, _NO_MODIFIER, points[0])
        for point in points[1:]:
            QTest.mouseMove(self._native, point)
            self.rest(_TICK_MS)
        QTest.mouseRelease(self._native, _LEFT, _NO_MODIFIER, points[-1])

    def key(self, key: Qt.Key, *, control: bool = False) -> None:
        """Press a key with the canvas in focus."""
        self._native.setFocus()
        QTest.keyClick(self._native, key, Qt.KeyboardModifier.ControlModifier if control else _NO_MODIFIER)

    def press(self, panel: QScrollArea, text: str) -> None:
        """Scroll to a button of the panel and click it.

        Raises:
            InfoSAMError: the panel shows no such button, or it is disabled.
        """
        self.rest(_TICK_MS)  # the panel follows the session in the next turn of the event loop
        buttons = [b for b in panel.findChildren(QAbstractButton) if b.text() == text and b.isVisible()]
        if not buttons or not buttons[0].isEnabled():
            raise InfoSAMError(f"the panel has no button {text!r} that can be pressed now")
        panel.ensureWidgetVisible(buttons[0])
        QTest.mouseClick(buttons[0], _LEFT)
        self.rest(_TICK_MS)

    def wait(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        """Let the window live until something has happened.

        Raises:
            InfoSAMError: it has not, for that many seconds.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise InfoSAMError(f"waited {seconds:.0f} s in vain for {what}")
            self.rest(_TICK_MS)

    def rest(self, milliseconds: int) -> None:
        """Let the window live for a moment."""
        QTest.qWait(milliseconds)

    def picture(self, path: Path) -> Path:
        """Save what the window shows."""
        self.rest(250)
        window = self._viewer.window._qt_window
        if not window.grab().save(str(path)):
            raise InfoSAMError(f"the screenshot {path} could not be written: is the disk full?")
        return path

    def _at(self, position: Sequence[float]) -> QPoint:
        index = self._viewer.dims.current_step[: self._image.ndim - 2]
        row, column = self._image.data_to_world((*index, *position))[-2:]
        transform = self._canvas.view.transform * self._canvas.view.scene.transform
        x, y, _, w = transform.map([column, row, 0, 1])
        return QPoint(round(x / w), round(y / w))
