"""From prompts in pixels of an image to the tensors that a model decodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from infosam.models.base import PromptableModel
from infosam.types import BadInputError, Prompt, PromptBatch

_PADDING = -1


def to_input_prompt(model: PromptableModel, prompt: Prompt, height: int, width: int) -> Prompt:
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
    """N prompts in pixels of the model's input as one batch; fewer points are filled up with padding points.

    Raises:
        BadInputError: if some prompts have points, or a box, and others none.
    """
    if not prompts:
        raise BadInputError("a batch needs at least one prompt")
    with_points, with_box = ({bool(p.points) for p in prompts}, {p.box is not None for p in prompts})
    if len(with_points) > 1 or len(with_box) > 1:
        raise BadInputError(
            "within one batch either every prompt has points, or none; the same holds for boxes"
        )
    points = labels = boxes = None
    if with_points == {True}:
        most = max(len(prompt.points) for prompt in prompts)
        coordinates = torch.zeros(len(prompts), most, 2)
        signs = torch.full((len(prompts), most), _PADDING, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            coordinates[row, : len(prompt.points)] = torch.tensor(prompt.points)
            signs[row, : len(prompt.labels)] = torch.tensor(prompt.labels)
        points, labels = coordinates.to(device), signs.to(device)
    if with_box == {True}:
        boxes = torch.tensor([prompt.box for prompt in prompts], dtype=torch.float32).to(device)
    return PromptBatch(torch.tensor(image_index, dtype=torch.long).to(device), points, labels, boxes)
