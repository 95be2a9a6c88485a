"""Conv-LoRA: LoRA with convolutions at several resolutions in its bottleneck (Zhong et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.peft.base import Method, check_blocks, check_low_rank, choose_blocks
from infosam.peft.method_losses import contribute
from infosam.peft.registry import register
from infosam.types import AdaptableModel

_LEAST_SPREAD = 0.01  # of the gate's noise


class Expert(nn.Module):
    """A 3 x 3 convolution and GELU at `factor` times the resolution, bicubic on the way there and back."""

    def __init__(self, channels: int, factor: int, like: Tensor) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, device=like.device, dtype=like.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(N, r, H, W) to the same shape."""
        enlarged = F.interpolate(x, scale_factor=float(self.factor), mode="bicubic")
        return F.interpolate(F.gelu(self.conv(enlarged)), size=x.shape[-2:], mode="bicubic")


class Gate(nn.Module):
    """Chooses one of M experts for each map by its channel means, with noise while it trains.

    Both weights (r, M) start at zero: at first the noise chooses. The gate's value is not multiplied into
    what the expert says, so that the balance loss is all that trains it.
    """

    def __init__(self, channels: int, experts: int, like: Tensor) -> None:
        super().__init__()
        self.choice = nn.Parameter(like.new_zeros(channels, experts))
        self.noise = nn.Parameter(like.new_zeros(channels, experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, r, H, W) maps to the chosen experts (N,) and, in training, their `balance_loss`."""
        with torch.autocast(x.device.type, enabled=False):  # half precision would make ties
            pooled = x.to(self.choice.dtype).mean((2, 3))
            clean = pooled @ self.choice
            if not self.training:
                return clean.argmax(-1), None
            spread = F.softplus(pooled @ self.noise) + _LEAST_SPREAD
            noisy = clean + torch.randn_like(clean) * spread
            return noisy.argmax(-1), balance_loss(clean, noisy, spread)


class ConvLoRA(nn.Module):
    """W x + b + scale B (c + E(c)) with c = A x, on the fused qkv projection; E: the expert chosen for c.

    A (r, D) and B (3 D, r) start as in `FusedLoRA`: a fresh one changes nothing. Expert k of M works at k
    times the resolution. Each window is a map of its own, those that hold only padding too.
    """

    def __init__(
        self, linear: nn.Linear, *, rank: int, scale: float, experts: int, balance_weight: float
    ) -> None:
        super().__init__()
        like = linear.weight
        self.linear = linear
        self.scale = scale
        self.balance_weight = balance_weight
        self.a = nn.Parameter(like.new_empty(rank, linear.in_features))
        self.b = nn.Parameter(like.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.gate = Gate(rank, experts, like)
        self.experts = nn.ModuleList(Expert(rank, factor, like) for factor in range(1, experts + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, D) to (N, H, W, 3 D)."""
        low = (x @ self.a.T).permute(0, 3, 1, 2)
        chosen, balance = self.gate(low)
        if balance is not None:
            contribute("balance", self.balance_weight * balance)
        low = low + self._ask(low, chosen)
        out: Tensor = self.linear(x) + self.scale * (low.permute(0, 2, 3, 1) @ self.b.T)
        return out

    def _ask(self, low: Tensor, chosen: Tensor) -> Tensor:
        """What the chosen expert makes of each map."""
        said = torch.zeros_like(low)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero().squeeze(1)
            if len(mine):
                said = said.index_copy(0, mine, expert(low[mine]).to(low.dtype))
        return said


def balance_loss(clean: Tensor, noisy: Tensor, spread: Tensor) -> Tensor:
    """How unevenly the experts are used: CV^2(importance) + CV^2(load), at least 0 (Shazeer et al. 2017, Eqs.
    6-11, for one expert per sample).

    Importance is how often an expert was chosen. Its load, which has a gradient, is the sum of the
    probabilities that another draw of the noise chooses it: Phi((clean - threshold) / spread), the threshold
    being the highest noisy value among the others.

    Args:
        clean, noisy: (N, M) values of M >= 2 experts for N samples, without and with noise.
        spread: (N, M) standard deviations of the noise, positive.
    """
    highest, order = noisy.topk(2, dim=-1)
    chosen = F.one_hot(order[:, 0], noisy.shape[-1])
    threshold = torch.where(chosen.bool(), highest[:, 1:], highest[:, :1])
    load = (0.5 * (1 + torch.erf((clean - threshold) / spread / math.sqrt(2)))).sum(0)
    return _squared_variation(chosen.sum(0).to(load)) + _squared_variation(load)


def _squared_variation(values: Tensor) -> Tensor:
    return values.var() / (values.mean() ** 2 + 1e-10)


@register("convlora")
@dataclass(frozen=True)
class ConvLoRAConfig(Method):
    """Conv-LoRA on the attention's qkv projection, as in InfoSAM's code.

    rank: r of each pair. alpha: updates are scaled by alpha / r. experts: M, at least 2. balance_weight: of
    each block's `balance_loss` in the training loss, at least 0. blocks: numbers of the blocks; None: all.
    """

    rank: int = 4
    alpha: float = 4.0
    experts: int = 8
    balance_weight: float = 0.01
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_low_rank(self.rank, self.alpha)
        if self.experts < 2:
            raise ValueError(f"experts must be at least 2, not {self.experts}")
        if not self.balance_weight >= 0:
            raise ValueError(f"balance_weight must be at least 0, not {self.balance_weight}")
        check_blocks(self.blocks)

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Wrap the qkv projection of the chosen blocks."""
        numbers: Sequence[int] = range(len(student.blocks())) if self.blocks is None else self.blocks
        added: list[nn.Parameter] = []
        for block in choose_blocks(student, numbers):
            wrapped = ConvLoRA(
                block.attn.qkv,
                rank=self.rank,
                scale=self.alpha / self.rank,
                experts=self.experts,
                balance_weight=self.balance_weight,
            )
            block.attn.qkv = wrapped
            added += [wrapped.a, wrapped.b, *wrapped.gate.parameters(), *wrapped.experts.parameters()]
        return added
