"""Prompts to masks on one image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from infosam.data.intensity import check_image, intensity_range, to_rgb8
from infosam.data.io import content_hash
from infosam.inference.arguments import check_inside, make_prompt
from infosam.inference.cache import EmbeddingCache
from infosam.inference.distances import Answer
from infosam.inference.everything import FoundObject, find_objects
from infosam.inference.tiles import Shape, Tile, whole
from infosam.inference.zoom import answer, to_image, to_whole, zoom_of
from infosam.models.base import PromptableModel
from infosam.types import (
    ZOOMS,
    BadInputError,
    ImageEmbedding,
    InfoSAMError,
    IntensityRange,
    Prompt,
    Segmentation,
    Zoom,
)


@dataclass(frozen=True, eq=False)
class _Image:
    """The image that prompts refer to. Replaced as a whole, so that a running prediction keeps its own.

    embedding: of the whole image. content: its hash, where embeddings are cached.
    """

    pixels: NDArray[Any]
    intensity: IntensityRange
    content: str
    embedding: ImageEmbedding

    @property
    def shape(self) -> Shape:
        height, width = self.pixels.shape[:2]
        return height, width


class Predictor:
    """Embeds an image once and answers any number of prompts on it, from any thread.

    Coordinates are (row, column) in pixels of the image, pixel centres at whole numbers; boxes are pixel
    edges (r0, c0, r1, c1). They reach the official prompt encoders as x = column, y = row.

    Args:
        model: on any device; its weights are not changed.
        zoom: "off": the whole image is shown to the model at once, as the official predictors do it. "auto":
            small objects are looked at from nearer, on overlapping tiles of the image that are embedded as
            they are needed. Masks come at the resolution of the image either way, and low-resolution
            logits in the frame of the whole image: for a small object its mask is the better mask prompt.
            None: as the model was adapted to, and "off" for a pre-trained one.
        cache: embeddings of earlier images, and of tiles, shared between predictors if wanted. Without one,
            "auto" embeds the tiles anew for every prompt.

    Raises:
        ValueError: unknown zoom.
    """

    def __init__(
        self, model: PromptableModel, zoom: Zoom | None = None, cache: EmbeddingCache | None = None
    ) -> None:
        if zoom is not None and zoom not in ZOOMS:
            raise ValueError(f"zoom must be one of {', '.join(ZOOMS)}, not {zoom!r}")
        self.model = model
        self.zoom: Zoom = zoom or zoom_of(model)
        self.cache = cache
        self._image: _Image | None = None

    @property
    def shape(self) -> Shape:
        """(H, W) of the image."""
        return self._current().shape

    @property
    def intensity(self) -> IntensityRange:
        """The raw values of the image that the model sees as 0 and 255."""
        return self._current().intensity

    def set_image(self, image: ArrayLike, *, intensity: IntensityRange | None = None) -> Self:
        """Embed an image; the predictor itself is returned.

        Args:
            image: (H, W) or (H, W, 1 | 3 | 4), integers or floats of any range; alpha is ignored.
            intensity: the raw values to show as 0 and 255; by default those of `data.intensity_range`.

        Raises:
            BadInputError: the image has another shape or no numbers.
            InfoSAMError: the GPU's memory does not suffice.
        """
        # Tiles are read later, when the caller may have changed the array.
        pixels = np.array(image) if self.zoom == "auto" else np.asarray(image)
        check_image(pixels)
        intensity = intensity or intensity_range(pixels)
        content = "" if self.cache is None else content_hash(pixels)
        first = whole((pixels.shape[0], pixels.shape[1]))
        self._image = _Image(pixels, intensity, content, self._embed(pixels, intensity, content, first))
        return self

    def predict(
        self,
        points: ArrayLike | None = None,
        labels: Sequence[int] | NDArray[Any] | None = None,
        box: ArrayLike | None = None,
        mask: NDArray[Any] | None = None,
        multimask: bool = True,
        answer: NDArray[np.bool_] | None = None,
    ) -> Segmentation:
        """Masks for one object.

        Args:
            points: (P, 2) row, column, inside the image.
            labels: P numbers, 1 = belongs to the object, 0 = does not; by default all 1.
            box: (r0, c0, r1, c1), overlapping the image.
            mask: (H, W) bool at image resolution, or (h, w) low-resolution logits of an earlier answer. A
                bool mask is resized as the image is, averaged down to low resolution, and its covered
                fraction f becomes the logit 10 * (2 f - 1); the padding of the image is background.
            multimask: three candidate masks, or only the one of the single-mask token. Clicks on lines have
                one either way, with a model that was adapted to lines.
            answer: (H, W) bool, the earlier answer that the last points correct, in place of a mask. The
                official predictors would be given its logits as the mask.

        Returns:
            Candidates at image resolution, highest predicted IoU first.

        Raises:
            BadInputError: no image is set, or the prompt is empty, not finite, outside the image or
                misshapen.
        """
        prompt = make_prompt(points, labels, box, mask, answer)
        check_inside(prompt, self._current().shape)
        return self.predict_prompt(prompt, multimask)

    def predict_prompt(self, prompt: Prompt, multimask: bool = True) -> Segmentation:
        """`predict` for a Prompt. Points may lie outside the image, as some evaluation protocols want it."""
        return self.predict_batch([prompt], multimask)[0]

    def predict_batch(self, prompts: Sequence[Prompt], multimask: bool = False) -> list[Segmentation]:
        """Masks for several objects of the image, each with a prompt of any kind, in their order."""
        image = self._current()  # once: another thread may set the next
        return [self._segmentation(seen, image.shape, multimask) for seen in self._answers(image, prompts)]

    def predict_both(self, prompt: Prompt) -> tuple[Segmentation, Segmentation]:
        """What `predict_prompt` gives with multimask and without, for one decoding."""
        image = self._current()
        (seen,) = self._answers(image, [prompt])
        several, single = (self._segmentation(seen, image.shape, which) for which in (True, False))
        return several, single

    def find_objects(
        self,
        extent: float | None = None,
        min_score: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[FoundObject]:
        """All objects of the image, without a prompt, the surest first; see `everything.find_objects` for
        what is found and what is raised.

        Args:
            extent: the longest side of a typical object, in pixels; None: as the model was adapted to.
            min_score: from 0 to 1: the less, the more is found, and the more of it is wrong.
            progress: called with (clicks answered, clicks in all); what it raises ends the search.
        """
        image = self._current()
        with self._memory():
            return find_objects(
                self.model,
                partial(self._embedded, image),
                image.shape,
                self.zoom,
                extent=extent,
                min_score=min_score,
                progress=progress,
            )

    @torch.no_grad()
    def _answers(self, image: _Image, prompts: Sequence[Prompt]) -> list[Answer]:
        return answer(self.model, partial(self._embedded, image), image.shape, prompts, self.zoom)

    def _embedded(self, image: _Image, tile: Tile) -> ImageEmbedding:
        if tile.level == 0:
            return image.embedding
        return self._embed(image.pixels, image.intensity, image.content, tile)

    def _segmentation(self, seen: Answer, shape: Shape, multimask: bool) -> Segmentation:
        """The multi-mask outputs of an answer, the best first, or the single-mask one."""
        chosen = seen.several() if multimask else seen.single()
        logits, enlarged = chosen.logits, to_image(self.model, chosen, shape)
        if chosen.tile.level > 0 or chosen.line is not None:
            logits = to_whole(self.model, enlarged)
        limit = self.model.logit_limit
        if limit is not None:
            logits = logits.clamp(-limit, limit)
        return Segmentation((enlarged > 0).cpu().numpy(), _to_numpy(chosen.iou), _to_numpy(logits))

    def _embed(
        self, pixels: NDArray[Any], intensity: IntensityRange, content: str, tile: Tile
    ) -> ImageEmbedding:
        """The embedding of a tile of the image."""
        if self.cache is None or self._in_training():
            return self._encode(pixels[tile.window], intensity)
        key = (self.model.fingerprint, content, intensity, tile)
        # Kept in main memory: a GPU has better use for its own, and the way back takes milliseconds.
        found = self.cache.fetch(key, lambda: self._encode(pixels[tile.window], intensity).to("cpu"))
        return found.to(self.model.device)

    def _in_training(self) -> bool:
        """Weights that may change under an unchanged fingerprint: no embedding of theirs may be kept."""
        return any(parameter.requires_grad for parameter in self.model.parameters())

    @torch.no_grad()
    def _encode(self, pixels: NDArray[Any], intensity: IntensityRange) -> ImageEmbedding:
        with self._memory():
            return self.model.encode(self.model.preprocess(to_rgb8(pixels, intensity))[None])

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Says what to do where the memory of the GPU does not suffice."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise InfoSAMError(
                f"{self.model.device} has too little free memory for {self.model.name}: close other programs "
                "that use it, or choose a smaller model or the device cpu"
            ) from error

    def _current(self) -> _Image:
        if self._image is None:
            raise BadInputError("no image is set: call set_image first")
        return self._image


def _to_numpy(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array
