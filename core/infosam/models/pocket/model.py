"""The pocket model: a small SAM that also sees its prompts drawn into the mask prompt."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from infosam.models.sam.adaptor import SamModel
from infosam.types import DecoderOutput, ImageEmbedding, PromptBatch

_BOX_LOGIT = 2.0
_CLICK_LOGIT = 4.0
_CLICK_REACH = 6.0  # pixels of the input over which a drawn click fades by e
_LIMIT = 4.0  # of what is drawn, so that the decoder can overrule it


class PocketModel(SamModel):
    """SAM at pocket size.

    SAM learns from very many masks what a prompt's coordinates mean. The pocket model is trained on few, so
    its decoder is shown the prompts twice, as SAM's tokens and drawn into the dense mask prompt; and what it
    decodes is added to what was drawn. It learns how an object differs from its box, from a disk around the
    click, or from the last mask.
    """

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch) -> DecoderOutput:
        height, width = self.embedding_size
        drawn = draw_prompts(prompts, self.image_size, (4 * height, 4 * width))
        output = super().decode(embedding, replace(prompts, masks=drawn))
        return output if drawn is None else replace(output, logits=output.logits + drawn)


def draw_prompts(prompts: PromptBatch, image_size: int, size: tuple[int, int]) -> Tensor | None:
    """The prompts as low-resolution logits (N, 1, *size), or None for prompts of no kind.

    Clicks add a bump, up on the object and down beside it, to the mask prompt or, without one, to the box,
    which is positive inside and negative outside, or to a negative ground.
    """
    drawn = prompts.masks
    if drawn is None and prompts.boxes is not None:
        drawn = _draw_boxes(prompts.boxes, image_size, size)
    if prompts.points is not None and prompts.labels is not None:
        clicks = _draw_clicks(prompts.points, prompts.labels, image_size, size)
        drawn = clicks - _BOX_LOGIT if drawn is None else drawn + clicks
    return None if drawn is None else drawn.clamp(-_LIMIT, _LIMIT)


def _centres(image_size: int, count: int, device: torch.device) -> Tensor:
    """Where `count` low-resolution pixels have their centres, in pixel edges of the input."""
    return (torch.arange(count, device=device) + 0.5) * (image_size / count)


def _draw_boxes(boxes: Tensor, image_size: int, size: tuple[int, int]) -> Tensor:
    shares = []
    for axis, count in enumerate(size):
        centres = _centres(image_size, count, boxes.device)
        inside = torch.minimum(centres - boxes[:, axis, None], boxes[:, axis + 2, None] - centres)
        shares.append((inside * count / image_size + 0.5).clamp(0, 1))
    covered = shares[0][:, :, None] * shares[1][:, None, :]
    return (_BOX_LOGIT * (2 * covered - 1)).unsqueeze(1)


def _draw_clicks(points: Tensor, labels: Tensor, image_size: int, size: tuple[int, int]) -> Tensor:
    rows = _centres(image_size, size[0], points.device) - points[..., 0, None] - 0.5
    columns = _centres(image_size, size[1], points.device) - points[..., 1, None] - 0.5
    distance = torch.sqrt(rows[..., :, None] ** 2 + columns[..., None, :] ** 2)
    sign = (labels == 1).to(points.dtype) - (labels == 0).to(points.dtype)
    bumps = _CLICK_LOGIT * torch.exp(-distance / _CLICK_REACH)
    return (sign[..., None, None] * bumps).sum(dim=1, keepdim=True)
