"""SAM's image encoder, with what an early block gives beside the embedding."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def encode_with_early(encoder: Any, images: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The official encoder's steps, which lose what the blocks give.

    Args:
        encoder: a `segment_anything` ImageEncoderViT.
        images: (B, 3, S, S).
        number: of the block whose output is wanted.

    Returns:
        The embedding (B, D, h, w), and the block's output (B, h, w, C).
    """
    x = encoder.patch_embed(images)
    if encoder.pos_embed is not None:
        x = x + encoder.pos_embed
    for block in encoder.blocks[: number + 1]:
        x = block(x)
    early = x
    for block in encoder.blocks[number + 1 :]:
        x = block(x)
    return encoder.neck(x.permute(0, 3, 1, 2)), early
