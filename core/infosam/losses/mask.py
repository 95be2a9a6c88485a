"""The mask losses SAM was pre-trained with (Kirillov et al. 2023, appendix A): focal and dice, per mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4, without class weights) for soft targets.

    logits, target: (..., H, W), target in [0, 1]. Returns (...), the mean over pixels. The modulating factor
    (1 - p_t)^gamma becomes |target - p|^gamma, which is the same for targets of 0 and 1.
    """
    error = (target - torch.sigmoid(logits)).abs()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (error**gamma * entropy).mean(dim=(-2, -1))


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - Dice of the predicted probabilities (Milletari et al. 2016, with |p| + |t| below the line).

    logits, target: (..., H, W), target in [0, 1]. Returns (...), each in [0, 1]. `smooth` pixels are added
    above and below the line.
    """
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return 1 - (2 * overlap + smooth) / (total + smooth)


def sam_mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """20 x focal + dice, the weights of SAM's pre-training; (..., H, W) to (...)."""
    return 20 * focal_loss(logits, target) + dice_loss(logits, target)
