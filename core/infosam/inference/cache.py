"""Embeddings that were computed lately, so that going back to an image costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from infosam.types import ImageEmbedding


class EmbeddingCache:
    """A thread-safe store of image embeddings; the least recently used ones leave first.

    Args:
        max_bytes: how much the tensors may take together. An embedding larger than that is not kept.

    Raises:
        ValueError: max_bytes is not positive.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes must be positive, not {max_bytes}")
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, ImageEmbedding] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        self._computing: dict[Hashable, Lock] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: Hashable) -> ImageEmbedding | None:
        """The embedding of this key, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: Hashable, embedding: ImageEmbedding) -> None:
        """Keep an embedding, and let go of the oldest ones until all fit."""
        size = embedding_bytes(embedding)
        with self._lock:
            if key in self._entries:
                self._bytes -= embedding_bytes(self._entries.pop(key))
            if size > self.max_bytes:
                return
            self._entries[key] = embedding
            self._bytes += size
            while self._bytes > self.max_bytes:
                self._bytes -= embedding_bytes(self._entries.popitem(last=False)[1])

    def fetch(self, key: Hashable, compute: Callable[[], ImageEmbedding]) -> ImageEmbedding:
        """The embedding of this key, computed if it is not here; two threads never compute the same one."""
        with self._lock:
            turn = self._computing.setdefault(key, Lock())
        with turn:
            found = self.get(key)
            if found is None:
                found = compute()
                self.put(key, found)
        with self._lock:
            self._computing.pop(key, None)
        return found

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


def embedding_bytes(embedding: ImageEmbedding) -> int:
    """Bytes of an embedding's tensors."""
    return sum(tensor.nbytes for tensor in (embedding.features, *embedding.high_res))
