"""From a pre-trained model to a student: shared frozen tensors, its own trainable ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import uuid4

import torch
from torch import Tensor, nn

from infosam.peft.base import Method, own
from infosam.peft.registry import config_for
from infosam.types import AdaptableModel, BadInputError

M = TypeVar("M", bound=AdaptableModel)


def inject(model: M, method: str | Method) -> M:
    """A new student for fine-tuning; `model` is left as it was.

    All tensors that stay frozen share their storage with `model`; the mask decoder is the student's own copy,
    and trainable (for the method "none", nothing is). New weights are drawn from torch's global generator.

    Args:
        model: a pre-trained model.
        method: a name of `methods()`, with the settings of run mode `clean`, or a config.

    Raises:
        BadInputError: the name is unknown, or the model carries a method already.
        ValueError: a setting does not fit this model.
    """
    if getattr(model, "peft_config", None) is not None:
        raise BadInputError("this model is adapted already: start from the pre-trained one")
    config = config_for(method) if isinstance(method, str) else method
    student = _shared_copy(model)
    config.apply(student)
    if config.trains_decoder:
        own(student.mask_decoder())
    untyped: Any = student
    untyped.peft_config = config
    untyped.adapter_id = f"in-memory-{uuid4().hex}"
    return student


def config_of(student: AdaptableModel) -> Method:
    """The config that a student was made with.

    Raises:
        BadInputError: the model is no student.
    """
    config: Method | None = getattr(student, "peft_config", None)
    if config is None:
        raise BadInputError("this model carries no PEFT method: make a student with peft.inject first")
    return config


def peft_parameters(student: AdaptableModel) -> dict[str, nn.Parameter]:
    """Name -> parameter of all that the method adds or unfreezes, the ordinary mask decoder apart."""
    decoder = {id(parameter) for parameter in student.mask_decoder().parameters()}
    return {
        name: parameter
        for name, parameter in student.named_parameters()
        if parameter.requires_grad and id(parameter) not in decoder
    }


def trainable_state(student: AdaptableModel) -> dict[str, Tensor]:
    """Name -> tensor of everything that is trained, the mask decoder included: what an adapter file holds."""
    return {
        name: parameter.detach() for name, parameter in student.named_parameters() if parameter.requires_grad
    }


@torch.no_grad()
def load_trainable_state(student: AdaptableModel, state: Mapping[str, Tensor]) -> None:
    """Copy tensors named as by `trainable_state` into a student that has exactly these, in these shapes.

    Raises:
        BadInputError: a tensor is missing, unknown, or has another shape.
    """
    mine = trainable_state(student)
    odd = sorted(mine.keys() ^ state.keys())
    odd += [name for name in mine.keys() & state.keys() if mine[name].shape != state[name].shape]
    if odd:
        shown = ", ".join(odd[:3]) + (", ..." if len(odd) > 3 else "")
        raise BadInputError(f"the weights belong to another model or PEFT method: {shown}")
    for name, tensor in state.items():
        mine[name].copy_(tensor)


def _shared_copy(model: M) -> M:
    """A copy of the modules on the same storage, everything frozen."""
    assert isinstance(model, nn.Module)
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    return copy.deepcopy(model, memo)
