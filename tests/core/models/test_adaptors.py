"""What the adaptors promise beyond equality with the official predictors, on small models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sam2.utils.transforms import SAM2Transforms
from segment_anything.utils.transforms import ResizeLongestSide

from infosam.models.base import PromptableModel, freeze
from infosam.models.sam2.adaptor import Sam2Model
from infosam.models.sam2.build import build_sam2
from infosam.types import PromptBatch
from tests.core.small_models import small_sam


@pytest.fixture(scope="module")
def sam2() -> Sam2Model:
    torch.manual_seed(0)
    model = build_sam2("sam2.1_hiera_tiny", "tiny")
    freeze(model)
    return model


def _image(height: int, width: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(37, 91), (1, 1), (1500, 40)])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_sam2_preprocesses_to_the_same_bits_as_the_official_transform(
    sam2: Sam2Model, shape: tuple[int, int]
) -> None:
    official = SAM2Transforms(resolution=1024, mask_threshold=0.0)
    for _ in range(3):  # TorchScript specialises after the first runs
        expected = official(_image(*shape))
    assert torch.equal(sam2.preprocess(_image(*shape)), expected)


@pytest.mark.parametrize("shape", [(37, 91), (1, 1), (1500, 40), (128, 128), (511, 509)])
def test_sam_preprocesses_to_the_same_bits_as_the_official_transform(shape: tuple[int, int]) -> None:
    model = small_sam()
    official = ResizeLongestSide(model.image_size).apply_image(_image(*shape))
    expected = model.network.preprocess(torch.as_tensor(official.transpose(2, 0, 1).copy()))
    assert torch.equal(model.preprocess(_image(*shape)), expected)
    assert model.valid_size(*shape) == official.shape[:2]


def test_sam2_squashes(sam2: Sam2Model) -> None:
    assert sam2.valid_size(30, 400) == (1024, 1024)
    corners = sam2.to_input(np.array([[0.0, 0.0], [30.0, 400.0]]), 30, 400)
    assert corners.tolist() == [[0.0, 0.0], [1024.0, 1024.0]]


def test_sam2_block_dims_are_those_of_hiera(sam2: Sam2Model) -> None:
    assert list(sam2.block_dims()) == [96, 192, 192, *[384] * 7, 768, 768]
    for block in sam2.blocks():
        for name in ("attn.qkv", "attn.proj", "mlp", "norm1", "norm2"):
            block.get_submodule(name)


def test_sam2_decoder_parameters_include_the_high_resolution_convolutions(sam2: Sam2Model) -> None:
    names = dict(sam2.mask_decoder().named_parameters())
    assert {"conv_s0.weight", "conv_s1.weight", "obj_score_token.weight"} <= set(names)
    assert sum(parameter.numel() for parameter in names.values()) == 4_215_109


def test_importing_our_builder_leaves_hydra_to_others(sam2: Sam2Model) -> None:
    """Building reads a file; it must work whatever state hydra is in."""
    from hydra.core.global_hydra import GlobalHydra

    state = GlobalHydra.instance().hydra
    GlobalHydra.instance().hydra = None
    try:
        assert build_sam2("sam2.1_hiera_tiny", "tiny").name == "sam2.1_hiera_tiny"
        assert not GlobalHydra.instance().is_initialized()
    finally:
        GlobalHydra.instance().hydra = state


def test_a_batch_of_images_encodes_as_one_by_one(tiny_model: PromptableModel) -> None:
    inputs = torch.stack([tiny_model.preprocess(_image(50, 64)), tiny_model.preprocess(_image(64, 20))])
    both = tiny_model.encode(inputs).features
    single = torch.cat([tiny_model.encode(one[None]).features for one in inputs])
    assert (both - single).abs().max() <= 1e-5 * single.abs().max()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1), (64, 64), (3, 7)])
def test_sam_takes_any_aspect_ratio(tiny_model: PromptableModel, height: int, width: int) -> None:
    pixels = tiny_model.preprocess(np.full((height, width, 3), 7, np.uint8))
    assert pixels.shape == (3, 64, 64)
    shown = tiny_model.valid_size(height, width)
    assert min(shown) >= 1
    assert max(shown) == 64
    assert pixels[:, : shown[0], : shown[1]].abs().min() > 0
    assert not pixels[:, shown[0] :].any()
    assert not pixels[:, :, shown[1] :].any()
    assert tiny_model.to_image(torch.zeros(1, 4, 32, 32), height, width).shape == (1, 4, height, width)


def test_decoding_returns_all_four_tokens_with_gradients(tiny_model: PromptableModel) -> None:
    tiny_model.mask_decoder().requires_grad_(True)
    embedding = tiny_model.encode(torch.randn(2, 3, 64, 64))
    prompts = PromptBatch(torch.tensor([1, 0, 1]), boxes=torch.tensor([[2.0, 3.0, 40.0, 50.0]] * 3))
    output = tiny_model.decode(embedding, prompts)
    height, width = tiny_model.embedding_size
    assert output.logits.shape == (3, 4, 4 * height, 4 * width)
    assert output.iou.shape == (3, 4)
    assert output.tokens.shape == (3, 4, tiny_model.embed_dim)
    (output.logits.sum() + output.tokens.sum() + output.iou.sum()).backward()
    assert all(parameter.grad is not None for parameter in tiny_model.mask_decoder().parameters())
    assert torch.equal(output.logits[0], output.logits[2])
    assert not torch.equal(output.logits[0], output.logits[1])
