"""Small models of both architectures, and a way to run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import TypeVar

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from infosam.models.base import PromptableModel, freeze
from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.sam.adaptor import SamModel
from infosam.models.sam2.adaptor import Sam2Model
from infosam.types import DecoderOutput, PromptBatch

SIDE = 128
M = TypeVar("M", bound=nn.Module)


@pytest.fixture
def pocket(single_thread: None) -> PromptableModel:
    """SAM with two windowed blocks, whose windows need padding, and a global one; random weights."""
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


@pytest.fixture
def small_sam(single_thread: None) -> PromptableModel:
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


@pytest.fixture
def small_sam2(single_thread: None) -> PromptableModel:
    """SAM 2.1 tiny with a third of its width and small images; random weights."""
    torch.manual_seed(0)
    config = OmegaConf.load(str(files("sam2") / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml"))
    config.model.image_size = SIDE
    config.model.image_encoder.trunk.embed_dim = 32
    config.model.image_encoder.neck.backbone_channel_list = [256, 128, 64, 32]
    return freeze(randomised(Sam2Model("sam2_small", instantiate(config.model, _recursive_=True))))


@pytest.fixture(params=["pocket", "small_sam2"])
def model(request: pytest.FixtureRequest) -> PromptableModel:
    """Both, one after the other."""
    made: PromptableModel = request.getfixturevalue(request.param)
    return made


@torch.no_grad()
def randomised(model: M) -> M:
    """Position tables and biases, which are zero at first, get values too."""
    for parameter in model.parameters():
        if not parameter.any():
            parameter.normal_(std=0.1)
    return model


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def run(images: Tensor) -> Callable[[PromptableModel], DecoderOutput]:
    """Encode two images and decode three prompts, each a box and a click."""

    def forward(model: PromptableModel) -> DecoderOutput:
        prompts = PromptBatch(
            image_index=torch.tensor([0, 1, 1]),
            points=torch.tensor([[[20.0, 30.0]], [[60.0, 10.0]], [[5.0, 100.0]]]),
            labels=torch.tensor([[1], [1], [0]]),
            boxes=torch.tensor([[5.0, 10, 60, 70], [40, 0, 90, 30], [0, 80, 50, 120]]),
        )
        return model.decode(model.encode(images), prompts)

    return forward


@pytest.fixture
def state_hash() -> Callable[[nn.Module], str]:
    """SHA-256 of all names and values of a model."""

    def hash_of(model: nn.Module) -> str:
        digest = hashlib.sha256()
        for name, tensor in model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    return hash_of
