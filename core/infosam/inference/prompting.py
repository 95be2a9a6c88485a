"""Prompts of any mix, in image pixels, through the decoder in as few batches as give exact answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from infosam.inference.tiles import Shape
from infosam.models.base import MASK_LOGIT, PromptableModel
from infosam.types import BadInputError, DecoderOutput, ImageEmbedding, Prompt, PromptBatch


def decode_prompts(
    model: PromptableModel,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    image_index: Sequence[int],
    shapes: Sequence[Shape],
) -> DecoderOutput:
    """Decode any mix of prompts over several images, in the order in which they are given.

    Prompts of the same kind go through the decoder together. Different numbers of points never share a batch:
    the official decoders attend to padding, so a padded prompt would answer differently than alone.

    Args:
        model: the model that embedded the images.
        embedding: B images.
        prompts: N prompts, each in the pixels of its own image.
        image_index: N numbers below B: the image of each prompt.
        shapes: the (H, W) of the B images.

    Raises:
        BadInputError: there is no prompt, or one is empty, not finite, or has a mask that does not fit.
    """
    if not prompts:
        raise BadInputError("no prompts were given")
    groups = group_by_kind(prompts)
    outputs = []
    for group in groups:
        batch = prompts_to_batch(model, [prompts[i] for i in group], [image_index[i] for i in group], shapes)
        outputs.append(model.decode(embedding, batch))
    if len(outputs) == 1:
        return outputs[0]
    order = torch.as_tensor(np.argsort(np.concatenate(groups)), device=model.device)
    return DecoderOutput(
        logits=torch.cat([output.logits for output in outputs])[order],
        iou=torch.cat([output.iou for output in outputs])[order],
        tokens=torch.cat([output.tokens for output in outputs])[order],
    )


def group_by_kind(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Indices of prompts that fit in one batch: as many points, with or without box, with or without mask."""
    groups: dict[tuple[int, bool, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(_kind(prompt), []).append(index)
    return list(groups.values())


def prompts_to_batch(
    model: PromptableModel, prompts: Sequence[Prompt], image_index: Sequence[int], shapes: Sequence[Shape]
) -> PromptBatch:
    """N prompts of one kind as a batch on the model's device; arguments as in `decode_prompts`.

    Raises:
        BadInputError: not exactly one kind, or a prompt is empty, not finite, or its mask does not fit.
    """
    kinds = {_kind(prompt) for prompt in prompts}
    if len(kinds) != 1:
        raise BadInputError(f"a batch takes prompts of one kind, not of {len(kinds)}: use decode_prompts")
    ((n_points, has_box, has_mask),) = kinds
    if not (n_points or has_box or has_mask):
        raise BadInputError("the prompt is empty: give points, a box or a mask")
    pairs = [(prompt, shapes[index]) for prompt, index in zip(prompts, image_index, strict=True)]
    device = model.device
    return PromptBatch(
        image_index=torch.tensor(list(image_index), device=device),
        points=torch.stack([_points(model, *pair) for pair in pairs]).to(device) if n_points else None,
        labels=torch.tensor([prompt.labels for prompt in prompts], device=device) if n_points else None,
        boxes=torch.stack([_box(model, *pair) for pair in pairs]).to(device) if has_box else None,
        masks=torch.stack([_mask(model, *pair) for pair in pairs]).to(device) if has_mask else None,
    )


def mask_to_logits(model: PromptableModel, mask: NDArray[np.bool_], logit: float = MASK_LOGIT) -> Tensor:
    """An (H, W) bool mask of an image as (4h, 4w) low-resolution logits in the model's frame.

    The mask is resized as the image is (with antialiasing; padding is background), averaged over the input
    pixels of each low-resolution one, and the covered fraction f becomes logit * (2 f - 1).
    """
    height, width = model.valid_size(*mask.shape)
    cover = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None, None]
    cover = F.interpolate(cover, (height, width), mode="bilinear", align_corners=False, antialias=True)
    cover = F.pad(cover, (0, model.image_size - width, 0, model.image_size - height))
    return logit * (2 * F.adaptive_avg_pool2d(cover, low_resolution(model))[0, 0] - 1)


def checked_mask(model: PromptableModel, mask: Any, shape: Shape) -> NDArray[Any]:
    """A mask prompt for an image of `shape`, known to have one of the two forms that it may have.

    Raises:
        BadInputError: it has not, or is not finite.
    """
    array = np.asarray(mask)
    if array.dtype == np.bool_ and array.shape == shape:
        return array
    if array.dtype.kind == "f" and array.shape == low_resolution(model):
        return _finite(array, "mask")
    raise BadInputError(
        f"a mask prompt must be bool of the image's shape {shape}, or float logits of the shape "
        f"{low_resolution(model)}, not {array.dtype} {array.shape}"
    )


def checked_answer(answer: Any, shape: Shape) -> NDArray[np.bool_]:
    """An earlier answer for an image of `shape`, known to be a mask of it.

    Raises:
        BadInputError: it is not.
    """
    array = np.asarray(answer)
    if array.dtype == np.bool_ and array.shape == shape:
        return array
    raise BadInputError(
        f"an earlier answer must be a bool mask of the image's shape {shape}, not {array.dtype} {array.shape}"
    )


def low_resolution(model: PromptableModel) -> Shape:
    """(4h, 4w), the size of low-resolution logits."""
    height, width = model.embedding_size
    return 4 * height, 4 * width


def _kind(prompt: Prompt) -> tuple[int, bool, bool]:
    return len(prompt.points), prompt.box is not None, prompt.resembled is not None


def _points(model: PromptableModel, prompt: Prompt, shape: Shape) -> Tensor:
    return model.to_input(_finite(prompt.points, "points"), *shape)


def _box(model: PromptableModel, prompt: Prompt, shape: Shape) -> Tensor:
    return model.to_input(_finite(prompt.box, "box").reshape(2, 2), *shape).reshape(4)


def _mask(model: PromptableModel, prompt: Prompt, shape: Shape) -> Tensor:
    """(1, 4h, 4w) logits from either form that a mask prompt may have, or from an earlier answer."""
    if prompt.answer is not None:
        return mask_to_logits(model, checked_answer(prompt.answer, shape), model.answer_logit)[None]
    mask = checked_mask(model, prompt.mask, shape)
    if mask.dtype == np.bool_:
        return mask_to_logits(model, mask)[None]
    return torch.as_tensor(mask, dtype=torch.float32)[None]


def _finite(values: Any, what: str) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise BadInputError(f"the {what} of a prompt must be finite: {values}")
    return numbers
