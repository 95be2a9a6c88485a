"""The training process: started, read and ended without ever making the window wait.

It speaks JSON Lines on stdout and logs on stderr. The line `cancel` on its stdin asks it to end with the best
adapter so far; end of file there (also by our own death) to end with a checkpoint. Plain pipes rather than a
QProcess: that one kills its child when the window closes, which must have time for its checkpoint then.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from infosam.reporting import from_json
from infosam.types import BadInputError, Report
from napari_infosam.models.adapt_run import Ending

logger = logging.getLogger(__name__)

CHUNK = 1 << 16
TAIL = 4000  # characters of stderr that are kept
CANCEL_GRACE = 900.0  # seconds without a word from a run that was cancelled: it still scores its best model
TERMINATE_GRACE = 5.0
PIPE_GRACE = 2.0  # a grandchild that outlives the process may hold its pipes open: they are not waited for


class TrainingProcess(QObject):
    """One child process: `start` once, then `reported` any number of times, then `ended` once.

    After `close` nothing is told any more. All threads but the GUI's are behind the two queued signals.
    """

    reported = Signal(object)  # Report
    ended = Signal(object)  # Ending

    _arrived = Signal(object)
    _exited = Signal(object)

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        cancel_grace: float = CANCEL_GRACE,
        terminate_grace: float = TERMINATE_GRACE,
    ) -> None:
        super().__init__(parent)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._terminator = _timer(self, cancel_grace, self.terminate)
        self._killer = _timer(self, terminate_grace, self._kill)
        self.reported.connect(self._on_sign_of_life)
        # PyQt6's stubs leave the second argument out.
        self._arrived.connect(self.reported, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]
        self._exited.connect(self._on_exit, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, command: Sequence[str]) -> None:
        """Start `command`; raises OSError if there is no such program."""
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # no buffer, no lock that a reading thread would hold while Python shuts down
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            # Ctrl+C in napari's terminal is not for the child: it must end in order. A group of its own is
            # enough, and a session would be too much: Linux shares its time between sessions first, and
            # niceness counts only within one.
            process_group=0 if os.name == "posix" else None,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._process = process
        _thread(lambda: self._watch(process))

    def cancel(self) -> None:
        """Ask the process to end with the best so far; after a long grace it is terminated."""
        if self._closed or self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(b"cancel\n")
        except OSError:  # it has just ended: `ended` follows
            logger.debug("the training process no longer listens")
        self._terminator.start()

    def terminate(self) -> None:
        """End the process now: asked politely first, killed a few seconds later."""
        if not self._closed and self._process is not None:
            self._terminator.stop()
            self._process.terminate()
            self._killer.start()

    def close(self) -> None:
        """Leave the process to itself: end of file makes it write a checkpoint and exit. Twice is fine."""
        with self._lock:  # not between a thread's question whether we are closed and its signal
            if self._closed:
                return
            self._closed = True
        self._terminator.stop()
        self._killer.stop()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self.deleteLater()  # here, and not by the thread that lets go of us last

    def _on_sign_of_life(self) -> None:
        if self._terminator.isActive():
            self._terminator.start()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _on_exit(self, ending: Ending) -> None:
        if not self._closed:
            self.ended.emit(ending)
            self.close()

    # -------------------------------------------------------------------------------- on the other threads

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of the process while two more threads read what it says."""
        tail = _Tail()
        readers = [
            _thread(lambda: self._read_reports(process.stdout)),
            _thread(lambda: tail.read(process.stderr)),
        ]
        code = process.wait()
        for reader in readers:
            reader.join(PIPE_GRACE)
        self._tell(Ending(code, tail.text))

    def _read_reports(self, stream: IO[bytes] | None) -> None:
        for line in _lines(stream):
            try:
                self._tell(from_json(line))
            except BadInputError as error:
                logger.debug("the training process wrote %s", error)

    def _tell(self, value: Report | Ending) -> None:
        with self._lock:
            if not self._closed:
                (self._exited if isinstance(value, Ending) else self._arrived).emit(value)


class _Tail:
    """The last characters of a stream; all of it goes to the log."""

    def __init__(self) -> None:
        self.text = ""

    def read(self, stream: IO[bytes] | None) -> None:
        for line in _lines(stream):
            logger.info("training: %s", line)
            self.text = f"{self.text}\n{line}"[-TAIL:]


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` in this Python. -P: no file in the current folder stands in for ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _timer(parent: QObject, seconds: float, timeout: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(round(1000 * seconds))
    timer.timeout.connect(timeout)
    return timer


def _thread(work: Callable[[], None]) -> threading.Thread:
    """A thread that does not keep Python from shutting down."""
    thread = threading.Thread(target=work, name="training", daemon=True)
    thread.start()
    return thread


def _lines(stream: IO[bytes] | None) -> Iterator[str]:
    """The lines of a stream as soon as they are complete; a last one without its end counts too."""
    assert stream is not None
    rest = b""
    with stream:
        while chunk := stream.read(CHUNK):
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in complete if line.strip())
    if rest.strip():
        yield rest.decode(errors="replace")
