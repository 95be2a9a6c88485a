"""Bottleneck adapters on the outputs of attention and MLP (Houlsby et al. 2019), as InfoSAM uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from torch import nn

from infosam.peft.base import Method, check_blocks, enter_blocks
from infosam.peft.bottleneck import Series, adapter_blocks, bottleneck_for
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Placement = Literal["released", "paper"]


@register("adapter")
@dataclass(frozen=True)
class AdapterConfig(Method):
    """Two adapters per block, by default where InfoSAM's released code ("type 0") has them.

    An adapter works on each position by itself. So it may follow the attention inside the windows, as here,
    or after they have been put together again, as in the released code: the results are equal, and no
    block's forward pass needs to be written anew, SAM's or SAM 2's.

    ratio: width of the bottleneck over that of the block. zero_init: see `Bottleneck`. placement: "released":
    one adapter on the attention's output, one on the MLP's, each before its residual sum; "paper": both in
    sequence on the attention's output (InfoSAM, Fig. 5a). blocks: numbers of the blocks; None:
    `adapter_blocks`. train_norm: train both LayerNorms of these blocks too, as the released code does.
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
        numbers = adapter_blocks(student.block_dims()) if self.blocks is None else self.blocks
        return enter_blocks(student, numbers, self._enter)

    def _enter(self, block: Any, dim: int) -> list[nn.Module]:
        """Put two adapters into a block; returns the modules to train."""
        first, second = (bottleneck_for(block, dim, self.ratio, zero_init=self.zero_init) for _ in range(2))
        if self.placement == "paper":
            block.attn = Series(block.attn, first, second)
        else:
            block.attn, block.mlp = Series(block.attn, first), Series(block.mlp, second)
        norms = [block.norm1, block.norm2] if self.train_norm else []
        return [first, second, *norms]
