"""Prompts to masks on one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from infosam.data.intensity import check_image, intensity_range, to_rgb8
from infosam.data.io import content_hash
from infosam.inference.arguments import check_inside, make_prompt
from infosam.inference.cache import EmbeddingCache
from infosam.inference.prompting import Shape, decode_prompts
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, ImageEmbedding, InfoSAMError, IntensityRange, Prompt, Segmentation

_PROMPTS_AT_ONCE = 16  # bounds the decoder's memory, whatever the number of prompts

ZOOMS = ("off",)


@dataclass(frozen=True, eq=False)
class _Image:
    """The image that prompts refer to. Replaced as a whole, so that a running prediction keeps its own."""

    embedding: ImageEmbedding
    shape: Shape
    intensity: IntensityRange


class Predictor:
    """Embeds an image once and answers any number of prompts on it, from any thread.

    Coordinates are (row, column) in pixels of the image, pixel centres at whole numbers; boxes are pixel
    edges (r0, c0, r1, c1). They reach the official prompt encoders as x = column, y = row.

    Args:
        model: on any device; its weights are not changed.
        zoom: "off": the whole image is shown to the model at once.
        cache: embeddings of earlier images, shared between predictors if wanted.

    Raises:
        ValueError: unknown zoom.
    """

    def __init__(
        self, model: PromptableModel, zoom: str = "off", cache: EmbeddingCache | None = None
    ) -> None:
        if zoom not in ZOOMS:
            raise ValueError(f"zoom must be one of {', '.join(ZOOMS)}, not {zoom!r}")
        self.model = model
        self.zoom = zoom
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
        pixels = np.asarray(image)
        check_image(pixels)
        intensity = intensity or intensity_range(pixels)
        self._image = _Image(self._embed(pixels, intensity), pixels.shape[:2], intensity)
        return self

    def predict(
        self,
        points: ArrayLike | None = None,
        labels: Sequence[int] | NDArray[Any] | None = None,
        box: ArrayLike | None = None,
        mask: NDArray[Any] | None = None,
        multimask: bool = True,
    ) -> Segmentation:
        """Masks for one object.

        Args:
            points: (P, 2) row, column, inside the image.
            labels: P numbers, 1 = belongs to the object, 0 = does not; by default all 1.
            box: (r0, c0, r1, c1), overlapping the image.
            mask: (H, W) bool at image resolution, or (h, w) low-resolution logits of an earlier answer. A
                bool mask is resized as the image is, averaged down to low resolution, and its covered
                fraction f becomes the logit 10 * (2 f - 1); the padding of the image is background.
            multimask: three candidate masks, or only the one of the single-mask token.

        Returns:
            Candidates at image resolution, highest predicted IoU first.

        Raises:
            BadInputError: no image is set, or the prompt is empty, not finite, outside the image or
                misshapen.
        """
        prompt = make_prompt(points, labels, box, mask)
        check_inside(prompt, self._current().shape)
        return self.predict_prompt(prompt, multimask)

    def predict_prompt(self, prompt: Prompt, multimask: bool = True) -> Segmentation:
        """`predict` for a Prompt. Points may lie outside the image, as some evaluation protocols want it."""
        return self.predict_batch([prompt], multimask)[0]

    @torch.no_grad()
    def predict_batch(self, prompts: Sequence[Prompt], multimask: bool = False) -> list[Segmentation]:
        """Masks for several objects of the image, each with a prompt of any kind, in their order."""
        image = self._current()
        results = []
        for start in range(0, len(prompts), _PROMPTS_AT_ONCE):
            chunk = prompts[start : start + _PROMPTS_AT_ONCE]
            output = decode_prompts(self.model, image.embedding, chunk, [0] * len(chunk), [image.shape])
            tokens = slice(1, None) if multimask else slice(0, 1)
            for logits, iou in zip(output.logits[:, tokens], output.iou[:, tokens], strict=True):
                results.append(self._segmentation(logits, iou, image.shape))
        return results

    def _segmentation(self, logits: Tensor, iou: Tensor, shape: Shape) -> Segmentation:
        """(K, h, w) logits and (K,) predicted IoU as a Segmentation, best first."""
        order = torch.argsort(iou, descending=True, stable=True)
        logits = logits[order]
        masks = self.model.to_image(logits[None], *shape)[0] > 0
        limit = self.model.logit_limit
        if limit is not None:
            logits = logits.clamp(-limit, limit)
        return Segmentation(masks.cpu().numpy(), _to_numpy(iou[order]), _to_numpy(logits))

    def _embed(self, pixels: NDArray[Any], intensity: IntensityRange) -> ImageEmbedding:
        if self.cache is None or self._in_training():
            return self._encode(pixels, intensity)
        key = (self.model.fingerprint, content_hash(pixels), intensity)
        # Kept in main memory: a GPU has better use for its own, and the way back takes milliseconds.
        found = self.cache.fetch(key, lambda: self._encode(pixels, intensity).to("cpu"))
        return found.to(self.model.device)

    def _in_training(self) -> bool:
        """Weights that may change under an unchanged fingerprint: no embedding of theirs may be kept."""
        return any(parameter.requires_grad for parameter in self.model.parameters())

    @torch.no_grad()
    def _encode(self, pixels: NDArray[Any], intensity: IntensityRange) -> ImageEmbedding:
        try:
            return self.model.encode(self.model.preprocess(to_rgb8(pixels, intensity))[None])
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
