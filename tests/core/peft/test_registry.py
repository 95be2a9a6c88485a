"""Methods are found by their module, and settings go through JSON and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from infosam import peft
from infosam.models.base import PromptableModel
from infosam.peft import (
    AdapterConfig,
    AdaptFormerConfig,
    ConvLoRAConfig,
    DecoderConfig,
    HQSAMConfig,
    LoRAConfig,
    Method,
    NoneConfig,
    SUSAMConfig,
    registry,
)
from infosam.types import BadInputError, RunMode

StateHash = Callable[[nn.Module], str]

_BIAS_MODULE = """
from dataclasses import dataclass

from infosam.peft.base import Method
from infosam.peft.registry import register


@register("all-biases")
@dataclass(frozen=True)
class BiasConfig(Method):
    def apply(self, student):
        named = [item for block in student.blocks() for item in block.named_parameters()]
        return [parameter for name, parameter in named if name.endswith("bias")]
"""


def test_methods_are_listed() -> None:
    assert {"none", "decoder", "bitfit", "adapter", "adaptformer", "susam"} <= set(peft.methods())
    assert {"lora", "convlora", "hqsam"} <= set(peft.methods())
    assert peft.methods() == sorted(peft.methods())


def test_a_method_is_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pocket: PromptableModel, state_hash: StateHash
) -> None:
    (tmp_path / "all_biases.py").write_text(_BIAS_MODULE)
    monkeypatch.setattr(peft, "__path__", [*peft.__path__, str(tmp_path)])
    monkeypatch.setattr(registry._registry, "_known", dict(registry._registry._known))
    before = state_hash(pocket)
    try:
        assert "all-biases" in peft.methods()
        student = peft.inject(pocket, "all-biases")
        parameters = peft.peft_parameters(student)
        assert parameters.keys() == {
            name for name, _ in pocket.named_parameters() if ".blocks." in name and name.endswith("bias")
        }
        for parameter in parameters.values():  # existing ones, unfrozen, in a storage of their own
            parameter.data.add_(1)
        assert state_hash(pocket) == before
    finally:
        sys.modules.pop("infosam.peft.all_biases", None)


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="'lora' is registered twice"):
        registry.register("lora")(NoneConfig)


@pytest.mark.parametrize(
    "config",
    [
        NoneConfig(),
        DecoderConfig(),
        HQSAMConfig(),
        LoRAConfig(rank=2, alpha=1.0, per_head=True, blocks=(0, 3)),
        AdapterConfig(ratio=0.5, zero_init=False, placement="paper", blocks=(1,), train_norm=False),
        AdaptFormerConfig(form="original", blocks=(2,)),
        ConvLoRAConfig(rank=3, alpha=1.0, experts=2, balance_weight=0.0, blocks=(1,)),
        SUSAMConfig(variant="parallel", blocks=(0, 1), train_norm=False),
    ],
)
def test_settings_survive_json(config: Method) -> None:
    values = json.loads(json.dumps(peft.config_to_dict(config)))
    assert values["method"] in peft.methods()
    assert peft.config_from_dict(values) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "magic"}, "unknown PEFT method 'magic'"),
        ({"rank": 4}, "unknown PEFT method 'None'"),
        ({"method": "lora", "range": 4}, "range"),
        ({"method": "lora", "rank": 0}, "rank must be at least 1, not 0"),
        ({"method": "lora", "rank": "four"}, "rank"),
        ({"method": "adapter", "blocks": [2, 1]}, r"not \(2, 1\)"),
    ],
)
def test_settings_that_are_none_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        peft.config_from_dict(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ratio": 0}, "ratio must lie in .* not 0"),
        ({"placement": "parallel"}, "not 'parallel'"),
        ({"blocks": ()}, r"not \(\)"),
        ({"blocks": (1, 1)}, r"not \(1, 1\)"),
        ({"blocks": (-1,)}, r"not \(-1,\)"),
    ],
)
def test_bad_adapter_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdapterConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0}, "alpha must be positive, not 0"),
        ({"targets": "kv"}, "one of qkv, qv, not 'kv'"),
        ({"per_head": True, "targets": "qv"}, "per_head needs .* not 'qv'"),
    ],
)
def test_bad_lora_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoRAConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank must be at least 1, not 0"),
        ({"alpha": -1}, "alpha must be positive, not -1"),
        ({"experts": 1}, "experts must be at least 2, not 1"),
        ({"balance_weight": -0.1}, r"balance_weight must be at least 0, not -0\.1"),
    ],
)
def test_bad_conv_lora_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvLoRAConfig(**settings)


def test_bad_forms_of_adapters() -> None:
    with pytest.raises(ValueError, match="one of released, original, not 'serial'"):
        AdaptFormerConfig(form="serial")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one of serial, parallel, mixed, not 'lora'"):
        SUSAMConfig(variant="lora")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"zero_init must be False .* silence the MLP"):
        SUSAMConfig(variant="serial")


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("adapter", "clean", AdapterConfig()),
        ("adapter", "official", AdapterConfig(zero_init=False)),
        ("adapter", "paper", AdapterConfig(zero_init=False, placement="paper")),
        ("lora", "clean", LoRAConfig()),
        ("lora", "official", LoRAConfig()),
        ("lora", "paper", LoRAConfig(per_head=True)),
        ("adaptformer", "clean", AdaptFormerConfig()),
        ("adaptformer", "official", AdaptFormerConfig(zero_init=False)),
        ("adaptformer", "paper", AdaptFormerConfig(form="original", train_norm=False)),
        ("convlora", "official", ConvLoRAConfig()),
        ("susam", "clean", SUSAMConfig()),
        ("susam", "official", SUSAMConfig(zero_init=False)),
        ("susam", "paper", SUSAMConfig(zero_init=False)),
        ("decoder", "paper", DecoderConfig()),
        ("none", "official", NoneConfig()),
    ],
)
def test_settings_by_run_mode(name: str, mode: RunMode, expected: Method) -> None:
    assert peft.config_for(name, mode) == expected


def test_unknown_run_mode() -> None:
    with pytest.raises(BadInputError, match="not 'messy'"):
        peft.config_for("adapter", "messy")  # type: ignore[arg-type]
