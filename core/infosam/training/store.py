"""What is computed once per image and read in every step: preprocessed pixels and the teacher's embedding."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from infosam.training.failure import disk_errors

_MEMORY_LIMIT = 1 << 30
_PREFIX = ".infosam-cache-"  # of a folder that nobody else makes


class TensorStore:
    """Lists of tensors by index, in half precision; in memory up to `memory_limit` bytes, then on disk.

    Half precision is finer than the eight bits that pixels come with, and half the size for embeddings. The
    files lie in a folder of their own under `folder`, which goes away with `close` (or with the object).
    """

    def __init__(self, folder: Path | None = None, memory_limit: int = _MEMORY_LIMIT) -> None:
        self._folder = folder
        self._memory_limit = memory_limit
        self._used = 0
        self._memory: dict[int, list[Tensor]] = {}
        self._disk: tempfile.TemporaryDirectory[str] | None = None

    def put(self, index: int, tensors: list[Tensor]) -> None:
        """Keep the tensors; raises DiskError if the disk has no room for them."""
        halves = [tensor.detach().to("cpu", torch.float16).contiguous() for tensor in tensors]
        size = sum(half.nbytes for half in halves)
        if self._used + size <= self._memory_limit:
            self._memory[index] = halves
            self._used += size
        else:
            with disk_errors(self._folder):
                save_file({str(i): half for i, half in enumerate(halves)}, self._path(index))

    def get(self, index: int) -> list[Tensor]:
        """The tensors of `index`, still in half precision, on the CPU."""
        if index in self._memory:
            return self._memory[index]
        tensors = load_file(self._path(index))
        return [tensors[str(i)] for i in range(len(tensors))]

    def close(self) -> None:
        self._memory.clear()
        if self._disk is not None:
            self._disk.cleanup()
            self._disk = None

    def _path(self, index: int) -> Path:
        if self._disk is None:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._disk = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder)
        return Path(self._disk.name) / f"{index}.safetensors"


def sweep(folder: Path) -> None:
    """Remove the files of stores under `folder` that nobody has closed, because their process was killed."""
    for leftover in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
