"""Losses that layers of a method ask for, on their way from the forward pass to the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_collected: ContextVar[dict[str, Tensor] | None] = ContextVar("method_losses", default=None)


@contextmanager
def method_losses() -> Iterator[dict[str, Tensor]]:
    """The losses that layers `contribute` while the block runs: name -> sum over layers, a scalar with graph.

    Whoever trains a student adds them to the task's own loss. They travel beside the forward pass and not on
    the layers, so that no graph of an earlier step stays on a student, which could then not be copied.
    """
    losses: dict[str, Tensor] = {}
    token = _collected.set(losses)
    try:
        yield losses
    finally:
        _collected.reset(token)


def contribute(name: str, loss: Tensor) -> None:
    """Add a scalar to the loss `name` of the innermost `method_losses`; without one, nothing happens."""
    losses = _collected.get()
    if losses is not None:
        losses[name] = losses[name] + loss if name in losses else loss
