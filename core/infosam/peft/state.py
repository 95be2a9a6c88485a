"""The tensors of a student that an adapter file holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from infosam.peft.injection import injection_of, rename_weights
from infosam.types import AdaptableModel, BadInputError

_SHOWN = 3  # names quoted in an error


def trainable_state(student: AdaptableModel) -> dict[str, Tensor]:
    """The method's and the mask decoder's tensors by name, detached, in the student's own storage.

    They are the same whether or not they ask for a gradient at the moment.

    Raises:
        BadInputError: the model is no student.
    """
    injection = injection_of(student)
    named = dict(student.named_parameters())
    return {name: named[name].detach() for name in injection.by_method + injection.in_decoder}


@torch.no_grad()
def load_trainable_state(student: AdaptableModel, state: Mapping[str, Tensor]) -> None:
    """Copy tensors into the student; names and shapes must be exactly those of `trainable_state`.

    Values are converted to the student's own dtype and device. Nothing is changed if something does not fit.

    Raises:
        BadInputError: a tensor is missing, unknown or of another shape, or the model is no student.
    """
    own = trainable_state(student)
    problems = {
        "missing": [name for name in own if name not in state],
        "unknown": [name for name in state if name not in own],
        "of another shape": [
            f"{name}, {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name in state and state[name].shape != tensor.shape
        ],
    }
    said = [f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names]
    if said:
        raise BadInputError(
            f"the tensors belong to another model or PEFT method: of {len(own)}, {'; '.join(said)}"
        )
    for name, tensor in own.items():
        tensor.copy_(state[name])
    rename_weights(student)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
