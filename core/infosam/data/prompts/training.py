"""Prompts for training, drawn anew for every batch. Within a batch all prompts have the same kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from infosam.data.prompts.geometry import depth_in_box, largest_error, tight_box
from infosam.types import BadInputError, BoolArray, Prompt, RunMode

OFFICIAL_BOX_SHARE = 0.5
OFFICIAL_MAX_SHIFT = 5  # pixels of the model's input
# In turn, not drawn: a run of boxes alone makes clicks worse, and the other way round.
CLEAN_KINDS = ("point", "box", "point", "box", "point", "box", "point", "box+point")
CLEAN_BOX_NOISE = 0.1  # standard deviation of each edge, as a share of the side it moves along
CLEAN_MAX_SHIFT = 20 / 1024  # as a share of the image's longest side

Box = tuple[float, float, float, float]


def training_prompts(
    masks: Sequence[BoolArray],
    rng: np.random.Generator,
    *,
    mode: RunMode,
    step: int = 0,
    input_scales: Sequence[float] | None = None,
) -> list[Prompt]:
    """One prompt per (H, W) object mask, in its pixels; the kinds are the same for the whole batch.

    official: a shifted tight box or one uniform foreground pixel, even odds (METHODS A.5). paper: the same
    with exact boxes. clean: in turn, by the `step`, an interior-weighted point, a noisy box, and sometimes
    both. input_scales: pixels of the model's input per pixel of each mask, in which the official shift is
    defined; 1 unless given. Raises BadInputError if a mask is empty.
    """
    if mode == "clean":
        return _clean_prompts(masks, rng, CLEAN_KINDS[step % len(CLEAN_KINDS)].split("+"))
    if rng.random() >= OFFICIAL_BOX_SHARE:
        return [Prompt(points=(uniform_point(mask, rng),), labels=(1,)) for mask in masks]
    if mode == "paper":
        return [Prompt(box=tight_box(mask)) for mask in masks]
    scales = input_scales if input_scales is not None else [1.0] * len(masks)
    return [
        Prompt(box=translated_box(mask, rng, input_scale=scale))
        for mask, scale in zip(masks, scales, strict=True)
    ]


def uniform_point(mask: BoolArray, rng: np.random.Generator) -> tuple[int, int]:
    """Any pixel (row, column) of the mask, all equally likely."""
    candidates = np.flatnonzero(mask)
    if candidates.size == 0:
        raise BadInputError(f"a prompt needs a mask with at least one pixel, not an empty {mask.shape}")
    row, column = np.unravel_index(rng.choice(candidates), mask.shape)
    return int(row), int(column)


def translated_box(mask: BoolArray, rng: np.random.Generator, *, input_scale: float = 1.0) -> Box:
    """The tight box, moved as in the released code: per axis, both corners by one whole number.

    The number is uniform from -m to m - 1; m = min(5, floor(5 std)), std = 0.1 min(height, width) between
    the first and last pixel, all in pixels of the model's input; the low side is clipped at 0. Objects
    narrower than 2 pixels, on which the released code fails, keep their tight box.
    """
    r0, c0, r1, c1 = tight_box(mask)
    extent = min(r1 - 1 - r0, c1 - 1 - c0) * input_scale
    limit = min(OFFICIAL_MAX_SHIFT, int(5 * 0.1 * extent))
    if limit == 0:
        return r0, c0, r1, c1
    down, right = (rng.integers(-limit, limit, size=2) / input_scale).tolist()
    return max(0.0, r0 + down), max(0.0, c0 + right), float(r1 + down), float(c1 + right)


def noisy_box(mask: BoolArray, rng: np.random.Generator) -> Box:
    """The tight box with each edge moved by itself, so that it shifts and resizes; it stays in the image.

    Normal noise with a standard deviation of 10 % of the box's side, at most 20 pixels of a 1024-pixel
    image, as SAM was trained (Kirillov et al. 2023, appendix A).
    """
    r0, c0, r1, c1 = tight_box(mask)
    height, width = mask.shape
    limit = CLEAN_MAX_SHIFT * max(height, width)
    sides = np.array([r1 - r0, c1 - c0, r1 - r0, c1 - c0])
    noise = np.clip(rng.normal(size=4) * CLEAN_BOX_NOISE * sides, -limit, limit)
    noise = np.clip(noise, -sides / 4, sides / 4)  # opposite edges never meet
    top, left, bottom, right = (np.array([r0, c0, r1, c1]) + noise).tolist()
    return max(0.0, top), max(0.0, left), min(float(height), bottom), min(float(width), right)


def random_interior_point(mask: BoolArray, rng: np.random.Generator) -> tuple[int, int]:
    """A pixel (row, column) of the mask, the likelier the deeper it lies: people click well inside."""
    depth, (r0, c0, _, _) = depth_in_box(mask)
    weights = depth.ravel() / depth.sum()
    row, column = np.unravel_index(rng.choice(weights.size, p=weights), depth.shape)
    return int(row) + r0, int(column) + c0


def random_corrective_point(
    mask: BoolArray, prediction: BoolArray, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A click (row, column, sign) on the largest error region, interior-weighted; see `corrective_point`."""
    region, sign = largest_error(mask, prediction)
    row, column = random_interior_point(region, rng)
    return row, column, sign


def with_point(prompt: Prompt, point: tuple[int, int, int]) -> Prompt:
    """The prompt with one more click (row, column, sign)."""
    row, column, sign = point
    return prompt.with_click((row, column), sign)


def _clean_prompts(
    masks: Sequence[BoolArray], rng: np.random.Generator, kinds: Sequence[str]
) -> list[Prompt]:
    prompts = []
    for mask in masks:
        box = noisy_box(mask, rng) if "box" in kinds else None
        points = (random_interior_point(mask, rng),) if "point" in kinds else ()
        prompts.append(Prompt(points=points, labels=(1,) * len(points), box=box))
    return prompts
