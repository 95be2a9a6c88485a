"""The bottleneck that all adapters are made of, and the ways to put it at a module of a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

_SKIPPED = 2  # of ViT-B's 12 blocks, the first two carry no adapter in InfoSAM's released configuration


class Bottleneck(nn.Module):
    """A(x) = W2 act(W1 x + b1) + b2 over the last axis, from `dim` to `hidden` channels and back.

    zero_init: W2 and b2 start at zero, so that a fresh adapter changes nothing; otherwise both layers keep
    PyTorch's default initialisation, as in InfoSAM's released code. activation: GELU unless given. dropout:
    share of the hidden channels dropped in training, in [0, 1).
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        zero_init: bool,
        activation: nn.Module | None = None,
        dropout: float = 0.0,
        **like: Any,
    ) -> None:
        super().__init__()
        self.down = nn.Linear(dim, hidden, **like)
        self.activation = activation or nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(hidden, dim, **like)
        if zero_init:
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to (..., dim)."""
        out: Tensor = self.up(self.dropout(self.activation(self.down(x))))
        return out


class Series(nn.Module):
    """A module m, then adapters with a skip around each: y = m(x), then y + s A(y) for every adapter."""

    def __init__(self, module: nn.Module, *adapters: Bottleneck, scale: float = 1.0) -> None:
        super().__init__()
        self.module = module
        self.adapters = nn.ModuleList(adapters)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        for adapter in self.adapters:
            y = y + self.scale * adapter(y)
        return y


class Parallel(nn.Module):
    """A module m beside an adapter: m(x) + s A(x)."""

    def __init__(self, module: nn.Module, adapter: Bottleneck, *, scale: float) -> None:
        super().__init__()
        self.module = module
        self.adapter = adapter
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x) + self.scale * self.adapter(x)
        return out


def bottleneck_for(block: Any, dim: int, ratio: float, *, zero_init: bool) -> Bottleneck:
    """A bottleneck `ratio` times as wide as `dim`, on the device and in the dtype of a block."""
    like = block.norm2.weight
    hidden = max(1, int(dim * ratio))
    return Bottleneck(dim, hidden, zero_init=zero_init, device=like.device, dtype=like.dtype)


def adapter_blocks(dims: Sequence[int]) -> range:
    """The blocks that carry adapters unless a setting names others; dims: widths of all blocks.

    All blocks of a hierarchical encoder (SAM 2), which has several widths; all but the first two of a plain
    ViT, as released for ViT-B, but never more than a sixth is left out.
    """
    plain = len(set(dims)) == 1
    return range(min(_SKIPPED, len(dims) // 6) if plain else 0, len(dims))
