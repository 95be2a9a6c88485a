"""What the mouse and the keyboard do on the canvas while prompting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QWidget

DRAG_PIXELS = 5  # a shorter drag is a click

_Key, _Mod = Qt.Key, Qt.KeyboardModifier
KEYS: dict[tuple[int, bool, bool], str] = {  # (key, control, shift): command
    (_Key.Key_T, False, False): "sign",
    (_Key.Key_Tab, False, False): "next_candidate",
    (_Key.Key_Tab, False, True): "previous_candidate",
    (_Key.Key_Backtab, False, True): "previous_candidate",
    (_Key.Key_Return, False, False): "commit",
    (_Key.Key_Enter, False, False): "commit",
    (_Key.Key_C, False, False): "commit",
    (_Key.Key_Escape, False, False): "clear",
    (_Key.Key_Delete, False, False): "delete",
    (_Key.Key_Backspace, False, False): "delete",
    (_Key.Key_Z, True, False): "undo",
    (_Key.Key_Z, True, True): "redo",
    (_Key.Key_N, False, False): "next_image",
    (_Key.Key_N, False, True): "previous_image",
}


class CanvasInput(QObject):
    """Turns clicks, drags and keys into signals while `active`; otherwise they are napari's.

    Positions are world coordinates, one number per axis of the viewer. The keys are taken by an event filter,
    because napari's layers would take some of them before the viewer, and Tab never reaches napari at all.
    """

    clicked = Signal(object, bool)  # position; negative: Ctrl or Cmd was held
    box_dragged = Signal(object, object, bool)  # corner, opposite corner, whether the mouse was released
    double_clicked = Signal(object)
    command = Signal(str)  # one of KEYS' values
    space_held = Signal(bool)

    def __init__(self, viewer: Any, native: QWidget) -> None:
        super().__init__()
        self.active = False
        self._viewer = viewer
        self._native = native
        self._space = False
        viewer.mouse_drag_callbacks.append(self._on_press)
        native.installEventFilter(self)

    def close(self) -> None:
        """Let go of the viewer."""
        self.active = False
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        with suppress(RuntimeError):  # when the window closes, the canvas may be gone first
            self._native.removeEventFilter(self)

    def take_focus(self) -> None:
        """Send the keyboard to the canvas."""
        self._native.setFocus()

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None] | None:
        if not self.active or event.button != 1 or "Alt" in event.modifiers:
            return None
        return self._follow(event)

    def _follow(self, event: Any) -> Iterator[None]:
        start, start_pixel = tuple(event.position), tuple(event.pos)
        negative = "Control" in event.modifiers or "Meta" in event.modifiers
        dragging = False
        yield
        while event.type == "mouse_move":
            dragging = dragging or _distance(start_pixel, event.pos) >= DRAG_PIXELS
            if dragging:
                self.box_dragged.emit(start, tuple(event.position), False)
            yield
        if dragging:
            self.box_dragged.emit(start, tuple(event.position), True)
        else:
            self.clicked.emit(start, negative)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QMouseEvent):
            return self._on_mouse(event)
        if event is not None and event.type() == QEvent.Type.FocusOut:
            self._let_go_of_space()
        if not isinstance(event, QKeyEvent):
            return False
        if event.key() == _Key.Key_Space:
            return self._on_space(event)
        if not self.active or event.type() not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        modifiers = event.modifiers()
        control = bool(modifiers & (_Mod.ControlModifier | _Mod.MetaModifier))
        if modifiers & _Mod.AltModifier:
            return False
        command = KEYS.get((event.key(), control, bool(modifiers & _Mod.ShiftModifier)))
        if command is None:
            return False
        event.accept()  # a shortcut override that is accepted comes back as an ordinary key press
        if event.type() == QEvent.Type.KeyPress:
            self.command.emit(command)
        return True

    def _on_mouse(self, event: QMouseEvent) -> bool:
        """Take double clicks, which would zoom. They come after a click at the same place."""
        if not self.active or event.type() != QEvent.Type.MouseButtonDblClick:
            return False
        if event.button() == Qt.MouseButton.LeftButton:
            self.double_clicked.emit(tuple(self._viewer.cursor.position))
        return True

    def _on_space(self, event: QKeyEvent) -> bool:
        """Space held: the mouse moves the image, as everywhere in napari."""
        pressed = event.type() == QEvent.Type.KeyPress
        if event.isAutoRepeat() or not (pressed or event.type() == QEvent.Type.KeyRelease):
            return self._space
        if pressed == self._space or (pressed and not self.active):
            return False
        self._space = pressed
        self.space_held.emit(pressed)
        return True

    def _let_go_of_space(self) -> None:
        """Whoever has the keyboard now hears of the release in our stead."""
        if self._space:
            self._space = False
            self.space_held.emit(False)


def _distance(one: Any, other: Any) -> float:
    return float(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5)
