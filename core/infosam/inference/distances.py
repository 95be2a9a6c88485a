"""From how near a click is answered: which of several looks shows what was meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from infosam.data.prompts import tight_box
from infosam.inference.tiles import Shape, Tile, tile_for
from infosam.models.base import PromptableModel
from infosam.types import BoolArray, FloatArray

# In units of predicted IoU. What a mask must gain per level that it lies away from where its object is
# expected: from nearer a part may look as good as the whole. What a mask gains for being found from the next
# distance, too. What it loses per level that it could have been seen from nearer. Chosen with sam_pocket
# (weights 798529c3; with 7d4e05b9 none of 150 other choices gains more than 0.004), of four or five values
# each, on `benchmarks/pocket_real.py`'s images and as many others of the same sets: with
# 0.05, 0 and 0, one click has 0.440 IoU on average over the first ones' sets and 0.449 over the others', with
# these 0.459 and 0.452.
LEVEL_COST = 0.06
AGREEMENT_GAIN = 0.2
FAR_COST = 0.1


@dataclass(frozen=True, eq=False)
class Answer:
    """What the decoder said of one prompt, in the frame of `tile`: (K, 4h, 4w) logits, (K,) predicted IoU.

    K: the single-mask output, then the three for an ambiguous prompt; one alone where the prompt is not
    ambiguous for the model, such as a click for one that was adapted to lines.
    line: the single-mask output at image resolution, (1, H, W), where that is a line (`thin.py`).
    """

    logits: Tensor
    iou: Tensor
    tile: Tile
    line: Tensor | None = None

    def single(self) -> Answer:
        """The single-mask output."""
        return replace(self, logits=self.logits[:1], iou=self.iou[:1])

    def several(self) -> Answer:
        """The multi-mask outputs, the best first as the model judges them; the only output where there is
        one."""
        if len(self.iou) == 1:
            return self
        order = 1 + torch.argsort(self.iou[1:], descending=True, stable=True)
        return Answer(self.logits[order], self.iou[order], self.tile)

    def best(self) -> Answer:
        """The best of the multi-mask outputs."""
        return self.several().single()

    def shown(self, model: PromptableModel) -> Tensor:
        """The logits where they show the image, (K, h, w), and not the padding of the model's input."""
        sides = zip(model.valid_size(*self.tile.shape), self.logits.shape[-2:], strict=True)
        height, width = (max(1, round(side * count / model.image_size)) for side, count in sides)
        return self.logits[:, :height, :width]

    def pixel(self, model: PromptableModel) -> tuple[float, float]:
        """Height and width of a pixel of the logits, in those of the image."""
        (height, width), (rows, columns) = self.tile.shape, self.shown(model).shape[-2:]
        return height / rows, width / columns


def best_answer(model: PromptableModel, answers: Sequence[Answer], expected: int, shape: Shape) -> Answer:
    """The answer with the best of the masks for an ambiguous prompt, of which those that are cut do not
    count; where all are, the one from the expected level.

    Args:
        model: gave the answers.
        answers: to one prompt, from tiles of consecutive levels, the farthest first.
        expected: the level on which the object is expected.
        shape: (H, W) of the image.
    """
    if len(answers) == 1:
        return answers[0]
    looks = [_Look.of(model, answer) for answer in answers]
    found = [np.zeros(len(look.masks)) for look in looks]
    for number, (far, near) in enumerate(pairwise(looks)):
        overlaps = _overlaps(far, near)
        found[number] = np.maximum(found[number], overlaps.max(axis=1))
        found[number + 1] = np.maximum(found[number + 1], overlaps.max(axis=0))

    # Objects that were all about as large are rather looked at from where they were seen. Of the second and
    # fourth power, tried with adapters to three of the sets, the latter suits those that differ much, too.
    cost = LEVEL_COST if model.object_sizes is None else LEVEL_COST / model.object_sizes.spread**4

    def merit(number: int) -> tuple[float, int]:
        look, away = looks[number], abs(answers[number].tile.level - expected)
        merits = [
            iou + AGREEMENT_GAIN * again - FAR_COST * _levels_nearer(model, look, mask, shape)
            for mask, iou, again in zip(look.masks, look.iou, found[number], strict=True)
            if mask.any() and not look.tile.cuts(mask, shape)
        ]
        return max(merits, default=-math.inf) - cost * away, -away

    return answers[max(range(len(answers)), key=merit)]


@dataclass(frozen=True, eq=False)
class _Look:
    """The masks for an ambiguous prompt, where the low resolution shows the image. logits, masks: (K, h, w).
    iou: K numbers. pixel: see `Answer.pixel`."""

    logits: Tensor
    masks: BoolArray
    iou: list[float]
    tile: Tile
    pixel: tuple[float, float]

    @staticmethod
    def of(model: PromptableModel, answer: Answer) -> _Look:
        logits = answer.shown(model)[1:].float().cpu()
        return _Look(logits, (logits > 0).numpy(), answer.iou[1:].tolist(), answer.tile, answer.pixel(model))


def _overlaps(far: _Look, near: _Look) -> FloatArray:
    """IoU of each mask of one look with each of the next, from nearer: (K, K)."""
    seen = _enlarged(far, near)
    (height, width), (far_height, far_width) = near.pixel, far.pixel
    scale = far_height * far_width / (height * width)
    whole = scale * far.masks.sum(axis=(1, 2))[:, None]
    both = np.einsum("khw,lhw->kl", seen, near.masks, dtype=np.float64)
    union = whole + near.masks.sum(axis=(1, 2)) - both
    shares: FloatArray = both / np.maximum(union, 1)
    return shares


def _enlarged(far: _Look, near: _Look) -> BoolArray:
    """The masks of one look where the nearer one shows the image, (K, h, w) like those of the nearer."""
    weights = []
    for axis, start, far_start in ((0, near.tile.r0, far.tile.r0), (1, near.tile.c0, far.tile.c0)):
        count, far_count = near.logits.shape[1 + axis], far.logits.shape[1 + axis]
        centres = start + (torch.arange(count) + 0.5) * near.pixel[axis]
        place = ((centres - far_start) / far.pixel[axis] - 0.5).clamp(0, far_count - 1)
        weights.append((1 - (place[:, None] - torch.arange(far_count)).abs()).clamp(min=0))  # bilinear
    rows, columns = weights
    masks: BoolArray = (rows @ far.logits @ columns.T > 0).numpy()
    return masks


def _levels_nearer(model: PromptableModel, look: _Look, mask: BoolArray, shape: Shape) -> int:
    """By how many levels what a mask shows could be looked at from nearer."""
    height, width = look.pixel
    r0, c0, r1, c1 = tight_box(mask)
    box = (r0 * height, c0 * width, r1 * height, c1 * width)
    return max(0, tile_for(box, shape, model.image_size).level - look.tile.level)
