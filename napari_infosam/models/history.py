"""One undo stack for everything the user does: prompts, commits, corrections and deletions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psygnal import Signal

LIMIT = 200


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was done, how to take it back, and how to do it again. name: what the user calls it."""

    name: str
    undo: Callable[[], None]
    redo: Callable[[], None]


class History:
    """The changes done and undone, last first; the oldest are forgotten beyond `LIMIT`."""

    changed = Signal()

    def __init__(self) -> None:
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def push(self, change: Change) -> None:
        """Remember a change that has been done; what was undone before can no longer be redone."""
        self._done = [*self._done[1 - LIMIT :], change]
        self._undone.clear()
        self.changed.emit()

    def undo(self) -> Change | None:
        """Take the last change back; returns it, or None when there is nothing to undo."""
        if not self._done:
            return None
        change = self._done.pop()
        change.undo()
        self._undone.append(change)
        self.changed.emit()
        return change

    def redo(self) -> Change | None:
        """Do the change undone last again; returns it, or None when there is nothing to redo."""
        if not self._undone:
            return None
        change = self._undone.pop()
        change.redo()
        self._done.append(change)
        self.changed.emit()
        return change

    def drop_last(self) -> Change | None:
        """Forget the last change without undoing it, because the caller has taken it back itself."""
        if not self._done:
            return None
        change = self._done.pop()
        self.changed.emit()
        return change

    def clear(self) -> None:
        self._done.clear()
        self._undone.clear()
        self.changed.emit()
