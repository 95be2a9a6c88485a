"""The supervised part of every task: masks against targets, in the three run modes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.losses import structure_loss
from infosam.losses.mask import sam_mask_loss
from infosam.types import DecoderOutput, RunMode

_NOTHING = -30.0  # the logit of padding, where no target is: no loss and no gradient


def supervised_losses(
    output: DecoderOutput, targets: Tensor, valid: Tensor | None, mode: RunMode
) -> dict[str, Tensor]:
    """Losses of N decoded prompts against their targets, with logits brought to the targets' resolution.

    "official" is the structure loss of token 0 as the released script optimises it: plain cross entropy, all
    pixels, padding included. "paper" has the weighted cross entropy of the formula. "clean" leaves padding
    out and asks for what the model was pre-trained to give (Kirillov et al. 2023, appendix A): focal and dice
    loss of token 0, the same for the best of the three multi-mask tokens, and the IoU head, so that the
    candidates offered after adaptation stay worth choosing from. The structure loss, heavy at the boundary,
    makes masks of few labels spill: with sam_pocket it gains less by box on every set that was tried.

    Args:
        output: from the student's decoder.
        targets: (N, 1, S, S) in [0, 1].
        valid: (N, 1, S, S) bool or None; only "clean" looks at it.
        mode: run mode.

    Returns:
        "structure", or in "clean" mode "mask", "multimask" and "iou_head": scalars, to be added up.
    """
    if mode != "clean":
        logits = to_size(output.logits[:, :1], targets)
        return {"structure": structure_loss(logits, targets, weighted_bce=mode == "paper")}
    logits = to_size(output.logits, targets)
    seen = logits if valid is None else logits.masked_fill(~valid, _NOTHING)
    losses = sam_mask_loss(seen, targets.expand_as(seen))
    true_iou = mask_iou(logits, targets, valid)
    return {
        "mask": losses[:, 0].mean(),
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
