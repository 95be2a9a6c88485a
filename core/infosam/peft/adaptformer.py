"""AdaptFormer: a bottleneck beside the MLP (Chen et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from torch import nn

from infosam.peft.base import Method, check_blocks, enter_blocks
from infosam.peft.bottleneck import Bottleneck, Parallel, adapter_blocks, bottleneck_for
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Form = Literal["released", "original"]
_RELEASED_RATIO, _RELEASED_SCALE = 0.25, 0.5
_ORIGINAL_HIDDEN, _ORIGINAL_SCALE, _ORIGINAL_DROPOUT = 64, 0.1, 0.1


@register("adaptformer")
@dataclass(frozen=True)
class AdaptFormerConfig(Method):
    """One adapter A beside the MLP of each block, with h the block's state after attention.

    form: "released": h + MLP(n) + 0.5 A(n) with n = LN2(h), GELU and a quarter of the block's width, as in
    InfoSAM's code ("type 5"); "original": h + MLP(LN2(h)) + 0.1 A(h), ReLU, 64 channels wide, dropout 0.1, as
    in AdaptFormer's code. zero_init: see `Bottleneck`. blocks: numbers of the blocks; None: `adapter_blocks`
    in the released form, all in the original one. train_norm: train both LayerNorms of these blocks too, as
    InfoSAM's code does.
    """

    form: Form = "released"
    zero_init: bool = True
    blocks: tuple[int, ...] | None = None
    train_norm: bool = True

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form must be one of {', '.join(get_args(Form))}, not {self.form!r}")
        check_blocks(self.blocks)

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`official` starts at random, as InfoSAM's code does; `paper` is AdaptFormer as its authors have it,
        who train no norms."""
        if mode == "paper":
            return cls(form="original", train_norm=False)
        return cls(zero_init=mode == "clean")

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Wrap the MLP of the chosen blocks."""
        dims = student.block_dims()
        default = adapter_blocks(dims) if self.form == "released" else range(len(dims))
        return enter_blocks(student, default if self.blocks is None else self.blocks, self._enter)

    def _enter(self, block: Any, dim: int) -> list[nn.Module]:
        """Put an adapter into a block; returns the modules to train."""
        norms = [block.norm1, block.norm2] if self.train_norm else []
        enter = self._enter_released if self.form == "released" else self._enter_original
        return [enter(block, dim), *norms]

    def _enter_released(self, block: Any, dim: int) -> Bottleneck:
        adapter = bottleneck_for(block, dim, _RELEASED_RATIO, zero_init=self.zero_init)
        block.mlp = Parallel(block.mlp, adapter, scale=_RELEASED_SCALE)
        return adapter

    def _enter_original(self, block: Any, dim: int) -> Bottleneck:
        like = block.norm2.weight
        adapter = Bottleneck(
            dim,
            _ORIGINAL_HIDDEN,
            zero_init=self.zero_init,
            activation=nn.ReLU(),
            dropout=_ORIGINAL_DROPOUT,
            device=like.device,
            dtype=like.dtype,
        )
        nn.init.zeros_(adapter.down.bias)
        # The adapter reads what LN2 reads: so LN2 moves to the MLP's side of it.
        block.mlp = Parallel(nn.Sequential(block.norm2, block.mlp), adapter, scale=_ORIGINAL_SCALE)
        block.norm2 = nn.Identity()
        return adapter
