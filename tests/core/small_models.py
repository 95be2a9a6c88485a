"""The three families at a small size: the official classes, reduced in width, depth and input."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeVar

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from infosam.models.base import PromptableModel, freeze
from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.sam.adaptor import SamModel
from infosam.models.sam2.adaptor import Sam2Model

SIDE = 128
M = TypeVar("M", bound=nn.Module)


def small_pocket() -> PromptableModel:
    """Pocket with two windowed blocks, whose windows need padding, and a global one; random weights."""
    torch.manual_seed(0)
    config = PocketConfig(
        image_size=SIDE,
        width=32,
        depth=3,
        heads=2,
        window=3,
        global_blocks=(2,),
        out_chans=32,
        decoder_mlp=32,
    )
    return freeze(randomised(build_pocket(config)))


def small_sam() -> PromptableModel:
    """segment-anything's own modules at a small size, the last with global attention; random weights."""
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=SIDE,
        patch_size=16,
        embed_dim=32,
        depth=3,
        num_heads=2,
        out_chans=32,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(2,),
    )
    prompts = PromptEncoder(32, (SIDE // 16, SIDE // 16), (SIDE, SIDE), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=32, num_heads=8)
    decoder = MaskDecoder(transformer_dim=32, transformer=transformer)
    return freeze(randomised(SamModel("small", Sam(encoder, prompts, decoder))))


def small_sam2() -> PromptableModel:
    """SAM 2.1 tiny with a third of its width and small images; random weights."""
    torch.manual_seed(0)
    config = OmegaConf.load(str(files("sam2") / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml"))
    config.model.image_size = SIDE
    config.model.image_encoder.trunk.embed_dim = 32
    config.model.image_encoder.neck.backbone_channel_list = [256, 128, 64, 32]
    return freeze(randomised(Sam2Model("sam2_small", instantiate(config.model, _recursive_=True))))


@torch.no_grad()
def randomised(model: M) -> M:
    """Position tables and biases, which are zero at first, get values too."""
    for parameter in model.parameters():
        if not parameter.any():
            parameter.normal_(std=0.1)
    return model
