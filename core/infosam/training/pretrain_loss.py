"""SAM's interactive training (Kirillov et al. 2023, appendix A): a first prompt, then corrective clicks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.losses.mask import sam_mask_loss
from infosam.models.base import PromptableModel
from infosam.training.pretrain_data import SceneBatch
from infosam.types import DecoderOutput, ImageEmbedding, PromptBatch

_SHOW_LAST = 0.5


@dataclass(frozen=True, eq=False)
class RoundLoss:
    """Means over the prompts of one round.

    single: loss of mask token 0. multi: of the best of tokens 1-3. iou: of the IoU head, all four tokens.
    hit: the IoU of token 0.
    """

    single: Tensor
    multi: Tensor
    iou: Tensor
    hit: Tensor


def low_resolution(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, S, S) bool masks as the share of each low-resolution pixel that they cover, (N, h, w) in 0..1.

    Masks so thin that most of them would be lost at 0.5 cover every pixel that they touch.
    """
    full = masks.float().unsqueeze(1)
    covered = F.adaptive_avg_pool2d(full, size).squeeze(1)
    kept = (covered * (covered > 0.5)).sum(dim=(-2, -1), keepdim=True)
    is_thin = kept < 0.5 * covered.sum(dim=(-2, -1), keepdim=True)
    return torch.where(is_thin, F.adaptive_max_pool2d(full, size).squeeze(1), covered)


def true_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of (N, K, h, w) logits above 0 with (N, h, w) targets above 0.5: (N, K)."""
    predicted, truth = logits > 0, (target > 0.5).unsqueeze(1)
    overlap = (predicted & truth).sum(dim=(-2, -1))
    union = (predicted | truth).sum(dim=(-2, -1))
    return overlap / union.clamp(min=1)


def round_loss(output: DecoderOutput, target: Tensor) -> RoundLoss:
    """The losses of one round of prompts against (N, h, w) soft targets."""
    logits, predicted_iou = output.logits.float(), output.iou.float()
    losses = sam_mask_loss(logits, target.unsqueeze(1).expand_as(logits))
    with torch.no_grad():
        iou = true_iou(logits, target)
    return RoundLoss(
        single=losses[:, 0].mean(),
        multi=losses[:, 1:].min(dim=1).values.mean(),
        iou=F.mse_loss(predicted_iou, iou),
        hit=iou[:, 0].mean(),
    )


def corrective_click(
    logits: Tensor, target: Tensor, stride: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One click per mask in what is still wrong: points (N, 1, 2) in input pixels and labels (N, 1).

    logits (N, h, w); target (N, h, w) in 0..1. A click falls at random on the errors, well inside them where
    they have an inside; a mask without errors gets one more click on the object.
    """
    truth = target > 0.5
    wrong = (logits > 0) != truth
    has_error = wrong.flatten(1).any(dim=1)
    fullest = target >= target.amax(dim=(-2, -1), keepdim=True)
    clickable = torch.where(has_error[:, None, None], wrong, fullest).float()
    inner = -F.max_pool2d(-clickable.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
    dice_roll = torch.rand(clickable.shape, generator=generator, device=generator.device)
    index = ((clickable + inner) * (0.5 + 0.5 * dice_roll)).flatten(1).argmax(dim=1, keepdim=True)
    labels = truth.flatten(1).gather(1, index) | ~has_error[:, None]
    width = clickable.shape[-1]
    points = torch.stack([index // width, index % width], dim=-1).float() * stride + (stride - 1) / 2
    return points, labels.long()


def fed_back(output: DecoderOutput, generator: torch.Generator) -> Tensor:
    """The logits (N, 1, h, w) a user would go on from: token 0, or (half the time) the best-rated of 1-3."""
    best = output.iou[:, 1:].argmax(dim=1) + 1
    take_best = torch.rand(len(best), generator=generator, device=generator.device) < 0.5
    choice = best * take_best
    return output.logits[torch.arange(len(best), device=best.device), choice].unsqueeze(1).detach().float()


def interactive_losses(
    model: PromptableModel,
    embedding: ImageEmbedding,
    prompts: PromptBatch,
    target: Tensor,
    rounds: int,
    generator: torch.Generator,
) -> list[RoundLoss]:
    """Decode the first prompts, then `rounds - 1` times one more corrective click; half the time the decoder
    is also shown the last logits, as SAM's was, and half the time the prompts alone, as people give them."""
    stride = model.image_size / target.shape[-1]
    losses: list[RoundLoss] = []
    for number in range(rounds):
        output = model.decode(embedding, prompts)
        losses.append(round_loss(output, target))
        if number + 1 < rounds:
            logits = fed_back(output, generator)
            points, labels = corrective_click(logits[:, 0], target, stride, generator)
            if prompts.points is not None and prompts.labels is not None:
                points = torch.cat([prompts.points, points], dim=1)
                labels = torch.cat([prompts.labels, labels], dim=1)
            is_shown = torch.rand((), generator=generator, device=generator.device) < _SHOW_LAST
            shown = logits if is_shown else None
            prompts = replace(prompts, points=points, labels=labels, masks=shown)
    return losses


def first_prompts(batch: SceneBatch) -> list[tuple[PromptBatch, Tensor]]:
    """The batch's objects in two groups, two by a point for one by a box, with their indices (n,)."""
    every = torch.arange(len(batch.masks), device=batch.points.device)
    by_box, by_point = every[every % 3 == 0], every[every % 3 > 0]
    labels = torch.ones(len(by_point), 1, dtype=torch.long, device=every.device)
    points = PromptBatch(batch.image_index[by_point], points=batch.points[by_point], labels=labels)
    boxes = PromptBatch(batch.image_index[by_box], boxes=batch.boxes[by_box])
    return [(points, by_point), (boxes, by_box)]


def box_prompts(batch: SceneBatch) -> PromptBatch:
    """All of the batch's objects by their boxes."""
    return PromptBatch(batch.image_index, boxes=batch.boxes)
