from __future__ import annotations

from pathlib import Path

import torch

from infosam.training.store import TensorStore


def test_memory_and_disk_give_the_same_tensors(tmp_path: Path) -> None:
    tensors = [[torch.randn(3, 8, 8), torch.randn(5)] for _ in range(3)]
    size = sum(2 * tensor.numel() for tensor in tensors[0])
    store = TensorStore(tmp_path / "run", memory_limit=size)
    for index, row in enumerate(tensors):
        store.put(index, row)
    files = list((tmp_path / "run").glob(".infosam-cache-*/*.safetensors"))
    assert len(files) == 2, "one row fits in memory, two go to disk"
    for index, row in enumerate(tensors):
        for kept, original in zip(store.get(index), row, strict=True):
            assert kept.dtype == torch.float16
            torch.testing.assert_close(kept, original.half())
    store.close()
    assert not list((tmp_path / "run").iterdir())


def test_nothing_is_written_while_memory_suffices(tmp_path: Path) -> None:
    store = TensorStore(tmp_path / "run")
    store.put(0, [torch.ones(4)])
    assert not (tmp_path / "run").exists()
    store.close()
