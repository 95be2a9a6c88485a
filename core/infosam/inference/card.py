"""The scores of the before/after card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from infosam.data.labelled import LabelledImage
from infosam.inference.evaluate import SeenImage, Settings, decode_objects
from infosam.metrics import Accumulator, ScoringProtocol, boundary_f1, dice, iou
from infosam.models.base import PromptableModel
from infosam.types import RunMode, Scores, Zoom

CARD_PROMPTS = ("point", "box")
BOUNDARY_TOLERANCE = 2  # pixels


def card_scores(
    images: Sequence[LabelledImage],
    model: PromptableModel,
    mode: RunMode = "clean",
    seed: int = 0,
    zoom: Zoom = "off",
) -> dict[str, Scores]:
    """Prompt name -> mean scores over the objects of held-out images, at their own resolution.

    Masks are cut at probability 0.5. In mode `clean` they are those that the plugin shows: for one click the
    best of the multi-mask outputs as the model judges them. The other modes train and score token 0, and an
    `official` model sees the images as it was trained to. Without images there are too few to measure, and
    the scores are None.
    """
    protocol: ScoringProtocol = "official" if mode == "official" else "clean"
    means = {prompt: Accumulator() for prompt in CARD_PROMPTS}
    for number, image in enumerate(images):
        seen = SeenImage(image, model, Settings(protocol=protocol, zoom=zoom))
        for prompt in CARD_PROMPTS:
            rng = np.random.default_rng([seed, number])
            settings = Settings(prompt, protocol, seed, zoom, multimask=mode == "clean")
            for logits, target in decode_objects(image, seen, settings, rng):
                mask = logits > 0
                means[prompt].add(
                    {
                        "iou": iou(mask, target),
                        "dice": dice(mask, target),
                        "boundary_f1": boundary_f1(mask, target, BOUNDARY_TOLERANCE),
                    }
                )
    return {prompt: _scores(mean, len(images)) for prompt, mean in means.items()}


def _scores(means: Accumulator, n_images: int) -> Scores:
    values = means.compute()
    return Scores(values.get("iou"), values.get("dice"), values.get("boundary_f1"), n_images, means.n)
