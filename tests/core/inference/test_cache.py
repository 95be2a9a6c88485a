"""EmbeddingCache: what stays, what leaves, and who computes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from infosam.inference.cache import EmbeddingCache, embedding_bytes
from infosam.types import ImageEmbedding

SIZE = 400  # bytes of `_embedding`


def _embedding(value: float = 0.0) -> ImageEmbedding:
    return ImageEmbedding(torch.full((1, 1, 8, 8), float(value)), (torch.full((1, 1, 6, 6), float(value)),))


def test_bytes_count_every_level() -> None:
    assert embedding_bytes(_embedding()) == SIZE


def test_the_least_recently_used_leaves_first() -> None:
    cache = EmbeddingCache(2 * SIZE)
    cache.put("a", _embedding())
    cache.put("b", _embedding())
    cache.get("a")
    cache.put("c", _embedding())
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None
    assert cache.nbytes == 2 * SIZE


def test_putting_again_replaces() -> None:
    cache = EmbeddingCache(3 * SIZE)
    cache.put("a", _embedding(1))
    cache.put("a", _embedding(2))
    found = cache.get("a")
    assert found is not None
    assert found.features.max() == 2
    assert (len(cache), cache.nbytes) == (1, SIZE)


def test_what_does_not_fit_is_not_kept_and_evicts_nothing() -> None:
    cache = EmbeddingCache(SIZE)
    cache.put("a", _embedding())
    cache.put("huge", ImageEmbedding(torch.zeros(1, 1, 100, 100)))
    assert cache.get("huge") is None
    assert cache.get("a") is not None


def test_clear_forgets_all() -> None:
    cache = EmbeddingCache(SIZE)
    cache.put("a", _embedding())
    cache.clear()
    assert (len(cache), cache.nbytes, cache.get("a")) == (0, 0, None)


@pytest.mark.parametrize("size", [0, -5])
def test_a_size_that_is_none_is_quoted(size: int) -> None:
    with pytest.raises(ValueError, match=f"positive, not {size}"):
        EmbeddingCache(size)


def test_threads_that_want_the_same_embedding_wait_for_one() -> None:
    cache, calls, meet = EmbeddingCache(10 * SIZE), [], threading.Event()

    def compute() -> ImageEmbedding:
        calls.append(1)
        meet.wait(0.2)
        return _embedding(7)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.fetch("a", compute), range(8)))
    assert len(calls) == 1
    assert all(embedding is found[0] for embedding in found)


def test_a_failure_is_passed_on_and_not_kept() -> None:
    cache = EmbeddingCache(10 * SIZE)

    def fail() -> ImageEmbedding:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.fetch("a", fail)
    assert cache.fetch("a", _embedding) is cache.get("a")


def test_bytes_stay_true_under_many_threads() -> None:
    cache = EmbeddingCache(5 * SIZE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.fetch(i % 13, lambda: _embedding(i)), range(400)))
    assert cache.nbytes == len(cache) * SIZE <= cache.max_bytes
