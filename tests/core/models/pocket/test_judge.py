"""How the pocket model judges its masks."""

from __future__ import annotations

import torch

from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.judge import MaskJudge
from infosam.models.pocket.weights import load_pocket
from infosam.training.pretrain_data import make_batch
from infosam.training.pretrain_loss import low_resolution, true_iou
from infosam.training.pretrain_step import normalised
from infosam.types import PromptBatch

SMALL = PocketConfig(
    image_size=64, width=32, depth=1, heads=2, window=4, global_blocks=(0,), out_chans=32, decoder_mlp=32
)


def test_a_fresh_judge_adds_nothing_to_what_sams_head_says() -> None:
    torch.manual_seed(0)
    judge = MaskJudge(channels=5, dim=8)
    judged = judge(torch.randn(2, 5, 16, 16), torch.randn(2, 4, 16, 16), torch.randn(2, 4, 8))
    assert judged.shape == (2, 4)
    assert (judged == 0).all()


def test_judging_changes_nothing_but_the_judge_and_the_tokens() -> None:
    torch.manual_seed(0)
    judge = MaskJudge(channels=5, dim=8)
    torch.nn.init.normal_(judge.decide[-1].weight)
    maps, logits, tokens = (
        torch.randn(*shape, requires_grad=True) for shape in ((2, 5, 16, 16), (2, 4, 16, 16), (2, 4, 8))
    )
    judge(maps, logits, tokens).sum().backward()
    assert maps.grad is None
    assert logits.grad is None
    assert tokens.grad is not None
    assert all(parameter.grad is not None for parameter in judge.parameters())


def test_masks_of_any_kind_are_judged() -> None:
    """Empty, full, and with logits that no float can add up."""
    judge = MaskJudge(channels=5, dim=8)
    torch.nn.init.normal_(judge.decide[-1].weight)
    logits = torch.stack([torch.full((16, 16), value) for value in (-50.0, 50.0, 0.0, 1e30)])[None]
    judged = judge(torch.randn(1, 5, 16, 16), logits, torch.randn(1, 4, 8))
    assert torch.isfinite(judged).all()


def test_a_mask_is_judged_alone() -> None:
    torch.manual_seed(0)
    judge = MaskJudge(channels=5, dim=8)
    torch.nn.init.normal_(judge.decide[-1].weight)
    maps, logits, tokens = torch.randn(1, 5, 16, 16), torch.randn(1, 4, 16, 16), torch.randn(1, 4, 8)
    together = judge(maps, logits, tokens)
    torch.testing.assert_close(judge(maps, logits[:, 2:3], tokens[:, 2:3]), together[:, 2:3])


def test_the_model_adds_its_verdict_on_the_masks_it_shows() -> None:
    torch.manual_seed(0)
    model = build_pocket(SMALL).eval().requires_grad_(False)
    embedding = model.encode(torch.randn(1, 3, 64, 64))
    prompts = PromptBatch(torch.zeros(1, dtype=torch.long), boxes=torch.tensor([[8.0, 16.0, 40.0, 48.0]]))
    before = model.decode(embedding, prompts)
    torch.nn.init.constant_(model.sam.mask_decoder.judge.decide[-1].bias, 0.25)
    after = model.decode(embedding, prompts)
    torch.testing.assert_close(after.iou, before.iou + 0.25)
    assert torch.equal(after.logits, before.logits)


def test_the_shipped_judge_tells_good_masks_from_bad_ones() -> None:
    """On scenes that training never showed, by one click: far better than SAM's head does by itself."""
    batch = make_batch(30_000_000, 0, 256, 12, 4)
    labels = torch.ones(len(batch.masks), 1, dtype=torch.long)
    prompts = PromptBatch(batch.image_index, points=batch.points, labels=labels)
    agreement = []
    for with_judge in (False, True):
        model = load_pocket()
        last = model.sam.mask_decoder.judge.decide[-1]
        if not with_judge:
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.zeros_(last.bias)
        with torch.no_grad():
            output = model.decode(model.encode(normalised(model, batch)), prompts)
        height, width = output.logits.shape[-2:]
        true = true_iou(output.logits, low_resolution(batch.masks, (height, width)))
        agreement.append(float(torch.corrcoef(torch.stack([output.iou.flatten(), true.flatten()]))[0, 1]))
    alone, judged = agreement
    assert judged > 0.35
    assert judged > alone + 0.1
