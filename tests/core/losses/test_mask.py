"""SAM's mask losses against values worked out by hand and slow references."""

from __future__ import annotations

import math

import pytest
import torch

from infosam.losses.mask import dice_loss, focal_loss, sam_mask_loss


def test_focal_loss_is_the_published_formula_for_hard_targets() -> None:
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = (torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(1)) > 0.5).double()
    expected = torch.zeros(3, dtype=torch.float64)
    for n in range(3):
        for value, truth in zip(logits[n].flatten().tolist(), target[n].flatten().tolist(), strict=True):
            p = 1 / (1 + math.exp(-value))
            p_t = p if truth == 1 else 1 - p
            expected[n] -= (1 - p_t) ** 2 * math.log(p_t) / 35
    torch.testing.assert_close(focal_loss(logits, target), expected)


def test_dice_loss_by_hand() -> None:
    logits = torch.tensor([[[50.0, 50.0], [-50.0, -50.0]]])
    target = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert dice_loss(logits, target).item() == pytest.approx(1 - (2 * 1 + 1) / (2 + 2 + 1))
    assert dice_loss(logits, (logits > 0).float()).item() == 0


def test_an_empty_prediction_of_an_empty_target_costs_nothing() -> None:
    logits, target = torch.full((2, 4, 4), -50.0), torch.zeros(2, 4, 4)
    torch.testing.assert_close(sam_mask_loss(logits, target), torch.zeros(2))


def test_leading_dimensions_are_kept_and_do_not_mix() -> None:
    logits = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    target = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    together = sam_mask_loss(logits, target)
    assert together.shape == (2, 3)
    torch.testing.assert_close(together[1, 2], sam_mask_loss(logits[1, 2], target[1, 2]))


def test_gradients() -> None:
    logits = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # away from target == probability, where |target - p| has no derivative
    assert torch.autograd.gradcheck(lambda x: sam_mask_loss(x, target), logits.requires_grad_(True))
