"""Models by name: list them, build them with random weights, load them with trained ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.models.catalogue import CATALOGUE, ModelSpec
from infosam.models.download import Progress, fetch, sha256_of
from infosam.models.pocket import WEIGHTS
from infosam.types import BadInputError, ModelInfo

if TYPE_CHECKING:
    from infosam.models.base import PromptableModel

_SPECS: dict[str, ModelSpec] = {}


def register(spec: ModelSpec) -> None:
    """Make a model known by its name, which must be new."""
    if spec.name in _SPECS:
        raise ValueError(f"a model named {spec.name!r} is registered already")
    _SPECS[spec.name] = spec


for _spec in CATALOGUE:
    register(_spec)


def names() -> list[str]:
    """The names of all models, the shipped one first."""
    return list(_SPECS)


def infos() -> list[ModelInfo]:
    """One line per model, as `infosam models` prints them."""
    return [_info(spec) for spec in _SPECS.values()]


def info(name: str) -> ModelInfo:
    """What is known of a model without loading it.

    Raises:
        BadInputError: unknown name.
    """
    return _info(_spec_of(name))


def build(name: str) -> PromptableModel:
    """The model with random weights, frozen and in eval mode, on the CPU.

    Raises:
        BadInputError: unknown name; the message lists the known ones.
    """
    from infosam.models.base import freeze

    return freeze(_spec_of(name).build())


def load(
    name: str,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> PromptableModel:
    """The model with trained weights, frozen (no parameter asks for a gradient) and in eval mode.

    Args:
        name: one of `names()`.
        checkpoint: a file in the official form or .safetensors: its keys and shapes must fit, its hash is
            recorded in `model.sha256` but may be any. None: the official weights, downloaded to the cache
            folder on first use and verified by SHA-256; sam_pocket's are shipped.
        device: see `models.device.resolve_device`.
        progress: called with (bytes so far, bytes in all) during a download.

    Raises:
        BadInputError: unknown name, device not there, or a file that is damaged or belongs to another model.
        InfoSAMError: the official file could not be downloaded or is not the official one.
    """
    from infosam.models.base import freeze
    from infosam.models.checkpoint import load_checkpoint
    from infosam.models.device import resolve_device

    spec = _spec_of(name)
    target = resolve_device(device)
    if checkpoint is None and spec.shipped is not None:
        return freeze(spec.shipped()).to(target)
    path, sha256 = _official_file(spec, progress) if checkpoint is None else _own_file(checkpoint)
    model = spec.build()
    load_checkpoint(model, path)
    model.sha256 = sha256
    return freeze(model).to(target)


def weights_hash(name: str) -> str:
    """The SHA-256 of the weights that `load` gives a model by this name, without loading or downloading them.

    Raises:
        BadInputError: unknown name.
    """
    spec = _spec_of(name)
    return spec.download.sha256 if spec.download is not None else sha256_of(WEIGHTS)


def _official_file(spec: ModelSpec, progress: Progress | None) -> tuple[Path, str]:
    assert spec.download is not None, f"{spec.name} is neither shipped nor downloaded"
    return fetch(spec.download, progress), spec.download.sha256


def _own_file(checkpoint: str | os.PathLike[str]) -> tuple[Path, str]:
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise BadInputError(f"there is no checkpoint file {path}")
    return path, sha256_of(path)


def _spec_of(name: str) -> ModelSpec:
    if name not in _SPECS:
        raise BadInputError(f"unknown model {name!r}: use one of {', '.join(_SPECS)}")
    return _SPECS[name]


def _info(spec: ModelSpec) -> ModelInfo:
    download = spec.download
    return ModelInfo(
        name=spec.name,
        family=spec.family,
        parameters=spec.parameters,
        bytes=download.about_bytes if download else WEIGHTS.stat().st_size,
        licence=spec.licence,
        url=download.url if download else None,
        sha256=download.sha256 if download else None,
        on_disk=download.path.is_file() if download else True,
    )
