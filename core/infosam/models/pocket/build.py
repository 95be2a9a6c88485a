"""sam_pocket: the SAM architecture at pocket size, from segment-anything's own classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from segment_anything.modeling import PromptEncoder, Sam, TwoWayTransformer

from infosam.models.pocket.model import PocketMaskDecoder, PocketModel
from infosam.models.pocket.stem import STRIDE, PocketEncoder


@dataclass(frozen=True)
class PocketConfig:
    """Sizes of the pocket model; the defaults are those of the shipped weights.

    image_size in pixels, half, quarter, width and out_chans in channels, window in tokens.
    """

    image_size: int = 256
    half: int = 32
    quarter: int = 64
    width: int = 192
    depth: int = 6
    heads: int = 6
    window: int = 8
    global_blocks: tuple[int, ...] = (2, 5)
    out_chans: int = 128
    decoder_mlp: int = 512


def build_pocket(config: PocketConfig | None = None) -> PocketModel:
    """A pocket model with random weights."""
    config = config or PocketConfig()
    side = config.image_size // STRIDE
    encoder = PocketEncoder(
        half=config.half,
        quarter=config.quarter,
        img_size=config.image_size,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        mlp_ratio=4,
        out_chans=config.out_chans,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        global_attn_indexes=config.global_blocks,
        window_size=config.window,
    )
    prompt_encoder = PromptEncoder(
        embed_dim=config.out_chans,
        image_embedding_size=(side, side),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=16,
    )
    decoder = PocketMaskDecoder(
        transformer_dim=config.out_chans,
        transformer=TwoWayTransformer(
            depth=2, embedding_dim=config.out_chans, mlp_dim=config.decoder_mlp, num_heads=8
        ),
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=config.out_chans,
    )
    sam = Sam(encoder, prompt_encoder, decoder)
    return PocketModel("sam_pocket", sam, family="pocket")
