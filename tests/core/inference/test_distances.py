"""Masks seen from two distances, in one frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infosam.inference.distances import Answer, best_answer
from infosam.inference.tiles import Tile, whole
from tests.core.small_models import small_pocket, small_sam, small_sam2

SHAPE = (200, 400)
NEAR = Tile(1, 0, 150, 200, 350)


def seen(tile: Tile, masks: list[np.ndarray], iou: list[float], side: int, model: object) -> Answer:
    """An answer that shows (H, W) masks of the image; the single-mask token sees nothing."""
    height, width = model.valid_size(*tile.shape)
    rows = tile.r0 + (np.arange(round(height * side / model.image_size)) + 0.5) * tile.shape[0] / round(
        height * side / model.image_size
    )
    columns = tile.c0 + (np.arange(round(width * side / model.image_size)) + 0.5) * tile.shape[1] / round(
        width * side / model.image_size
    )
    logits = torch.full((4, side, side), -8.0)
    for token, mask in enumerate(masks, start=1):
        sampled = mask[rows.astype(int)][:, columns.astype(int)]
        logits[token, : len(rows), : len(columns)] = torch.where(torch.from_numpy(sampled), 8.0, -8.0)
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
def test_what_is_found_from_two_distances_is_preferred(make, far, near, level) -> None:
    model = make()
    side = 4 * model.embedding_size[0]
    answers = [seen(whole(SHAPE), *far, side, model), seen(NEAR, *near, side, model)]
    assert best_answer(model, answers, 0, SHAPE).tile.level == level
