"""Serial bottleneck adapters on the output of attention and MLP (Houlsby et al. 2019, as used by InfoSAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from torch import Tensor, nn

from infosam.peft.base import Method, chosen, own
from infosam.peft.registry import register
from infosam.types import AdaptableModel, RunMode

Placement = Literal["released", "paper"]


class Bottleneck(nn.Module):
    """A(x) = W2 GELU(W1 x + b1) + b2 over the last dimension, from `dim` to `hidden` channels and back.

    zero_init: W2 and b2 start at zero, so that a fresh adapter changes nothing; otherwise torch's default.
    """

    def __init__(self, dim: int, hidden: int, *, zero_init: bool) -> None:
        super().__init__()
        self.down = nn.Linear(dim, hidden)
        self.activation = nn.GELU()
        self.up = nn.Linear(hidden, dim)
        if zero_init:
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(self.activation(self.down(x)))
        return out


class Adapted(nn.Module):
    """A module followed by adapters, each with a skip: x -> m(x), then m + A(m) for every adapter."""

    def __init__(self, module: nn.Module, *adapters: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.adapters = nn.ModuleList(adapters)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = self.module(*args, **kwargs)
        for adapter in self.adapters:
            out = out + adapter(out)
        return out


@register("adapter")
@dataclass(frozen=True)
class AdapterConfig(Method):
    """Adapters, by default as in InfoSAM's released code ("type 0").

    An adapter works on each token alone, so wrapping attention and MLP equals the released graph, which
    applies it after the windows are put together again and before each residual sum.

    ratio: width of the bottleneck over the block's width. zero_init: a fresh adapter changes nothing; the
    released code starts at random. placement: "released" has one adapter on the attention's output and one
    on the MLP's; "paper" has two in a row on the attention's output (Fig. 5a). blocks: which blocks; None =
    all but the first two, as released for ViT-B. train_norm: train the LayerNorms of these blocks too.
    """

    ratio: float = 0.25
    zero_init: bool = True
    placement: Placement = "released"
    blocks: tuple[int, ...] | None = None
    train_norm: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 4:
            raise ValueError(f"ratio must lie in (0, 4], not {self.ratio}")
        if self.placement not in ("released", "paper"):
            raise ValueError(f"placement must be 'released' or 'paper', not {self.placement!r}")

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """`official` starts at random as released; `paper` also has Fig. 5a's placement."""
        if mode == "clean":
            return cls()
        return cls(zero_init=False, placement="paper" if mode == "paper" else "released")

    def apply(self, student: AdaptableModel) -> None:
        """Wrap attention and MLP of the chosen blocks, and free their LayerNorms."""
        blocks, dims = student.blocks(), student.block_dims()
        for index in chosen(self.blocks, len(blocks), range(2, len(blocks))):
            block: Any = blocks[index]
            first, second = self._bottleneck(block, dims[index]), self._bottleneck(block, dims[index])
            if self.placement == "paper":
                block.attn = Adapted(block.attn, first, second)
            else:
                block.attn = Adapted(block.attn, first)
                block.mlp = Adapted(block.mlp, second)
            if self.train_norm:
                own(block.norm1)
                own(block.norm2)

    def _bottleneck(self, block: nn.Module, dim: int) -> Bottleneck:
        device = next(block.parameters()).device
        return Bottleneck(dim, max(1, round(dim * self.ratio)), zero_init=self.zero_init).to(device)
