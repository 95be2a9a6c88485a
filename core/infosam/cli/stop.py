"""How a running command learns that it should end: a signal, a line on stdin, or the parent's death."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from types import FrameType

log = logging.getLogger(__name__)

GRACE = 20.0  # seconds from the parent's death until the process ends even in the middle of a step


class StopRequests:
    """Collects the requests to end.

    cancelled(): end with the best so far (Ctrl+C, or the line `cancel` on stdin). leaving(): write a
    checkpoint and exit (SIGTERM, or end of file on stdin, which is how a child learns that its parent is
    gone). A second Ctrl+C interrupts at once.
    """

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._leave = threading.Event()

    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def leaving(self) -> bool:
        return self._leave.is_set()

    def listen_to_signals(self) -> None:
        signal.signal(signal.SIGINT, self._on_interrupt)
        signal.signal(signal.SIGTERM, self._on_terminate)

    def watch_stdin(self, grace: float = GRACE) -> None:
        """Read stdin in a thread until it ends."""
        threading.Thread(target=self._read_stdin, args=(grace,), name="stdin", daemon=True).start()

    def _read_stdin(self, grace: float) -> None:
        # Unbuffered: a thread that waits inside a buffered reader would hold its lock when Python shuts down.
        rest = b""
        while chunk := _read(sys.stdin.fileno()):
            *lines, rest = (rest + chunk).split(b"\n")
            if any(line.strip() == b"cancel" for line in lines):
                self._cancel.set()
        self._leave.set()
        self._last_resort(grace)

    def _last_resort(self, grace: float) -> None:
        timer = threading.Timer(grace, os._exit, args=(1,))
        timer.daemon = True
        timer.start()

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._cancel.is_set():
            raise KeyboardInterrupt
        log.warning("stopping with the best so far; press Ctrl+C again to stop at once")
        self._cancel.set()

    def _on_terminate(self, _signal: int, _frame: FrameType | None) -> None:
        self._leave.set()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
