"""Work off the GUI thread: one background thread, whose results come back on the GUI thread.

Jobs run one after another, so a model is never used by two at once. Every job ends in exactly one call on the
GUI thread, `done` or `failed`, unless it is no longer wanted or the worker was closed. Any exception reaches
`failed`: napari's own generator workers lose RuntimeErrors, and torch's out-of-memory error is one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal

from infosam.politeness import lower_thread_priority

T = TypeVar("T")
logger = logging.getLogger(__name__)


def _always() -> bool:
    return True


class Worker(QObject):
    """A background thread that belongs to the GUI."""

    _landed = Signal(object)
    _told = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=lower_thread_priority)
        self._closed = False
        # Queued, so that even a job that is already done is delivered from the event loop.
        # PyQt6's stubs leave the second argument out.
        self._landed.connect(self._deliver, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]
        self._told.connect(self._call, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

    def submit(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        wanted: Callable[[], bool] = _always,
    ) -> None:
        """Run `work` in the background, then `done(result)` or `failed(error)` on the GUI thread.

        wanted: asked before the work starts and again before its result is delivered; a job that is no longer
        wanted is dropped without a word.
        """
        if self._closed:
            return
        future: Future[T | None] = self._executor.submit(lambda: work() if wanted() else None)
        future.add_done_callback(lambda finished: self._land(finished, done, failed, wanted))

    def tell(self, callback: Callable[[], None]) -> None:
        """For a job that runs: have the GUI thread call `callback`, before the result is delivered.

        Raises CancelledError once the worker is closed, which ends the job: nobody waits for it any more.
        """
        if self._closed:
            raise CancelledError
        self._told.emit(callback)

    def close(self) -> None:
        """Drop what waits and deliver nothing more; a job that runs ends by itself, or when it next tells."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _land(self, future: Future[Any], done: Any, failed: Any, wanted: Callable[[], bool]) -> None:
        """On the background thread: hand the finished job over to the GUI thread."""
        if not self._closed:
            self._landed.emit((future, done, failed, wanted))

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._closed:
            callback()

    def _deliver(self, landed: tuple[Future[Any], Any, Any, Callable[[], bool]]) -> None:
        future, done, failed, wanted = landed
        if self._closed or not wanted():
            return
        try:
            result = future.result()
        except CancelledError:
            return
        except Exception as error:
            logger.debug("A background job failed", exc_info=error)
            failed(error)
        else:
            done(result)
