"""Where pre-training starts: random weights, with attention that already looks near the prompts."""

from __future__ import annotations

import torch
from torch import nn

from infosam.models.sam.adaptor import SamModel

_SHARPNESS = 0.2


@torch.no_grad()
def initialise(model: SamModel) -> None:
    """Give `model` its starting weights, in place, from torch's global generator.

    In the decoder's cross-attention, queries and keys start as the same random projection: two tokens then
    attend to each other as far as their coordinate encodings agree, that is, when they lie near each other.
    With independent projections, training from scratch stays long at empty masks before it finds out where a
    prompt is. The type embeddings of points and boxes start small, so that they do not drown the coordinates.
    """
    transformer = model.sam.mask_decoder.transformer
    crossings = [layer.cross_attn_token_to_image for layer in transformer.layers]
    crossings += [layer.cross_attn_image_to_token for layer in transformer.layers]
    for attention in [*crossings, transformer.final_attn_token_to_image]:
        nn.init.normal_(attention.q_proj.weight, std=_SHARPNESS)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
    for embedding in model.sam.prompt_encoder.point_embeddings:
        embedding.weight.mul_(0.1)
    model.sam.prompt_encoder.no_mask_embed.weight.mul_(0.1)
    for name, parameter in model.sam.image_encoder.named_parameters():
        if name.endswith("pos_embed"):
            nn.init.normal_(parameter, std=0.02)
