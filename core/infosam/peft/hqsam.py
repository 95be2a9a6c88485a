"""HQ-SAM: one more token and finer features make a second mask (Ke et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from infosam.peft.base import Method
from infosam.peft.registry import register
from infosam.types import AdaptableModel, DecoderOutput


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class HQHead(nn.Module):
    """The mask MLP(token) . (E(z) + C(v) + M(u)), added to each of the decoder's masks.

    z is the image embedding, v the output of the first block with global attention, u the decoder's upscaled
    map. E and C enlarge four times, M keeps the resolution. In training the logits are those of this mask
    alone, as its authors train it; in evaluation they are SAM's logits plus this mask's. Predicted IoU and
    mask tokens are the decoder's.

    Args:
        dim: channels D of the image embedding; a multiple of 8.
        early_dim: channels of v; None leaves out E and C, as HQ-SAM does for SAM 2, whose high-resolution
            maps are in u already.
        reads_block: number of the block that gives v, or None.
    """

    def __init__(self, dim: int, early_dim: int | None, reads_block: int | None, **like: Any) -> None:
        super().__init__()
        self.reads_block = reads_block
        self.token = nn.Parameter(torch.empty(1, dim, **like))
        nn.init.normal_(self.token)  # as PyTorch's Embedding, which holds SAM's own tokens
        fine = dim // 8
        self.mlp = nn.Sequential(
            nn.Linear(dim, dim, **like),
            nn.ReLU(),
            nn.Linear(dim, dim, **like),
            nn.ReLU(),
            nn.Linear(dim, fine, **like),
        )
        self.mask_features = nn.Sequential(
            nn.Conv2d(fine, dim // 4, 3, padding=1, **like),
            ChannelNorm(dim // 4, eps=1e-6, **like),
            nn.GELU(),
            nn.Conv2d(dim // 4, fine, 3, padding=1, **like),
        )
        if early_dim is not None:
            self.embedding_features = _enlarge(dim, dim // 4, fine, **like)
            self.early_features = _enlarge(early_dim, dim, fine, **like)

    def image_map(self, features: Tensor, early: Tensor) -> Tensor:
        """E(z) + C(v), (B, D / 8, 4h, 4w), of features (B, D, h, w) and early (B, h, w, C)."""
        out: Tensor = self.embedding_features(features) + self.early_features(early.permute(0, 3, 1, 2))
        return out

    def forward(
        self, output: DecoderOutput, token: Tensor, upscaled: Tensor, high_res: Sequence[Tensor]
    ) -> DecoderOutput:
        """The output with other logits (N, 4, 4h, 4w); see `types.MaskRefiner`."""
        features = self.mask_features(upscaled)
        if self.reads_block is not None:
            features = features + high_res[-1]
        mask = torch.einsum("nc,nchw->nhw", self.mlp(token), features).unsqueeze(1)
        logits = mask.expand_as(output.logits) if self.training else output.logits + mask
        return replace(output, logits=logits)


def _enlarge(dim: int, hidden: int, fine: int, **like: Any) -> nn.Sequential:
    """(N, dim, h, w) to (N, fine, 4h, 4w)."""
    return nn.Sequential(
        nn.ConvTranspose2d(dim, hidden, 2, stride=2, **like),
        ChannelNorm(hidden, eps=1e-6, **like),
        nn.GELU(),
        nn.ConvTranspose2d(hidden, fine, 2, stride=2, **like),
    )


@register("hqsam")
@dataclass(frozen=True)
class HQSAMConfig(Method):
    """Adds `HQHead`, and trains nothing else: encoder, decoder and IoU head stay frozen.

    A fresh student does not answer as the pre-trained model does, in any run mode: its mask starts at random,
    and its token takes part in the decoder's attention.
    """

    trains_decoder: ClassVar[bool] = False

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Put the head behind the mask decoder."""
        blocks: Sequence[Any] = student.blocks()
        weight = blocks[0].norm1.weight
        like = {"device": weight.device, "dtype": weight.dtype}
        if student.family == "sam2":
            head = HQHead(student.embed_dim, None, None, **like)
        else:
            number = _first_global(blocks)
            head = HQHead(student.embed_dim, student.block_dims()[number], number, **like)
        student.refiner = head
        return list(head.parameters())


def _first_global(blocks: Sequence[Any]) -> int:
    """The first block whose attention spans the whole image; the last one if none does."""
    whole = (number for number, block in enumerate(blocks) if block.window_size == 0)
    return next(whole, len(blocks) - 1)
