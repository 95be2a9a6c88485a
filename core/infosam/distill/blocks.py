"""Features from inside an image encoder: what leaves some of its blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from infosam.models.base import PromptableModel
from infosam.types import BadInputError, ImageEmbedding

_LEVELS = 4


def level_blocks(model: PromptableModel | None) -> list[int]:
    """Numbers of the blocks whose outputs multi-layer methods compare, first to last.

    A hierarchical encoder (SAM 2) gives the ends of its stages; a plain ViT the ends of its four quarters
    (2, 5, 8 and 11 of ViT-B), or all blocks if it has fewer than four.

    Raises:
        BadInputError: there is no model: a teacher was left out.
    """
    if model is None:
        raise BadInputError("a method that compares blocks needs a teacher: give the pre-trained model")
    dims = list(model.block_dims())
    last = len(dims) - 1
    if len(set(dims)) > 1:
        return [number for number in range(len(dims)) if number == last or dims[number] != dims[number + 1]]
    return sorted({math.ceil(len(dims) * (level + 1) / _LEVELS) - 1 for level in range(_LEVELS)})


def level_dims(student: PromptableModel, teacher: PromptableModel | None) -> tuple[list[int], list[int]]:
    """The numbers of channels of both models' `level_blocks`.

    Raises:
        BadInputError: there is no teacher.
    """
    numbers = level_blocks(teacher)  # first of all, whether there is one
    teacher_dims = [] if teacher is None else [teacher.block_dims()[number] for number in numbers]
    return [student.block_dims()[number] for number in level_blocks(student)], teacher_dims


def paired_dims(student: PromptableModel, teacher: PromptableModel | None) -> list[tuple[int, int]]:
    """The channels of student and teacher at each level, for methods that compare like with like.

    Raises:
        BadInputError: there is no teacher, or it has another number of levels.
    """
    dims = level_dims(student, teacher)
    if len(dims[0]) != len(dims[1]):
        raise BadInputError(
            f"the method pairs levels of the image encoders, but the student has {len(dims[0])} and the "
            f"teacher {len(dims[1])}: take a teacher of the student's family"
        )
    return list(zip(*dims, strict=True))


def to_common_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps (B, C, h, w) at the size of the smaller one; the larger is average-pooled."""
    size = (min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3]))
    return F.adaptive_avg_pool2d(first, size), F.adaptive_avg_pool2d(second, size)


def encode_with_blocks(
    model: PromptableModel, images: Tensor, numbers: Sequence[int]
) -> tuple[ImageEmbedding, tuple[Tensor, ...]]:
    """The embeddings of (B, 3, S, S) images, and what leaves the blocks `numbers` on the way.

    Returns:
        The embedding, and for each number a map (B, C, h, w) in float32.
    """
    maps: dict[int, Tensor] = {}
    blocks = model.blocks()

    def keep(number: int) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            maps[number] = output.permute(0, 3, 1, 2).float()

        return hook

    handles = [blocks[number].register_forward_hook(keep(number)) for number in numbers]
    try:
        embedding = model.encode(images)
    finally:
        for handle in handles:
            handle.remove()
    return embedding, tuple(maps[number] for number in numbers)
