"""A student has what its method names, shares the rest, and leaves the model alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from infosam import peft
from infosam.models.base import PromptableModel
from infosam.peft import (
    AdapterConfig,
    AdaptFormerConfig,
    BitFitConfig,
    ConvLoRAConfig,
    DecoderConfig,
    HQSAMConfig,
    LoRAConfig,
    Method,
    NoneConfig,
    SUSAMConfig,
)
from infosam.types import AdaptableModel, BadInputError, DecoderOutput, RunMode

Run = Callable[[PromptableModel], DecoderOutput]
StateHash = Callable[[nn.Module], str]
METHODS = [
    pytest.param(config, id=name)
    for name, config in {
        "decoder": DecoderConfig(),
        "bitfit": BitFitConfig(),
        "adapter": AdapterConfig(),
        "adapter-paper": AdapterConfig(placement="paper", zero_init=False),
        "adapter-some": AdapterConfig(blocks=(1,), train_norm=False),
        "lora": LoRAConfig(),
        "lora-per-head": LoRAConfig(per_head=True, blocks=(0, 2)),
        "lora-query-value": LoRAConfig(targets="qv"),
        "adaptformer": AdaptFormerConfig(),
        "adaptformer-original": AdaptFormerConfig(form="original", train_norm=False),
        "susam": SUSAMConfig(),
        "susam-serial": SUSAMConfig(variant="serial", zero_init=False),
        "susam-parallel": SUSAMConfig(variant="parallel", blocks=(0, 1), train_norm=False),
        "convlora": ConvLoRAConfig(experts=2),
        "hqsam": HQSAMConfig(),
    }.items()
]
UNLIKE_IN_TRAINING = {"adaptformer-original", "convlora", "hqsam"}  # the first two draw at random


def loss_of(output: DecoderOutput) -> Tensor:
    """A scalar to which every output contributes in its own way."""
    parts = (output.logits, output.iou, output.tokens)
    generator = torch.Generator().manual_seed(2)
    total = torch.zeros(())
    for part in parts:
        total = total + (part * torch.randn(part.shape, generator=generator)).mean()
    return total


@torch.no_grad()
def shake(student: PromptableModel) -> None:
    """Move all trained weights off their starting values."""
    for tensor in peft.trainable_state(student).values():
        tensor.add_(torch.randn_like(tensor), alpha=0.05)


def train(student: PromptableModel, run: Run, steps: int = 2) -> None:
    optimiser = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(run(student)).backward()
        optimiser.step()


def test_models_are_adaptable(model: PromptableModel) -> None:
    assert isinstance(model, AdaptableModel)


@pytest.mark.parametrize("method", METHODS)
def test_exactly_the_named_parameters_get_gradients(model: PromptableModel, method: Method, run: Run) -> None:
    student = peft.inject(model, method)
    shake(student)
    student.train()
    for _ in range(8 if isinstance(method, ConvLoRAConfig) else 1):  # until every expert has been chosen
        with peft.method_losses() as own:
            loss = loss_of(run(student))
        (loss + sum(own.values())).backward()
    with_gradient = {
        name for name, p in student.named_parameters() if p.grad is not None and bool(p.grad.any())
    }
    decoder = {
        name
        for name, p in student.named_parameters()
        if method.trains_decoder
        and any(p is q for q in student.mask_decoder().parameters())
        and "pred_obj_score_head" not in name  # SAM 2's object score is no output for images
    }
    assert with_gradient == set(peft.peft_parameters(student)) | decoder
    assert not set(peft.peft_parameters(student)) & decoder


def test_decoder_only_adds_nothing(model: PromptableModel) -> None:
    student = peft.inject(model, "decoder")
    assert peft.peft_parameters(student) == {}
    assert {id(p) for p in student.parameters() if p.requires_grad} == {
        id(p) for p in student.mask_decoder().parameters()
    }


def test_none_trains_nothing(model: PromptableModel, run: Run) -> None:
    student = peft.inject(model, NoneConfig())
    assert peft.peft_parameters(student) == {}
    assert peft.trainable_state(student) == {}
    assert not any(p.requires_grad for p in student.parameters())
    assert torch.equal(run(student).logits, run(model).logits)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_keep_their_width(model: PromptableModel, method: Method) -> None:
    assert list(peft.inject(model, method).block_dims()) == list(model.block_dims())


@pytest.mark.parametrize("method", METHODS)
def test_frozen_tensors_are_shared_and_trained_ones_are_not(model: PromptableModel, method: Method) -> None:
    student = peft.inject(model, method)
    trained = peft.trainable_state(student)
    in_model = {tensor.data_ptr() for tensor in model.state_dict().values()}
    for name, tensor in student.state_dict().items():
        assert (tensor.data_ptr() in in_model) == (name not in trained), name
    assert {name for name, p in student.named_parameters() if p.requires_grad} == trained.keys()
    assert not {id(p) for p in model.parameters()} & {id(p) for p in student.parameters()}


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(
    pocket: PromptableModel, method: Method, run: Run, state_hash: StateHash
) -> None:
    next(iter(pocket.parameters())).requires_grad_(True)  # flags differ, and must stay so
    before = state_hash(pocket), [p.requires_grad for p in pocket.parameters()], str(pocket)
    logits, fingerprint = run(pocket).logits, pocket.fingerprint
    student = peft.inject(pocket, method)
    student.train()
    train(student, run)
    after = state_hash(pocket), [p.requires_grad for p in pocket.parameters()], str(pocket)
    assert before == after
    assert all(p.grad is None for p in pocket.parameters())
    assert torch.equal(run(pocket).logits, logits)
    assert not torch.equal(run(student).logits, logits)
    assert not pocket.training
    assert pocket.fingerprint == fingerprint


@pytest.mark.parametrize("method", METHODS)
def test_students_are_independent(
    pocket: PromptableModel, method: Method, run: Run, state_hash: StateHash
) -> None:
    first, second = peft.inject(pocket, method), peft.inject(pocket, method)
    before = state_hash(second)
    train(first, run)
    assert state_hash(second) == before
    assert state_hash(first) != before


@pytest.mark.parametrize(
    "config",
    [
        AdapterConfig(),
        AdaptFormerConfig(),
        AdaptFormerConfig(form="original"),
        LoRAConfig(),
        LoRAConfig(per_head=True),
        LoRAConfig(targets="qv"),
        ConvLoRAConfig(),
        SUSAMConfig(),
        SUSAMConfig(variant="parallel"),
    ],
)
def test_methods_that_start_at_zero_change_no_bit(model: PromptableModel, config: Method, run: Run) -> None:
    student, expected = peft.inject(model, config), run(model)
    output = run(student)
    assert torch.equal(output.logits, expected.logits)
    assert torch.equal(output.iou, expected.iou)
    assert torch.equal(output.tokens, expected.tokens)


@pytest.mark.parametrize(
    ("method", "mode"),
    [
        ("adapter", "official"),
        ("adapter", "paper"),
        ("adaptformer", "official"),
        ("susam", "official"),
        ("susam", "paper"),
    ],
)
def test_released_adapters_start_at_random(
    model: PromptableModel, method: str, mode: RunMode, run: Run
) -> None:
    student = peft.inject(model, peft.config_for(method, mode))
    assert not torch.allclose(run(student).logits, run(model).logits, atol=1e-4)


@pytest.mark.parametrize("method", [method for method in METHODS if method.id not in UNLIKE_IN_TRAINING])
def test_training_mode_changes_nothing(model: PromptableModel, method: Method, run: Run) -> None:
    student = peft.inject(model, method)
    shake(student)
    evaluating = run(student.eval()).logits
    assert torch.equal(run(student.train()).logits, evaluating)


@pytest.mark.parametrize("method", METHODS)
def test_a_student_can_be_copied(pocket: PromptableModel, method: Method, run: Run) -> None:
    student = peft.inject(pocket, method)
    shake(student)
    logits = run(student).logits
    twin = copy.deepcopy(student)
    train(student, run)
    assert torch.equal(run(twin).logits, logits)
    assert peft.config_of(twin) == method
    assert peft.peft_parameters(twin).keys() == peft.peft_parameters(student).keys()


def test_students_keep_dtype(pocket: PromptableModel) -> None:
    student = peft.inject(pocket.double(), AdapterConfig())
    assert {p.dtype for p in student.parameters()} == {torch.float64}


def test_fingerprints_tell_weights_apart(pocket: PromptableModel) -> None:
    first, second = peft.inject(pocket, "adapter"), peft.inject(pocket, "adapter")
    prints = {pocket.fingerprint, first.fingerprint, second.fingerprint}
    peft.load_trainable_state(second, peft.trainable_state(first))
    assert len(prints | {second.fingerprint}) == 4


def test_a_student_is_no_base(pocket: PromptableModel) -> None:
    with pytest.raises(BadInputError, match="carries the PEFT method 'lora' already"):
        peft.inject(peft.inject(pocket, "lora"), "adapter")


@pytest.mark.parametrize("function", [peft.config_of, peft.peft_parameters, peft.trainable_state])
def test_a_model_is_no_student(
    pocket: PromptableModel, function: Callable[[PromptableModel], object]
) -> None:
    with pytest.raises(BadInputError, match=r"infosam\.peft\.inject"):
        function(pocket)


def test_unknown_methods_are_refused(pocket: PromptableModel) -> None:
    with pytest.raises(BadInputError, match=r"'lorra'; known are adapter, adaptformer, bitfit, "):
        peft.inject(pocket, "lorra")
    with pytest.raises(BadInputError, match="not 4"):
        peft.inject(pocket, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [LoRAConfig(blocks=(1, 3)), AdapterConfig(blocks=(3,))])
def test_blocks_that_are_not_there_are_refused(pocket: PromptableModel, config: Method) -> None:
    before = str(pocket)
    with pytest.raises(BadInputError, match="blocks 0 to 2, not 3"):
        peft.inject(pocket, config)
    assert str(pocket) == before
