"""Carry the pocket model's weights to another input size."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor

_REL_POS = re.compile(r"(sam\.)?image_encoder\.blocks\.\d+\.attn\.rel_pos_[hw]")


def resize_state(state: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` for a model of another input size, whose state `like` gives the shapes.

    Relative position tables are continued outwards: objects keep their size in pixels while images grow.
    The absolute position table is interpolated. The coordinate encoding is fed shares of the input: it stays.
    """
    resized = dict(state)
    for name, tensor in state.items():
        if name.endswith("pos_embed"):
            size = like[name].shape[1:3]
            grid = tensor.permute(0, 3, 1, 2)
            resized[name] = F.interpolate(grid, size, mode="bilinear", align_corners=False).permute(
                0, 2, 3, 1
            )
        elif _REL_POS.fullmatch(name):
            resized[name] = _extended(tensor, len(like[name]))
    return {name: tensor.contiguous() for name, tensor in resized.items()}


def _extended(table: Tensor, length: int) -> Tensor:
    """The (L, d) table by offset from its middle row, cut or continued with its last values to `length`."""
    offsets = torch.arange(length) - (length - 1) // 2 + (len(table) - 1) // 2
    return table[offsets.clamp(0, len(table) - 1)]
