"""Prompts answered from as close as their objects ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.data.prompts import tight_box
from infosam.inference.distances import Answer, best_answer
from infosam.inference.prompting import checked_answer, checked_mask, decode_prompts, low_resolution
from infosam.inference.thin import as_wide, box_for_line, line_of, line_through, tiles_along
from infosam.inference.tiles import Box, Shape, Tile, box_around, prompt_in, tile_at, tile_for, whole
from infosam.models.base import PromptableModel
from infosam.types import ImageEmbedding, Prompt, Zoom

BEYOND = -30.0  # the logit of pixels beyond the tile: not the object

_PROMPTS_AT_ONCE = 16  # bounds the decoder's memory, whatever the number of prompts


def zoom_of(model: PromptableModel) -> Zoom:
    """How a model looks unless it is told: as it was adapted to, and a pre-trained one at the whole image."""
    return "off" if model.object_sizes is None else "auto"


def answer(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    prompts: Sequence[Prompt],
    zoom: Zoom,
) -> list[Answer]:
    """Answers to N prompts, in their order.

    "off": on the whole image, as the official predictors do it. "auto": a box, a mask or an earlier answer
    says how large its object is, and is answered on the smallest tile with room for it. Clicks do not: they
    are looked at from every distance, and answered from where the best mask is seen (`best_answer`), rather
    near to where the object is expected: on the whole image, or, for a model that was adapted to objects of a
    known extent, on the level that suits such an object. A thin line in a box is looked at once more, part by
    part, from nearer, and a model that was adapted to lines answers clicks with the lines through them and
    draws lines as wide as those it learnt (`thin.py`).

    Args:
        model: decodes.
        embed: gives the embedding of one tile of the image.
        shape: (H, W) of the image.
        prompts: in pixels of the image.
        zoom: "auto" or "off".
    """
    if zoom == "off":
        return answers_on(model, embed, prompts, [whole(shape)] * len(prompts))
    frames = [_in_frame(model, prompt, shape) for prompt in prompts]
    found = _from_near(model, embed, shape, frames)
    found = _through_clicks(model, embed, shape, frames, found)
    return [as_wide(model, seen) for seen in found]


def to_image(model: PromptableModel, seen: Answer, shape: Shape) -> Tensor:
    """(K, H, W) logits at image resolution; beyond the tile there is no object."""
    if seen.line is not None:
        return seen.line
    logits = to_tile(model, seen)
    if seen.tile.shape == shape:
        return logits
    rows, columns = seen.tile.window
    canvas = logits.new_full((len(logits), *shape), BEYOND)
    canvas[:, rows, columns] = logits
    return canvas


def to_tile(model: PromptableModel, seen: Answer) -> Tensor:
    """(K, h, w) logits at image resolution, in the frame of the tile."""
    return model.to_image(seen.logits[None].float(), *seen.tile.shape)[0]


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
    if box is None and prompt.resembled is not None and prompt.resembled.any():
        box = tight_box(prompt.resembled)
    if box is not None:
        return [tile_for(_around(box, prompt), shape, model.image_size)]
    clicked = prompt.positive
    if not clicked:
        return [whole(shape)]
    clicks = box_around(clicked, 1.0)
    nearest = tile_for(clicks, shape, model.image_size)
    return [tile_at(level, clicks, shape) for level in range(nearest.level + 1)]


def _expected_level(model: PromptableModel, prompt: Prompt, shape: Shape) -> int:
    """The level on which the object of clicks is expected."""
    clicked = prompt.positive
    if model.object_sizes is None or not clicked:
        return 0
    return tile_for(box_around(clicked, model.object_sizes.extent), shape, model.image_size).level


def _from_near(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    prompts: Sequence[Prompt],
) -> list[Answer]:
    """Answers from as close as each prompt says that its object asks for."""
    tiles = [_tiles(model, prompt, shape) for prompt in prompts]
    found = [
        best_answer(model, looks, _expected_level(model, prompt, shape), shape)
        for prompt, looks in zip(prompts, _looks(model, embed, prompts, tiles), strict=True)
    ]
    return _along_lines(model, embed, shape, prompts, found)


def _along_lines(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    prompts: Sequence[Prompt],
    answers: Sequence[Answer],
) -> list[Answer]:
    """The answers, those that are thin lines as they are seen part by part from nearer."""
    tiles = [tiles_along(model, prompt, seen, shape) for prompt, seen in zip(prompts, answers, strict=True)]
    found = []
    for prompt, seen, looks in zip(prompts, answers, _looks(model, embed, prompts, tiles), strict=True):
        parts = [(look.tile, to_tile(model, look.single())) for look in looks]
        line = line_of(model, prompt, seen, to_image(model, seen.single(), shape), parts) if parts else None
        found.append(replace(seen, line=line))
    return found


def _through_clicks(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    prompts: Sequence[Prompt],
    answers: Sequence[Answer],
) -> list[Answer]:
    """The answers, but the lines through the clicks where lines are expected and found."""
    boxed = [box_for_line(model, prompt, seen, shape) for prompt, seen in zip(prompts, answers, strict=True)]
    lines = iter(_from_near(model, embed, shape, [prompt for prompt in boxed if prompt is not None]))
    found = []
    for seen, asked in zip(answers, boxed, strict=True):
        line = None if asked is None else line_through(asked, next(lines))
        found.append(line or seen)
    return found


def _looks(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    prompts: Sequence[Prompt],
    tiles: Sequence[Sequence[Tile]],
) -> list[list[Answer]]:
    """Each prompt on each of its tiles."""
    repeated = [prompt for prompt, own in zip(prompts, tiles, strict=True) for _ in own]
    every = iter(answers_on(model, embed, repeated, list(chain.from_iterable(tiles))))
    return [list(islice(every, len(own))) for own in tiles]


@torch.no_grad()
def answers_on(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    prompts: Sequence[Prompt],
    tiles: Sequence[Tile],
) -> list[Answer]:
    """Answers to N prompts, each on its tile; those of one tile are decoded together."""
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
    rows = [row for row, _ in prompt.positive]
    columns = [column for _, column in prompt.positive]
    return (
        min([r0, *rows]),
        min([c0, *columns]),
        max([r1, *(row + 1 for row in rows)]),
        max([c1, *(column + 1 for column in columns)]),
    )


def _in_frame(model: PromptableModel, prompt: Prompt, shape: Shape) -> Prompt:
    """The prompt with masks that a tile can be cut from: low-resolution logits, which lie in the frame of the
    whole image, become the mask they stand for."""
    if prompt.answer is not None:
        return replace(prompt, answer=checked_answer(prompt.answer, shape))
    if prompt.mask is None:
        return prompt
    mask = checked_mask(model, prompt.mask, shape)
    if mask.dtype != np.bool_:
        logits = torch.as_tensor(mask, dtype=torch.float32, device=model.device)[None, None]
        mask = (model.to_image(logits, *shape)[0, 0] > 0).cpu().numpy()
    return replace(prompt, mask=mask)
