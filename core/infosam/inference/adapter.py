"""Adapter folders: `adapter.safetensors`, `adapter.json` and the model card `README.md`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from infosam.inference.adapter_info import INFO_NAME, AdapterInfo, frozen_hash, read_adapter_info
from infosam.inference.model_card import model_card
from infosam.models.base import PromptableModel, freeze
from infosam.peft import config_from_dict, inject, load_trainable_state, trainable_state
from infosam.types import BadInputError, InfoSAMError

__all__ = ["AdapterInfo", "load_adapter", "read_adapter_info", "round_to_half", "save_adapter"]

WEIGHTS_NAME = "adapter.safetensors"
CARD_NAME = "README.md"


def round_to_half(student: PromptableModel) -> None:
    """Round everything that an adapter file holds to half precision, in place.

    What is scored after it is what `save_adapter` writes, to the last bit.

    Raises:
        InfoSAMError: a value is not finite, or too large for half precision.
    """
    halves = {name: tensor.to(torch.float16) for name, tensor in trainable_state(student).items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise InfoSAMError(
                f"{name} holds values that are not finite in half precision: the training has diverged; "
                "train again with a lower learning rate"
            )
    load_trainable_state(student, halves)


def save_adapter(student: PromptableModel, folder: str | Path, info: AdapterInfo) -> None:
    """Write a student, already rounded by `round_to_half`, as an adapter folder.

    An adapter that is there already is replaced; other files in the folder are left alone. All files are
    written in full before the first is moved to its place, and `adapter.json`, without which a folder is no
    adapter, comes last: a save that is cut off leaves no half adapter.

    Raises:
        BadInputError: the student is not rounded, trains nothing, or is none.
        InfoSAMError: the folder cannot be written.
    """
    state = trainable_state(student)
    if not state:
        raise BadInputError("the student has no trained weights to save: its PEFT method is 'none'")
    halves = {name: tensor.to("cpu", torch.float16).contiguous() for name, tensor in state.items()}
    for name, tensor in state.items():
        if not torch.equal(halves[name].to(tensor), tensor):
            raise BadInputError(f"{name} is not rounded to half precision: call round_to_half before scoring")
    weights = save(halves)
    info = replace(info, weights_sha256=hashlib.sha256(weights).hexdigest())
    files = {
        WEIGHTS_NAME: weights,
        CARD_NAME: model_card(info, len(weights)).encode(),
        INFO_NAME: info.to_json().encode(),
    }
    try:
        _write(Path(folder), files)
    except OSError as error:
        raise InfoSAMError(f"the adapter cannot be written to {folder}: {error}") from error


def load_adapter(folder: str | Path, model: PromptableModel) -> PromptableModel:
    """The adapted model: frozen, in eval mode, sharing all other tensors with `model`, which is not changed.

    Args:
        folder: an adapter folder.
        model: the pre-trained model that the adapter belongs to.

    Raises:
        BadInputError: there is no adapter, it is damaged, or it belongs to another model.
        InfoSAMError: it was written by another version of this library, in another format.
    """
    folder = Path(folder)
    info = read_adapter_info(folder)
    _check_base(folder, info, model)
    weights = _read_weights(folder, info)
    try:
        student = inject(model, config_from_dict(info.peft))
        load_trainable_state(student, load(weights))
        _check_frozen(info, student)
    except (BadInputError, SafetensorError) as error:
        raise BadInputError(f"the adapter {folder} cannot be loaded: {error}") from error
    student.adapter_id = info.weights_sha256
    student.object_sizes = info.object_sizes
    return freeze(student)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files so that the last of them is there only together with all the others."""
    folder.mkdir(parents=True, exist_ok=True)
    *_, last = files
    with TemporaryDirectory(prefix=".saving-", dir=folder) as staging:
        for name, content in files.items():
            with (Path(staging) / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        (folder / last).unlink(missing_ok=True)
        for name in files:
            (Path(staging) / name).replace(folder / name)


def _check_base(folder: Path, info: AdapterInfo, model: PromptableModel) -> None:
    if info.base_model != model.name:
        raise BadInputError(f"the adapter {folder} belongs to {info.base_model}, not to {model.name}")
    if info.base_hash.startswith("file:") and info.base_hash != f"file:{model.sha256}":
        raise BadInputError(
            f"the adapter {folder} was trained on a {model.name} from another checkpoint: it needs "
            f"{info.base_hash}, and this one is {f'file:{model.sha256}' if model.sha256 else 'from no file'}"
        )


def _check_frozen(info: AdapterInfo, student: PromptableModel) -> None:
    expected = info.base_hash
    if expected.startswith("tensors:") and expected != f"tensors:{frozen_hash(student)}":
        raise BadInputError(
            f"it was trained on a {student.name} with other weights; use the model that it was trained on"
        )


def _read_weights(folder: Path, info: AdapterInfo) -> bytes:
    path = folder / WEIGHTS_NAME
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"the adapter {folder} is not complete: {error}") from error
    found = hashlib.sha256(weights).hexdigest()
    if found != info.weights_sha256:
        raise BadInputError(
            f"{path} is damaged or not the file that was saved ({len(weights):,} bytes, SHA-256 "
            f"{found[:12]}..., expected {info.weights_sha256[:12]}...): take a good copy, or train again"
        )
    return weights
