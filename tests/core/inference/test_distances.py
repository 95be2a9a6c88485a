"""Masks seen from two distances, in one frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from infosam.inference.distances import Answer, best_answer
from infosam.inference.tiles import Tile, whole
from infosam.models.base import PromptableModel
from tests.core.small_models import small_pocket, small_sam, small_sam2

Shown = tuple[list[np.ndarray], list[float]]
SHAPE = (200, 400)
NEAR = Tile(1, 0, 150, 200, 350)


def seen(tile: Tile, masks: list[np.ndarray], iou: list[float], model: PromptableModel) -> Answer:
    """An answer that shows (H, W) masks of the image; the single-mask token sees nothing."""
    side = 4 * model.embedding_size[0]
    places = []
    for length, start, valid in zip(
        tile.shape, (tile.r0, tile.c0), model.valid_size(*tile.shape), strict=True
    ):
        count = round(valid * side / model.image_size)
        places.append((start + (np.arange(count) + 0.5) * length / count).astype(int))
    rows, columns = places
    logits = torch.full((4, side, side), -8.0)
    for token, mask in enumerate(masks, start=1):
        sampled = torch.from_numpy(mask[rows][:, columns])
        logits[token, : len(rows), : len(columns)] = torch.where(sampled, 8.0, -8.0)
    return Answer(logits, torch.tensor([0.0, *iou]), tile)


def disk(row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


NOTHING = np.zeros(SHAPE, bool)
LARGE, SMALL, ELSEWHERE = disk(100, 250, 40), disk(100, 250, 18), disk(160, 180, 18)


@pytest.mark.parametrize("make", [small_pocket, small_sam, small_sam2])
@pytest.mark.parametrize(
    ("far", "near", "level"),
    [
        # Both think a little more of another mask, but one they have both found.
        (([LARGE, ELSEWHERE, NOTHING], [0.50, 0.55, 0]), ([LARGE, SMALL, NOTHING], [0.58, 0.50, 0]), 1),
        (([LARGE, NOTHING, NOTHING], [0.60, 0, 0]), ([LARGE, NOTHING, NOTHING], [0.40, 0, 0]), 0),
        # What only the nearer one has found must be much better.
        (([LARGE, NOTHING, NOTHING], [0.60, 0, 0]), ([SMALL, LARGE, NOTHING], [0.70, 0.55, 0]), 0),
        (([LARGE, NOTHING, NOTHING], [0.60, 0, 0]), ([SMALL, NOTHING, NOTHING], [0.75, 0, 0]), 1),
    ],
)
def test_what_is_found_from_two_distances_is_preferred(
    make: Callable[[], PromptableModel], far: Shown, near: Shown, level: int
) -> None:
    model = make()
    answers = [seen(whole(SHAPE), *far, model), seen(NEAR, *near, model)]
    assert best_answer(model, answers, 0, SHAPE).tile.level == level
