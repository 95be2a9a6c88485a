"""The structure loss: cross entropy plus IoU, with weights that grow near the object's boundary."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.types import BadInputError

_WINDOW = 31  # pixels
_BOUNDARY_WEIGHT = 5.0


def structure_loss(logits: Tensor, target: Tensor, weighted_bce: bool = True) -> Tensor:
    """Mean over the batch of (weighted) binary cross entropy + 1 - weighted IoU.

    Wei et al. 2020 (F3Net), in the form of PraNet (Fan et al. 2020).

    Args:
        logits: (N, 1, H, W).
        target: (N, 1, H, W), in [0, 1].
        weighted_bce: True is the formula as published. False is what the widely copied implementation
            optimises, InfoSAM's included: there a legacy argument turns the weighted cross entropy into a
            plain mean.

    Returns:
        A scalar >= 0.

    Raises:
        BadInputError: if the shapes differ.
    """
    if logits.ndim != 4 or logits.shape[1] != 1 or logits.shape != target.shape:
        raise BadInputError(
            "structure_loss needs logits and targets of one shape (N, 1, H, W), not "
            f"{tuple(logits.shape)} and {tuple(target.shape)}"
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    target = target.to(logits.dtype)
    weight = boundary_weight(target)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    bce_weight = weight if weighted_bce else torch.ones_like(weight)
    cross_entropy = (bce_weight * bce).sum((2, 3)) / bce_weight.sum((2, 3))
    probability = logits.sigmoid()
    intersection = (weight * probability * target).sum((2, 3))
    total = (weight * (probability + target)).sum((2, 3))
    return (cross_entropy + 1 - (intersection + 1) / (total - intersection + 1)).mean()


def boundary_weight(target: Tensor) -> Tensor:
    """1 + 5 |mean of the neighbourhood - target|: (N, 1, H, W) to the same, in [1, 6].

    The neighbourhood is a square of 31 pixels. Outside the canvas counts as background, so a mask that
    touches its border has a boundary there.
    """
    # The square window in two passes: the same mean for a fifteenth of the work.
    half = _WINDOW // 2
    mean = F.avg_pool2d(target, (_WINDOW, 1), stride=1, padding=(half, 0))
    mean = F.avg_pool2d(mean, (1, _WINDOW), stride=1, padding=(0, half))
    return 1 + _BOUNDARY_WEIGHT * (mean - target).abs()
