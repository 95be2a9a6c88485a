"""The tensors of an adapter file go out of one student and into another, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from infosam import peft
from infosam.models.base import PromptableModel, freeze
from infosam.types import BadInputError, DecoderOutput

Run = Callable[[PromptableModel], DecoderOutput]
StateHash = Callable[[nn.Module], str]


@pytest.mark.parametrize(
    "method", ["decoder", "adapter", "lora", "adaptformer", "susam", "convlora", "hqsam"]
)
def test_states_travel_between_students(model: PromptableModel, method: str, run: Run) -> None:
    trained, fresh = peft.inject(model, method), peft.inject(model, method)
    with torch.no_grad():
        for tensor in peft.trainable_state(trained).values():
            tensor.add_(torch.randn_like(tensor), alpha=0.1)
    assert not torch.equal(run(fresh).logits, run(trained).logits)
    peft.load_trainable_state(fresh, peft.trainable_state(trained))
    assert torch.equal(run(fresh).logits, run(trained).logits)


def test_the_state_is_live_and_does_not_depend_on_gradients(pocket: PromptableModel) -> None:
    student = peft.inject(pocket, "adapter")
    state = peft.trainable_state(student)
    freeze(student)
    assert peft.trainable_state(student).keys() == state.keys()
    assert all(not tensor.requires_grad for tensor in state.values())
    own = {parameter.data_ptr() for parameter in student.parameters()}
    assert {tensor.data_ptr() for tensor in state.values()} <= own


def drop(state: dict[str, Tensor]) -> None:
    del state["sam.image_encoder.blocks.0.attn.qkv.a"]


def add(state: dict[str, Tensor]) -> None:
    state["what.is.this"] = torch.zeros(1)


def reshape(state: dict[str, Tensor]) -> None:
    state["sam.image_encoder.blocks.0.attn.qkv.a"] = torch.zeros(1, 32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, r"1 missing \(sam\.image_encoder\.blocks\.0\.attn\.qkv\.a\)"),
        (add, r"1 unknown \(what\.is\.this\)"),
        (reshape, r"blocks\.0\.attn\.qkv\.a, \(1, 32\) instead of \(4, 32\)"),
    ],
)
def test_states_that_do_not_fit_are_refused_whole(
    pocket: PromptableModel, damage: Callable[[dict[str, Tensor]], None], message: str, state_hash: StateHash
) -> None:
    student = peft.inject(pocket, "lora")
    state = {name: tensor + 1 for name, tensor in peft.trainable_state(student).items()}
    damage(state)
    before, fingerprint = state_hash(student), student.fingerprint
    with pytest.raises(BadInputError, match=message):
        peft.load_trainable_state(student, state)
    assert (state_hash(student), student.fingerprint) == (before, fingerprint)
