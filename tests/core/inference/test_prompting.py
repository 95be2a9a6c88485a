"""Prompts in batches, and masks as prompts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infosam.inference.prompting import decode_prompts, group_by_kind, mask_to_logits, prompts_to_batch
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, ImageEmbedding, Prompt

POINT = Prompt(points=((3.0, 4.0),), labels=(1,))
POINTS = Prompt(points=((3.0, 4.0), (5.0, 6.0)), labels=(1, 0))
BOX = Prompt(box=(2.0, 3.0, 10.0, 12.0))


@pytest.fixture
def model(tiny_model: PromptableModel) -> PromptableModel:
    return tiny_model


def test_only_equal_kinds_share_a_batch() -> None:
    assert group_by_kind([POINT, BOX, POINTS, POINT, BOX]) == [[0, 3], [1, 4], [2]]


def test_coordinates_are_scaled_by_the_image_of_each_prompt(model: PromptableModel) -> None:
    batch = prompts_to_batch(model, [BOX, BOX], [1, 0], [(32, 16), (128, 128)])
    assert batch.image_index.tolist() == [1, 0]
    assert batch.boxes is not None
    assert batch.boxes.tolist() == [[1.0, 1.5, 5.0, 6.0], [4.0, 6.0, 20.0, 24.0]]
    assert batch.points is batch.labels is batch.masks is None


def test_points_keep_their_signs(model: PromptableModel) -> None:
    batch = prompts_to_batch(model, [POINTS, POINTS], [0, 0], [(64, 64)])
    assert batch.points is not None
    assert batch.labels is not None
    assert batch.points.tolist() == [[[3.0, 4.0], [5.0, 6.0]]] * 2
    assert batch.labels.tolist() == [[1, 0]] * 2


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "exactly one kind|one kind"),
        ([POINT, BOX], "not of 2: use decode_prompts"),
        ([Prompt()], "empty"),
        ([Prompt(points=((float("nan"), 1.0),), labels=(1,))], "finite"),
        ([Prompt(mask=np.zeros((3, 3), bool))], r"shape \(64, 64\)"),
    ],
)
def test_what_is_no_batch_is_refused(model: PromptableModel, prompts: list[Prompt], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        prompts_to_batch(model, prompts, [0] * len(prompts), [(64, 64)])


def test_decoding_keeps_the_order_and_carries_gradients(model: PromptableModel) -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 32, 8, 8, requires_grad=True)
    finer = torch.randn(2, 4, 32, 32), torch.randn(2, 8, 16, 16), torch.rand(2, 3, 32, 32)
    embedding = ImageEmbedding(features, finer)
    prompts, images, shapes = [POINT, BOX, POINTS, POINT, BOX], [0, 1, 0, 1, 0], [(64, 64), (30, 60)]
    output = decode_prompts(model, embedding, prompts, images, shapes)
    assert output.logits.shape == (5, 4, 32, 32)
    for i, (prompt, image) in enumerate(zip(prompts, images, strict=True)):
        alone = decode_prompts(model, embedding, [prompt], [image], shapes)
        for found, expected in (
            (output.logits[i], alone.logits[0]),
            (output.iou[i], alone.iou[0]),
            (output.tokens[i], alone.tokens[0]),
        ):
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    output.logits.square().sum().backward()
    assert features.grad is not None
    assert (features.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_nothing_to_decode_is_refused(model: PromptableModel) -> None:
    with pytest.raises(BadInputError, match="no prompts"):
        decode_prompts(model, ImageEmbedding(torch.zeros(1, 32, 8, 8)), [], [], [(64, 64)])


def test_a_mask_prompt_lies_where_the_object_lies(model: PromptableModel) -> None:
    mask = np.zeros((128, 64), bool)  # shown at half size, padded at the right
    mask[32:96, 16:48] = True
    logits = mask_to_logits(model, mask)
    expected = torch.full((32, 32), -10.0)
    expected[8:24, 4:12] = 10.0
    inside, outside = torch.zeros(32, 32, dtype=torch.bool), torch.ones(32, 32, dtype=torch.bool)
    inside[9:23, 5:11], outside[7:25, 3:13] = True, False
    assert torch.equal(logits[inside], expected[inside])
    assert torch.equal(logits[outside], expected[outside])
    assert (torch.sign(logits) == torch.sign(expected)).all()


def test_a_fully_covered_mask_stops_at_the_padding(model: PromptableModel) -> None:
    logits = mask_to_logits(model, np.ones((64, 32), bool))
    assert (logits[:, :16] == 10).all()
    assert (logits[:, 16:] == -10).all()
