"""Masks that a run keeps beside its scores, so that methods can be seen side by side (InfoSAM's figures 10 to
12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from infosam.benchmark.store import ShownMask
from infosam.data.labelled import LabelledImage
from infosam.data.rle import encode_mask
from infosam.inference.cache import EmbeddingCache
from infosam.inference.evaluate import Settings, predict_objects
from infosam.models.base import PromptableModel

_IMAGES = 4


def shown_masks(
    model: PromptableModel,
    images: Sequence[LabelledImage],
    settings: Settings,
    cache: EmbeddingCache | None = None,
) -> list[ShownMask]:
    """Mask token 0 of the largest object of each of the first four images that have one."""
    shown = []
    for number, image in enumerate(_with_largest(images)):
        rng = np.random.default_rng([settings.seed, number])
        for logits, truth in predict_objects(image, model, settings, rng, cache):
            shown.append(ShownMask(image.name, encode_mask(truth), encode_mask(logits > 0)))
    return shown


def _with_largest(images: Sequence[LabelledImage]) -> Iterator[LabelledImage]:
    labelled = [image for image in images if image.objects()]
    for image in labelled[:_IMAGES]:
        largest = max(image.objects(), key=lambda item: item.area)
        yield LabelledImage(image.key, image.name, image.image, [largest], image.intensity)
