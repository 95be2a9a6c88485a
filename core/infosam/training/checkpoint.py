"""A training run on disk: one safetensors file, written atomically, from which it continues bit for bit.

Tensors live in named groups ("student/...", "optimiser/..."), everything else in the file's own metadata as
JSON. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from infosam.training.files import CHECKPOINT_NAME as CHECKPOINT_NAME
from infosam.types import BadInputError

_FORMAT = "infosam-checkpoint-3"
_GROUPS = ("student", "auxiliary", "optimiser", "best", "rng")


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` optimiser steps.

    student, auxiliary, best: tensors by name. optimiser: moments by "parameter number.name". rng: torch's
    generators (batches and prompts need none: theirs is seeded by the step). meta: JSON values (step, the
    scores so far, what the run was started with).
    """

    student: Mapping[str, Tensor]
    auxiliary: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    rng: Mapping[str, Tensor]
    meta: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` so that `path` always holds either the old or the new state in full."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for group in _GROUPS
        for name, tensor in getattr(checkpoint, group).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_file(tensors, partial, metadata={"format": _FORMAT, "meta": json.dumps(dict(checkpoint.meta))})
        with partial.open("r+b") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        BadInputError: there is no such file, or it is not a checkpoint of this library.
    """
    if not path.is_file():
        raise BadInputError(f"there is no checkpoint at {path}: start the run without resuming")
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise BadInputError(f"{path} is not a checkpoint of this version: start the run again")
            for key in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
                group, name = key.split("/", 1)
                groups[group][name] = file.get_tensor(key)
    except SafetensorError as error:
        raise BadInputError(f"the checkpoint {path} is damaged ({error}): start the run again") from error
    return Checkpoint(**groups, meta=json.loads(header["meta"]))


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments, named "<parameter number>.<moment>"."""
    return {
        f"{number}.{name}": value
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` took; the hyper-parameters stay those of `optimiser`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def rng_tensors() -> dict[str, Tensor]:
    """The states of torch's generators: the CPU's, and the current CUDA device's where there is one."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_rng(tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
