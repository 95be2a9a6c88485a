"""The supervised part of every task: masks against targets, in the three run modes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.losses import structure_loss, structure_loss_per_mask, window_for
from infosam.types import DecoderOutput, RunMode


def supervised_losses(
    output: DecoderOutput, targets: Tensor, valid: Tensor | None, mode: RunMode
) -> dict[str, Tensor]:
    """Losses of N decoded prompts against their targets, with logits brought to the targets' resolution.

    "official" is the structure loss of token 0 as the released script optimises it: plain cross entropy, all
    pixels, padding included. "paper" has the weighted cross entropy of the formula. "clean" leaves padding
    out, scales the boundary window with the model's input (`window_for`), and also supervises the best of the
    three multi-mask tokens and the IoU head, as SAM's own training does (Kirillov et al. 2023, appendix A),
    so that the candidates offered after adaptation stay worth choosing from.

    Args:
        output: from the student's decoder.
        targets: (N, 1, S, S) in [0, 1].
        valid: (N, 1, S, S) bool or None; only "clean" looks at it.
        mode: run mode.

    Returns:
        "structure", and in "clean" mode "multimask" and "iou_head": scalars, to be added up.
    """
    if mode != "clean":
        logits = to_size(output.logits[:, :1], targets)
        return {"structure": structure_loss(logits, targets, weighted_bce=mode == "paper")}
    logits = to_size(output.logits, targets)
    losses = structure_loss_per_mask(logits, targets, valid=valid, window=window_for(targets.shape[-1]))
    true_iou = mask_iou(logits, targets, valid)
    return {
        "structure": losses[:, 0].mean(),
        "multimask": losses[:, 1:].amin(1).mean(),
        "iou_head": F.mse_loss(output.iou.float(), true_iou),
    }


def to_size(logits: Tensor, targets: Tensor) -> Tensor:
    """Logits (N, K, h, w) at the resolution of the targets (N, 1, S, S), in float32."""
    size = targets.shape[-2:]
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


@torch.no_grad()
def mask_iou(logits: Tensor, targets: Tensor, valid: Tensor | None) -> Tensor:
    """IoU (N, K) of the thresholded masks with their targets, on valid pixels; 1 where both are empty."""
    masks, truth = logits > 0, targets > 0.5
    if valid is not None:
        masks, truth = masks & valid, truth & valid
    shared = (masks & truth).sum((2, 3))
    union = (masks | truth).sum((2, 3))
    return torch.where(union > 0, shared / union.clamp_min(1), 1.0)
