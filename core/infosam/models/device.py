"""From a device's name to a torch device, or a clear reason why not."""

from __future__ import annotations

import torch

from infosam.types import BadInputError


def resolve_device(name: str = "auto") -> torch.device:
    """The device that `name` stands for: "auto", "cpu", "cuda", "cuda:N" or "mps".

    "auto" is the first of CUDA, Apple's MPS and CPU that this machine has.

    Raises:
        BadInputError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise BadInputError(f"unknown device {name!r}: use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda":
        _check_cuda(name, device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BadInputError(f"device {name!r} is not available: PyTorch finds no Apple GPU; use auto or cpu")
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    tell = getattr(torch.cpu, "get_capabilities", None)  # older versions of PyTorch do not tell
    known: dict[str, object] = {} if tell is None else tell()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_cuda(name: str, index: int) -> None:
    if not torch.cuda.is_available():
        raise BadInputError(
            f"device {name!r} is not available: PyTorch {torch.__version__} finds no CUDA GPU here; "
            "use auto or cpu, or install a PyTorch build and a driver that fit the GPU"
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise BadInputError(
            f"device {name!r} does not exist: this machine has {count} CUDA GPU(s), cuda:0 first"
        )
