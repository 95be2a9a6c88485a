"""The structure loss: known values in both readings, a slow reference, bad input."""

import numpy as np
import pytest
import torch

from infosam.losses import boundary_weight, structure_loss
from infosam.types import BadInputError

pytestmark = pytest.mark.usefixtures("single_thread")


def disc(dtype=torch.float64):
    """METHODS' case: an object on rows 16-47, columns 20-39 of a 64 x 64 canvas."""
    target = torch.zeros(1, 1, 64, 64, dtype=dtype)
    target[..., 16:48, 20:40] = 1
    logits = torch.where(target > 0, 1.0, -1.0).to(dtype)
    logits[..., :16] = -3
    return logits, target


def slow(logits, target, weighted_bce):
    """The formulas, pixel by pixel and mask by mask."""
    losses = []
    for x, y in zip(logits[:, 0].numpy(), target[:, 0].numpy(), strict=True):
        padded = np.pad(y, 15)
        means = [
            [padded[r : r + 31, c : c + 31].sum() / 961 for c in range(y.shape[1])] for r in range(len(y))
        ]
        weight = 1 + 5 * np.abs(np.array(means) - y)
        p = 1 / (1 + np.exp(-x))
        bce = -(y * np.log(p) + (1 - y) * np.log(1 - p))
        bce_weight = weight if weighted_bce else np.ones_like(weight)
        shared = (weight * p * y).sum()
        total = (weight * (p + y)).sum()
        iou = (shared + 1) / (total - shared + 1)
        losses.append((bce_weight * bce).sum() / bce_weight.sum() + 1 - iou)
    return np.mean(losses)


def random_case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 20, 24, dtype=torch.float64, generator=generator)
    target = (torch.rand(3, 1, 20, 24, generator=generator) > 0.6).double()
    return logits, target


@pytest.mark.parametrize(("weighted", "expected"), [(False, 0.747015), (True, 0.765169)])
def test_known_values(weighted, expected):
    logits, target = disc()
    assert structure_loss(logits, target, weighted_bce=weighted).item() == pytest.approx(expected, abs=1e-6)
    single = structure_loss(logits.float(), target.float(), weighted_bce=weighted)
    assert single.item() == pytest.approx(expected, abs=2e-6)


def test_the_weight_rises_at_boundaries_and_at_the_border():
    assert boundary_weight(disc()[1]).mean().item() == pytest.approx(1.836531, abs=1e-6)
    full = boundary_weight(torch.ones(1, 1, 64, 64))
    assert full[0, 0, 32, 32].item() == pytest.approx(1)
    assert full[0, 0, 0, 0].item() == pytest.approx(4.67, abs=0.01)


@pytest.mark.parametrize("weighted", [False, True])
def test_follows_the_definition(weighted):
    logits, target = random_case()
    expected = slow(logits, target, weighted)
    assert structure_loss(logits, target, weighted).item() == pytest.approx(expected, abs=1e-10)


def test_without_padding_the_official_reading_is_a_plain_mean():
    logits, target = random_case()
    weighted = boundary_weight(target)
    shared = (weighted * logits.sigmoid() * target).sum((2, 3))
    union = (weighted * (logits.sigmoid() + target)).sum((2, 3)) - shared
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    expected = plain + (1 - (shared + 1) / (union + 1)).mean()
    assert structure_loss(logits, target, weighted_bce=False).item() == pytest.approx(expected.item())


def test_gradients():
    logits, target = (case[:2, :, :4, 4:8].contiguous() for case in random_case())
    for weighted in (False, True):
        assert torch.autograd.gradcheck(
            lambda x, weighted=weighted: structure_loss(x, target, weighted), logits.requires_grad_()
        )


def test_half_precision_is_widened():
    logits, target = disc()
    loss = structure_loss(logits.bfloat16(), target.bfloat16())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.765169, abs=1e-5)


def test_extreme_logits_stay_finite():
    _, target = disc(torch.float32)
    logits = torch.where(target > 0, -1e4, 1e4).requires_grad_()
    loss = structure_loss(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_bad_shapes_are_named():
    logits, target = random_case()
    with pytest.raises(BadInputError, match=r"\(3, 20, 24\)"):
        structure_loss(logits[:, 0], target)
    with pytest.raises(BadInputError, match=r"and \(2, 1, 20, 24\)"):
        structure_loss(logits, target[:2])
    with pytest.raises(BadInputError, match=r"N, 1, H, W"):
        structure_loss(logits.expand(-1, 2, -1, -1), target)
