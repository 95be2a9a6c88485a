"""How heavy work leaves room for what people look at."""

from __future__ import annotations

import os
import sys
import threading

_NICENESS = 10  # a tenth of what people look at gets, as long as that is busy
_THREAD_NICENESS = 5  # a third: somebody waits for the answer


def wait_without_spinning() -> None:
    """Let idle threads sleep; to be called before torch is imported.

    OpenMP's threads wait for each other in busy loops. Beside any other busy program they then burn the time
    that the thread they wait for needs: two threads were seen to be three times slower than one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def lower_priority() -> None:
    """Let the programs that people look at go first; where the system has no niceness, nothing changes."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def lower_thread_priority() -> None:
    """Let the other threads of this process go first, above all the one that draws; Linux only.

    Threads that the calling one starts from now on, such as OpenMP's, follow it.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _THREAD_NICENESS)


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def polite_threads() -> int:
    """The threads that training takes unless told: one core stays free where there are more than two."""
    cores = usable_cores()
    return cores - 1 if cores > 2 else cores
