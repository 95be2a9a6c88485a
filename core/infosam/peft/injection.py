"""From a pre-trained model to a student: shared frozen tensors, its own trainable ones."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from torch import nn

from infosam.peft.base import Method
from infosam.peft.registry import config_for
from infosam.types import AdaptableModel, BadInputError

M = TypeVar("M", bound=AdaptableModel)
_RECORD = "peft_injection"  # the student's attribute that says what was done to it


@dataclass(frozen=True)
class Injection:
    """What `inject` did: the settings, and the names of the parameters that it made trainable.

    by_method: what the method adds or unfreezes. in_decoder: the ordinary mask decoder's.
    """

    config: Method
    by_method: tuple[str, ...]
    in_decoder: tuple[str, ...]


def inject(model: M, method: str | Method) -> M:
    """A new student for fine-tuning; `model` is left as it was.

    All tensors that stay frozen share their storage with `model`; those that are trained (what the method
    adds or unfreezes, and the mask decoder if the method trains it) are the student's own. New weights
    are drawn from torch's global generator.

    Args:
        model: a pre-trained model.
        method: a name of `methods()`, with the settings of run mode `clean`, or a configuration.

    Raises:
        BadInputError: the method is unknown or does not fit the model, or the model is a student already.
    """
    config = config_for(method) if isinstance(method, str) else method
    if not isinstance(config, Method):
        raise BadInputError(f"method must be a PEFT method's name or configuration, not {method!r}")
    if getattr(model, _RECORD, None) is not None:
        raise BadInputError(
            f"the model carries the PEFT method {config_of(model).name!r} already: inject into the "
            "pre-trained model"
        )
    student = _shared_copy(model)
    by_method = {id(parameter) for parameter in config.apply(student)}
    decoder = student.mask_decoder().parameters() if config.trains_decoder else ()
    in_decoder = {id(parameter) for parameter in decoder} - by_method
    named = dict(student.named_parameters())
    for parameter in named.values():
        if id(parameter) in by_method | in_decoder:
            parameter.data = parameter.data.clone()  # away from the model's storage
            parameter.requires_grad_(True)
    injection = Injection(
        config,
        tuple(name for name, parameter in named.items() if id(parameter) in by_method),
        tuple(name for name, parameter in named.items() if id(parameter) in in_decoder),
    )
    setattr(student, _RECORD, injection)
    student.train(model.training)  # new modules too, some of which draw at random in training
    rename_weights(student)
    return student


def injection_of(student: AdaptableModel) -> Injection:
    """What `inject` did to the student.

    Raises:
        BadInputError: the model is no student.
    """
    injection = getattr(student, _RECORD, None)
    if not isinstance(injection, Injection):
        raise BadInputError("the model carries no PEFT method: make a student with infosam.peft.inject")
    return injection


def config_of(student: AdaptableModel) -> Method:
    """The configuration that the student was made with.

    Raises:
        BadInputError: the model is no student.
    """
    return injection_of(student).config


def peft_parameters(student: AdaptableModel) -> dict[str, nn.Parameter]:
    """All parameters that the method adds or unfreezes, by name, the ordinary mask decoder apart.

    Raises:
        BadInputError: the model is no student.
    """
    named = dict(student.named_parameters())
    return {name: named[name] for name in injection_of(student).by_method}


def rename_weights(student: AdaptableModel) -> None:
    """Give the student an `adapter_id` that no other has, so that no embedding of other weights is taken for
    its own."""
    student.adapter_id = f"{config_of(student).name}-{uuid4().hex}"


def _shared_copy(model: M) -> M:
    """A copy of the modules on the same storage, everything frozen."""
    memo: dict[int, Any] = {id(buffer): buffer.detach() for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    return copy.deepcopy(model, memo)
