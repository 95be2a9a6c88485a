"""How good the pocket model is in the making: mean IoU on held-out generated scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from infosam.data.prompts import interior_pixel
from infosam.data.scenes import make_scene
from infosam.inference.prompting import low_resolution as logit_size
from infosam.models.base import PromptableModel
from infosam.training.pretrain_loss import low_resolution, true_iou
from infosam.types import BoolArray, PromptBatch

_HELD_OUT = 20_000_000  # training batches are seeded by (seed, step), these by this number alone


@dataclass(frozen=True)
class PretrainScores:
    """Mean IoU over objects by the exact box and by one click on the most interior pixel, with token 0."""

    step: int
    box: float
    point: float
    n_objects: int
    event: Literal["pretrain_scores"] = "pretrain_scores"


@torch.no_grad()
def held_out_scores(
    model: PromptableModel, step: int, n_scenes: int = 48, per_scene: int = 5
) -> PretrainScores:
    """Score `model` as it is on `n_scenes` scenes of its input size that training never shows."""
    model.eval()
    device = model.device
    by_box: list[Tensor] = []
    by_point: list[Tensor] = []
    for number in range(n_scenes):
        rng = np.random.default_rng(_HELD_OUT + number)
        scene = make_scene(model.image_size, _HELD_OUT + number)
        chosen = scene.masks[rng.permutation(len(scene.masks))[:per_scene]]
        embedding = model.encode(model.preprocess(scene.image)[None])
        target = low_resolution(torch.from_numpy(chosen).to(device), logit_size(model))
        for prompts, scores in ((_boxes(chosen, device), by_box), (_points(chosen, device), by_point)):
            output = model.decode(embedding, prompts)
            scores.append(true_iou(output.logits[:, :1], target)[:, 0])
    box, point = torch.cat(by_box), torch.cat(by_point)
    return PretrainScores(step, float(box.mean()), float(point.mean()), len(box))


def _boxes(masks: BoolArray, device: torch.device) -> PromptBatch:
    rows, columns = np.any(masks, axis=2), np.any(masks, axis=1)
    size = masks.shape[1]
    edges = (
        np.argmax(rows, axis=1),
        np.argmax(columns, axis=1),
        size - np.argmax(np.flip(rows, axis=1), axis=1),
        size - np.argmax(np.flip(columns, axis=1), axis=1),
    )
    boxes = torch.from_numpy(np.stack(edges, axis=1)).float().to(device)
    return PromptBatch(torch.zeros(len(masks), dtype=torch.long, device=device), boxes=boxes)


def _points(masks: BoolArray, device: torch.device) -> PromptBatch:
    points = torch.tensor([[interior_pixel(mask)] for mask in masks], dtype=torch.float32, device=device)
    labels = torch.ones(len(masks), 1, dtype=torch.long, device=device)
    return PromptBatch(torch.zeros(len(masks), dtype=torch.long, device=device), points=points, labels=labels)
