"""One undo stack for everything the user does: prompts, commits, corrections and deletions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psygnal import Signal

from napari_infosam.models.shown_image import Place

LIMIT = 200


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was done, how to take it back, and how to do it again.

    name: what the user calls it. place: where it was done. transient: it means nothing once another image
    is shown.
    """

    name: str
    undo: Callable[[], None]
    redo: Callable[[], None]
    place: Place | None = None
    transient: bool = False


class History:
    """The changes done and undone, last first; the oldest are forgotten beyond `LIMIT`."""

    changed = Signal()

    def __init__(self) -> None:
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def last_done(self) -> Change | None:
        """What `undo` would take back."""
        return self._done[-1] if self._done else None

    @property
    def last_undone(self) -> Change | None:
        """What `redo` would do again."""
        return self._undone[-1] if self._undone else None

    def push(self, change: Change) -> None:
        """Remember a change that has been done; what was undone before can no longer be redone."""
        self._done = [*self._done[1 - LIMIT :], change]
        self._undone.clear()
        self.changed.emit()

    def undo(self) -> Change | None:
        """Take the last change back; returns it, or None when there is nothing to undo."""
        if not self._done:
            return None
        change = self._done[-1]
        change.undo()  # where it fails, it can be tried again
        self._undone.append(self._done.pop())
        self.changed.emit()
        return change

    def redo(self) -> Change | None:
        """Do the change undone last again; returns it, or None when there is nothing to redo."""
        if not self._undone:
            return None
        change = self._undone[-1]
        change.redo()
        self._done.append(self._undone.pop())
        self.changed.emit()
        return change

    def forget(self, which: Callable[[Change], bool]) -> None:
        """Drop changes that mean nothing any more."""
        self._done = [change for change in self._done if not which(change)]
        self._undone = [change for change in self._undone if not which(change)]
        self.changed.emit()

    def clear(self) -> None:
        self._done.clear()
        self._undone.clear()
        self.changed.emit()
