"""What the wrapped blocks compute, against the methods' formulas written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sam2.modeling.backbones import utils as sam2_windows
from sam2.modeling.backbones.hieradet import do_pool
from segment_anything.modeling import image_encoder as sam_windows
from torch import Tensor

from infosam import peft
from infosam.models.base import PromptableModel
from infosam.peft import AdapterConfig, LoRAConfig

Function = Callable[[Tensor], Tensor]


def sam_block(block: Any, x: Tensor, on_attention: Function, on_mlp: Function) -> Tensor:
    """SAM's block with functions applied to the outputs of attention, out of its windows, and MLP."""
    normed = block.norm1(x)
    if block.window_size > 0:
        windows, padded = sam_windows.window_partition(normed, block.window_size)
        windows = block.attn(windows)
        attended = sam_windows.window_unpartition(windows, block.window_size, padded, x.shape[1:3])
    else:
        attended = block.attn(normed)
    hidden = x + on_attention(attended)
    return hidden + on_mlp(block.mlp(block.norm2(hidden)))


def hiera_block(block: Any, x: Tensor, on_attention: Function, on_mlp: Function) -> Tensor:
    """SAM 2's block in the same way; width and resolution may change."""
    normed = block.norm1(x)
    shortcut = do_pool(block.proj(normed), block.pool) if block.dim != block.dim_out else x
    if block.window_size > 0:
        windows, padded = sam2_windows.window_partition(normed, block.window_size)
        windows = block.attn(windows)
        stride = block.q_stride[0] if block.q_stride else 1
        size = (padded[0] // stride, padded[1] // stride)
        attended = sam2_windows.window_unpartition(
            windows, block.window_size // stride, size, shortcut.shape[1:3]
        )
    else:
        attended = block.attn(normed)
    hidden = shortcut + on_attention(attended)
    return hidden + on_mlp(block.mlp(block.norm2(hidden)))


def with_skip(adapter: Any) -> Function:
    """y + W2 GELU(W1 y + b1) + b2."""

    def apply(y: Tensor) -> Tensor:
        hidden = torch.nn.functional.gelu(y @ adapter.down.weight.T + adapter.down.bias)
        return y + hidden @ adapter.up.weight.T + adapter.up.bias

    return apply


def inputs(model: PromptableModel, number: int) -> Tensor:
    """A feature map that needs padding in the block's windows."""
    block: Any = model.blocks()[number]
    generator = torch.Generator().manual_seed(number)
    return torch.randn(2, 20, 20, block.norm1.normalized_shape[0], generator=generator)


CASES = [
    ("pocket", 0, sam_block),  # windowed
    ("pocket", 2, sam_block),  # global
    ("small_sam2", 0, hiera_block),  # windowed
    ("small_sam2", 1, hiera_block),  # windowed; half the resolution, twice the width
    ("small_sam2", 5, hiera_block),  # global
]


@pytest.mark.parametrize(("name", "number", "explicit"), CASES)
@pytest.mark.parametrize("placement", ["released", "paper"])
@torch.no_grad()
def test_adapters_stand_where_they_should(
    name: str, number: int, explicit: Callable[..., Tensor], placement: Any, request: pytest.FixtureRequest
) -> None:
    model: PromptableModel = request.getfixturevalue(name)
    config = AdapterConfig(zero_init=False, placement=placement, blocks=(number,))
    adapted: Any = peft.inject(model, config).blocks()[number]
    x = inputs(model, number) if model.family == "sam2" else inputs(model, number)[:, :8, :8]
    if placement == "released":
        on_attention = with_skip(adapted.attn.adapters[0])
        on_mlp = with_skip(adapted.mlp.adapters[0])
    else:
        first, second = (with_skip(adapter) for adapter in adapted.attn.adapters)

        def on_attention(y: Tensor) -> Tensor:
            return second(first(y))

        def on_mlp(y: Tensor) -> Tensor:
            return y

    plain = model.blocks()[number]
    expected = explicit(plain, x, on_attention, on_mlp)
    assert not torch.allclose(plain(x), expected, atol=1e-2)
    torch.testing.assert_close(adapted(x), expected, rtol=1e-5, atol=1e-5)


def test_the_explicit_blocks_are_the_models_own(pocket: PromptableModel, small_sam2: PromptableModel) -> None:
    models = {"pocket": pocket, "small_sam2": small_sam2}

    def same(y: Tensor) -> Tensor:
        return y

    for name, number, explicit in CASES:
        x = inputs(models[name], number)[:, :8, :8]
        block = models[name].blocks()[number]
        torch.testing.assert_close(block(x), explicit(block, x, same, same))


@pytest.mark.parametrize("name", ["pocket", "small_sam2"])
@torch.no_grad()
def test_fused_lora_is_a_low_rank_weight(name: str, request: pytest.FixtureRequest) -> None:
    model: PromptableModel = request.getfixturevalue(name)
    for number, block in enumerate(peft.inject(model, LoRAConfig(rank=3, alpha=6.0)).blocks()):
        lora: Any = block.attn.qkv  # type: ignore[union-attr]
        lora.b.normal_()
        x = inputs(model, number)
        weight = lora.linear.weight + 2.0 * lora.b @ lora.a
        torch.testing.assert_close(lora(x), x @ weight.T + lora.linear.bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["pocket", "small_sam2"])
@torch.no_grad()
def test_per_head_lora_updates_each_head_apart(name: str, request: pytest.FixtureRequest) -> None:
    model: PromptableModel = request.getfixturevalue(name)
    for number, block in enumerate(peft.inject(model, LoRAConfig(rank=2, alpha=4.0, per_head=True)).blocks()):
        attention: Any = block.attn
        lora, heads = attention.qkv, attention.num_heads
        lora.b.normal_()
        x = inputs(model, number)
        expected = lora.linear(x).unflatten(-1, (3, heads, -1)).clone()  # as both attentions split it
        for part in range(3):
            for head in range(heads):
                group = part * heads + head
                expected[..., part, head, :] += 2.0 * (x @ lora.a[group].T) @ lora.b[group].T
        torch.testing.assert_close(lora(x), expected.flatten(-3), rtol=1e-4, atol=1e-4)
