"""Low-rank updates of the attention's query, key and value projections (Hu et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from infosam.peft.base import Method, check_blocks, check_low_rank, choose_blocks
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Targets = Literal["qkv", "qv"]


class FusedLoRA(nn.Module):
    """W x + b + scale B A x on the fused qkv projection: one pair, whose A serves q, k and v alike.

    A (r, D) starts Kaiming-uniform with a = sqrt(5), B (3 D, r) at zero: a fresh one changes nothing.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, scale: float) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        self.a = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., 3 D)."""
        out: Tensor = self.linear(x) + self.scale * (x @ self.a.T @ self.b.T)
        return out


class PerHeadLoRA(nn.Module):
    """The paper's form: a pair (A, B) for query, key and value of each head apart.

    A (3 heads, r, D) and B (3 heads, D / heads, r), in the order of the fused projection's outputs, start as
    in `FusedLoRA`.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, scale: float, heads: int) -> None:
        super().__init__()
        groups = 3 * heads
        self.linear = linear
        self.scale = scale
        self.a = nn.Parameter(linear.weight.new_empty(groups, rank, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(groups, linear.out_features // groups, rank))
        for one in self.a.unbind():
            nn.init.kaiming_uniform_(one, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., 3 D)."""
        low = (x @ self.a.flatten(0, 1).T).reshape(*x.shape[:-1], *self.a.shape[:2])
        update = torch.einsum("...gr,gcr->...gc", low, self.b).flatten(-2)
        out: Tensor = self.linear(x) + self.scale * update
        return out


class QueryValueLoRA(nn.Module):
    """SU-SAM's form: a pair (A, B) for the query and one for the value, none for the key.

    A (2, r, D) and B (2, D, r), query first, start as in `FusedLoRA`.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, scale: float) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        self.a = nn.Parameter(linear.weight.new_empty(2, rank, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(2, linear.out_features // 3, rank))
        for one in self.a.unbind():
            nn.init.kaiming_uniform_(one, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., 3 D)."""
        query, value = (x @ a.T @ b.T for a, b in zip(self.a, self.b, strict=True))
        update = torch.cat([query, torch.zeros_like(query), value], dim=-1)
        out: Tensor = self.linear(x) + self.scale * update
        return out


@register("lora")
@dataclass(frozen=True)
class LoRAConfig(Method):
    """LoRA on the attention's qkv projection.

    rank: r of each pair. alpha: updates are scaled by alpha / r. per_head: the paper's form instead of the
    released, fused one. targets: "qkv", or "qv" for query and value only, as in SU-SAM, and not per head.
    blocks: numbers of the blocks; None: all.
    """

    rank: int = 4
    alpha: float = 4.0
    per_head: bool = False
    targets: Targets = "qkv"
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_low_rank(self.rank, self.alpha)
        if self.targets not in get_args(Targets):
            raise ValueError(f"targets must be one of {', '.join(get_args(Targets))}, not {self.targets!r}")
        if self.per_head and self.targets != "qkv":
            raise ValueError(f"per_head needs the targets 'qkv', not {self.targets!r}")
        check_blocks(self.blocks)

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`paper` is per head."""
        return cls(per_head=mode == "paper")

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Wrap the qkv projection of the chosen blocks."""
        numbers: Sequence[int] = range(len(student.blocks())) if self.blocks is None else self.blocks
        added: list[nn.Parameter] = []
        for block in choose_blocks(student, numbers):
            wrapped = self._wrap(block.attn.qkv, block.attn.num_heads)
            block.attn.qkv = wrapped
            added += [wrapped.a, wrapped.b]
        return added

    def _wrap(self, linear: nn.Linear, heads: int) -> FusedLoRA | PerHeadLoRA | QueryValueLoRA:
        scale = self.alpha / self.rank
        if self.per_head:
            return PerHeadLoRA(linear, rank=self.rank, scale=scale, heads=heads)
        if self.targets == "qv":
            return QueryValueLoRA(linear, rank=self.rank, scale=scale)
        return FusedLoRA(linear, rank=self.rank, scale=scale)
