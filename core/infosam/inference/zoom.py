"""Prompts answered from as close as their objects ask for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.data.prompts import tight_box
from infosam.inference.prompting import checked_mask, decode_prompts, low_resolution
from infosam.inference.tiles import Box, Shape, Tile, box_around, prompt_in, tile_at, tile_for, whole
from infosam.models.base import PromptableModel
from infosam.types import ImageEmbedding, Prompt, Zoom

# What a mask must gain in predicted IoU per level that it lies away from where its object is expected: from
# nearer a part may look as good as the whole. Measured with sam_pocket on real images, with 0, 0.03 and 0.06:
# one click on nuclei has 0.65, 0.62 and 0.60 IoU, in ultrasound 0.40, 0.45 and 0.51; adapted to either, 0.03
# is the best of 0, 0.03, 0.06, 0.1 and 0.2.
LEVEL_COST = 0.05
BEYOND = -30.0  # the logit of pixels beyond the tile: not the object

_PROMPTS_AT_ONCE = 16  # bounds the decoder's memory, whatever the number of prompts


@dataclass(frozen=True, eq=False)
class Answer:
    """What the decoder said of one prompt, in the frame of `tile`: (K, 4h, 4w) logits, (K,) predicted IoU."""

    logits: Tensor
    iou: Tensor
    tile: Tile


def zoom_of(model: PromptableModel) -> Zoom:
    """How a model looks unless it is told: as it was adapted to, and a pre-trained one at the whole image."""
    return "off" if model.object_extent is None else "auto"


def answer(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    prompts: Sequence[Prompt],
    zoom: Zoom,
) -> list[Answer]:
    """Answers to N prompts, in their order.

    "off": on the whole image, as the official predictors do it. "auto": a box, or a mask, says how large its
    object is, and is answered on the smallest tile with room for it. Clicks do not: they are looked at from
    every distance, and answered from where the model thinks most of its best mask, as its predicted IoU says,
    less `LEVEL_COST` per level away from the one where the object is expected. That is the whole image, or,
    for a model that was adapted to objects of a known extent, the level that suits such an object.

    Args:
        model: decodes.
        embed: gives the embedding of one tile of the image.
        shape: (H, W) of the image.
        prompts: in pixels of the image.
        zoom: "auto" or "off".
    """
    if zoom == "off":
        return _answers(model, embed, prompts, [whole(shape)] * len(prompts))
    frames = [_mask_as_bool(model, prompt, shape) for prompt in prompts]
    tiles = [_tiles(model, prompt, shape) for prompt in frames]
    repeated = [prompt for prompt, own in zip(frames, tiles, strict=True) for _ in own]
    every = iter(_answers(model, embed, repeated, list(chain.from_iterable(tiles))))
    return [
        _best(model, list(islice(every, len(own))), _expected_level(model, prompt, shape), shape)
        for prompt, own in zip(frames, tiles, strict=True)
    ]


def to_image(model: PromptableModel, seen: Answer, shape: Shape) -> Tensor:
    """(K, H, W) logits at image resolution; beyond the tile there is no object."""
    logits = model.to_image(seen.logits[None].float(), *seen.tile.shape)[0]
    if seen.tile.shape == shape:
        return logits
    rows, columns = seen.tile.window
    canvas = logits.new_full((len(logits), *shape), BEYOND)
    canvas[:, rows, columns] = logits
    return canvas


def to_whole(model: PromptableModel, logits: Tensor) -> Tensor:
    """(K, H, W) logits of an image as (K, 4h, 4w) low-resolution logits in the frame of the whole image."""
    height, width = model.valid_size(*logits.shape[-2:])
    resized = F.interpolate(
        logits[None], (height, width), mode="bilinear", align_corners=False, antialias=True
    )
    padded = F.pad(resized, (0, model.image_size - width, 0, model.image_size - height), value=BEYOND)
    return F.adaptive_avg_pool2d(padded, low_resolution(model))[0]


def _tiles(model: PromptableModel, prompt: Prompt, shape: Shape) -> list[Tile]:
    """Where to look for the object of a prompt."""
    box: Box | None = prompt.box
    if box is None and prompt.mask is not None and prompt.mask.any():
        box = tight_box(prompt.mask)
    if box is not None:
        return [tile_for(_around(box, prompt), shape, model.image_size)]
    clicked = _positive(prompt)
    if not clicked:
        return [whole(shape)]
    clicks = box_around(clicked, 1.0)
    nearest = tile_for(clicks, shape, model.image_size)
    return [tile_at(level, clicks, shape) for level in range(nearest.level + 1)]


def _expected_level(model: PromptableModel, prompt: Prompt, shape: Shape) -> int:
    """The level on which the object of clicks is expected."""
    clicked = _positive(prompt)
    if model.object_extent is None or not clicked:
        return 0
    return tile_for(box_around(clicked, model.object_extent), shape, model.image_size).level


def _best(model: PromptableModel, answers: Sequence[Answer], expected: int, shape: Shape) -> Answer:
    """The answer with the best of the masks for an ambiguous prompt, of which those that are cut do not
    count; where all are, the one from the expected level."""
    if len(answers) == 1:
        return answers[0]

    def merit(seen: Answer) -> tuple[float, int]:
        away = abs(seen.tile.level - expected)
        return _highest_iou(model, seen, shape) - LEVEL_COST * away, -away

    return max(answers, key=merit)


def _highest_iou(model: PromptableModel, seen: Answer, shape: Shape) -> float:
    """The highest predicted IoU of a multi-mask output that is whole, or minus infinity."""
    sides = zip(model.valid_size(*seen.tile.shape), seen.logits.shape[-2:], strict=True)
    height, width = (max(1, round(side * count / model.image_size)) for side, count in sides)
    masks = (seen.logits[1:, :height, :width] > 0).cpu().numpy()
    scores = zip(masks, seen.iou[1:].tolist(), strict=True)
    return max(
        (score for mask, score in scores if mask.any() and not seen.tile.cuts(mask, shape)),
        default=-math.inf,
    )


@torch.no_grad()
def _answers(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    prompts: Sequence[Prompt],
    tiles: Sequence[Tile],
) -> list[Answer]:
    """Each prompt on its tile; those of one tile together."""
    by_tile: dict[Tile, list[int]] = {}
    for i, tile in enumerate(tiles):
        by_tile.setdefault(tile, []).append(i)
    answers: dict[int, Answer] = {}
    for tile, members in by_tile.items():
        embedding = embed(tile)
        for start in range(0, len(members), _PROMPTS_AT_ONCE):
            chunk = members[start : start + _PROMPTS_AT_ONCE]
            seen = [prompts[i] if tile.level == 0 else prompt_in(tile, prompts[i]) for i in chunk]
            output = decode_prompts(model, embedding, seen, [0] * len(chunk), [tile.shape])
            for i, logits, score in zip(chunk, output.logits, output.iou, strict=True):
                answers[i] = Answer(logits, score, tile)
    return [answers[i] for i in range(len(prompts))]


def _around(box: Box, prompt: Prompt) -> Box:
    """The box, made large enough to hold the clicks that say yes."""
    r0, c0, r1, c1 = box
    rows = [row for row, _ in _positive(prompt)]
    columns = [column for _, column in _positive(prompt)]
    return (
        min([r0, *rows]),
        min([c0, *columns]),
        max([r1, *(row + 1 for row in rows)]),
        max([c1, *(column + 1 for column in columns)]),
    )


def _positive(prompt: Prompt) -> list[tuple[float, float]]:
    """The clicks that say yes."""
    return [point for point, label in zip(prompt.points, prompt.labels, strict=True) if label == 1]


def _mask_as_bool(model: PromptableModel, prompt: Prompt, shape: Shape) -> Prompt:
    """Low-resolution logits, which lie in the frame of the whole image, as the mask they stand for."""
    if prompt.mask is None:
        return prompt
    mask = checked_mask(model, prompt.mask, shape)
    if mask.dtype != np.bool_:
        logits = torch.as_tensor(mask, dtype=torch.float32, device=model.device)[None, None]
        mask = (model.to_image(logits, *shape)[0, 0] > 0).cpu().numpy()
    return replace(prompt, mask=mask)
