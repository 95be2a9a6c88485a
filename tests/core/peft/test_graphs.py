"""What the wrapped blocks compute, against the methods' formulas written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sam2.modeling.backbones import utils as sam2_windows
from sam2.modeling.backbones.hieradet import do_pool
from segment_anything.modeling import image_encoder as sam_windows
from torch import Tensor

from infosam import peft
from infosam.models.base import PromptableModel
from infosam.peft import AdapterConfig, AdaptFormerConfig, LoRAConfig, SUSAMConfig

Function = Callable[[Tensor], Tensor]
OnMlp = Callable[[Tensor, Tensor, Tensor], Tensor]  # of the MLP's output, its input, and the state before LN2


def sam_block(block: Any, x: Tensor, on_attention: Function, on_mlp: OnMlp) -> Tensor:
    """SAM's block with functions at the attention's output, out of its windows, and at the MLP."""
    normed = block.norm1(x)
    if block.window_size > 0:
        windows, padded = sam_windows.window_partition(normed, block.window_size)
        windows = block.attn(windows)
        attended = sam_windows.window_unpartition(windows, block.window_size, padded, x.shape[1:3])
    else:
        attended = block.attn(normed)
    hidden = x + on_attention(attended)
    normed = block.norm2(hidden)
    return hidden + on_mlp(block.mlp(normed), normed, hidden)


def hiera_block(block: Any, x: Tensor, on_attention: Function, on_mlp: OnMlp) -> Tensor:
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
    hidden: Tensor = shortcut + on_attention(attended)
    normed = block.norm2(hidden)
    return hidden + on_mlp(block.mlp(normed), normed, hidden)


def branch(adapter: Any, activation: Function = F.gelu) -> Function:
    """W2 act(W1 y + b1) + b2."""

    def apply(y: Tensor) -> Tensor:
        hidden = activation(y @ adapter.down.weight.T + adapter.down.bias)
        return hidden @ adapter.up.weight.T + adapter.up.bias

    return apply


def released_adapters(block: Any) -> tuple[Function, OnMlp]:
    first, second = branch(block.attn.adapters[0]), branch(block.mlp.adapters[0])
    return lambda a: a + first(a), lambda m, _n, _h: m + second(m)


def papers_adapters(block: Any) -> tuple[Function, OnMlp]:
    first, second = (branch(adapter) for adapter in block.attn.adapters)
    return lambda a: (a + first(a)) + second(a + first(a)), lambda m, _n, _h: m


def released_adaptformer(block: Any) -> tuple[Function, OnMlp]:
    adapter = branch(block.mlp.adapter)
    return lambda a: a, lambda m, n, _h: m + 0.5 * adapter(n)


def original_adaptformer(block: Any) -> tuple[Function, OnMlp]:
    adapter = branch(block.mlp.adapter, F.relu)
    return lambda a: a, lambda m, _n, h: m + 0.1 * adapter(h)


def serial_susam(block: Any) -> tuple[Function, OnMlp]:
    first, second = branch(block.attn.adapters[0]), branch(block.mlp.adapter)
    return lambda a: a + first(a), lambda m, _n, _h: 0.5 * second(m)


def parallel_susam(block: Any) -> tuple[Function, OnMlp]:
    first, second = branch(block.attn.adapters[0]), branch(block.mlp.adapter)
    return lambda a: a + 0.5 * first(a), lambda m, n, _h: m + 0.5 * second(n)


def mixed_susam(block: Any) -> tuple[Function, OnMlp]:
    first, second = branch(block.attn.adapters[0]), branch(block.mlp.adapter)
    return lambda a: a + first(a), lambda m, n, _h: m + 0.5 * second(n)


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
@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (AdapterConfig(zero_init=False), released_adapters),
        (AdapterConfig(zero_init=False, placement="paper"), papers_adapters),
        (AdaptFormerConfig(zero_init=False), released_adaptformer),
        (AdaptFormerConfig(zero_init=False, form="original"), original_adaptformer),
        (SUSAMConfig(zero_init=False, variant="serial"), serial_susam),
        (SUSAMConfig(zero_init=False, variant="parallel"), parallel_susam),
        (SUSAMConfig(zero_init=False, variant="mixed"), mixed_susam),
    ],
)
@torch.no_grad()
def test_adapters_stand_where_they_should(
    name: str,
    number: int,
    explicit: Callable[..., Tensor],
    config: Any,
    parts: Callable[[Any], tuple[Function, OnMlp]],
    request: pytest.FixtureRequest,
) -> None:
    model: PromptableModel = request.getfixturevalue(name)
    adapted: Any = peft.inject(model, replace(config, blocks=(number,))).blocks()[number]
    x = inputs(model, number) if model.family == "sam2" else inputs(model, number)[:, :8, :8]
    plain = model.blocks()[number]
    expected = explicit(plain, x, *parts(adapted))
    assert not torch.allclose(plain(x), expected, atol=1e-2)
    torch.testing.assert_close(adapted(x), expected, rtol=1e-5, atol=1e-5)


def test_the_explicit_blocks_are_the_models_own(pocket: PromptableModel, small_sam2: PromptableModel) -> None:
    models = {"pocket": pocket, "small_sam2": small_sam2}

    for name, number, explicit in CASES:
        x = inputs(models[name], number)[:, :8, :8]
        block = models[name].blocks()[number]
        torch.testing.assert_close(block(x), explicit(block, x, lambda a: a, lambda m, _n, _h: m))


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


@pytest.mark.parametrize("name", ["pocket", "small_sam2"])
@torch.no_grad()
def test_lora_of_query_and_value_leaves_the_key(name: str, request: pytest.FixtureRequest) -> None:
    model: PromptableModel = request.getfixturevalue(name)
    for number, block in enumerate(peft.inject(model, LoRAConfig(rank=3, alpha=6.0, targets="qv")).blocks()):
        lora: Any = block.attn.qkv  # type: ignore[union-attr]
        lora.b.normal_()
        x = inputs(model, number)
        query, value = 2.0 * lora.b @ lora.a
        weight = lora.linear.weight + torch.cat([query, torch.zeros_like(query), value])
        torch.testing.assert_close(lora(x), x @ weight.T + lora.linear.bias, rtol=1e-4, atol=1e-4)
