from __future__ import annotations

import numpy as np
import pytest
import torch

from infosam.models.base import PromptableModel
from infosam.training.collate import mask_to_input, prompt_batch, prompt_to_input
from infosam.types import Prompt


def test_masks_are_enlarged_into_the_part_that_shows_the_image(tiny_model: PromptableModel) -> None:
    mask = np.zeros((24, 32), bool)
    mask[4:12, 8:24] = True
    canvas = mask_to_input(tiny_model, mask)
    assert canvas.shape == (64, 64)
    rows, columns = np.nonzero(canvas)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (8, 24, 16, 48)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_no_object_vanishes_however_thin(tiny_model: PromptableModel, width: int) -> None:
    mask = np.zeros((640, 640), bool)
    mask[100 : 100 + width, 50:600] = True
    assert mask_to_input(tiny_model, mask).sum() >= 50


def test_an_empty_mask_stays_empty(tiny_model: PromptableModel) -> None:
    assert not mask_to_input(tiny_model, np.zeros((20, 30), bool)).any()


def test_prompts_move_with_the_image(tiny_model: PromptableModel) -> None:
    prompt = Prompt(points=((3.0, 10.0),), labels=(0,), box=(2, 4, 12, 16))
    moved = prompt_to_input(tiny_model, prompt, 24, 32)
    assert moved.points == ((6.0, 20.0),)
    assert moved.box == (4.0, 8.0, 24.0, 32.0)
    assert moved.labels == (0,)


def test_fewer_points_are_filled_with_padding() -> None:
    prompts = [Prompt(((1, 2), (3, 4)), (1, 0)), Prompt(((5, 6),), (1,))]
    batch = prompt_batch(prompts, [0, 1])
    assert batch.points is not None
    assert batch.labels is not None
    assert batch.boxes is None
    assert batch.labels.tolist() == [[1, 0], [1, -1]]
    assert batch.points[1, 0].tolist() == [5, 6]
    assert batch.image_index.tolist() == [0, 1]


def test_boxes_alone() -> None:
    batch = prompt_batch([Prompt(box=(0, 1, 2, 3)), Prompt(box=(4, 5, 6, 7))], [0, 0])
    assert batch.points is None
    assert batch.boxes is not None
    torch.testing.assert_close(batch.boxes, torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7]]))
