"""Scores of a model on labelled images, under one prompt per object, at the images' own resolution."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from infosam.data.intensity import to_rgb8
from infosam.data.labelled import LabelledImage
from infosam.data.prompts import corrective_point, evaluation_prompt, translated_box, with_point
from infosam.inference.preprocessing import preprocess
from infosam.inference.prompting import Shape, decode_prompts
from infosam.metrics import BOUNDARY_KEYS, PROTOCOLS, Accumulator, ScoringProtocol, object_scores
from infosam.models.base import PromptableModel
from infosam.types import PROMPT_PROTOCOLS, BadInputError, BoolArray, ImageEmbedding, Prompt

Progress = Callable[[int, int], None]
_CLICKS = {"points3": 3, "points5": 5}
_CHUNK = 8  # objects that are decoded, and enlarged to the image's resolution, together
_WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Settings:
    """How to measure. prompt: of `types.PROMPT_PROTOCOLS`. protocol: of `metrics.PROTOCOLS`. seed: for road5,
    and for the shifted boxes of the official protocol."""

    prompt: str = "box"
    protocol: ScoringProtocol = "clean"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.prompt not in PROMPT_PROTOCOLS:
            raise BadInputError(f"prompt must be one of {', '.join(PROMPT_PROTOCOLS)}, not {self.prompt!r}")
        if self.protocol not in PROTOCOLS:
            raise BadInputError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {self.protocol!r}")


def evaluate(
    images: Sequence[LabelledImage],
    model: PromptableModel,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Mean scores of mask token 0 on every labelled object of `images`.

    Args:
        images: images without objects are left out.
        model: in eval mode; its parameters are left as they are.
        settings: protocol "clean" scores probabilities and averages over objects; "official" repeats the
            released evaluation (channel order and padding, shifted boxes, clipped logits) and averages over
            images.
        progress: called with (images done, images in all).

    Returns:
        {"n_images", "n_objects", "iou", "dice", "s_measure", "e_measure", "weighted_f",
        "boundary_f1": {"0", "1", "2", "3"}, "prompt", "protocol"}; a score defined for no object is nan.

    Raises:
        BadInputError: there is no labelled object, or a setting is unknown.
    """
    settings = settings or Settings()
    labelled = [image for image in images if image.objects()]
    if not labelled:
        raise BadInputError("there is nothing to evaluate: no image has a labelled object")
    means = Accumulator()
    n_objects = 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done, scores in enumerate(_scores_by_image(labelled, model, settings, pool), start=1):
            n_objects += len(scores)
            for item in scores if settings.protocol == "clean" else [_mean(scores)]:
                means.add(item)
            if progress is not None:
                progress(done, len(labelled))
    result = means.compute()
    curve = {str(tolerance): result.pop(key) for tolerance, key in BOUNDARY_KEYS.items()}
    counts = {"n_images": len(labelled), "n_objects": n_objects}
    return {
        **counts,
        **result,
        "boundary_f1": curve,
        "prompt": settings.prompt,
        "protocol": settings.protocol,
    }


def _scores_by_image(
    images: Sequence[LabelledImage], model: PromptableModel, settings: Settings, pool: ThreadPoolExecutor
) -> Iterator[list[dict[str, float]]]:
    """The scores of each image's objects; while an image is scored, the model works on the next."""
    waiting: list[Future[dict[str, float]]] = []
    for number, image in enumerate(images):
        rng = np.random.default_rng([settings.seed, number])
        futures = [
            pool.submit(object_scores, logits, mask, settings.protocol)
            for logits, mask in predict_objects(image, model, settings, rng)
        ]
        if number:
            yield [future.result() for future in waiting]
        waiting = futures
    yield [future.result() for future in waiting]


def predict_objects(
    image: LabelledImage, model: PromptableModel, settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], BoolArray]]:
    """For each object of an image: the (H, W) logits of mask token 0 under its prompt, and its true mask."""
    embedding, shape = embed(image, model, settings.protocol)
    yield from decode_objects(image, model, embedding, shape, settings, rng)


@torch.no_grad()
def embed(
    image: LabelledImage, model: PromptableModel, protocol: ScoringProtocol
) -> tuple[ImageEmbedding, Shape]:
    """The embedding of an image as the protocol shows it to the model, and its (H, W)."""
    rgb = to_rgb8(image.image(), image.intensity)
    pixels = preprocess(model, rgb, "official" if protocol == "official" else "clean")
    return model.encode(pixels[None].to(model.device)), rgb.shape[:2]


def decode_objects(
    image: LabelledImage,
    model: PromptableModel,
    embedding: ImageEmbedding,
    shape: Shape,
    settings: Settings,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.float32], BoolArray]]:
    """`predict_objects` on an embedded image."""
    objects = image.objects()
    for start in range(0, len(objects), _CHUNK):
        masks = [item.mask for item in objects[start : start + _CHUNK]]
        prompts = [_first_prompt(mask, settings, rng, model) for mask in masks]
        logits = _decode(model, embedding, prompts, shape)
        for _ in range(_CLICKS.get(settings.prompt, 1) - 1):
            prompts = [
                with_point(prompt, corrective_point(mask, prediction > 0))
                for prompt, mask, prediction in zip(prompts, masks, logits, strict=True)
            ]
            logits = _decode(model, embedding, prompts, shape)
        yield from zip(logits, masks, strict=True)


def _first_prompt(
    mask: BoolArray, settings: Settings, rng: np.random.Generator, model: PromptableModel
) -> Prompt:
    prompt = evaluation_prompt(mask, settings.prompt, rng)
    if settings.protocol == "official" and prompt.box is not None:
        scale = model.valid_size(*mask.shape)[0] / mask.shape[0]
        return replace(prompt, box=translated_box(mask, rng, input_scale=scale))
    return prompt


@torch.no_grad()
def _decode(
    model: PromptableModel, embedding: ImageEmbedding, prompts: Sequence[Prompt], shape: Shape
) -> NDArray[np.float32]:
    """(N, H, W) logits of mask token 0."""
    output = decode_prompts(model, embedding, prompts, [0] * len(prompts), [shape])
    logits = model.to_image(output.logits[:, :1].float(), *shape)
    result: NDArray[np.float32] = logits[:, 0].cpu().numpy()
    return result


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    means = Accumulator()
    for item in scores:
        means.add(item)
    return means.compute()
