"""Reading checkpoint files, strictly and without ever running what a pickle asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from infosam.models.base import PromptableModel
from infosam.models.identify import describe
from infosam.types import BadInputError

_OWN_PREFIXES = ("sam.", "sam2.")
_SHOWN = 3  # names quoted in an error


def load_checkpoint(model: PromptableModel, path: Path) -> None:
    """Put the weights of a file into the model, every key and shape as they must be.

    Official files are taken as they are: SAM's hold the state dict itself, SAM 2's hold it under `model`. A
    file ending in .safetensors holds the state dict. State dicts of our own models, whose names begin with
    the attribute that holds the authors' module, are taken too.

    Raises:
        BadInputError: the file is truncated, corrupt, holds more than tensors, or belongs to another model.
    """
    state = read_state(path)
    expected = model.network.state_dict()
    problems = _problems(expected, state)
    if problems:
        raise BadInputError(
            f"{path} does not fit {model.name}: it looks like {describe(state)}. {'; '.join(problems)}. "
            "Choose the model that the file belongs to, or another file."
        )
    model.network.load_state_dict(state, strict=True)


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors, .pt or .pth file, on the CPU.

    Raises:
        BadInputError: see `load_checkpoint`.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files fail in many ways, from EOFError to UnpicklingError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInputError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be read as a checkpoint: it is truncated, "
            "damaged, or holds more than tensors; such files are never opened, because they can run code. "
            f"Reason: {reason}"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadInputError(
            f"{path} is no checkpoint: expected named tensors, alone or under the key `model`"
        )
    return _as_the_authors_name_them(content)


def _as_the_authors_name_them(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _OWN_PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _problems(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What keeps `found` from being loaded strictly, in words."""
    missing = [key for key in expected if key not in found]
    extra = [key for key in found if key not in expected]
    misshapen = [
        f"{key} is {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    named = {"tensors missing": missing, "tensors too many": extra, "of another shape": misshapen}
    return [f"{len(keys)} {what} ({_some(keys)})" for what, keys in named.items() if keys]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
