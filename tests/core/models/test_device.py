"""Device names."""

from __future__ import annotations

import pytest
import torch

from infosam.models.device import resolve_device
from infosam.types import BadInputError


def test_cpu_and_auto_always_resolve() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    assert torch.zeros(1, device=resolve_device()).sum() == 0


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "tpu:0"])
def test_an_unknown_name_is_quoted(name: str) -> None:
    with pytest.raises(BadInputError, match=f"unknown device '{name}': use auto, cpu"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_where_there_is_none(name: str) -> None:
    with pytest.raises(BadInputError, match=rf"'{name}' is not available.*use auto or cpu"):
        resolve_device(name)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="has an Apple GPU")
def test_mps_where_there_is_none() -> None:
    with pytest.raises(BadInputError, match="'mps' is not available"):
        resolve_device("mps")


def test_a_gpu_beyond_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("auto") == torch.device("cuda")
    with pytest.raises(BadInputError, match=r"'cuda:2' does not exist: this machine has 2"):
        resolve_device("cuda:2")
