"""The shipped weights, and what is written and read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from infosam.models.pocket import WEIGHTS
from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.resize import resize_state
from infosam.models.pocket.weights import export_pocket, load_pocket
from infosam.types import BadInputError


def test_an_exported_model_comes_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_pocket()
    export_pocket(model, tmp_path / "w.safetensors")
    loaded = load_pocket(tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_loaded_model_is_frozen_single_precision_and_in_eval_mode() -> None:
    model = load_pocket()
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.parameters())
    assert model.name == "sam_pocket"
    assert model.sha256 is not None
    assert len(model.sha256) == 64


def test_the_shipped_file_is_small_finite_and_half_precision() -> None:
    assert WEIGHTS.stat().st_size <= 12_000_000
    for name, tensor in load_file(WEIGHTS).items():
        assert tensor.dtype == torch.float16, name
        assert torch.isfinite(tensor).all(), name


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_half_precision_cannot_hold_are_not_written(tmp_path: Path, value: float) -> None:
    model = build_pocket()
    with torch.no_grad():
        model.sam.mask_decoder.iou_token.weight[0, 0] = value
    with pytest.raises(BadInputError, match="iou_token"):
        export_pocket(model, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_the_pocket_models_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(BadInputError, match=r"w\.safetensors"):
        load_pocket(path)
    path.write_bytes(b"no weights")
    with pytest.raises(BadInputError, match=r"w\.safetensors"):
        load_pocket(path)
    save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(BadInputError, match=r"w\.safetensors"):
        load_pocket(path)


def test_resizing_keeps_what_need_not_change_and_extends_the_rest() -> None:
    torch.manual_seed(0)
    small = build_pocket(PocketConfig(image_size=64)).state_dict()
    for name, tensor in small.items():
        if "rel_pos" in name or "pos_embed" in name:
            tensor.normal_()
    large = build_pocket(PocketConfig(image_size=128))
    resized = resize_state(small, large.state_dict())
    large.load_state_dict(resized)
    changed = {name for name in small if not torch.equal(resized[name], small[name])} - {
        name for name in small if resized[name].shape != small[name].shape
    }
    assert not changed
    table, longer = (states["sam.image_encoder.blocks.2.attn.rel_pos_h"] for states in (small, resized))
    assert len(table) == 15
    assert len(longer) == 31
    assert torch.equal(longer[8:23], table)
    assert torch.equal(longer[0], table[0])
    assert torch.equal(longer[-1], table[-1])
    back = resize_state(resized, build_pocket(PocketConfig(image_size=64)).state_dict())
    assert torch.equal(back["sam.image_encoder.blocks.2.attn.rel_pos_h"], table)
