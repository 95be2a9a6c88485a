"""The labelled objects as training reads them: in the frame of the model's input, embedded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infosam.data.intensity import to_rgb8
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.rle import RLE, decode_mask, encode_mask
from infosam.inference.preprocessing import preprocess
from infosam.models.base import PromptableModel
from infosam.training.collate import mask_to_input, prompt_to_input
from infosam.training.store import TensorStore
from infosam.types import BoolArray, ImageEmbedding, Prompt, RunMode


@dataclass(frozen=True)
class Sample:
    """One labelled object, as one image shows it. image, object: their numbers; an object that two images
    show, views of one, has the same in both. target: (S, S). recorded: the prompt that it was made with, in
    pixels of the model's input."""

    image: int
    object: int
    target: RLE
    recorded: Prompt | None

    @property
    def mask(self) -> BoolArray:
        return decode_mask(self.target)


class SampleSet:
    """Images and objects, preprocessed once; with `embed`, also the pre-trained model's embeddings.

    Args:
        images: labelled images; those without objects are left out.
        model: the pre-trained model, which preprocesses and embeds.
        mode: decides how pixels are preprocessed.
        store: where pixels and embeddings are kept.
        embed: whether batches carry embeddings.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        model: PromptableModel,
        mode: RunMode,
        store: TensorStore,
        embed: bool,
    ) -> None:
        self.images = [image for image in images if image.objects()]
        self.samples: list[Sample] = []
        self.valid_sizes: list[tuple[int, int]] = []
        self._objects: dict[LabelledObject, int] = {}
        self._model = model
        self._mode = mode
        self._store = store
        self._embed = embed

    @property
    def side(self) -> int:
        """The side S of the model's input."""
        return self._model.image_size

    @property
    def n_objects(self) -> int:
        """How many objects the samples show."""
        return len(self._objects)

    @property
    def by_image(self) -> list[list[int]]:
        """The sample numbers of each image."""
        groups: list[list[int]] = [[] for _ in self.images]
        for number, sample in enumerate(self.samples):
            groups[sample.image].append(number)
        return groups

    def prepare(self) -> Iterator[int]:
        """Read, preprocess and embed every image; yields the number of those done."""
        for number, image in enumerate(self.images):
            self._add(number, image)
            yield number + 1

    @torch.no_grad()
    def _add(self, number: int, image: LabelledImage) -> None:
        rgb = to_rgb8(image.image(), image.intensity)
        height, width = rgb.shape[:2]
        pixels = preprocess(self._model, rgb, self._mode)
        tensors = [pixels]
        if self._embed:
            embedding = self._model.encode(pixels[None].to(self._model.device))
            tensors += [embedding.features[0], *(level[0] for level in embedding.high_res)]
        self._store.put(number, tensors)
        self.valid_sizes.append(self._model.valid_size(height, width))
        for item in image.objects():
            target = encode_mask(mask_to_input(self._model, item.mask))
            recorded = item.prompt and prompt_to_input(self._model, item.prompt, height, width)
            known = self._objects.setdefault(item.whole or item, len(self._objects))
            self.samples.append(Sample(number, known, target, recorded))

    def tensors(self, numbers: Sequence[int], device: torch.device) -> tuple[Tensor, ImageEmbedding | None]:
        """The pixels (B, 3, S, S) of the images `numbers`, and their embeddings."""
        rows = [self._store.get(number) for number in numbers]
        pixels, *levels = (
            torch.stack([tensor.to(device, torch.float32) for tensor in column])
            for column in zip(*rows, strict=True)
        )
        return pixels, ImageEmbedding(levels[0], tuple(levels[1:])) if levels else None

    def valid(self, image: int) -> BoolArray:
        """(S, S), False on the padding of an image."""
        canvas = np.zeros((self._model.image_size, self._model.image_size), dtype=bool)
        height, width = self.valid_sizes[image]
        canvas[:height, :width] = True
        return canvas
