"""The prompts under which a model is measured: the same for every model, at the image's resolution."""

from __future__ import annotations

import numpy as np

from infosam.data.prompts.geometry import interior_pixel, largest_error, tight_box
from infosam.types import PROMPT_PROTOCOLS, BadInputError, BoolArray, Prompt

ROAD_POSITIVE, ROAD_NEGATIVE = 2, 3


def evaluation_prompt(mask: BoolArray, protocol: str, rng: np.random.Generator) -> Prompt:
    """The first prompt for an object under a protocol of `types.PROMPT_PROTOCOLS`.

    box: tight. point, points3, points5: one click on the most interior pixel, for the latter two to be
    followed by `corrected`. road5: see `road_prompt`; the only one that draws from `rng`.
    """
    if protocol == "box":
        return Prompt(box=tight_box(mask))
    if protocol in ("point", "points3", "points5"):
        return Prompt(points=(interior_pixel(mask),), labels=(1,))
    if protocol == "road5":
        return road_prompt(mask, rng)
    raise BadInputError(f"unknown prompt protocol {protocol!r}: use one of {', '.join(PROMPT_PROTOCOLS)}")


def corrective_point(mask: BoolArray, prediction: BoolArray) -> tuple[int, int, int]:
    """The next click (row, column, sign): the most interior pixel of the largest error region.

    sign is 1 where the prediction misses a part of the mask, 0 where it adds one. A perfect prediction gets
    one more positive click inside the mask.
    """
    region, sign = largest_error(mask, prediction)
    row, column = interior_pixel(region)
    return row, column, sign


def corrected(prompt: Prompt, mask: BoolArray, prediction: BoolArray) -> Prompt:
    """The prompt with the next click, `corrective_point`, and the prediction that it corrects, as a click on
    the canvas has them."""
    row, column, sign = corrective_point(mask, prediction)
    return prompt.with_click((row, column), sign, prediction)


def road_prompt(mask: BoolArray, rng: np.random.Generator) -> Prompt:
    """2 positive and 3 negative pixels, uniform at random: the released evaluation on roads (METHODS A.7).

    Negative points come from the image, not from padding around it. A mask that covers the whole image has
    none.
    """
    tight_box(mask)  # refuses an empty mask
    positive = _random_pixels(mask, ROAD_POSITIVE, rng)
    negative = _random_pixels(~mask, ROAD_NEGATIVE, rng)
    return Prompt(points=(*positive, *negative), labels=(*(1 for _ in positive), *(0 for _ in negative)))


def _random_pixels(mask: BoolArray, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    candidates = np.flatnonzero(mask)
    if candidates.size == 0:
        return []
    chosen = rng.choice(candidates, count, replace=candidates.size < count)
    rows, columns = np.unravel_index(chosen, mask.shape)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
