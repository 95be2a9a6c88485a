"""The numbers of trained parameters are those of the released code and of the method table."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from segment_anything import sam_model_registry

from infosam import peft
from infosam.models import registry
from infosam.models.base import PromptableModel, freeze
from infosam.models.sam.adaptor import SamModel
from infosam.peft import AdapterConfig, AdaptFormerConfig, LoRAConfig, Method, SUSAMConfig


@cache
def sam(size: str) -> PromptableModel:
    """SAM without memory for its weights: shapes are all that counts here."""
    with torch.device("meta"):
        return freeze(SamModel(f"sam_{size}", sam_model_registry[size]()))


@cache
def sam2(size: str) -> PromptableModel:
    return registry.build(f"sam2.1_hiera_{size}")


def added(model: PromptableModel, method: Method | str) -> int:
    return sum(parameter.numel() for parameter in peft.peft_parameters(peft.inject(model, method)).values())


def trained(model: PromptableModel, method: Method | str) -> int:
    return sum(p.numel() for p in peft.inject(model, method).parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("none", 0),
        ("decoder", 0),
        ("bitfit", 101_376),
        ("adapter", 5_917_440 + 30_720),
        (AdapterConfig(train_norm=False), 5_917_440),
        (AdapterConfig(placement="paper", train_norm=False), 5_917_440),
        ("lora", 147_456),
        (LoRAConfig(per_head=True), 1_437_696),
        (LoRAConfig(per_head=True, blocks=(5,)), 119_808),
        (LoRAConfig(targets="qv", blocks=(5,)), 12_288),
        ("convlora", 162_432),
        ("hqsam", 1_071_104),
        ("adaptformer", 2_958_720 + 30_720),
        (AdaptFormerConfig(train_norm=False), 2_958_720),
        (AdaptFormerConfig(train_norm=False, blocks=tuple(range(12))), 3_550_464),
        (AdaptFormerConfig(form="original", train_norm=False), 12 * 99_136),
        ("susam", 5_917_440 + 30_720),
        (SUSAMConfig(variant="parallel", train_norm=False), 5_917_440),
        (SUSAMConfig(variant="serial", zero_init=False, train_norm=False), 5_917_440),
    ],
)
def test_vit_b(method: Method | str, expected: int) -> None:
    assert added(sam("vit_b"), method) == expected


def test_vit_b_with_decoder() -> None:
    assert trained(sam("vit_b"), "decoder") == 4_058_340
    assert trained(sam("vit_b"), "adapter") == 10_006_500
    assert trained(sam("vit_b"), "hqsam") == 1_071_104
    assert trained(sam("vit_b"), "none") == 0


@pytest.mark.parametrize(("size", "dim", "depth"), [("vit_l", 1024, 24), ("vit_h", 1280, 32)])
def test_larger_vits_leave_out_the_first_two_blocks(size: str, dim: int, depth: int) -> None:
    bottleneck = 2 * dim * (dim // 4) + dim // 4 + dim
    assert added(sam(size), AdapterConfig(train_norm=False)) == (depth - 2) * 2 * bottleneck


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("bitfit", 119_056),
        ("adapter", 5_822_208 + 41_440),
        (AdapterConfig(train_norm=False), 5_822_208),
        ("lora", 168_896),
        ("convlora", 198_848),
        ("hqsam", 177_152),
        (AdaptFormerConfig(train_norm=False), 2_911_104),
        ("susam", 5_822_208 + 41_440),
    ],
)
def test_hiera_base_plus(method: Method | str, expected: int) -> None:
    assert added(sam2("base_plus"), method) == expected


def test_hiera_base_plus_with_decoder() -> None:
    assert trained(sam2("base_plus"), "decoder") == 4_215_109


def test_pocket() -> None:
    pocket = registry.build("sam_pocket")
    bottleneck = 2 * 192 * 48 + 48 + 192
    # Of six blocks only the first is left out.
    assert added(pocket, AdapterConfig(train_norm=False)) == 5 * 2 * bottleneck
    # Per block: two norms, query, key and value, projection, and an MLP four times as wide.
    assert added(pocket, "bitfit") == 6 * (2 + 3 + 1 + 4 + 1) * 192
    assert added(pocket, "lora") == 6 * 4 * (192 + 3 * 192)
