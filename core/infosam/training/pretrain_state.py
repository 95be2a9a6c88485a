"""What a pre-training run is made of at one step, and its checkpoint: one safetensors file, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.model import PocketModel
from infosam.models.pocket.resize import resize_state
from infosam.training.pretrain_config import Part
from infosam.training.pretrain_dense import DenseHead
from infosam.training.pretrain_init import initialise
from infosam.types import BadInputError


@dataclass
class PretrainState:
    """Model in training, the head that aids it, moving average and optimiser after `step` steps."""

    model: PocketModel
    dense: DenseHead
    average: dict[str, Tensor]
    optimizer: AdamW
    step: int
    architecture: PocketConfig

    @property
    def size(self) -> int:
        return self.architecture.image_size

    def parameters(self) -> dict[str, nn.Parameter]:
        """All parameters by name."""
        return _parameters(self.model, self.dense)

    def choose(self, part: Part) -> None:
        """Let only this part ask for gradients; the judge learns from masks as they are shown, all else from
        masks as they are decoded."""
        self.model.as_decoded = part == "all"
        for name, parameter in self.parameters().items():
            parameter.requires_grad_(part == "all" or ".judge." in name)


def _parameters(model: PocketModel, dense: DenseHead) -> dict[str, nn.Parameter]:
    return {f"model.{n}": p for n, p in model.named_parameters()} | {
        f"dense.{n}": p for n, p in dense.named_parameters()
    }


def build_optimizer(parameters: Mapping[str, nn.Parameter], weight_decay: float) -> AdamW:
    """AdamW without decay on biases, norms, tokens and position tables."""

    def decays(name: str, parameter: Tensor) -> bool:
        return parameter.ndim > 1 and not any(
            part in name for part in ("pos", "token", "embed.", "embeddings")
        )

    groups = [
        {"params": [p for n, p in parameters.items() if decays(n, p)], "weight_decay": weight_decay},
        {"params": [p for n, p in parameters.items() if not decays(n, p)], "weight_decay": 0.0},
    ]
    return AdamW(groups, betas=(0.9, 0.98))


def fresh_state(
    architecture: PocketConfig, weight_decay: float, device: torch.device, known: Path | None = None
) -> PretrainState:
    """Random weights from torch's global generator, before the first step.

    known: exported weights, perhaps of another architecture or input size, which are taken over where name
    and shape agree. Raises BadInputError if that file cannot be read, or agrees nowhere.
    """
    model = build_pocket(architecture)
    initialise(model)
    if known is not None:
        _take_over(model, known)
    model.to(device).train().requires_grad_(True)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    dense = DenseHead(architecture.out_chans).to(device)
    optimizer = build_optimizer(_parameters(model, dense), weight_decay)
    return PretrainState(model, dense, average, optimizer, 0, architecture)


def _take_over(model: PocketModel, known: Path) -> None:
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(known).items()}
    except (OSError, SafetensorError) as error:
        raise BadInputError(f"{known} holds no weights to begin with: {error}") from error
    like = model.network.state_dict()
    resized = resize_state({name: tensor for name, tensor in tensors.items() if name in like}, like)
    agreeing = {name: tensor for name, tensor in resized.items() if tensor.shape == like[name].shape}
    if not agreeing:
        raise BadInputError(
            f"{known} holds no weights of this model: name a file that pre-training has written"
        )
    model.network.load_state_dict(agreeing, strict=False)


def update_average(state: PretrainState, decay: float) -> None:
    """Exponential moving average of the weights; it follows faster during the first steps."""
    decay = min(decay, (1 + state.step) / (10 + state.step))
    for name, tensor in state.model.state_dict().items():
        state.average[name].lerp_(tensor.detach(), 1 - decay)


def enlarge(state: PretrainState, architecture: PocketConfig, weight_decay: float) -> PretrainState:
    """The same run at another input size; the optimiser's moments are carried along."""
    model = build_pocket(architecture).to(state.model.device).train().requires_grad_(True)
    like = model.state_dict()
    model.load_state_dict(resize_state(state.model.state_dict(), like))
    parameters = _parameters(model, state.dense)
    optimizer = build_optimizer(parameters, weight_decay)
    moments = _moments(state.parameters(), state.optimizer)
    resized = [name for name, old in state.parameters().items() if old.shape != parameters[name].shape]
    for name in resized:
        moments.pop(name, None)
    _restore_moments(parameters, optimizer, moments)
    average = resize_state(state.average, like)
    return PretrainState(model, state.dense, average, optimizer, state.step, architecture)


def _moments(parameters: Mapping[str, nn.Parameter], optimizer: AdamW) -> dict[str, dict[str, Tensor]]:
    """The optimiser's state (step, exp_avg, exp_avg_sq) by the parameter's name."""
    return {name: optimizer.state[p] for name, p in parameters.items() if p in optimizer.state}


def _restore_moments(
    parameters: Mapping[str, nn.Parameter], optimizer: AdamW, moments: Mapping[str, Mapping[str, Tensor]]
) -> None:
    for name, state in moments.items():
        optimizer.state[parameters[name]] = {key: tensor.clone() for key, tensor in state.items()}


def save_state(state: PretrainState, path: Path, settings: Mapping[str, Any]) -> None:
    """Write the whole state to `path`, which is replaced at once or not at all."""
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in state.average.items()}
    tensors |= {f"dense/{name}": tensor for name, tensor in state.dense.state_dict().items()}
    for name, moments in _moments(state.parameters(), state.optimizer).items():
        tensors |= {f"optimizer/{name}/{key}": tensor for key, tensor in moments.items()}
    note = {"step": state.step, "size": state.size, "settings": settings}
    part = path.with_suffix(".part")
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, part, {"pretrain": json.dumps(note)})
    os.replace(part, path)


def check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise BadInputError unless `save_state` wrote `path` with these settings, which are JSON values."""
    try:
        with safe_open(path, framework="pt") as file:
            saved = json.loads(file.metadata()["pretrain"])["settings"]
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _not_of_this_run(path, error) from error
    changed = [name for name, value in settings.items() if saved.get(name) != value]
    if changed:
        raise BadInputError(
            f"the checkpoint {path} belongs to a run with other {', '.join(changed)}: give the same "
            "settings, choose another folder, or start without resuming"
        )


def _not_of_this_run(path: Path, error: Exception) -> BadInputError:
    return BadInputError(
        f"{path} is no checkpoint of this run ({error}): remove it, or start without resuming"
    )


def load_state(
    path: Path, architecture: PocketConfig, weight_decay: float, device: torch.device
) -> PretrainState:
    """The state that `save_state` wrote. Raises BadInputError for a file that is not one."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            note = json.loads(file.metadata()["pretrain"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        architecture = replace(architecture, image_size=note["size"])
        model = build_pocket(architecture).to(device)
        model.load_state_dict(_under("model/", tensors))
        dense = DenseHead(architecture.out_chans).to(device)
        dense.load_state_dict(_under("dense/", tensors))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_of_this_run(path, error) from error
    model.train().requires_grad_(True)
    parameters = _parameters(model, dense)
    optimizer = build_optimizer(parameters, weight_decay)
    moments: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _under("optimizer/", tensors).items():
        name, entry = key.rsplit("/", 1)
        moments.setdefault(name, {})[entry] = tensor
    _restore_moments(parameters, optimizer, moments)
    return PretrainState(model, dense, _under("average/", tensors), optimizer, note["step"], architecture)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
