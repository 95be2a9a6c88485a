"""One run spread over several processes, as `torchrun` starts them: all that knows of ranks.

Every process holds all weights and makes the same global batch. It encodes and decodes its share, gathers
what the others made of theirs, and computes the losses of the whole batch: whatever couples samples (Gram
matrices, batch statistics, means over uneven shares) is then what one process would compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from infosam.types import InfoSAMError

T = TypeVar("T")
_TIMEOUT = timedelta(minutes=30)  # the others wait while the first process validates


@contextmanager
def processes(timeout: timedelta = _TIMEOUT) -> Iterator[None]:
    """Joins the processes that the launcher's environment (RANK, WORLD_SIZE, ...) names, if several."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=timeout)
    try:
        yield
    finally:
        dist.destroy_process_group()


def reports() -> bool:
    """Whether this process is the one that reports: before the processes have joined, too."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def rank() -> int:
    """The number of this process; 0 writes files and validates."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def agree(value: T) -> T:
    """The value that the first process has."""
    if size() == 1:
        return value
    values = [value]
    with _lost_processes():
        dist.broadcast_object_list(values, src=0)
    return values[0]


def gather(part: Tensor, rows: Tensor, total: int) -> Tensor:
    """Rows of a tensor from all processes: (n, ...) of this one to (total, ...), with gradients.

    The loss of the whole is then computed by every process, and gradients are averaged over them: what
    flows back into this process's rows is its gradient times the number of processes.

    Args:
        part: (n, ...), this process's rows.
        rows: (n,) int64, their places in the whole; those of all processes make up 0, ..., total - 1.
    """
    if size() == 1:
        return part
    whole: Tensor = _Gather.apply(part, rows, total)
    return whole


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients by their means over the processes, in one message.

    A process that did not use a parameter, an expert that none of its images chose, say, has no gradient for
    it, and counts as zero where another has one; what no process used stays without.
    """
    if size() == 1:
        return
    parameters = list(parameters)
    used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    shared = [parameter for parameter, count in zip(parameters, _summed(used).tolist(), strict=True) if count]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in shared]
    flat = _summed(torch.cat([gradient.flatten() for gradient in gradients])) / size()
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for parameter, mean in zip(shared, means, strict=True):
        parameter.grad = mean.view_as(parameter)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, rows: Tensor, total: int) -> Tensor:
        ctx.save_for_backward(rows)
        # Zeros and a sum, rather than all_gather: shares may be uneven, and rows find their own places.
        whole = part.new_zeros((total, *part.shape[1:]))
        whole[rows] = part
        return _summed(whole)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        return gradients[0][rows] * size(), None, None


def _summed(tensor: Tensor) -> Tensor:
    with _lost_processes():
        dist.all_reduce(tensor)
    return tensor


@contextmanager
def _lost_processes() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InfoSAMError(
            f"process {rank()} of {size()} lost the others: one of them has failed or died, see what it says"
        ) from error
