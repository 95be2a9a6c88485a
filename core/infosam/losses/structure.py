"""The structure loss: cross entropy plus IoU, with weights that grow near the object's boundary."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.types import BadInputError

WINDOW = 31  # pixels, as published
_SAM_SIDE = 1024
_BOUNDARY_WEIGHT = 5.0


def structure_loss(
    logits: Tensor,
    target: Tensor,
    weighted_bce: bool = True,
    valid: Tensor | None = None,
    window: int = WINDOW,
) -> Tensor:
    """Mean over the batch of (weighted) binary cross entropy + 1 - weighted IoU.

    Wei et al. 2020 (F3Net), in the form of PraNet (Fan et al. 2020).

    Args:
        logits: (N, 1, H, W).
        target: (N, 1, H, W), in [0, 1].
        weighted_bce: True is the formula as published. False is what the widely copied implementation
            optimises, InfoSAM's included: there a legacy argument turns the weighted cross entropy into a
            plain mean.
        valid: (N, 1, H, W) bool, the pixels that count (padding left out); None counts all.
        window: see `boundary_weight`.

    Returns:
        A scalar >= 0.

    Raises:
        BadInputError: if the shapes differ.
    """
    if logits.ndim != 4 or logits.shape[1] != 1:
        raise BadInputError(f"structure_loss needs logits of shape (N, 1, H, W), not {tuple(logits.shape)}")
    return structure_loss_per_mask(logits, target, weighted_bce, valid, window).mean()


def structure_loss_per_mask(
    logits: Tensor,
    target: Tensor,
    weighted_bce: bool = True,
    valid: Tensor | None = None,
    window: int = WINDOW,
) -> Tensor:
    """The structure loss of K candidate masks for each of N targets: logits (N, K, H, W) to (N, K).

    The other arguments are those of `structure_loss`.
    """
    _check(logits, target, valid)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    target = target.to(logits.dtype)
    counted = torch.ones_like(target) if valid is None else valid.to(logits.dtype)
    weight = boundary_weight(target, window) * counted
    bce = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    bce_weight = weight if weighted_bce else counted
    # Weights are at least 1, so the clamp acts only where no pixel is valid: the term is then 0.
    cross_entropy = (bce_weight * bce).sum((2, 3)) / bce_weight.sum((2, 3)).clamp_min(1)
    probability = logits.sigmoid()
    intersection = (weight * probability * target).sum((2, 3))
    total = (weight * (probability + target)).sum((2, 3))
    return cross_entropy + 1 - (intersection + 1) / (total - intersection + 1)


def boundary_weight(target: Tensor, window: int = WINDOW) -> Tensor:
    """1 + 5 |mean of the neighbourhood - target|: (N, 1, H, W) to the same, in [1, 6].

    The neighbourhood is a square of `window` pixels, an odd number. Outside the canvas counts as background,
    so a mask that touches its border has a boundary there.
    """
    # The square window in two passes: the same mean for a fifteenth of the work.
    half = window // 2
    mean = F.avg_pool2d(target, (window, 1), stride=1, padding=(half, 0))
    mean = F.avg_pool2d(mean, (1, window), stride=1, padding=(0, half))
    return 1 + _BOUNDARY_WEIGHT * (mean - target).abs()


def window_for(side: int) -> int:
    """The window for images of `side` pixels: the share of the image that 31 pixels are of SAM's 1024.

    An object narrower than the window is heavy all over while the ground around it is not, and a mask that
    spills over costs little. At 256 pixels the published window does that to most objects.
    """
    return 2 * round(WINDOW * side / _SAM_SIDE / 2 - 0.5) + 1


def _check(logits: Tensor, target: Tensor, valid: Tensor | None) -> None:
    expected = (logits.shape[0], 1, *logits.shape[2:])
    if logits.ndim != 4 or target.shape != expected:
        raise BadInputError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} do not fit: "
            "give (N, K, H, W) and (N, 1, H, W)"
        )
    if valid is not None and valid.shape != expected:
        raise BadInputError(f"valid must have the target's shape {expected}, not {tuple(valid.shape)}")
