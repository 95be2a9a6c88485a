"""From the frame of an image to the frame of a model's input: masks, prompts, and batches of prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from infosam.models.base import PromptableModel
from infosam.types import BoolArray, Prompt, PromptBatch

_PADDING = -1


def mask_to_input(model: PromptableModel, mask: BoolArray) -> BoolArray:
    """An (H, W) object mask as an (S, S) mask of the model's input; padding is background.

    A pixel belongs to the object if half of it does. An object that is nowhere that wide (fine cracks on a
    large image) keeps the pixels it covers most, so that no object vanishes.
    """
    height, width = model.valid_size(*mask.shape)
    share = F.interpolate(
        torch.from_numpy(mask)[None, None].float(),
        (height, width),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    share = share[0, 0]
    threshold = min(0.5, 0.75 * float(share.max()))
    canvas = np.zeros((model.image_size, model.image_size), dtype=bool)
    canvas[:height, :width] = (share >= threshold).numpy() if mask.any() else False
    return canvas


def prompt_to_input(model: PromptableModel, prompt: Prompt, height: int, width: int) -> Prompt:
    """The points and box of a prompt on an (height, width) image, in pixels of the model's input."""
    points = np.asarray(prompt.points, dtype=np.float64).reshape(-1, 2)
    moved = tuple((row, column) for row, column in model.to_input(points, height, width).tolist())
    box = None
    if prompt.box is not None:
        corners = np.asarray(prompt.box, dtype=np.float64).reshape(2, 2)
        r0, c0, r1, c1 = model.to_input(corners, height, width).flatten().tolist()
        box = (r0, c0, r1, c1)
    return Prompt(points=moved, labels=prompt.labels, box=box)


def prompt_batch(
    prompts: Sequence[Prompt], image_index: Sequence[int], device: torch.device | str = "cpu"
) -> PromptBatch:
    """N prompts of the same kinds, in pixels of the model's input, as one batch.

    Prompts with fewer points than others are filled up with padding points, which are labelled -1.
    """
    points = labels = boxes = None
    most = max(len(prompt.points) for prompt in prompts)
    if most:
        points = torch.zeros(len(prompts), most, 2)
        labels = torch.full((len(prompts), most), _PADDING, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            points[row, : len(prompt.points)] = torch.tensor(prompt.points)
            labels[row, : len(prompt.labels)] = torch.tensor(prompt.labels)
        points, labels = points.to(device), labels.to(device)
    if prompts[0].box is not None:
        boxes = torch.tensor([prompt.box for prompt in prompts], dtype=torch.float32, device=device)
    return PromptBatch(torch.tensor(image_index, device=device), points, labels, boxes)
