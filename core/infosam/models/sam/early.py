"""SAM's image encoder behind its patch embedding, with what an early block gives beside the embedding."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def through_blocks(encoder: Any, tokens: Tensor, number: int | None = None) -> tuple[Tensor, Tensor | None]:
    """The official encoder's steps, which lose what the blocks give.

    Args:
        encoder: a `segment_anything` ImageEncoderViT.
        tokens: (B, h, w, C), with their positions.
        number: of the block whose output is wanted, or None.

    Returns:
        The embedding (B, D, h, w), and the block's output (B, h, w, C), or None.
    """
    early = None
    for place, block in enumerate(encoder.blocks):
        tokens = block(tokens)
        if place == number:
            early = tokens
    return encoder.neck(tokens.permute(0, 3, 1, 2)), early
