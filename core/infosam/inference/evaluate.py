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
from infosam.data.prompts import corrected, evaluation_prompt, translated_box
from infosam.inference.cache import EmbeddingCache
from infosam.inference.distances import Answer
from infosam.inference.preprocessing import preprocess
from infosam.inference.tiles import Shape, Tile
from infosam.inference.zoom import answer, to_image
from infosam.metrics import BOUNDARY_KEYS, PROTOCOLS, Accumulator, ScoringProtocol, object_scores
from infosam.models.base import PromptableModel
from infosam.types import (
    PROMPT_PROTOCOLS,
    ZOOMS,
    BadInputError,
    BoolArray,
    ImageEmbedding,
    Prompt,
    RunMode,
    Zoom,
)

Progress = Callable[[int, int], None]
_CLICKS = {"points3": 3, "points5": 5}
_CHUNK = 8  # objects that are decoded, and enlarged to the image's resolution, together
_AHEAD = 16  # masks that wait to be scored
_WORKERS = min(4, os.cpu_count() or 1)
_OF_ONE_IMAGE = 1 << 31  # bytes of embeddings that are kept of an image where nobody keeps them for longer


@dataclass(frozen=True)
class Settings:
    """How to measure. prompt: of `types.PROMPT_PROTOCOLS`. protocol: of `metrics.PROTOCOLS`. seed: for road5,
    and for the shifted boxes of the official protocol. zoom: as in `Predictor`. multimask: a single click is
    answered by the best of the three multi-mask outputs as the model judges them, as the plugin shows it;
    without, mask token 0 is scored whatever the prompt."""

    prompt: str = "box"
    protocol: ScoringProtocol = "clean"
    seed: int = 0
    zoom: Zoom = "off"
    multimask: bool = False

    def __post_init__(self) -> None:
        if self.prompt not in PROMPT_PROTOCOLS:
            raise BadInputError(f"prompt must be one of {', '.join(PROMPT_PROTOCOLS)}, not {self.prompt!r}")
        if self.protocol not in PROTOCOLS:
            raise BadInputError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {self.protocol!r}")
        if self.zoom not in ZOOMS:
            raise BadInputError(f"zoom must be one of {', '.join(ZOOMS)}, not {self.zoom!r}")
        if self.zoom != "off" and self.protocol == "official":
            raise BadInputError("the official protocol shows the model whole images: use zoom off with it")
        if self.multimask and self.protocol == "official":
            raise BadInputError("the official protocol scores the single-mask output: leave multimask out")


def evaluate(
    images: Sequence[LabelledImage],
    model: PromptableModel,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
) -> dict[str, Any]:
    """Mean scores of the masks for every labelled object of `images`.

    Args:
        images: images without objects are left out.
        model: in eval mode; its parameters are left as they are.
        settings: protocol "clean" scores probabilities and averages over objects; "official" repeats the
            released evaluation (channel order and padding, shifted boxes, clipped logits) and averages over
            images.
        progress: called with (images done, images in all).
        cache: keeps embeddings for the next evaluation, by another prompt, of the same images.

    Returns:
        {"n_images", "n_objects", "iou", "dice", "s_measure", "e_measure", "weighted_f",
        "boundary_f1": {"0", "1", "2", "3"}, "prompt", "protocol", "zoom", "multimask"}; a score defined for
        no object is nan.

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
        for done, scores in enumerate(_scores_by_image(labelled, model, settings, pool, cache), start=1):
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
        "zoom": settings.zoom,
        "multimask": settings.multimask,
    }


def _scores_by_image(
    images: Sequence[LabelledImage],
    model: PromptableModel,
    settings: Settings,
    pool: ThreadPoolExecutor,
    cache: EmbeddingCache | None,
) -> Iterator[list[dict[str, float]]]:
    """The scores of each image's objects; while an image is scored, the model works on the next."""
    waiting: list[Future[dict[str, float]]] = []
    for number, image in enumerate(images):
        rng = np.random.default_rng([settings.seed, number])
        futures: list[Future[dict[str, float]]] = []
        for logits, mask in predict_objects(image, model, settings, rng, cache):
            futures.append(pool.submit(object_scores, logits, mask, settings.protocol))
            if len(futures) > _AHEAD:  # masks wait at the size of the image: an image may hold thousands
                futures[-_AHEAD].result()
        if number:
            yield [future.result() for future in waiting]
        waiting = futures
    yield [future.result() for future in waiting]


def predict_objects(
    image: LabelledImage,
    model: PromptableModel,
    settings: Settings,
    rng: np.random.Generator,
    cache: EmbeddingCache | None = None,
) -> Iterator[tuple[NDArray[np.float32], BoolArray]]:
    """For each object of an image: the (H, W) logits of its mask under its prompt, and its true mask."""
    yield from decode_objects(image, SeenImage(image, model, settings, cache), settings, rng)


class SeenImage:
    """A labelled image as the settings show it to a model whose weights stay as they are.

    cache: keeps what was embedded once; by default for as long as this object lives.
    """

    def __init__(
        self,
        image: LabelledImage,
        model: PromptableModel,
        settings: Settings,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.model = model
        self._rgb = to_rgb8(image.image(), image.intensity)
        self._mode: RunMode = "official" if settings.protocol == "official" else "clean"
        self._zoom = settings.zoom
        self._cache = EmbeddingCache(_OF_ONE_IMAGE) if cache is None else cache
        self._key = (model.fingerprint, image.key, image.intensity, self._mode)

    @property
    def shape(self) -> Shape:
        height, width = self._rgb.shape[:2]
        return height, width

    @torch.no_grad()
    def answers(self, prompts: Sequence[Prompt], *, multimask: bool) -> list[Answer]:
        """The one mask that counts for each of N prompts; see `Settings.multimask`."""
        answers = answer(self.model, self._embed, self.shape, prompts, self._zoom)
        return [
            seen.best() if multimask and prompt.is_ambiguous else seen.single()
            for seen, prompt in zip(answers, prompts, strict=True)
        ]

    def logits(self, prompts: Sequence[Prompt], *, multimask: bool) -> NDArray[np.float32]:
        """(N, H, W) logits of these masks."""
        masks = [
            to_image(self.model, seen, self.shape) for seen in self.answers(prompts, multimask=multimask)
        ]
        result: NDArray[np.float32] = torch.cat(masks).cpu().numpy()
        return result

    def _embed(self, tile: Tile) -> ImageEmbedding:
        return self._cache.fetch((*self._key, tile), lambda: self._encode(tile))

    def _encode(self, tile: Tile) -> ImageEmbedding:
        pixels = preprocess(self.model, self._rgb[tile.window], self._mode)
        return self.model.encode(pixels[None].to(self.model.device))


def decode_objects(
    image: LabelledImage, seen: SeenImage, settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], BoolArray]]:
    """`predict_objects` on an image that may be embedded already."""
    objects = image.objects()
    for start in range(0, len(objects), _CHUNK):
        masks = [item.mask for item in objects[start : start + _CHUNK]]
        prompts = [_first_prompt(mask, settings, rng, seen.model) for mask in masks]
        logits = seen.logits(prompts, multimask=settings.multimask)
        for _ in range(_CLICKS.get(settings.prompt, 1) - 1):
            prompts = [
                corrected(prompt, mask, prediction > 0)
                for prompt, mask, prediction in zip(prompts, masks, logits, strict=True)
            ]
            logits = seen.logits(prompts, multimask=settings.multimask)
        yield from zip(logits, masks, strict=True)


def _first_prompt(
    mask: BoolArray, settings: Settings, rng: np.random.Generator, model: PromptableModel
) -> Prompt:
    prompt = evaluation_prompt(mask, settings.prompt, rng)
    if settings.protocol == "official" and prompt.box is not None:
        scale = model.valid_size(*mask.shape)[0] / mask.shape[0]
        return replace(prompt, box=translated_box(mask, rng, input_scale=scale))
    return prompt


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    means = Accumulator()
    for item in scores:
        means.add(item)
    return means.compute()
