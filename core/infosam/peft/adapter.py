"""Bottleneck adapters on the outputs of attention and MLP (Houlsby et al. 2019), as InfoSAM uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn

from infosam.peft.base import Method, check_blocks, choose_blocks
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Placement = Literal["released", "paper"]
_SKIPPED = 2  # of ViT-B's 12 blocks, the first two carry no adapter in the released configuration


class Bottleneck(nn.Module):
    """A(x) = W2 GELU(W1 x + b1) + b2 over the last axis, from `dim` to `hidden` channels and back.

    zero_init: W2 and b2 start at zero, so that a fresh adapter changes nothing; otherwise both layers keep
    PyTorch's default initialisation, as in the released code.
    """

    def __init__(self, dim: int, hidden: int, *, zero_init: bool, **like: Any) -> None:
        super().__init__()
        self.down = nn.Linear(dim, hidden, **like)
        self.activation = nn.GELU()
        self.up = nn.Linear(hidden, dim, **like)
        if zero_init:
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to (..., dim)."""
        out: Tensor = self.up(self.activation(self.down(x)))
        return out


class Series(nn.Module):
    """A module followed by adapters with a skip around each: y = m(x), then y + A(y) for every adapter."""

    def __init__(self, module: nn.Module, *adapters: Bottleneck) -> None:
        super().__init__()
        self.module = module
        self.adapters = nn.ModuleList(adapters)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        for adapter in self.adapters:
            y = y + adapter(y)
        return y


@register("adapter")
@dataclass(frozen=True)
class AdapterConfig(Method):
    """Two adapters per block, by default where InfoSAM's released code ("type 0") has them.

    An adapter works on each position by itself. So it may follow the attention inside the windows, as here,
    or after they have been put together again, as in the released code: the results are equal, and no
    block's forward pass needs to be written anew, SAM's or SAM 2's.

    ratio: width of the bottleneck over that of the block. zero_init: see `Bottleneck`. placement: "released":
    one adapter on the attention's output, one on the MLP's, each before its residual sum; "paper": both in
    sequence on the attention's output (InfoSAM, Fig. 5a). blocks: numbers of the blocks; None: all blocks of
    a hierarchical encoder (SAM 2), all but the first two of a plain ViT, as released for ViT-B, but never
    more than a sixth is left out. train_norm: train both LayerNorms of these blocks too, as the released
    code does.
    """

    ratio: float = 0.25
    zero_init: bool = True
    placement: Placement = "released"
    blocks: tuple[int, ...] | None = None
    train_norm: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 4:
            raise ValueError(f"ratio must lie in (0, 4], not {self.ratio}")
        if self.placement not in get_args(Placement):
            raise ValueError(
                f"placement must be one of {', '.join(get_args(Placement))}, not {self.placement!r}"
            )
        check_blocks(self.blocks)

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`official` starts at random, as released; `paper` does so too, in the placement of Fig. 5a."""
        return cls(zero_init=mode == "clean", placement="paper" if mode == "paper" else "released")

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Wrap attention and MLP of the chosen blocks."""
        dims = student.block_dims()
        numbers = _default_blocks(dims) if self.blocks is None else self.blocks
        trained: list[nn.Parameter] = []
        for number, block in zip(numbers, choose_blocks(student, numbers), strict=True):
            parts = self._enter(block, dims[number])
            trained += [parameter for part in parts for parameter in part.parameters()]
        return trained

    def _enter(self, block: Any, dim: int) -> list[nn.Module]:
        """Put two adapters into a block; returns the modules to train."""
        first, second = (self._bottleneck(dim, block.norm2.weight) for _ in range(2))
        if self.placement == "paper":
            block.attn = Series(block.attn, first, second)
        else:
            block.attn, block.mlp = Series(block.attn, first), Series(block.mlp, second)
        norms = [block.norm1, block.norm2] if self.train_norm else []
        return [first, second, *norms]

    def _bottleneck(self, dim: int, like: Tensor) -> Bottleneck:
        hidden = max(1, int(dim * self.ratio))
        return Bottleneck(dim, hidden, zero_init=self.zero_init, device=like.device, dtype=like.dtype)


def _default_blocks(dims: Sequence[int]) -> range:
    """A plain ViT has one width, a hierarchical encoder several."""
    plain = len(set(dims)) == 1
    return range(min(_SKIPPED, len(dims) // 6) if plain else 0, len(dims))
