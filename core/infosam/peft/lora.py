"""Low-rank updates of the attention's query, key and value projections (Hu et al. 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from infosam.peft.base import Method, chosen
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode


class FusedLoRA(nn.Module):
    """W x + scale B A x on the fused qkv projection: one pair of rank r, whose A serves q, k and v alike.

    A (r, D) starts Kaiming-uniform with a = sqrt(5), B (3 D, r) at zero: a fresh one changes nothing.
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        self.a = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x) + self.scale * (x @ self.a.T @ self.b.T)
        return out


class PerHeadLoRA(nn.Module):
    """The paper's form: a pair of its own for every head of q, k and v.

    A (3 heads, r, D), B (3 heads, D / heads, r), in the order of the fused projection's output.
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float, heads: int) -> None:
        super().__init__()
        groups = 3 * heads
        self.linear = linear
        self.scale = scale
        self.a = nn.Parameter(linear.weight.new_empty(groups, rank, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(groups, linear.out_features // groups, rank))
        for pair in self.a.unbind():
            nn.init.kaiming_uniform_(pair, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        low = torch.einsum("...d,grd->...gr", x, self.a)
        update = torch.einsum("...gr,ghr->...gh", low, self.b).flatten(-2)
        out: Tensor = self.linear(x) + self.scale * update
        return out


@register("lora")
@dataclass(frozen=True)
class LoRAConfig(Method):
    """LoRA of rank `rank`, scaled by alpha / rank.

    per_head: the paper's form instead of the released, fused one. blocks: which blocks; None = all.
    """

    rank: int = 4
    alpha: float = 4.0
    per_head: bool = False
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, not {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"alpha must be positive, not {self.alpha}")

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`paper` is per head."""
        return cls(per_head=mode == "paper")

    def apply(self, student: AdaptableModel) -> None:
        """Replace the qkv projection of the chosen blocks."""
        blocks = student.blocks()
        for index in chosen(self.blocks, len(blocks), range(len(blocks))):
            attention: Any = blocks[index].attn
            scale = self.alpha / self.rank
            if self.per_head:
                attention.qkv = PerHeadLoRA(attention.qkv, self.rank, scale, attention.num_heads)
            else:
                attention.qkv = FusedLoRA(attention.qkv, self.rank, scale)
