"""A run holds its folder, so that no second one writes there, and others can see that it goes on.

The lock is the operating system's, which lets go when the process ends, however it ends. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from infosam.types import InfoSAMError

LOCK_NAME = "run.lock"
_PATIENCE = 2.0  # seconds: whoever asks `is_held` holds the folder for a moment


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if need be.

    Raises:
        InfoSAMError: another process holds it.
        OSError: it cannot be written.
    """
    lock = FileLock(folder / LOCK_NAME, thread_local=False)  # a generator may be closed by another thread
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise InfoSAMError(
            f"another process trains in {folder}: wait for its end, or name another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder."""
    path = folder / LOCK_NAME
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
