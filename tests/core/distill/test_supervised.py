"""The supervised losses of the three run modes, on made-up decoder outputs."""

import pytest
import torch
import torch.nn.functional as F

from infosam.distill.supervised import supervised_losses
from infosam.losses import structure_loss
from infosam.losses.mask import dice_loss, focal_loss, sam_mask_loss
from infosam.types import DecoderOutput

pytestmark = pytest.mark.usefixtures("single_thread")

SIDE = 128


def case():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 16, 16, generator=generator).requires_grad_()
    iou = torch.rand(3, 4, generator=generator).requires_grad_()
    targets = torch.zeros(3, 1, SIDE, SIDE)
    targets[:, :, 10:40, 20:50] = 1
    valid = torch.ones(3, 1, SIDE, SIDE, dtype=torch.bool)
    valid[:, :, 96:] = False
    return DecoderOutput(logits, iou, torch.zeros(3, 4, 8)), targets, valid


def upsampled(output):
    return F.interpolate(output.logits, (SIDE, SIDE), mode="bilinear", align_corners=False)


@pytest.mark.parametrize(("mode", "weighted"), [("official", False), ("paper", True)])
def test_published_modes_supervise_token_0_on_all_pixels(mode, weighted):
    output, targets, valid = case()
    losses = supervised_losses(output, targets, valid, mode)
    expected = structure_loss(upsampled(output)[:, :1], targets, weighted_bce=weighted)
    assert set(losses) == {"structure"}
    assert losses["structure"].item() == pytest.approx(expected.item())
    losses["structure"].backward()
    assert output.logits.grad[:, 0].any()
    assert not output.logits.grad[:, 1:].any()
    assert output.iou.grad is None


def test_clean_mode_leaves_padding_out():
    output, targets, valid = case()
    losses = supervised_losses(output, targets, valid, "clean")
    shown = SIDE * 3 // 4  # of the rows; the mean of the focal loss is over all of them
    rows = upsampled(output)[:, 0, :shown]
    focal, dice = focal_loss(rows, targets[:, 0, :shown]), dice_loss(rows, targets[:, 0, :shown])
    assert losses["mask"].item() == pytest.approx((20 * focal * 3 / 4 + dice).mean().item(), rel=1e-5)
    padded = output.logits.detach().clone()
    padded[:, :, 13:] = 40  # of 16 rows, 12 show the image
    changed = supervised_losses(DecoderOutput(padded, output.iou, output.tokens), targets, valid, "clean")
    for name, loss in losses.items():
        assert changed[name].item() == pytest.approx(loss.item()), name


def test_clean_mode_supervises_the_best_candidate_of_each_prompt():
    output, targets, valid = case()
    logits = upsampled(output).detach()
    candidates = torch.tensor(
        [
            [sam_mask_loss(logits[n, k].where(valid[n, 0], -30), targets[n, 0]) for k in (1, 2, 3)]
            for n in range(3)
        ]
    )
    loss = supervised_losses(output, targets, valid, "clean")["multimask"]
    assert loss.item() == pytest.approx(candidates.min(dim=1).values.mean().item())
    loss.backward()
    trained = output.logits.grad.flatten(2).any(dim=2)
    assert torch.equal(trained[:, 1:], F.one_hot(candidates.argmin(dim=1), 3).bool())
    assert not trained[:, 0].any()


def test_clean_mode_teaches_the_iou_head_what_the_masks_score():
    output, targets, valid = case()
    masks = (upsampled(output) > 0) & valid
    truth = (targets > 0.5) & valid
    true_iou = (masks & truth).sum((2, 3)) / (masks | truth).sum((2, 3))
    loss = supervised_losses(output, targets, valid, "clean")["iou_head"]
    assert loss.item() == pytest.approx((output.iou - true_iou).square().mean().item())
    right = DecoderOutput(output.logits, true_iou, output.tokens)
    assert supervised_losses(right, targets, valid, "clean")["iou_head"].item() == pytest.approx(0, abs=1e-12)


def test_empty_masks_agree():
    output, targets, _ = case()
    empty = DecoderOutput(torch.full((3, 4, 16, 16), -5.0), torch.ones(3, 4), output.tokens)
    assert supervised_losses(empty, torch.zeros_like(targets), None, "clean")["iou_head"].item() == 0
