"""The ways in which training fails, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from infosam.types import InfoSAMError


class TrainingError(InfoSAMError):
    """A run that had to stop. reason: what happened. advice: what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}: {advice}")
        self.reason = reason
        self.advice = advice


class OutOfMemory(TrainingError):
    """The device's memory did not suffice."""


class DiskError(TrainingError):
    """What a run keeps on disk could not be written."""


class NotFinite(TrainingError):
    """The loss became infinite or not a number."""


@contextmanager
def memory_errors(device: torch.device | str) -> Iterator[None]:
    """Turns the many faces of a full memory into `OutOfMemory`, which names `device`.

    PyTorch's own error is a RuntimeError, which Qt workers are known to swallow, and the CPU allocator's is a
    plain one that only its text tells apart.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, InfoSAMError) or not _is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"{device} ran out of memory",
            "close other programs that use it, lower the batch size, or choose a smaller model",
        ) from error


@contextmanager
def disk_errors(path: Path | None) -> Iterator[None]:
    """Turns failures to write below `path` into `DiskError`, which names it; None: a temporary folder."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DiskError(
            f"{path or 'the temporary folder'} cannot be written ({error})",
            "free some space there, or choose another folder",
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
