"""How the pocket model sees its prompts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from infosam.models.pocket.build import build_pocket
from infosam.models.pocket.lines import LineExpert
from infosam.models.pocket.model import PocketModel, draw_prompts
from infosam.models.sam.adaptor import SamModel
from infosam.types import PromptBatch
from tests.core.conftest import TINY

INDEX = torch.zeros(1, dtype=torch.long)


@pytest.fixture(scope="module")
def model() -> PocketModel:
    torch.manual_seed(0)
    return build_pocket(TINY).eval().requires_grad_(False)


def _click(row: float, column: float, label: int) -> PromptBatch:
    return PromptBatch(INDEX, points=torch.tensor([[[row, column]]]), labels=torch.tensor([[label]]))


def test_a_box_is_a_bowl_highest_in_the_middle_and_zero_on_the_inscribed_ellipse() -> None:
    boxes = torch.tensor([[8.0, 16.0, 40.0, 56.0]])
    drawn = draw_prompts(PromptBatch(INDEX, boxes=boxes), 64, (64, 64))
    assert drawn is not None
    bowl = drawn[0, 0]
    assert float(bowl.max()) == pytest.approx(2.0, abs=0.01)
    assert float(bowl.argmax()) in {23 * 64 + 35, 23 * 64 + 36, 24 * 64 + 35, 24 * 64 + 36}
    rows, columns = torch.arange(64) + 0.5, torch.arange(64) + 0.5
    inside = ((rows - 24) / 16)[:, None] ** 2 + ((columns - 36) / 20)[None, :] ** 2 < 1
    assert torch.equal(bowl > 0, inside)


def test_a_drawn_click_peaks_where_it_is_and_fades_alike_in_all_directions() -> None:
    drawn = draw_prompts(_click(20.5, 40.5, 1), 64, (64, 64))
    assert drawn is not None
    bump = drawn[0, 0]
    assert bump[20:22, 40:42].min() == bump.max()
    torch.testing.assert_close(bump[21 + 5, 41], bump[20 - 5, 40])
    torch.testing.assert_close(bump[21, 41 + 5], bump[21 + 5, 41])
    assert bump[0, 0] < 0 < bump.max()


def test_clicks_push_a_given_mask_up_or_down_and_padding_does_nothing() -> None:
    mask = torch.full((1, 1, 16, 16), 0.5)
    up, down, none = (
        draw_prompts(replace(_click(32, 32, label), masks=mask), 64, (16, 16)) for label in (1, 0, -1)
    )
    assert up is not None and down is not None and none is not None  # noqa: PT018
    assert (up > mask).all()
    assert (down < mask).all()
    assert torch.equal(none, mask)
    torch.testing.assert_close(up - mask, mask - down)


def test_what_is_drawn_stays_within_what_the_decoder_can_overrule() -> None:
    masks = torch.tensor([1000.0, -1000.0]).repeat(128).view(1, 1, 16, 16)
    drawn = draw_prompts(PromptBatch(INDEX, masks=masks), 64, (16, 16))
    assert drawn is not None
    assert drawn.abs().max() == 4


def test_no_prompt_draws_nothing() -> None:
    assert draw_prompts(PromptBatch(INDEX), 64, (16, 16)) is None


BOX = PromptBatch(INDEX, boxes=torch.tensor([[8.0, 16.0, 24.0, 48.0]]))


@pytest.mark.parametrize(
    ("prompts", "belief"),
    [(BOX, 0.5), (_click(20, 30, 1), 1.0), (replace(_click(20, 30, 0), boxes=BOX.boxes), 0.5)],
    ids=["box", "click", "both"],
)
def test_the_decoders_answer_is_added_to_what_was_drawn(
    model: PocketModel, prompts: PromptBatch, belief: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = model.encode(torch.zeros(1, 3, 64, 64))
    drawn = draw_prompts(prompts, 64, (32, 32))
    without_lines = torch.zeros(1, 2, 32, 32), torch.full((1, 2), -100.0)
    monkeypatch.setattr(LineExpert, "forward", lambda *_: without_lines)
    output = model.decode(embedding, prompts)
    monkeypatch.setattr(PocketModel, "_finish", SamModel._finish)
    plain = model.decode(embedding, prompts)
    torch.testing.assert_close(output.logits, belief * plain.logits + drawn)
    assert torch.equal(output.iou, plain.iou)
    assert torch.equal(output.tokens, plain.tokens)


def test_masks_as_decoded_are_neither_halved_nor_mixed_with_lines(
    model: PocketModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = model.encode(torch.zeros(1, 3, 64, 64))
    shown = model.decode(embedding, BOX)
    model.as_decoded = True
    output = model.decode(embedding, BOX)
    assert not torch.allclose(output.logits, shown.logits)
    monkeypatch.setattr(PocketModel, "_finish", SamModel._finish)
    torch.testing.assert_close(
        output.logits, model.decode(embedding, BOX).logits + draw_prompts(BOX, 64, (32, 32))
    )


def test_prompts_of_a_batch_do_not_see_each_other(model: PocketModel) -> None:
    embedding = model.encode(torch.zeros(1, 3, 64, 64))
    two = PromptBatch(
        torch.zeros(2, dtype=torch.long),
        points=torch.tensor([[[10.0, 12.0]], [[50.0, 30.0]]]),
        labels=torch.ones(2, 1, dtype=torch.long),
    )
    alone = model.decode(embedding, _click(50.0, 30.0, 1))
    torch.testing.assert_close(model.decode(embedding, two).logits[1:], alone.logits)
