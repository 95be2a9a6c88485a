"""The shipped weights of sam_pocket: half precision on disk, single precision in use."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from infosam.models.checkpoint import load_checkpoint
from infosam.models.download import sha256_of
from infosam.models.pocket import WEIGHTS
from infosam.models.pocket.build import build_pocket
from infosam.models.sam.adaptor import SamModel
from infosam.types import BadInputError


def export_pocket(model: SamModel, path: Path) -> None:
    """Write the model's weights to `path` as float16 safetensors.

    Raises BadInputError if a weight is not finite, or too large for half precision.
    """
    halves = {
        name: tensor.detach().half().contiguous() for name, tensor in model.network.state_dict().items()
    }
    broken = [name for name, tensor in halves.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise BadInputError(f"these weights are not finite in half precision: {', '.join(broken)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(halves, part)
    os.replace(part, path)


def load_pocket(path: Path = WEIGHTS) -> SamModel:
    """The pocket model with the weights in `path` (the shipped ones): float32, on the CPU, eval mode, frozen.

    Raises BadInputError if the file does not hold exactly the pocket model's weights.
    """
    if not path.is_file():
        raise BadInputError(f"there are no weights of sam_pocket at {path}: reinstall the package")
    model = build_pocket()
    load_checkpoint(model, path)
    model.sha256 = sha256_of(path)
    return model.eval().requires_grad_(False)
