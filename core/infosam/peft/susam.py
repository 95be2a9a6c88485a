"""SU-SAM's serial, parallel and mixed adapters (Song et al. 2024, SimAda)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn

from infosam.peft.base import Method, check_blocks, enter_blocks
from infosam.peft.bottleneck import Bottleneck, Parallel, Series, adapter_blocks, bottleneck_for
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Variant = Literal["serial", "parallel", "mixed"]
_RATIO, _SCALE = 0.25, 0.5


class Chain(nn.Module):
    """A module m followed by an adapter in its place, with no skip: s A(m(x))."""

    def __init__(self, module: nn.Module, adapter: Bottleneck, *, scale: float) -> None:
        super().__init__()
        self.module = module
        self.adapter = adapter
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.scale * self.adapter(self.module(x))
        return out


@register("susam")
@dataclass(frozen=True)
class SUSAMConfig(Method):
    """An adapter A at the attention and another A' at the MLP of each block, a quarter of its width, GELU.

    With a the attention's output, h the sum of a's replacement and the block's input, n = LN2(h), s = 0.5:

        variant     instead of a     the block's output
        serial      a + A(a)         h + s A'(MLP(n))
        parallel    a + s A(a)       h + MLP(n) + s A'(n)
        mixed       a + A(a)         h + MLP(n) + s A'(n)

    SU-SAM itself cuts the windows before LN1, so that their padding holds the norm's biases; here the padding
    is zero, as in SAM and in InfoSAM's code. SU-SAM's LoRA is `LoRAConfig(targets="qv")`.

    variant: InfoSAM does not say which one its "SU-SAM" is; "serial" is almost its own adapter. zero_init:
    see `Bottleneck`; not for "serial", where the MLP is heard only through its adapter. blocks: numbers of
    the blocks; None: `adapter_blocks`. train_norm: train both LayerNorms of these blocks too.
    """

    variant: Variant = "mixed"
    zero_init: bool = True
    blocks: tuple[int, ...] | None = None
    train_norm: bool = True

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise ValueError(f"variant must be one of {', '.join(get_args(Variant))}, not {self.variant!r}")
        if self.variant == "serial" and self.zero_init:
            raise ValueError(
                "zero_init must be False for the variant 'serial': at zero its adapters would silence the MLP"
            )
        check_blocks(self.blocks)

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`official` and `paper` start at random, as released."""
        return cls(zero_init=mode == "clean")

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Wrap attention and MLP of the chosen blocks."""
        numbers = adapter_blocks(student.block_dims()) if self.blocks is None else self.blocks
        return enter_blocks(student, numbers, self._enter)

    def _enter(self, block: Any, dim: int) -> list[nn.Module]:
        """Put two adapters into a block; returns the modules to train."""
        first, second = (bottleneck_for(block, dim, _RATIO, zero_init=self.zero_init) for _ in range(2))
        block.attn = Series(block.attn, first, scale=_SCALE if self.variant == "parallel" else 1.0)
        form = Chain if self.variant == "serial" else Parallel
        block.mlp = form(block.mlp, second, scale=_SCALE)
        norms = [block.norm1, block.norm2] if self.train_norm else []
        return [first, second, *norms]
